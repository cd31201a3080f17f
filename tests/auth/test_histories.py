"""No history of clients, tabs, lost and late requests and thieves breaks the refresh rule: see histories.py.

Hypothesis plays thousands of steps with a clock that it moves.
"""

import os
from typing import Any

import pytest

from tests.auth.histories import play
from tests.conftest import MakeApp
from tests.live import bearer


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
