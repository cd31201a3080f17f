"""A client of the Tasks API that stays signed in.

    client = Client("http://localhost:5217", Path("tokens.json"))  # needs the package requests
    client.log_in("anna@example.com", "Tasks-demo-2026")
    client.call("GET", "/api/tasks")

Threads can share a client, and processes can share a store. The rules for every client, which docs/tokens.md explains:

- One refresh at a time. Read the store again first, because another thread or process may have refreshed.
- Every request has a time limit. After a lost answer the old tokens are still stored, and ask again.
- Store the new tokens before you use them.
- After any 401 refresh once and repeat the request once.
- Send the user's id with each refresh. If another user has signed in meanwhile, this client is signed out.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

REFRESH = "/api/users/refresh_token"


class ApiError(Exception):
    """The service refused. ``code`` is its errorCode, the message is for people."""

    def __init__(self, answer: requests.Response) -> None:
        problem = answer.json() if "json" in answer.headers.get("Content-Type", "") else {}  # {}: a proxy refused
        self.code: str = problem.get("errorCode", "")
        super().__init__(problem.get("error", answer.reason))


class SignedOut(Exception):  # noqa: N818
    """There is no session. The user has to log in."""


class Client:
    """The API at ``url``, for the user whose tokens are in the file ``store``; ``seconds`` limits each request."""

    def __init__(self, url: str, store: Path, seconds: float = 10) -> None:
        self.url, self.store, self.seconds = url.rstrip("/"), store, seconds
        self._tokens: dict[str, Any] = {}
        self._user_id: int | None = None
        self._http = requests.Session()
        self._http.auth = lambda request: request  # otherwise a password in ~/.netrc replaces our Bearer
        again = Retry(2, backoff_factor=.2, allowed_methods=["POST"], status_forcelist=range(500, 600),
                      raise_on_status=False, respect_retry_after_header=False)  # it could hold the lock for hours
        self._http.mount(self.url + REFRESH, HTTPAdapter(max_retries=again))

    def log_in(self, email: str, password: str) -> None:
        """Open a session."""
        with self._alone():
            self._keep(self._json(self._send("POST", "/api/users/login", {"email": email, "password": password})))

    def log_out(self) -> None:
        """End the session."""
        with self._alone():
            if tokens := self._load():
                self._json(self._send("POST", "/api/users/logout", {"refreshToken": tokens["refreshToken"]}))
            self._keep({})

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Return the service's answer. Raise ApiError if it refuses, SignedOut if there is no session."""
        tokens = self._tokens or self._refreshed({})
        answer = self._send(method, path, body, tokens["accessToken"])
        if answer.status_code == 401:
            answer = self._send(method, path, body, self._refreshed(tokens)["accessToken"])
        found = self._json(answer)
        if isinstance(found, dict) and "accessToken" in found:  # a new password opened a new session
            with self._alone():
                self._keep(found)
        return found

    def _refreshed(self, stale: dict[str, Any]) -> dict[str, Any]:
        """Return tokens in place of ``stale``: new ones, or those that another thread or process has stored."""
        with self._alone():
            tokens = self._load()
            if tokens and tokens["accessToken"] == stale.get("accessToken"):
                body = {"refreshToken": tokens["refreshToken"], "userId": tokens["userId"]}
                try:
                    tokens = self._json(self._send("POST", REFRESH, body))
                except ApiError as refusal:
                    if refusal.code != "invalid_grant":
                        raise
                    tokens = {}
                self._keep(tokens)
            self._tokens = tokens
        if not tokens:
            raise SignedOut("The session is over.")
        return tokens

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait for other threads and processes. SQLite's lock works on every system and ends with its process."""
        database = sqlite3.connect(self.store.with_suffix(".lock"), timeout=6 * self.seconds, isolation_level=None)
        with closing(database):
            database.execute("BEGIN EXCLUSIVE")
            yield

    def _load(self) -> dict[str, Any]:
        text = self.store.read_text() if self.store.exists() else ""
        tokens: dict[str, Any] = json.loads(text or "{}")
        if tokens and self._user_id not in (None, tokens["userId"]):
            self._tokens = {}
            raise SignedOut("Another user has signed in.")
        self._user_id = tokens.get("userId", self._user_id)
        return tokens

    def _keep(self, tokens: dict[str, Any]) -> None:
        new = self.store.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(json.dumps(tokens))
        new.replace(self.store)  # all of it or nothing
        self._tokens, self._user_id = tokens, tokens.get("userId", self._user_id)

    def _send(self, method: str, path: str, body: object = None, access: str = "") -> requests.Response:
        headers = {"Authorization": f"Bearer {access}"} if access else {}
        return self._http.request(method, self.url + path, json=body, headers=headers, timeout=self.seconds)

    @staticmethod
    def _json(answer: requests.Response) -> Any:
        if not answer.ok:
            raise ApiError(answer)
        return answer.json() if answer.content else None
