"""What the cookies of a sibling domain can do, in Chromium over TLS: not sign a user in as another one."""

import threading
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

from tests.browser import CHROMIUM, DRIVER, chromium
from tests.conftest import joined

POST = """
const [path, body, done] = arguments, headers = { "Content-Type": "application/json" };
fetch(path, { method: "POST", headers, body: JSON.stringify(body) }).then(a => a.json()).then(done);
"""
SET_COOKIES = """
for (const cookie of arguments[0]) document.cookie = `${cookie}; Domain=example.localhost; Path=/; Secure`;
"""


@pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="Chromium is not installed")
@pytest.mark.parametrize(
    ("before", "after", "is_anna"),
    [
        (
            ['a="x'],
            ['b=y"'],
            True,
        ),  # to a parser that knows quotes, all between them is one value
        ([], [f"c{number}=x" for number in range(400)], False),  # a full jar loses Anna's cookie
    ],
)
def test_a_sibling_domain_signs_no_user_in_as_another(
    app: Flask, tmp_path: Path, before: list[str], after: list[str], is_anna: bool
) -> None:
    anna, mallory = joined(app), joined(app, "mallory@example.com")
    names = ("tasks_refresh", "__Host-tasks_refresh", "=__Host-tasks_refresh")
    own = [f"{name}={mallory.refresh}" for name in names]
    login = {"email": anna.email, "password": anna.password, "cookie": True}
    server = make_server("127.0.0.1", 0, app, threaded=True, ssl_context="adhoc")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with server, chromium(tmp_path) as driver:
        driver.execute_cdp_cmd("Security.setIgnoreCertificateErrors", {"ignore": True})

        def set_cookies(cookies: list[str]) -> None:
            driver.get(f"https://evil.example.localhost:{server.port}/swagger")
            driver.execute_script(SET_COOKIES, cookies)

        def post(path: str, body: object) -> Any:
            driver.get(f"https://app.example.localhost:{server.port}/swagger")
            return driver.execute_async_script(POST, path, body)

        set_cookies(before)
        assert post("/api/users/login", login)["userId"] == anna.user_id
        set_cookies(after + own)
        answer = post("/api/users/refresh_token", {})
        server.shutdown()
    assert answer.get("userId") == (anna.user_id if is_anna else None)
