"""/health: what load balancers are told."""

from tests.conftest import MakeApp, Person, problem


def test_a_database_without_its_schema_is_not_ready(make_app: MakeApp) -> None:
    client = make_app(UPGRADE_ON_START="false").test_client()
    assert "db upgrade" in problem(client.get("/health/ready"), 503, "unavailable")["error"]
    problem(Person(client).log_in(), 503, "unavailable")
