"""What the cookies of a sibling domain can do, in Chromium over TLS: not sign a user in as another one."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from selenium import webdriver
from werkzeug.serving import make_server

from tests.conftest import joined
from tests.web.conftest import CHROMIUM, DRIVER

pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="Chromium is not installed")

POST = """
const [path, body, done] = arguments, headers = { "Content-Type": "application/json" };
fetch(path, { method: "POST", headers, body: JSON.stringify(body) }).then(a => a.json()).then(done);
"""
SET_COOKIES = """
for (const cookie of arguments[0]) document.cookie = `${cookie}; Domain=example.test; Path=/; Secure`;
"""


@pytest.fixture
def driver(app: Flask, tmp_path: Path) -> Iterator[webdriver.Chrome]:
    """A browser for which the service has every name under example.test."""
    server = make_server("127.0.0.1", 0, app, threaded=True, ssl_context="adhoc")
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    rules = f"host-resolver-rules=MAP *.example.test:443 127.0.0.1:{server.port}"
    profile = f"user-data-dir={tmp_path / 'profile'}"
    for argument in ("headless=new", "no-sandbox", "ignore-certificate-errors", profile, rules):
        options.add_argument(f"--{argument}")
    with webdriver.Chrome(options, webdriver.ChromeService(DRIVER)) as driver:
        yield driver
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("before", "after", "is_anna"),
    [
        (['a="x'], ['b=y"'], True),  # to a parser that knows quotes, all between them is one value
        ([], [f"c{number}=x" for number in range(400)], False),  # a full jar loses Anna's cookie
    ],
)
def test_a_sibling_domain_signs_no_user_in_as_another(
    app: Flask, driver: webdriver.Chrome, before: list[str], after: list[str], is_anna: bool
) -> None:
    anna, mallory = joined(app), joined(app, "mallory@example.com")

    def set_cookies(cookies: list[str]) -> None:
        driver.get("https://evil.example.test/")
        driver.execute_script(SET_COOKIES, cookies)

    def post(path: str, body: object) -> Any:
        driver.get("https://app.example.test/")
        return driver.execute_async_script(POST, path, body)

    set_cookies(before)
    login = {"email": anna.email, "password": anna.password, "cookie": True}
    assert post("/api/users/login", login)["userId"] == anna.user_id
    names = ("tasks_refresh", "__Host-tasks_refresh", "=__Host-tasks_refresh")
    set_cookies(after + [f"{name}={mallory.refresh}" for name in names])
    answer = post("/api/users/refresh_token", {})
    assert answer.get("userId") == (anna.user_id if is_anna else None)
