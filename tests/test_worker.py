"""Slow clients: they wait, and nobody waits for them."""

import logging
import re
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from tasks_api.web import MAX_BODY_BYTES
from tasks_api.worker import ARRIVAL_SECONDS, SEND_SECONDS, Arrival, Worker

from .conftest import Live, serving
from .test_operations import workers

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("seen", "whole"),
    [
        (b"", False),
        (b"GET / HTTP/1.1\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r", False),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", True),
        (HEAD + b"Content-Length: 2\r\n\r\n", False),
        (HEAD + b"content-length:2\r\n\r\n{", False),
        (HEAD + b"Content-Length: 2\r\n\r\n{}", True),
        (HEAD + b"Content-Length: 9999999\r\n\r\n", True),  # refused at once
        (HEAD + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n", False),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n\r\n0\r\n", False),  # an end that is inside a chunk
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2;x=y\r\n{}\r\n0\r\nT: x\r\n\r\n", True),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nT: x\r\n", False),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n", True),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\nx", False),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n" + b"x" * (MAX_BODY_BYTES + 2000), True),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 1000, False),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", False),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", True),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", True),
        (HEAD + b"X: " + b"y" * 32_768, False),
        (HEAD + b"Content-Length: 00000000000050\r\n\r\n{", False),
        (HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n{", True),
    ],
)
def test_a_request_is_whole_when_its_body_is(seen: bytes, whole: bool) -> None:
    assert Arrival(seen).is_whole() is whole
    arrival = Arrival(b"")
    byte_by_byte = []
    for byte in seen[:2000]:
        byte_by_byte.append(arrival.is_whole())
        arrival.data.append(byte)
    assert not any(byte_by_byte)
    arrival.data += seen[2000:]
    assert arrival.is_whole() is whole


@pytest.mark.parametrize(
    "hostile",
    [
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"a" * 200_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 33_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nx" + b"\r\nT" * 60_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nx" + b"\r\n\r" * 60_000,
        HEAD + b"Content-Length: " + b"0" * 200_000 + b"x\r\n\r\n",
        HEAD + b"Content-Length:" + b" " * 200_000 + b"x\r\n\r\n",
        HEAD + b"Expect:" + b"\t" * 200_000 + b"x\r\n\r\n",
        HEAD + b"Expect: 100-continue\r" * 10_000 + b"\n\r\n",
        HEAD + b"Expect: 100-continue \r\nExpect: x\r\n" * 6_000 + b"\r\n",
        HEAD + b" HTTP/1.1\r\n" * 20_000 + b"\r\n",
        b"\r" * 200_000,
    ],
)
def test_every_byte_is_looked_at_once(hostile: bytes) -> None:
    arrival = Arrival(hostile)
    started = time.monotonic()
    for _ in range(100):
        arrival.is_whole()
        arrival.data += b"x"
    assert time.monotonic() - started < 3


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with ExitStack() as stack:
        yield stack.enter_context(serving(tmp_path_factory.mktemp("one"), WORKERS="1", THREADS="2"))


def connect(live: Live) -> socket.socket:
    host, port = live.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=ARRIVAL_SECONDS * 2)


def answered(client: socket.socket, end: bytes) -> bytes:
    """What comes back, as far as ``end``."""
    answer = b""
    while end not in answer:
        piece = client.recv(65536)
        assert piece, answer
        answer += piece
    return answer


def test_trouble_with_one_connection_does_not_end_the_worker() -> None:
    class Gone:
        cfg = SimpleNamespace(is_ssl=False)
        parser = None
        sock = socket.socket()  # never connected
        closed = False

        def close(self) -> None:
            self.closed = True

    worker: Any = SimpleNamespace(nr_conns=1, log=logging.getLogger("test"))
    worker._close = partial(Worker._close, worker)
    gone = Gone()
    Worker.enqueue_req(worker, gone)
    assert gone.closed
    assert worker.nr_conns == 0
    gone.sock.close()


def processor_seconds(live: Live) -> float:
    children = Path(f"/proc/{live.process.pid}/task/{live.process.pid}/children").read_text().split()
    return sum(sum(map(int, Path(f"/proc/{child}/stat").read_text().split()[13:15])) for child in children) / 100


@pytest.mark.parametrize("half", [False, True])
def test_a_client_that_goes_away_in_the_middle_costs_nothing(one: Live, half: bool) -> None:
    with ExitStack() as stack:
        for _ in range(5):
            client = stack.enter_context(connect(one))
            client.sendall(HEAD)
            time.sleep(0.1)
            if half:
                client.shutdown(socket.SHUT_WR)
            else:
                client.close()
        before = processor_seconds(one)
        time.sleep(2)
        assert processor_seconds(one) - before < 0.5


slowly = (
    b"X: ",
    b"Content-Length: 50\r\n\r\n{",
    b"Transfer-Encoding: chunked\r\n\r\nFFFF\r\n\r\n0\r\n\r\n",
    b"Content-Length: 50\r\nExpect: 100-continue\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 11_000,
    b"Content-Length: 00000000050\r\n\r\n{",
    (b"X: " + b"y" * 8_000 + b"\r\n") * 5,
    b"Content-Length: 0\r\n\r\nGET /health/li",  # a second request behind a whole one
)


def test_slow_clients_starve_nobody_and_are_hung_up_on(one: Live) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(connect(one)) for _ in range(40)]
        started = time.monotonic()
        for number, client in enumerate(slow):
            client.sendall(HEAD + slowly[number % len(slowly)])
        closed = 0
        while time.monotonic() - started < ARRIVAL_SECONDS - 2:
            for client in slow:
                client.sendall(b"x")
            asked = time.monotonic()
            assert one.get("/health/ready").status_code == 200
            assert time.monotonic() - asked < 4
            time.sleep(0.5)
        for client in slow:
            try:
                while client.recv(1000):
                    pass
            except ConnectionError:
                pass
            closed += 1
        assert closed == len(slow)
        assert time.monotonic() - started < ARRIVAL_SECONDS * 2
        assert one.get("/health/ready").status_code == 200


@pytest.mark.parametrize("broken", [b"2\r\n{}x\r\n0\r\n\r\n", b"zz\r\n{}\r\n", b"-1\r\n{}\r\n0\r\n\r\n"])
def test_chunks_that_are_none_are_a_refusal_and_no_failure(one: Live, broken: bytes) -> None:
    with connect(one) as client:
        head = b"POST /api/users/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        client.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n" + broken)
        assert answered(client, b"L01").startswith(b"HTTP/1.1 400")


def test_a_client_that_expects_to_be_told_to_continue_is_told(one: Live) -> None:
    with connect(one) as client:
        head = b"POST /api/users/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        client.sendall(head + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert client.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"{}")
        assert answered(client, b"L01").startswith(b"HTTP/1.1 400")


def test_a_request_in_pieces_is_answered(one: Live) -> None:
    with connect(one) as client:
        body = b'{"email": "nobody@example.com", "password": "x"}'
        head = b"POST /api/users/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        for _ in range(2):  # on one connection
            for piece in (head[:20], head[20:], b"Content-Length: %d\r\n\r\n" % len(body), body[:10], body[10:]):
                client.sendall(piece)
                time.sleep(0.05)
            assert answered(client, b"L02").startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize(
    ("size", "status"), [(MAX_BODY_BYTES - 1, 400), (MAX_BODY_BYTES, 400), (MAX_BODY_BYTES + 1, 413), (2_000_000, 413)]
)
@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_of_any_size_are_answered(one: Live, size: int, status: int, chunked: bool) -> None:
    body = b"x" * size
    headers = {"Content-Type": "application/json"}
    data = (body[at : at + 10_000] for at in range(0, size, 10_000)) if chunked else body
    try:
        answer = requests.post(one.url + "/api/users/login", data=data, headers=headers, timeout=20)
    except requests.ConnectionError:  # hung up on while still sending
        assert status == 413
        return
    assert answer.status_code == status
    assert (answer.headers["Connection"] == "close") is (size > MAX_BODY_BYTES + 1)


def test_a_body_in_the_smallest_chunks_is_read(one: Live) -> None:
    body = b'{"email": "nobody@example.com", "password": "x"}'.ljust(MAX_BODY_BYTES // 4)
    with connect(one) as client:
        client.sendall(b"POST /api/users/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
        client.sendall(b"Transfer-Encoding: chunked\r\n\r\n")
        client.sendall(b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n")
        assert answered(client, b"L02").startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize(
    "sent",
    [
        b"POST /api/users/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 70000\r\n\r\n",
        b"GET /health/live HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n",
        b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"BAD\r\n\r\n",
    ],
)
def test_clients_that_stay_after_their_answer_hold_up_nobody(one: Live, sent: bytes) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(one)) for _ in range(12)]
        for client in clients:
            client.sendall(sent)
        began = time.monotonic()
        assert one.get("/health/live").ok
        assert time.monotonic() - began < 4
        for client in clients:
            assert answered(client, b"HTTP/1.1 ")


def test_clients_that_do_not_read_their_answers_hold_up_nobody_for_long(one: Live) -> None:
    with ExitStack() as stack:
        for _ in range(2):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.connect(("127.0.0.1", int(one.url.rpartition(":")[2])))
            client.sendall(b"GET /swagger/assets/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n" * 12)
        time.sleep(1)
        began = time.monotonic()
        assert requests.get(f"{one.url}/health/live", timeout=60).ok
        assert time.monotonic() - began < 2 * SEND_SECONDS


@pytest.mark.parametrize(
    "sent",
    [
        b"Content-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1),
        b"Content-Length: %s\r\n\r\n" % (b"9" * 100),
        b"Transfer-Encoding: chunked\r\n\r\n20000\r\n" + b"x" * (MAX_BODY_BYTES + 1),
        b"Transfer-Encoding: chunked\r\n\r\n20000\r\n" + b"x" * (MAX_BODY_BYTES + 2000),
        b"Transfer-Encoding: chunked\r\n\r\n2;" + b"x" * 300 + b"\r\n{}",
        b"Transfer-Encoding: x\r\n\r\n",
        b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\n",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"Content-Length : 5\r\n\r\n",
        b"Content-Length: 1\r\nContent-Length: 5\r\n\r\n{",
        b"Content-Length: +5\r\n\r\n",
    ],
)
def test_no_thread_waits_for_what_does_not_come(one: Live, sent: bytes) -> None:
    head = b"POST /api/users/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(connect(one)).sendall(head + sent)
        began = time.monotonic()
        assert one.get("/health/live").ok
        assert time.monotonic() - began < 3


def test_a_request_gets_one_answer(one: Live) -> None:
    with connect(one) as client:
        client.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nno chunk\r\n\r\n")
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    assert answer.count(b"HTTP/1.1 ") == 1


def test_requests_that_come_together_are_answered_in_turn(one: Live) -> None:
    body = b'{"email": "nobody@example.com", "password": "x"}'
    login = b"POST /api/users/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    ready, chunks = b"GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    with connect(one) as client:
        client.sendall(ready + login + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + ready)
        client.sendall(login + b"Content-Length: %d\r\n\r\n" % len(body) + body + ready)
        client.shutdown(socket.SHUT_WR)
        answers = b""
        while piece := client.recv(65536):
            answers += piece
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200", b"401", b"200", b"401", b"200"]


def test_more_connections_than_files_end_no_worker(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        few = stack.enter_context(serving(tmp_path, WORKERS="1"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        before = workers(few)
        for _ in range(400):
            stack.enter_context(connect(few)).sendall(HEAD)
        time.sleep(1)
        assert workers(few) == before
        assert requests.get(f"{few.url}/health/ready", timeout=3 * ARRIVAL_SECONDS).ok
