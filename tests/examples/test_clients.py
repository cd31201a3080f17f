"""One story for examples/client.py, and for examples/client.js in Node and in two tabs."""

import stat
import time

import pytest
from selenium import webdriver

from tasks_api.config import ROOT
from tests.conftest import Person, joined
from tests.examples.conftest import LIST, NEVER, Network, Pair, access_of, at_once, do
from tests.live import PASSWORD, wait_for

MODULES = ROOT / "tests" / "examples" / "clients" / "node_modules"
OK = ["ok", []]
REFRESH = "/api/users/refresh_token"


def clients(*kinds: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("pair", kinds, indirect=True)


def test_a_client_has_one_refresh_for_all_calls(
    pair: Pair, anna: Person, network: Network
) -> None:
    network.faults[REFRESH] = ["slow"]
    assert at_once([pair[0]] * 8, *LIST) == [OK] * 8
    (refresh,) = network.refreshes()
    assert b'"userId"' in refresh


@clients("python", "chromium")
def test_clients_of_one_store_take_turns(pair: Pair, anna: Person, network: Network) -> None:
    network.faults[REFRESH] = ["slow"]
    assert at_once([*pair] * 4, *LIST) == [OK] * 8
    refreshes = network.refreshes()
    assert len({*refreshes}) == len(refreshes)


@clients("python", "node")
def test_new_tokens_are_stored_before_they_are_used(
    pair: Pair, anna: Person, network: Network
) -> None:
    assert do(pair[0], *LIST) == OK
    last = network.sent[-1]
    assert f'"{access_of(last)}"' in last.environ["stored"]
    assert do(pair[1], *LIST) == OK  # with what the other client has stored
    assert len(network.refreshes()) == 1
    assert stat.S_IMODE(network.store.stat().st_mode) == 0o600


@pytest.mark.parametrize("fault", ["lost", "never", "503"])
def test_a_lost_answer_is_asked_for_again(
    pair: Pair, anna: Person, network: Network, fault: str
) -> None:
    network.faults[REFRESH] = [fault]
    began = time.monotonic()
    assert at_once(pair, *LIST) == [OK, OK]
    lost, again = network.refreshes()[:2]
    assert lost == again
    assert time.monotonic() < began + NEVER


def test_an_outage_signs_no_user_out(pair: Pair, anna: Person, network: Network) -> None:
    network.faults[REFRESH] = ["503"] * 3
    assert do(pair[0], *LIST)[0] not in ("ok", "SignedOut")
    assert at_once(pair, *LIST) == [OK, OK]


def test_only_a_refresh_is_repeated(pair: Pair, anna: Person, network: Network) -> None:
    network.faults["/api/tasks"] = ["", "lost"]  # refused, then done with the new token
    assert do(pair[0], "call", "POST", "/api/tasks", {"name": "x"})[0] not in ("ok", "SignedOut")
    assert len(anna.tasks()) == 1


def test_a_client_whose_user_has_changed_is_signed_out(
    pair: Pair, anna: Person, network: Network
) -> None:
    bertil = joined(network.service, "bertil@example.com")
    assert do(pair[1], "logIn", bertil.email, PASSWORD)[0] == "ok"
    kind, why, _ = do(pair[0], *LIST)
    assert (kind, "nother user" in why) == ("SignedOut", True)
    assert do(pair[1], "call", "GET", "/api/users/info")[1]["email"] == bertil.email


@clients("chromium")
def test_a_cookie_of_another_user_signs_a_tab_out(
    pair: Pair, anna: Person, network: Network, driver: webdriver.Chrome
) -> None:
    cookie = {"name": "tasks_refresh", "value": joined(network.service, "b@example.com").refresh}
    driver.add_cookie(cookie)  # as the page at / would
    assert do(pair[0], *LIST)[0] == "SignedOut"
    assert "another user" in do(pair[0], "told")[1][0]
    assert cookie.items() <= driver.get_cookies()[0].items()


@pytest.mark.parametrize("is_logout", [True, False])
def test_the_end_of_a_session_is_the_end_for_all_clients(
    pair: Pair, anna: Person, network: Network, is_logout: bool
) -> None:
    if is_logout:
        assert do(pair[0], "logOut")[0] == "ok"
        assert len(anna.sessions()) == 1  # the one where she is now
    else:
        anna.call("DELETE", "/api/users/sessions")
    assert [kind for kind, *_ in at_once(pair, *LIST)] == ["SignedOut"] * 2
    assert not network.store.exists() or "Token" not in network.store.read_text()


@clients("chromium")
def test_tabs_tell_each_other(pair: Pair, anna: Person, network: Network) -> None:
    login = ("logIn", joined(network.service, "bertil@example.com").email, PASSWORD)
    do(pair[0], *login)
    wait_for(lambda: do(pair[1], "told")[1] == ["Another user has signed in."])
    do(pair[1], *login)
    do(pair[0], "logOut")
    wait_for(lambda: do(pair[1], "told")[1][1:] == ["Another tab has signed out."])


def test_a_new_password_signs_no_client_out(pair: Pair, anna: Person) -> None:
    new = "new password"
    body = {"currentPassword": PASSWORD, "newPassword": new, "confirmPassword": new}
    assert do(pair[0], "call", "PUT", "/api/users/password", body)[0] == "ok"
    assert at_once(pair, *LIST) == [OK, OK]


def test_a_refusal_has_a_code_and_a_sentence(pair: Pair, anna: Person) -> None:
    refusal = ["ApiError", "You have no task with this id.", "T01"]
    assert do(pair[0], "call", "DELETE", "/api/tasks/77") == refusal


@clients("node", "chromium")
def test_a_second_service_is_given_an_access_token(
    pair: Pair, anna: Person, network: Network
) -> None:
    first = do(pair[0], "accessToken")
    assert do(pair[0], "accessToken") == first
    second = do(pair[0], "accessToken", first[1])
    assert do(pair[0], "accessToken", first[1]) == second != first
    do(pair[0], "wait", 3_600_000)
    third = do(pair[0], "accessToken")
    assert third not in (first, second)
    assert access_of(network.sent[-1]) == third[1]  # our service knows that its answer arrived


@clients("chromium")
def test_a_cookie_that_the_browser_drops_is_one_clear_error(pair: Pair) -> None:
    assert "https" in do(pair[0], "visit", "http://tasks.example")[1]
