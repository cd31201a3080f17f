"""No history of clients, tabs, lost and late requests and thieves breaks the refresh rule: see histories.py.

In one process hypothesis plays thousands of steps with a clock that it moves. A shorter run is against two gunicorn
workers with the real clock.
"""

import os
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.auth.histories import play
from tests.conftest import MakeApp
from tests.live import bearer, serving


@pytest.mark.no_cover  # coverage would take as long again
def test_no_history_breaks_the_rule(make_app: MakeApp, clock: Any) -> None:
    client = make_app(MAX_SESSIONS="1000", LOG_LEVEL="ERROR").test_client()

    def service(
        method: str, path: str, body: object, access: str, address: str
    ) -> tuple[int, Any]:
        answer = client.open(
            path,
            method=method,
            headers=bearer(access),
            json=body,
            environ_overrides={"REMOTE_ADDR": address},
        )
        return answer.status_code, answer.get_json(silent=True)

    play(service, clock, int(os.environ.get("TASKS_TEST_HISTORIES", "100")), 40)


def test_no_history_breaks_the_rule_on_two_workers(tmp_path: Path) -> None:
    with serving(tmp_path, workers=2, TRUSTED_PROXIES="1") as server:

        def service(
            method: str, path: str, body: object, access: str, address: str
        ) -> tuple[int, Any]:
            headers = bearer(access) | {"X-Forwarded-For": address}
            answer = requests.request(
                method, server.url + path, headers=headers, json=body, timeout=30
            )
            return answer.status_code, answer.json() if answer.content else None

        play(service, None, 10, 15)
