"""The page at /, in a real browser."""

import pytest
from flask.testing import FlaskClient
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.conftest import MakeApp
from tests.web.conftest import Browser


def test_it_is_one_file_that_needs_nothing_from_anywhere(client: FlaskClient) -> None:
    answer = client.get("/")
    assert answer.mimetype == "text/html"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for wanted in (" src=", "url(", "@import", "http:", "https:", "innerHTML", "style="):
        assert wanted not in answer.text


def test_it_names_swagger_where_there_is_one(make_app: MakeApp) -> None:
    for enabled in ("true", "false"):
        page = make_app(DOCS_ENABLED=enabled).test_client().get("/").text
        assert ("Swagger" in page) is (enabled == "true")


def test_tokens_are_shown_decoded_and_the_counter_moves(browser: Browser) -> None:
    browser.sign_in()
    claims = browser["claims"].text
    for name in ("alg", "HS256", "iss", "tasks-api", "sub", "sid", "exp"):
        assert name in claims
    assert browser["counter"].text == "0"
    assert browser["parts"].text.split()[1] in claims  # the session
    assert 0 <= int(browser["left"].text) <= 4
    browser.sees("0", "left")
    browser.refresh(1)
    assert browser["counter"].text == "1"
    assert int(browser["left"].text) > 0


def test_an_answer_is_told_again_and_a_replay_ends_the_session(browser: Browser) -> None:
    browser.sign_in()
    browser.refresh(1)
    browser.press("Send the refresh token with counter 0 again")
    browser.sees("The same answer came again: counter 1.")
    browser.refresh(2)
    browser.press("Send the refresh token with counter 0 again")
    browser.sees("Signed out. You came with counter 0, which was spent before")
    assert browser["signed-out"].is_displayed()
    assert browser.driver.switch_to.active_element == browser["email"]


def test_it_shows_whether_the_pair_was_used_and_uses_none_by_itself(browser: Browser) -> None:
    browser.sign_in()
    assert browser["fate"].text == "used"  # the lists were asked for
    browser.refresh(1)
    assert browser["fate"].text == "unused"
    browser.press("Use the access token")
    browser.sees("You were let in: counter 1 is used.")
    assert browser["fate"].text == "used"


def test_a_lost_answer_signs_nobody_out_however_late(later: Browser) -> None:
    later.sign_in()
    later.lose_an_answer()
    assert later["counter"].text == "0"
    later.press("Refresh")
    later.sees(
        "You are still signed in. Another answer came, counter 2; the one with counter 1 is void."
    )
    assert later["fate"].text == "unused"
    assert not later["lost"].is_displayed()
    later.press("Use the access token")
    later.sees("You were let in")


@pytest.mark.parametrize("act", ["Refresh as the thief", "Use as the thief"])
def test_a_thief_with_a_lost_answer_ends_the_session(later: Browser, act: str) -> None:
    later.sign_in()
    later.lose_an_answer()
    later.press("Refresh")
    later.sees("You are still signed in.")
    assert later["loot"].text == "the lost answer: counter 1, void"
    later.press(act)
    later.sees("Signed out. The thief came with counter 1, which is void")
    later.sees("Two parties hold tokens")


def test_whom_the_thief_robbed_ends_the_session_by_the_next_refresh(browser: Browser) -> None:
    browser.sign_in()
    browser.press("Refresh and lose the answer")
    browser.sees("was lost")
    browser.press("Refresh as the thief")
    browser.sees("The thief was answered: counter 2. You hold counter 0, used.")
    browser.press("Refresh")
    browser.sees("Signed out. You came with counter 0, which was spent before")


def test_what_is_said_stays_in_sight(browser: Browser) -> None:
    browser.sign_in()
    browser.press("Sign in on another device")
    browser.sees("Another session was opened")
    assert browser.driver.execute_script("return scrollY") > 0
    said = browser.driver.execute_script(
        "return document.getElementById('said').getBoundingClientRect().top"
    )
    assert said >= 0


def test_a_thief_with_a_copy_is_let_in_like_its_owner(later: Browser) -> None:
    later.sign_in()
    later.refresh(1)
    later.press("Steal a copy")
    later.sees("Nobody can see that yet.")
    later.press("Use as the thief")
    later.sees("The thief was let in")
    assert later["fate"].text == "used"
    assert later["loot"].text == "a copy of your pair: counter 1, used"


def test_an_expired_token_is_renewed_by_itself(browser: Browser) -> None:
    browser.sign_in()
    browser.sees("0", "left")
    browser["name"].send_keys("After it ran out", Keys.ENTER)
    browser.sees("After it ran out", "tasks")
    assert browser["counter"].text == "1"
    assert "401 A02" in browser["calls"].text


def test_devices_are_listed_and_signed_out(browser: Browser) -> None:
    browser.sign_in()
    before = len(browser.all("#devices tbody tr"))
    browser.press("Sign in on another device")
    browser.wait.until(lambda _: len(browser.all("#devices tbody tr")) == before + 1)
    rows = browser.all("#devices tbody tr")
    other = next(row for row in rows if "this one" not in row.text)
    other.find_element(By.TAG_NAME, "button").click()
    browser.sees("That device is out")
    browser.wait.until(lambda _: len(browser.all("#devices tbody tr")) == before)
    browser.press("Sign out")
    browser.sees("Both tokens of the session stopped working.")


def test_tasks_are_worked_with_and_shown_as_text(browser: Browser) -> None:
    browser.sign_in()
    browser["name"].send_keys("<img src=x onerror=alert(1)>", Keys.ENTER)
    browser.sees("<img src=x onerror=alert(1)>", "tasks")
    browser.driver.find_element(By.XPATH, "//label[contains(., 'onerror')]/input").click()
    browser.wait.until(lambda _: browser.all("label.done"))
    browser.press("Delete <img src=x onerror=alert(1)>")
    browser.wait.until(lambda _: "onerror" not in browser["tasks"].text)


def test_everything_can_be_reached_by_keyboard_and_has_a_name(browser: Browser) -> None:
    browser.sign_in()
    assert browser.driver.switch_to.active_element == browser["access-h"]
    browser.press("Steal a copy")
    found = browser.all("button, input, a")
    shown = [each for each in found if each.is_displayed()]
    assert len(shown) > 10
    assert all(each.accessible_name for each in shown)
    reached: set[str] = set()
    for _ in range(len(shown) + 5):
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        reached.add(browser.driver.switch_to.active_element.id)
    assert {each.id for each in shown} <= reached
    headings = [each.tag_name for each in browser.all("h1, h2")]
    assert headings[0] == "h1"
    assert set(headings[1:]) == {"h2"}
