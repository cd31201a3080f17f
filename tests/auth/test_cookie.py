"""The refresh token in a cookie: what sets it, what reads it, what clears it, and who may not count on it."""

from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any

import pytest
import requests
from flask import Flask
from werkzeug.test import TestResponse

from tasks_api.auth.refresh_tokens import decode
from tests.conftest import MakeApp, Person, invalid_grant, problem
from tests.live import Live, bearer

LOGIN, REFRESH = "/api/users/login", "/api/users/refresh_token"
LOGOUT = "/api/users/logout"


class Browser(Person):
    """Somebody whose refresh token is in a cookie, which tests send as they like."""

    def sign_in(self, **options: Any) -> TestResponse:
        return self.log_in(cookie=True, **options)

    def keep(self, answer: TestResponse) -> TestResponse:
        super().keep(answer)
        cookie = kept(answer)
        if cookie and cookie.value:
            self.refresh = cookie.value
        return answer

    def ask(self, path: str, cookie: str | None = None, **options: Any) -> TestResponse:
        named = named_in_header(self.refresh if cookie is None else cookie)
        headers = named | options.pop("headers", {})
        return self.keep(self.client.post(path, headers=headers, **options))


def named_in_header(cookie: str) -> dict[str, str]:
    return {"Cookie": f"tasks_refresh={cookie}"}


def kept(answer: TestResponse) -> Any:
    """The cookie that ``answer`` sets, if it does."""
    headers = answer.headers.getlist("Set-Cookie")
    assert len(headers) <= 1
    return SimpleCookie(headers[0])["tasks_refresh"] if headers else None


def is_cleared(answer: TestResponse) -> bool:
    cookie = kept(answer)
    return cookie is not None and (cookie.value, cookie["max-age"]) == ("", "0")


def browser(app: Flask) -> Browser:
    somebody = Browser(app.test_client(use_cookies=False))
    somebody.sign_up()
    assert somebody.sign_in().status_code == 200
    return somebody


@pytest.fixture
def anna(app: Flask) -> Browser:
    return browser(app)


@pytest.mark.parametrize(
    ("address", "is_secure"),
    [
        ("https://tasks.example", True),
        ("http://tasks.example", True),
        ("http://localhost:5217", False),
        ("http://127.0.0.1", False),
        ("http://[::1]:5217", False),
        ("https://localhost", True),
    ],
)
def test_a_login_that_asks_for_it_sets_a_cookie_that_no_script_reads(
    anna: Browser, clock: Any, address: str, is_secure: bool
) -> None:
    answer = anna.sign_in(base_url=address)
    assert answer.get_json()["refreshToken"] is None
    name, *attributes = answer.headers["Set-Cookie"].split("; ")
    assert name == f"tasks_refresh={anna.refresh}"
    expected = {"HttpOnly", "Max-Age=1209600", "Path=/api/users", "SameSite=Strict"}
    expected |= {"Secure"} if is_secure else set()
    assert {each for each in attributes if not each.startswith("Expires=")} == expected
    assert decode(anna.refresh).counter == 0


def test_nobody_else_gets_one(anna: Browser) -> None:
    known: dict[str, Any] = {"email": anna.email, "password": anna.password}
    for more in ({}, {"cookie": False}):
        answer = anna.client.post(LOGIN, json=known | more)
        assert kept(answer) is None
        assert answer.get_json()["refreshToken"]
    problem(anna.client.post(LOGIN, json=known | {"cookie": "true"}), 400, "L01")


def test_a_prefix_and_another_policy_are_in_it(make_app: MakeApp) -> None:
    app = make_app(TRUSTED_PROXIES="1", COOKIE_SAMESITE="none")
    cookie = kept(browser(app).sign_in(headers={"X-Forwarded-Prefix": "/svc"}))
    assert (cookie["path"], cookie["samesite"]) == ("/svc/api/users", "None")
    assert cookie["secure"]  # or no browser would take it


def test_a_refresh_by_cookie_answers_in_the_cookie_for_what_is_left(
    make_app: MakeApp, clock: Any
) -> None:
    anna = browser(make_app(SESSION_MAX_DAYS="15"))
    clock.shift(12 * 86_400)
    first = anna.refresh
    answer = anna.ask(REFRESH)
    assert answer.get_json()["refreshToken"] is None
    cookie = kept(answer)
    assert cookie["max-age"] == str(3 * 86_400)
    assert decode(cookie.value).counter == 1
    assert anna.is_in()
    # Another tab had the same cookie.
    again = anna.ask(REFRESH, first, json={"refreshToken": " ", "userId": anna.user_id})
    assert kept(again).value == cookie.value


def test_a_token_in_the_body_decides(anna: Browser, bertil: Person) -> None:
    headers = named_in_header(anna.refresh) | {"Sec-Fetch-Site": "cross-site"}
    body = {"refreshToken": bertil.refresh}
    answer = anna.client.post(REFRESH, json=body, headers=headers)
    assert answer.get_json()["refreshToken"]
    assert kept(answer) is None
    assert anna.ask(REFRESH).status_code == 200


def test_it_opens_nothing_else(anna: Browser) -> None:
    headers = named_in_header(anna.refresh)
    for method, path in (("GET", "/api/tasks"), ("DELETE", "/api/users/sessions")):
        problem(anna.client.open(path, method=method, headers=headers), 401, "A01")


def test_one_that_is_of_no_more_use_is_cleared(anna: Browser, clock: Any) -> None:
    anna.sign_in()
    used = anna.refresh
    forged = decode(used)._replace(mac=bytes(32))
    for text in ("x", "x" * 7000, str(forged)):
        answer = anna.ask(REFRESH, text)
        invalid_grant(answer)
        assert is_cleared(answer)
    anna.ask(REFRESH)
    assert anna.is_in()
    clock.shift(60)
    answer = anna.ask(REFRESH, used)
    invalid_grant(answer)
    assert is_cleared(answer)
    anna.sign_in()
    clock.shift(15 * 86_400)
    assert is_cleared(anna.ask(REFRESH))


def test_one_of_eight_kilobytes_is_the_servers_to_refuse(live: Live) -> None:
    headers = named_in_header("x" * 9000)
    answer = requests.post(live.url + REFRESH, headers=headers, timeout=30)
    assert answer.status_code in (400, 431)
    assert "Set-Cookie" not in answer.headers


def test_what_says_nothing_of_the_token_leaves_it_alone(make_app: MakeApp) -> None:
    anna = browser(make_app(RATELIMIT_ENABLED="true", RATELIMIT_REFRESH="1 per hour"))
    for options, code in (
        ({"json": {"userId": 77}}, "invalid_grant"),
        ({"json": {"userId": 77}}, "rate_limited"),
        ({"json": {"userId": "1"}}, "R01"),
        ({"data": "x", "content_type": "text/plain"}, "unsupported_media_type"),
        ({"data": "x" * 70_000, "content_type": "application/json"}, "too_large"),
        ({"headers": {"Sec-Fetch-Site": "cross-site"}}, "cross_origin"),
    ):
        answer = anna.ask(REFRESH, **options)
        assert answer.get_json()["errorCode"] == code
        assert kept(answer) is None
    problem(anna.ask(REFRESH, ""), 400, "R01")
    both = f"{anna.refresh}; tasks_refresh=a-sibling-domains"
    assert kept(anna.ask(REFRESH, both)) is None
    problem(anna.ask(REFRESH, both), 400, "R01")
    assert anna.ask(REFRESH).status_code == 200


@pytest.mark.parametrize(
    "way",
    [
        lambda anna: anna.ask(LOGOUT),
        lambda anna: anna.ask(LOGOUT, headers=bearer("stale")),
        lambda anna: anna.ask(LOGOUT, headers=bearer(anna.access)),
        lambda anna: anna.ask(LOGOUT, json={"refreshToken": anna.refresh}),
    ],
)
def test_a_logout_clears_the_cookie_of_the_session_that_it_ends(
    anna: Browser, way: Callable[[Browser], TestResponse]
) -> None:
    answer = way(anna)
    assert (answer.status_code, is_cleared(answer)) == (204, True)
    assert not anna.is_in()


def test_a_logout_of_another_session_leaves_it_alone(anna: Browser, bertil: Person) -> None:
    assert kept(anna.ask(LOGOUT, json={"refreshToken": bertil.refresh})) is None
    bertil.log_in()
    assert kept(anna.ask(LOGOUT, headers=bearer(bertil.access))) is None


def test_a_logout_clears_a_cookie_of_no_use_and_needs_one(anna: Browser) -> None:
    answer = anna.ask(LOGOUT, "nonsense")
    assert (answer.status_code, is_cleared(answer)) == (204, True)
    problem(anna.ask(LOGOUT, ""), 401, "A01")


def test_a_password_change_goes_on_in_the_cookie_of_its_own_session(anna: Browser) -> None:
    answer = anna.change_password(headers=named_in_header(anna.refresh))
    assert answer.get_json()["refreshToken"] is None
    anna.keep(answer)
    anna.password = "new password"
    answer = anna.change_password(headers=named_in_header("x"))
    assert answer.get_json()["refreshToken"]
    assert kept(answer) is None


HERE = "http://localhost"


@pytest.mark.parametrize(
    ("headers", "is_let_in"),
    [
        ({}, True),  # no browser
        ({"Sec-Fetch-Site": "same-origin", "Origin": HERE}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Origin": HERE}, True),  # an old browser
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site", "Origin": HERE}, False),
        ({"Sec-Fetch-Site": "nonsense", "Origin": HERE}, False),
        ({"Host": "localhost:80", "Origin": HERE}, True),
        ({"Host": "x_y.example", "Origin": "https://x_y.example"}, True),
        ({"Host": "", "Origin": "http://"}, False),
        ({"Origin": "http://evil.localhost"}, False),
        ({"Origin": "http://localhost:8000"}, False),
        ({"Origin": "null"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://page.example"}, True),  # by name
        ({"Origin": "https://page.example"}, True),
        ({"Origin": "https://page.example.evil.example"}, False),
    ],
)
def test_a_page_of_another_origin_cannot_count_on_it(
    make_app: MakeApp, headers: dict[str, str], is_let_in: bool
) -> None:
    anna = browser(make_app(CORS_ORIGINS="https://page.example"))
    for path, status in ((REFRESH, 200), (LOGOUT, 204)):
        answer = anna.ask(path, headers=headers)
        if is_let_in:
            assert answer.status_code == status
        else:
            problem(answer, 403, "cross_origin")
            assert kept(answer) is None


@pytest.mark.parametrize(
    ("origins", "credentials"), [("https://page.example", "true"), ("*", None)]
)
def test_only_origins_that_are_named_may_send_it(
    make_app: MakeApp, origins: str, credentials: str | None
) -> None:
    anna = browser(make_app(CORS_ORIGINS=origins))
    headers = {"Origin": "https://page.example", "Sec-Fetch-Site": "cross-site"}
    answer = anna.ask(REFRESH, headers=headers)
    assert answer.headers.get("Access-Control-Allow-Credentials") == credentials
    assert answer.status_code == (200 if credentials else 403)
    assert anna.ask(REFRESH, headers=headers | {"Origin": "*"}).status_code == 403


def test_a_form_of_another_site_signs_nobody_in(anna: Browser) -> None:
    """Login CSRF: what a form can send without asking first is no JSON."""
    text = f'{{"email": "{anna.email}", "password": "{anna.password}", "cookie": true, "x": "="}}'
    for kind in ("text/plain", ""):
        answer = anna.client.post(LOGIN, data=text, content_type=kind)
        problem(answer, 415, "unsupported_media_type")
