"""examples/grafana.json and examples/alerts.yaml ask for what there is."""

import json
import re
import shutil
from collections.abc import Iterator
from itertools import product
from typing import Any
from unittest.mock import Mock

import pytest
import yaml
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from promql_parser import AggregateExpr, Expr, MatchOp, VectorSelector, parse, walk
from sqlalchemy.exc import OperationalError

from tasks_api.config import ROOT
from tasks_api.tasks import service
from tests.conftest import MakeApp, Person, joined, problem
from tests.live import output_of

DASHBOARD: dict[str, Any] = json.loads((ROOT / "examples" / "grafana.json").read_text())
ALERTS = ROOT / "examples" / "alerts.yaml"
Series = list[tuple[str, dict[str, str]]]


def queries() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


def parts(query: str) -> list[Expr]:
    found: list[Expr] = []
    walk(parse(re.sub(r"\$__(rate_interval|range)", "5m", query)), found.append)
    return found


def series_of(app: Flask) -> Series:
    families = text_string_to_metric_families(app.test_client().get("/metrics").text)
    return [(sample.name, sample.labels) for family in families for sample in family.samples]


@pytest.fixture
def series(make_app: MakeApp, clock: Any, monkeypatch: pytest.MonkeyPatch) -> Series:
    """Of a service that has had every trouble."""
    app = make_app(RATELIMIT_ENABLED="true", RATELIMIT_LOGIN="2 per day")
    anna = joined(app)
    anna.refreshed()
    clock.shift(11)
    anna.renew()  # the answer before was lost
    problem(Person(anna.client, password="wrong").log_in(), 401, "L02")
    problem(anna.log_in(), 429, "rate_limited")
    for error, status, code in (
        (OperationalError("", {}, Exception("away")), 503, "unavailable"),
        (ZeroDivisionError(), 500, "internal"),
    ):
        monkeypatch.setattr(service, "get", Mock(side_effect=error))
        problem(anna.call("GET", "/api/tasks/1"), status, code)
    return series_of(app)


def selected(selector: VectorSelector, series: Series) -> Iterator[bool]:
    """For each alternative of its matchers whether there is such a series."""
    matchers = selector.matchers.matchers
    assert all(each.op in (MatchOp.Equal, MatchOp.Re) for each in matchers)
    for values in product(*(each.value.split("|") for each in matchers)):
        wanted = dict(zip((each.name for each in matchers), values, strict=True))
        yield any(
            name == selector.name
            and all(re.fullmatch(value, labels.get(label, "")) for label, value in wanted.items())
            for name, labels in series
        )


def test_every_query_selects_series_that_there_are(series: Series) -> None:
    asked = list(queries())
    assert len(asked) > 15
    for query in asked:
        found = parts(query)
        selectors = [each for each in found if isinstance(each, VectorSelector)]
        assert selectors, query
        for selector in selectors:
            assert all(selected(selector, series)), f"{selector} in {query}"
        names = {selector.name for selector in selectors}
        known = {label for name, labels in series if name in names for label in labels}
        for each in found:
            if isinstance(each, AggregateExpr) and each.modifier:
                assert known >= set(each.modifier.labels), query


def test_a_legend_has_labels_that_its_query_leaves() -> None:
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                assert re.search(rf"by \([^)]*\b{label}\b", target["expr"]), target


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = set(product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])))
        assert max(x for x, _ in cells) < 24
        assert not taken & cells, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
@pytest.mark.parametrize(
    "words", ["check rules examples/alerts.yaml", "test rules tests/monitoring/alerts.yaml"]
)
def test_each_alert_is_given_when_it_should_be_and_not_otherwise(words: str) -> None:
    output_of("promtool", *words.split())
