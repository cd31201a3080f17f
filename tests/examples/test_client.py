"""examples/client.py: what a client has to do so that nobody is signed out without a reason."""

import json
import stat
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pytest
import requests
import time_machine
from flask import Flask
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool

from examples.client import REFRESH, ApiError, Client, SignedOut
from tasks_api.auth.refresh_tokens import decode
from tasks_api.config import ROOT
from tests.conftest import joined
from tests.live import PASSWORD, Live, at_once, bearer, new_user


@pytest.fixture
def client(live: Live, tmp_path: Path) -> Client:
    """Somebody who is logged in, and whose access token has run out."""
    email = f"{uuid4()}@example.com"
    new_user(live, email)
    client = Client(live.url, tmp_path / "tokens.json")
    client.log_in(email, PASSWORD)
    tokens = json.loads(client.store.read_text())
    key = (live.instance / "jwt_secret_key").read_text()
    claims = jwt.decode(tokens["accessToken"], options={"verify_signature": False})
    headers = jwt.get_unverified_header(tokens["accessToken"])
    tokens["accessToken"] = jwt.encode(claims | {"exp": claims["iat"]}, key, headers=headers)
    client.store.write_text(json.dumps(tokens))
    return Client(live.url, client.store)


def counter(client: Client) -> int:
    return decode(json.loads(client.store.read_text())["refreshToken"]).counter


def test_it_is_short() -> None:
    assert len((ROOT / "examples" / "client.py").read_text().splitlines()) <= 100


@pytest.fixture
def sent(client: Client, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """What the client sends: path, access token, and what was stored by then."""
    seen: list[tuple[str, str, str]] = []
    send = Client._send

    def watched(
        self: Client, method: str, path: str, body: object = None, access: str = ""
    ) -> requests.Response:
        seen.append((path, access, client.store.read_text()))
        return send(self, method, path, body, access)

    monkeypatch.setattr(Client, "_send", watched)
    return seen


def test_threads_share_one_refresh(client: Client, sent: list[tuple[str, str, str]]) -> None:
    assert at_once(8, lambda: client.call("GET", "/api/tasks")) == [[]] * 8
    assert [path for path, _, _ in sent].count(REFRESH) == 1


def test_the_new_pair_is_stored_before_it_is_used(
    client: Client, sent: list[tuple[str, str, str]]
) -> None:
    client.call("GET", "/api/tasks")
    _, access, stored = sent[-1]
    assert json.loads(stored)["accessToken"] == access
    assert stat.S_IMODE(client.store.stat().st_mode) == 0o600
    another = Client(client.url, client.store)  # another process goes on from there
    assert another.call("GET", "/api/tasks") == []
    assert counter(client) == 1


def test_a_lost_answer_is_asked_for_again(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    lost: list[object] = []
    ask: Any = HTTPConnectionPool._make_request

    def losing(pool: Any, connection: Any, method: str, url: str, **options: Any) -> Any:
        answer = ask(pool, connection, method, url, **options)
        if url == REFRESH and not lost:
            lost.append(answer)
            raise ConnectionResetError("the answer is lost")
        return answer

    monkeypatch.setattr(HTTPConnectionPool, "_make_request", losing)
    assert client.call("GET", "/api/tasks") == []
    assert lost
    assert counter(client) == 1


@pytest.mark.parametrize("restarted", [False, True])
def test_a_lost_answer_is_asked_for_again_however_late(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restarted: bool
) -> None:
    service = joined(app).client  # without a network, so that its clock can be moved
    lost: list[str] = []

    def losing(
        self: Client, method: str, path: str, body: object = None, access: str = ""
    ) -> requests.Response:
        sent = service.open(path, method=method, json=body, headers=bearer(access))
        if path == REFRESH and not lost:
            lost.append(sent.text)
            raise requests.ConnectionError
        received = requests.Response()
        received.status_code, received._content = sent.status_code, sent.data
        received.headers.update(sent.headers)
        return received

    monkeypatch.setattr(Client, "_send", losing)
    client = Client("http://localhost", tmp_path / "tokens.json")
    with time_machine.travel("2026-05-01T12:00:00Z", tick=False) as clock:
        client.log_in("anna@example.com", PASSWORD)
        clock.shift(3600)
        with pytest.raises(requests.ConnectionError):
            client.call("GET", "/api/tasks")
        clock.shift(10 * 24 * 3600)
        back = Client(client.url, client.store) if restarted else client
        assert back.call("GET", "/api/tasks") == []
        assert counter(client) == 2  # what was lost is void


def test_a_session_that_is_over_is_said_once_and_forgotten(client: Client) -> None:
    other = Client(client.url, client.store)
    other.log_out()
    assert client.store.read_text() == "{}"
    with pytest.raises(SignedOut):
        client.call("GET", "/api/tasks")
    with pytest.raises(SignedOut):
        other.call("GET", "/api/tasks")


def test_a_refusal_has_a_code_and_a_sentence(client: Client) -> None:
    with pytest.raises(ApiError, match="at most 100") as refused:
        client.call("POST", "/api/tasks", {"name": "x" * 101})
    assert refused.value.code == "T00"
    added = client.call("POST", "/api/tasks", {"name": "x"})
    assert client.call("DELETE", f"/api/tasks/{added['id']}") == {"taskId": added["id"]}


def test_only_a_refresh_is_repeated_by_itself(client: Client) -> None:
    adapter = client._http.get_adapter(client.url + "/api/tasks")
    assert isinstance(adapter, HTTPAdapter)
    assert adapter.max_retries.total == 0


def test_an_outage_signs_nobody_out(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "url", "http://127.0.0.1:9")
    with pytest.raises(requests.ConnectionError):
        client.call("GET", "/api/tasks")
    with pytest.raises(requests.ConnectionError):
        client.log_out()
    monkeypatch.undo()
    assert client.call("GET", "/api/tasks") == []


def test_nobody_logs_out_while_a_refresh_is_under_way(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    send: Any = Client._send
    out: list[Future[None]] = []
    with ThreadPoolExecutor(1) as pool:

        def meanwhile(self: Client, method: str, path: str, *more: Any) -> Any:
            answer = send(self, method, path, *more)
            if path == REFRESH and not out:
                out.append(pool.submit(client.log_out))
                wait([*out], timeout=0.2)
            return answer

        monkeypatch.setattr(Client, "_send", meanwhile)
        with suppress(SignedOut):
            client.call("GET", "/api/tasks")
        out[0].result()
    assert client.store.read_text() == "{}"


def test_netrc_has_no_say(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login anna password secret")
    monkeypatch.setenv("NETRC", str(netrc))
    assert client.call("GET", "/api/tasks") == []


def test_a_proxy_of_the_environment_is_used(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", client.url)  # the service itself, which answers for any host
    behind = Client("http://tasks.invalid", client.store)
    assert behind.call("GET", "/api/tasks") == []


def test_an_empty_store_is_nobody_signed_in(tmp_path: Path) -> None:
    store = tmp_path / "tokens.json"
    store.touch()
    with pytest.raises(SignedOut):
        Client("http://localhost", store).call("GET", "/api/tasks")
