"""Requests that schemathesis makes up are answered as the OpenAPI document says, and never with 5xx.

`make fuzz` makes up more of them.
"""

import os
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.conftest import MakeApp, Person, joined
from tests.live import bearer

EXAMPLES = int(os.environ.get("TASKS_TEST_FUZZ_EXAMPLES", "10"))


def fuzz(operation: Any, anna: Person) -> None:
    @given(case=operation.as_strategy())
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def run(case: Any) -> None:
        if not anna.is_in():  # an earlier case has ended the session
            anna.log_in()
        # The document cannot say that an email is taken or a token used, so valid requests may be refused.
        case.call_and_validate(
            headers=bearer(anna.access),
            excluded_checks=[positive_data_acceptance],
        )

    run()


@pytest.mark.no_cover  # coverage would double its time
def test_the_document_is_true(make_app: MakeApp) -> None:
    app = make_app(LOG_LEVEL="ERROR")
    anna = joined(app)
    api: Any = schemathesis.openapi.from_wsgi("/openapi.json", app)
    for found in api.get_all_operations():
        fuzz(found.ok(), anna)
