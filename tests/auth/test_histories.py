"""No history of devices, tabs, lost answers and thieves breaks a promise: see histories.py.

In process hypothesis plays thousands of steps with a clock of its own; a shorter run goes against several gunicorn
workers, whose clock is the real one.
"""

import os
from typing import Any

import pytest
import requests

from tests.auth.histories import play
from tests.conftest import MakeApp
from tests.live import Live, bearer


@pytest.mark.no_cover  # which takes as long again
def test_no_history_breaks_a_promise(make_app: MakeApp, clock: Any) -> None:
    client = make_app(MAX_SESSIONS="1000", LOG_LEVEL="ERROR").test_client()

    def service(method: str, path: str, body: object = None, access: str = "") -> tuple[int, Any]:
        answer = client.open(path, method=method, headers=bearer(access), json=body)
        return answer.status_code, answer.get_json(silent=True)

    play(service, clock, int(os.environ.get("TASKS_TEST_HISTORIES", "100")), 40)


def test_no_history_breaks_a_promise_among_several_workers(live: Live) -> None:
    def service(method: str, path: str, body: object = None, access: str = "") -> tuple[int, Any]:
        answer = requests.request(
            method, live.url + path, headers=bearer(access), json=body, timeout=30
        )
        return answer.status_code, answer.json() if answer.content else None

    play(service, None, 10, 15)
