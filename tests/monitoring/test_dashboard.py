"""examples/grafana.json and examples/alerts.yaml ask for series that the service has."""

import json
import re
import shutil
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from tasks_api.config import ROOT
from tasks_api.tasks import service
from tests.conftest import MakeApp, Person, joined
from tests.live import PASSWORD, output_of

Labels = dict[str, str]


def queries() -> Iterator[str]:
    for panel in json.loads((ROOT / "examples/grafana.json").read_text())["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    for group in yaml.safe_load((ROOT / "examples/alerts.yaml").read_text())["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


@pytest.fixture
def series(
    make_app: MakeApp, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[str, Labels]]:
    """The series of a service that has had every trouble."""
    anna = joined(make_app(RATELIMIT_ENABLED="true", RATELIMIT_LOGIN="2 per day"))
    first = anna.refresh
    anna.renew()
    anna.refreshed(first)  # a second tab
    clock.shift(61)
    anna.keep(anna.refreshed(first))  # a lost answer
    anna.renew()
    anna.refreshed(first)  # a late request
    for password in ("wrong", PASSWORD):  # the second login is one too many
        Person(anna.client, password=password).log_in()
    for error in (PoolTimeoutError(), ZeroDivisionError()):
        monkeypatch.setattr(service, "get", Mock(side_effect=error))
        anna.call("GET", "/api/tasks/1")
    families = text_string_to_metric_families(anna.client.get("/metrics").text)
    return [(sample.name, sample.labels) for family in families for sample in family.samples]


def test_every_query_asks_for_existing_series(series: list[tuple[str, Labels]]) -> None:
    for query in queries():
        selectors = re.findall(r"(tasks_\w+)(?:\{(.*?)\})?", query)
        assert selectors, query
        for name, matchers in selectors:
            found = [labels for each, labels in series if each == name]
            assert found, f"{name} in {query}"
            for label, pattern in re.findall(r'(\w+)=~?"(.*?)"', matchers):
                values = {labels.get(label, "") for labels in found}
                for wanted in pattern.split("|"):
                    assert any(re.fullmatch(wanted, value) for value in values), query
            for group in re.findall(r"\bby \((.*?)\)", query):
                assert found[0].keys() >= set(group.split(", ")), query


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
@pytest.mark.parametrize(
    "words", ["check rules examples/alerts.yaml", "test rules tests/monitoring/alerts.yaml"]
)
def test_each_alert_fires_when_it_should_and_not_otherwise(words: str) -> None:
    output_of("promtool", *words.split())
