"""/health: what load balancers are told."""

from tests.conftest import MakeApp, problem


def test_a_database_without_its_schema_is_alive_but_not_ready(make_app: MakeApp) -> None:
    client = make_app(UPGRADE_ON_START="false").test_client()
    assert client.get("/health/live").status_code == 200
    assert "db upgrade" in problem(client.get("/health/ready"), 503, "unavailable")["error"]
