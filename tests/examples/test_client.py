"""examples/client.py: what a client has to do so that nobody is signed out without a reason."""

import json
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from examples.client import REFRESH, ApiError, Client, SignedOut
from tasks_api.auth.refresh_tokens import decode
from tasks_api.config import ROOT
from tests.live import PASSWORD, Live, new_user, serving


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A service whose access tokens live for two seconds."""
    with serving(tmp_path_factory.mktemp("hasty"), workers=2, ACCESS_TOKEN_SECONDS="2") as live:
        yield live


@pytest.fixture
def client(hasty: Live, tmp_path: Path, request: pytest.FixtureRequest) -> Client:
    email = f"{abs(hash(request.node.name))}@example.com"
    new_user(hasty, email)
    client = Client(hasty.url, tmp_path / "tokens.json")
    client.log_in(email, PASSWORD)
    return client


def counter(client: Client) -> int:
    return decode(json.loads(client.store.read_text())["refreshToken"]).counter


def expire(client: Client) -> None:
    """Wait until the access token has run out; logged-in calls would refresh it."""
    access = json.loads(client.store.read_text())["accessToken"]
    headers = {"Authorization": f"Bearer {access}"}
    while requests.get(f"{client.url}/api/tasks", headers=headers, timeout=5).status_code == 200:
        pass


def test_it_is_short() -> None:
    assert len((ROOT / "examples" / "client.py").read_text().splitlines()) <= 100


def test_threads_share_one_refresh(client: Client) -> None:
    expire(client)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: client.call("GET", "/api/tasks"), range(8))) == [[]] * 8
    assert counter(client) == 1


def test_the_new_pair_is_stored_before_it_is_used(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    expire(client)
    used: list[tuple[str, str]] = []
    send = Client._send

    def watched(
        self: Client, method: str, path: str, body: object = None, access: str = ""
    ) -> requests.Response:
        used.append((access, client.store.read_text()))
        return send(self, method, path, body, access)

    monkeypatch.setattr(Client, "_send", watched)
    client.call("GET", "/api/tasks")
    access, stored = used[-1]
    assert json.loads(stored)["accessToken"] == access
    assert stat.S_IMODE(client.store.stat().st_mode) == 0o600
    assert (
        Client(client.url, client.store).call("GET", "/api/tasks") == []
    )  # another process goes on from there


def test_a_lost_answer_is_asked_for_again(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    expire(client)
    from urllib3.connection import HTTPConnection

    lost: list[str] = []
    answer = HTTPConnection.getresponse

    def losing(self: Any) -> Any:
        response = answer(self)
        if not lost and self.asked.endswith(REFRESH):
            lost.append(self.asked)
            response.close()
            raise ConnectionResetError("the answer is lost")
        return response

    request = HTTPConnection.request

    def asking(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        self.asked = url
        request(self, method, url, *args, **kwargs)

    monkeypatch.setattr(HTTPConnection, "getresponse", losing)
    monkeypatch.setattr(HTTPConnection, "request", asking)
    assert client.call("GET", "/api/tasks") == []
    assert lost
    assert counter(client) == 1


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
    expire(client)
    monkeypatch.setattr(client, "url", "http://127.0.0.1:9")
    with pytest.raises(requests.ConnectionError):
        client.call("GET", "/api/tasks")
    with pytest.raises(requests.ConnectionError):
        client.log_out()
    monkeypatch.undo()
    assert client.call("GET", "/api/tasks") == []


def test_nobody_logs_out_or_in_while_a_refresh_is_under_way(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    expire(client)
    send = Client._send
    with ThreadPoolExecutor(1) as pool:
        out: list[Any] = []

        def meanwhile(
            self: Client, method: str, path: str, body: object = None, access: str = ""
        ) -> requests.Response:
            answer = send(self, method, path, body, access)
            if path == REFRESH and not out:
                out.append(pool.submit(client.log_out))
            return answer

        monkeypatch.setattr(Client, "_send", meanwhile)
        with suppress(SignedOut):
            client.call("GET", "/api/tasks")
        out[0].result()
    assert client.store.read_text() == "{}"
