"""The refresh token in a cookie: what sets, reads and clears it, and which pages cannot use it."""

from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tasks_api.auth.refresh_tokens import decode
from tests.conftest import MakeApp, Person, invalid_grant, problem
from tests.live import bearer

LOGIN, REFRESH = "/api/users/login", "/api/users/refresh_token"
LOGOUT = "/api/users/logout"


class Browser(Person):
    """A person whose refresh token is in a cookie, which a test sends with any value."""

    def sign_in(self, **options: Any) -> TestResponse:
        return self.log_in(cookie=True, **options)

    def keep(self, answer: TestResponse) -> TestResponse:
        super().keep(answer)
        cookie = cookie_of(answer)
        if cookie and cookie.value:
            self.refresh = cookie.value
        return answer

    def ask(self, path: str, cookie: str | None = None, **options: Any) -> TestResponse:
        named = cookie_header(self.refresh if cookie is None else cookie)
        headers = named | options.pop("headers", {})
        return self.keep(self.client.post(path, headers=headers, **options))


def cookie_header(value: str) -> dict[str, str]:
    return {"Cookie": f"tasks_refresh={value}"}


def cookie_of(answer: TestResponse) -> Any:
    """The cookie that ``answer`` sets, if it does."""
    headers = answer.headers.getlist("Set-Cookie")
    assert len(headers) <= 1
    return next(iter(SimpleCookie(headers[0]).values())) if headers else None


def is_cleared(answer: TestResponse) -> bool:
    cookie = cookie_of(answer)
    return cookie is not None and (cookie.value, cookie["max-age"]) == ("", "0")


def browser(app: Flask) -> Browser:
    person = Browser(app.test_client(use_cookies=False))
    person.sign_up()
    assert person.sign_in().status_code == 200
    return person


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
def test_a_login_sets_the_cookie_only_on_request_and_as_strict_as_the_address_allows(
    anna: Browser, clock: Any, address: str, is_secure: bool
) -> None:
    answer = anna.sign_in(base_url=address)
    assert answer.get_json()["refreshToken"] is None
    name, *attributes = answer.headers["Set-Cookie"].split("; ")
    prefix = "__Host-" if is_secure else ""
    assert name == f"{prefix}tasks_refresh={anna.refresh}"
    expected = {"HttpOnly", "Max-Age=1209600", "Path=/", "SameSite=Strict"}
    expected |= {"Secure"} if is_secure else set()
    assert {each for each in attributes if not each.startswith("Expires=")} == expected

    header = {"Cookie": name}
    again = anna.client.post(REFRESH, base_url=address, headers=header)
    assert decode(cookie_of(again).value).counter == 1


def test_a_login_without_cookie_true_sets_none(anna: Browser) -> None:
    answer = anna.log_in()
    assert cookie_of(answer) is None
    assert answer.get_json()["refreshToken"]
    body = {"email": anna.email, "password": anna.password, "cookie": "true"}
    problem(anna.client.post(LOGIN, json=body), 400, "L01")


def test_the_settings_name_the_cookie_and_its_policy(make_app: MakeApp) -> None:
    app = make_app(TRUSTED_PROXIES="1", COOKIE_SAMESITE="None", COOKIE_NAME="other")
    cookie = cookie_of(browser(app).sign_in(headers={"X-Forwarded-Prefix": "/svc"}))
    assert cookie.key == "__Host-other"  # no browser keeps SameSite=None without Secure
    assert (cookie["path"], cookie["samesite"], cookie["secure"]) == ("/", "None", True)


def test_a_refresh_by_cookie_sets_the_next_one_for_the_rest_of_the_session(
    make_app: MakeApp, clock: Any
) -> None:
    anna = browser(make_app(SESSION_MAX_DAYS="15"))
    clock.shift(12 * 86_400)
    first = anna.refresh
    answer = anna.ask(REFRESH)
    assert answer.get_json()["refreshToken"] is None
    cookie = cookie_of(answer)
    assert cookie["max-age"] == str(3 * 86_400)
    assert anna.is_in()
    # Another tab had the same cookie.
    again = anna.ask(REFRESH, first, json={"refreshToken": " ", "userId": anna.user_id})
    assert cookie_of(again).value == cookie.value


def test_a_token_in_the_body_decides(anna: Browser, bertil: Person) -> None:
    headers = cookie_header(anna.refresh) | {"Sec-Fetch-Site": "cross-site"}
    body = {"refreshToken": bertil.refresh}
    answer = anna.client.post(REFRESH, json=body, headers=headers)
    assert answer.get_json()["refreshToken"]
    assert cookie_of(answer) is None
    assert anna.ask(REFRESH).status_code == 200


def test_the_cookie_opens_only_refresh_and_logout(anna: Browser) -> None:
    headers = cookie_header(anna.refresh)
    for method, path in (("GET", "/api/tasks"), ("DELETE", "/api/users/sessions")):
        problem(anna.client.open(path, method=method, headers=headers), 401, "A01")


def test_a_refusal_clears_no_cookie_because_another_tab_may_have_a_newer_one(
    anna: Browser, clock: Any
) -> None:
    used = anna.refresh
    anna.ask(REFRESH)
    assert anna.is_in()
    clock.shift(61)
    for text in ("x", "x" * 7000, used):
        answer = anna.ask(REFRESH, text)
        invalid_grant(answer)
        assert cookie_of(answer) is None


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("tasks_refresh=", "R01"),
        ("\xa0tasks_refresh={token}", "R01"),  # another name, which a sibling domain can set
        ("tasks_refresh\x85={token}", "R01"),
        ("tasks_refresh={token}; tasks_refresh=of-a-sibling-domain", "R01"),
        # A parser that knows quotes would read one cookie, the sibling domain's.
        ('a="x; tasks_refresh={token}; b=y"; tasks_refresh=of-a-sibling-domain', "R01"),
        ('tasks_refresh="{token}"', "invalid_grant"),
    ],
)
def test_cookies_are_counted_in_the_header_as_it_was_sent(
    anna: Browser, header: str, code: str
) -> None:
    headers = {"Cookie": header.format(token=anna.refresh)}
    answer = anna.client.post(REFRESH, headers=headers)
    problem(answer, 400, code)
    assert cookie_of(answer) is None
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


def test_a_logout_of_another_session_leaves_the_cookie(anna: Browser, bertil: Person) -> None:
    assert cookie_of(anna.ask(LOGOUT, json={"refreshToken": bertil.refresh})) is None
    bertil.log_in()
    assert cookie_of(anna.ask(LOGOUT, headers=bearer(bertil.access))) is None


@pytest.mark.parametrize("path", ["/api/users/sessions/{id}", "/api/users/sessions"])
def test_signing_this_device_out_clears_its_cookie(anna: Browser, path: str) -> None:
    address = path.format(id=decode(anna.refresh).session_id)
    answer = anna.call("DELETE", address, cookie_header(anna.refresh))
    assert (answer.status_code, is_cleared(answer)) == (204, True)


def test_signing_another_device_out_leaves_the_cookie(anna: Browser) -> None:
    phone = anna.other_device()
    address = f"/api/users/sessions/{decode(phone.refresh).session_id}"
    assert cookie_of(anna.call("DELETE", address, cookie_header(anna.refresh))) is None


def test_a_password_change_with_the_sessions_own_cookie_sets_the_next_one(anna: Browser) -> None:
    answer = anna.change_password(headers=cookie_header(anna.refresh))
    assert answer.get_json()["refreshToken"] is None
    anna.keep(answer)
    anna.password = "new password"
    answer = anna.change_password(headers=cookie_header("x"))
    assert answer.get_json()["refreshToken"]
    assert cookie_of(answer) is None


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
        ({"Host": "localhost:80", "Origin": HERE}, True),
        ({"Host": "x_y.example", "Origin": "https://x_y.example"}, True),
        ({"Host": "", "Origin": "http://"}, False),
        ({"Origin": "http://localhost:8000"}, False),
        ({"Origin": "null"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://page.example"}, True),  # by name
        ({"Origin": "https://page.example"}, True),
        ({"Origin": "https://page.example.evil.example"}, False),
    ],
)
def test_a_page_of_another_origin_cannot_use_the_cookie(
    make_app: MakeApp, headers: dict[str, str], is_let_in: bool
) -> None:
    anna = browser(make_app(CORS_ORIGINS="https://page.example"))
    for path, status in ((REFRESH, 200), (LOGOUT, 204)):
        both_names = f"tasks_refresh={anna.refresh}; __Host-tasks_refresh={anna.refresh}"
        answer = anna.ask(path, headers=headers | {"Cookie": both_names})
        if is_let_in:
            assert answer.status_code == status
        else:
            problem(answer, 403, "cross_origin")
            assert cookie_of(answer) is None


def test_an_origin_that_is_not_allowed_by_name_cannot_send_the_cookie(make_app: MakeApp) -> None:
    anna = browser(make_app(CORS_ORIGINS="*"))
    for origin in ("https://page.example", "*"):
        headers = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
        answer = anna.ask(REFRESH, headers=headers)
        problem(answer, 403, "cross_origin")
        assert "Access-Control-Allow-Credentials" not in answer.headers


def test_a_form_of_another_site_cannot_log_in(anna: Browser) -> None:
    """Login CSRF: a form cannot send JSON without a preflight."""
    for kind in ("text/plain", ""):
        answer = anna.client.post(LOGIN, data="{}", content_type=kind)
        problem(answer, 415, "unsupported_media_type")
