"""A client of the Tasks API that stays signed in: silent refresh done right.

    client = Client("http://localhost:5217", Path("tokens.json"))  # needs the package requests
    client.log_in("anna@example.com", "Tasks-demo-2026")
    client.call("GET", "/api/tasks")

Threads may share it. It refreshes only when the access token is refused as expired, once at a time; it keeps the new
pair before it uses it, so that a crash loses no session; and it repeats a request once. A refresh whose answer was
lost is asked again with the same token: for ten seconds the service gives the same answer.
"""

import json
import threading
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

REFRESH = "/api/users/refresh_token"
SECONDS = 3  # for one answer: three fit into the service's retry window


class ApiError(Exception):
    """The service refused: ``code`` is its errorCode, the message is for people."""

    def __init__(self, answer: requests.Response) -> None:
        body = answer.json()
        super().__init__(body["error"])
        self.code: str = body["errorCode"]


class SignedOut(Exception):  # noqa: N818
    """There is no session any more: somebody has to log in."""


class Client:
    """The API at ``url``, for the person whose tokens are in the file ``store``."""

    def __init__(self, url: str, store: Path) -> None:
        self.url, self.store = url.rstrip("/"), store
        self._tokens: dict[str, Any] | None = json.loads(store.read_text()) if store.exists() else None
        self._refreshing = threading.Lock()
        self._http = requests.Session()
        lost = Retry(2, backoff_factor=0.2, allowed_methods=["POST"], status_forcelist=[429, 503])
        self._http.mount(self.url + REFRESH, HTTPAdapter(max_retries=lost))

    def log_in(self, email: str, password: str) -> None:
        """Open a session."""
        self._keep(self._json(self._send("POST", "/api/users/login", {"email": email, "password": password})))

    def log_out(self) -> None:
        """End the session."""
        self._send("POST", "/api/users/logout", {"refreshToken": (self._tokens or {}).get("refreshToken", "-")})
        self._keep(None)

    def call(self, method: str, path: str, body: object = None) -> Any:
        """What the service answers, after a refresh if need be; raises ApiError, and SignedOut without a session."""
        if (tokens := self._tokens) is None:
            raise SignedOut
        answer = self._send(method, path, body, tokens["accessToken"])
        if answer.status_code == 401 and answer.json()["errorCode"] == "A02":
            answer = self._send(method, path, body, self._refreshed(tokens)["accessToken"])
        if answer.status_code == 401:
            raise SignedOut
        return self._json(answer)

    def _refreshed(self, stale: dict[str, Any]) -> dict[str, Any]:
        with self._refreshing:
            if self._tokens is None:
                raise SignedOut
            if self._tokens is not stale:  # another thread was faster
                return self._tokens
            answer = self._send("POST", REFRESH, {"refreshToken": stale["refreshToken"]})
            if answer.status_code == 400:
                self._keep(None)
                raise SignedOut
            self._keep(fresh := self._json(answer))  # before anybody uses it
            return fresh  # type: ignore[no-any-return]

    def _keep(self, tokens: dict[str, Any] | None) -> None:
        if tokens is None:
            self.store.unlink(missing_ok=True)
        else:
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
