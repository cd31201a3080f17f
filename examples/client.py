"""A client of the Tasks API that stays signed in: silent refresh done right.

    client = Client("http://localhost:5217", Path("tokens.json"))  # needs the package requests
    client.log_in("anna@example.com", "Tasks-demo-2026")
    client.call("GET", "/api/tasks")

Threads may share it. It refreshes when an access token has expired, one at a time, keeps the new pair before it uses
it, and repeats the request once. A lost answer is asked for again, at once and whenever somebody comes back, however
late and after a restart of the program too: the old pair stays stored until the new one is.
"""

import json
import threading
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

REFRESH = "/api/users/refresh_token"
SECONDS = 3  # for one answer


class ApiError(Exception):
    """The service refused: ``code`` is its errorCode, the message is for people."""

    def __init__(self, answer: requests.Response) -> None:
        problem = answer.json() if "json" in answer.headers.get("Content-Type", "") else {}  # a proxy's has neither
        self.code: str = problem.get("errorCode", "")
        super().__init__(problem.get("error", answer.reason))


class SignedOut(Exception):  # noqa: N818
    """There is no session any more: somebody has to log in."""


class Client:
    """The API at ``url``, for the person whose tokens are in the file ``store``."""

    def __init__(self, url: str, store: Path) -> None:
        self.url, self.store = url.rstrip("/"), store
        self._tokens: dict[str, Any] = json.loads(store.read_text() or "{}") if store.exists() else {}
        self._refreshing = threading.Lock()
        self._http = requests.Session()
        self._http.auth = lambda request: request  # else ~/.netrc puts its Basic in the place of our Bearer
        lost = Retry(2, backoff_factor=.2, allowed_methods=["POST"], status_forcelist=(429, 503), raise_on_status=False)
        self._http.mount(self.url + REFRESH, HTTPAdapter(max_retries=lost))

    def log_in(self, email: str, password: str) -> None:
        """Open a session."""
        with self._refreshing:
            self._keep(self._json(self._send("POST", "/api/users/login", {"email": email, "password": password})))

    def log_out(self) -> None:
        """End the session."""
        with self._refreshing:
            token = self._tokens.get("refreshToken", "-")
            self._json(self._send("POST", "/api/users/logout", {"refreshToken": token}))
            self._keep({})

    def call(self, method: str, path: str, body: object = None) -> Any:
        """What the service answers, after a refresh if need be; raises ApiError, and SignedOut without a session."""
        if not (tokens := self._tokens):
            raise SignedOut
        answer = self._send(method, path, body, tokens["accessToken"])
        if answer.status_code == 401 and ApiError(answer).code == "A02":
            answer = self._send(method, path, body, self._refreshed(tokens)["accessToken"])
        if answer.status_code == 401:
            raise SignedOut
        return self._json(answer)

    def _refreshed(self, stale: dict[str, Any]) -> dict[str, Any]:
        with self._refreshing:
            if self._tokens and self._tokens is not stale:  # another thread was faster
                return self._tokens
            answer = self._send("POST", REFRESH, {"refreshToken": stale["refreshToken"]})
            if answer.status_code == 400:
                self._keep({})
                raise SignedOut
            self._keep(fresh := self._json(answer))  # before anybody uses it
            return fresh  # type: ignore[no-any-return]

    def _keep(self, tokens: dict[str, Any]) -> None:
        new = self.store.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(json.dumps(tokens))
        new.replace(self.store)  # whole or not at all
        self._tokens = tokens

    def _send(self, method: str, path: str, body: object = None, access: str = "") -> requests.Response:
        headers = {"Authorization": f"Bearer {access}"} if access else {}
        return self._http.request(method, self.url + path, json=body, headers=headers, timeout=SECONDS)

    @staticmethod
    def _json(answer: requests.Response) -> Any:
        if not answer.ok:
            raise ApiError(answer)
        return answer.json() if answer.content else None
