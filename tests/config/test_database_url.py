"""TASKS_DATABASE_URL, in each spelling that people have at hand."""

from pathlib import Path

import pytest

from tasks_api.config import ConfigError, Settings
from tasks_api.config.database_url import read_database_url

SAME = "mssql+pyodbc://tasks:secret@db.example.com:1433/TasksDb"


@pytest.mark.parametrize(
    "text",
    [
        SAME,
        "mssql://tasks:secret@db.example.com:1433/TasksDb",
        "Server=tcp:db.example.com,1433;Initial Catalog=TasksDb;User ID=tasks;Password=secret;",
        "Data Source = db.example.com,1433 ; Database=TasksDb; User Id='tasks';Password=\"secret\";"
        "MultipleActiveResultSets=True;Persist Security Info=False;Connection Timeout=30",
        "Driver={ODBC Driver 18 for SQL Server};Server=db.example.com:1433;Database=TasksDb;Uid=tasks;Pwd={secret};",
        "SERVER=db.example.com;PORT=1433;DATABASE=TasksDb;UID=tasks;PWD=secret",
        "mssql+pyodbc:///?odbc_connect=Server%3Ddb.example.com%2C1433%3BDatabase%3DTasksDb%3BUID%3Dtasks%3BPWD%3Dsecret",
    ],
)
def test_every_spelling_of_an_address_means_the_same(text: str) -> None:
    url = read_database_url(text).difference_update_query(["driver"])
    assert url.render_as_string(hide_password=False) == SAME


@pytest.mark.parametrize(
    "text",
    [
        "secret",
        "Database=TasksDb;UID=tasks;PWD=secret",
        "Server=db;UID=tasks;PWD=secret",
        "Server=db,secret;Database=TasksDb",
        "mssql+pymssql://tasks:secret@db/TasksDb",
        "mssql://tasks:secret@db/TasksDb?a%3Bb=c",
        "mssql://tasks:s@secret@db/TasksDb",
        "sqlite://",
        "Server=(localdb)\\MSSQLLocalDB;Database=TasksDb",
        "mssql://tasks:secret@db",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_its_password(
    tmp_path: Path, text: str
) -> None:
    with pytest.raises(ConfigError, match="TASKS_DATABASE_URL") as refusal:
        Settings.load({"TASKS_DATABASE_URL": text}, tmp_path)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("server", "host", "port"),
    [
        ("tcp:db , 1433", "db", 1433),
        (".", "localhost", None),
        (".\\\\SQLEXPRESS", "localhost\\SQLEXPRESS", None),  # as it stands in appsettings.json
        ("(local)\\SQLEXPRESS", "localhost\\SQLEXPRESS", None),
        ("TCP:[::1],1433", "::1", 1433),
    ],
)
def test_a_server_is_named_in_many_ways(server: str, host: str, port: int | None) -> None:
    url = read_database_url(f"Server={server};Database=TasksDb")
    assert (url.host, url.port) == (host, port)


def test_what_sqlclient_knows_is_understood_and_the_rest_is_the_drivers() -> None:
    url = read_database_url(
        "Server=db;Database=T;Timeout=30;Connect Timeout=5;Max Pool Size=9;Packet Size=8000;Workstation ID=w;"
        "Failover Partner=other;Trust Server Certificate=True;Application Name=true;Encrypt=Strict;"
        "Authentication=Active Directory Managed Identity"
    )
    assert dict(url.query) == {
        "packetsize": "8000",
        "wsid": "w",
        "failover_partner": "other",
        "trustservercertificate": "yes",
        "app": "true",
        "encrypt": "Strict",
        "authentication": "ActiveDirectoryMsi",
    }
