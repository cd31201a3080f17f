"""TASKS_DATABASE_URL, in each spelling that people have at hand."""

from pathlib import Path

import pytest

from tasks_api.config import ConfigError, Settings
from tasks_api.config.database_url import read_database_url
from tests.databases import keywords_of


@pytest.mark.parametrize(
    "text",
    [
        "mssql+pyodbc://tasks:secret@db.example.com:1433/TasksDb",
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
    keywords = keywords_of(text)
    keywords["server"] = keywords["server"].removeprefix("tcp:")
    keywords.pop("driver", None)
    assert keywords == {
        "server": "db.example.com,1433",
        "database": "TasksDb",
        "uid": "tasks",
        "pwd": "secret",
    }


@pytest.mark.parametrize(
    "text",
    [
        "secret",
        "Database=TasksDb;UID=tasks;PWD=secret",
        "Server=db;UID=tasks;PWD=secret",
        "Server=db,secret;Database=TasksDb",
        "sqlite+aiosqlite:///secret.db",
        "mssql+pymssql://tasks:secret@db/TasksDb",
        "mssql://tasks:secret@db/TasksDb?a%3Bb=c",
        "mssql://tasks:s@secret@db/TasksDb",
        "sqlite://",
        "sqlite:///secret.db?mode=ro",
        "Server=(localdb)\\MSSQLLocalDB;Database=TasksDb",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_its_password(
    tmp_path: Path, text: str
) -> None:
    with pytest.raises(ConfigError, match="TASKS_DATABASE_URL") as refusal:
        Settings.load({"TASKS_DATABASE_URL": text}, tmp_path)
    assert "secret" not in str(refusal.value)
    if text.startswith("sqlite"):
        assert "sqlite:///" in str(refusal.value)


@pytest.mark.parametrize(
    ("server", "read"),
    [
        ("tcp: db , 1433", "tcp:db,1433"),
        (".", "localhost"),
        (".\\\\SQLEXPRESS", "localhost\\SQLEXPRESS"),  # as it stands in appsettings.json
        ("(local)\\SQLEXPRESS", "localhost\\SQLEXPRESS"),
        ("TCP:[::1],1433", "TCP:::1,1433"),
        ("2001:db8::1", "2001:db8::1"),
    ],
)
def test_a_server_is_named_in_many_ways(server: str, read: str) -> None:
    assert keywords_of(f"Server={server};Database=TasksDb")["server"] == read


def test_a_file_is_named_by_a_url() -> None:
    assert read_database_url("sqlite:///tasks.db") == Path("tasks.db")
    assert read_database_url("sqlite:////data/tasks.db") == Path("/data/tasks.db")


def test_what_sqlclient_knows_is_understood_and_the_rest_is_the_drivers() -> None:
    url = read_database_url(
        "Server=db;Database=T;Timeout=30;Connect Timeout=5;Max Pool Size=9;Packet Size=8000;Workstation ID=w;"
        "Failover Partner=other;Trust Server Certificate=True;Application Name=true;Encrypt=Strict;"
        "Authentication=Active Directory Managed Identity"
    )
    assert url == {
        "server": "db",
        "database": "T",
        "packetsize": "8000",
        "wsid": "w",
        "failover_partner": "other",
        "trustservercertificate": "yes",
        "app": "true",
        "encrypt": "strict",
        "authentication": "ActiveDirectoryMsi",
    }
