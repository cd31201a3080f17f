"""The address of a SQL Server and the way to it. Nothing here needs a server."""

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask

from tasks_api import create_app
from tasks_api.config import ConfigError, Settings
from tasks_api.database import check, sqlserver
from tests.conftest import Person, problem, said
from tests.database.fake_pyodbc import MICROSOFT, Error, FakePyodbc, failure
from tests.databases import keywords_of

SAME = "mssql+pyodbc://tasks:secret@db.example.com:1433/TasksDb"


def at(address: str) -> Settings:
    return Settings.load(
        {
            "TASKS_DATABASE_URL": address,
            "TASKS_JWT_SECRET_KEY": "k" * 32,
            "TASKS_REFRESH_TOKEN_KEY": "k" * 32,
        },
        Path("/nowhere"),
    )


def test_the_address_in_the_originals_appsettings_is_understood() -> None:
    keywords = keywords_of(
        "Server=Home\\SQLEXPRESS;Database=TasksDb;Trusted_Connection=True;TrustServerCertificate=True;"
        "MultipleActiveResultSets=True;Driver=D"
    )
    assert sqlserver.connection_string(keywords) == (
        "encrypt=yes;connectretrycount=0;server=Home\\SQLEXPRESS;database=TasksDb;"
        "trusted_connection=yes;trustservercertificate=yes;driver=D"
    )


@pytest.mark.parametrize("password", ["a;b}}={", "'\"", " å@/:?#% "])
def test_a_password_may_have_any_character(password: str) -> None:
    braced = password.replace("}", "}}")
    keywords = keywords_of(f"Server=db;Database=TasksDb;UID=tasks;PWD={{{braced}}};Driver=D")
    assert keywords["pwd"] == password
    assert keywords_of(sqlserver.connection_string(keywords)).items() >= keywords.items()


@pytest.mark.parametrize(
    ("query", "encrypt"), [("", "yes"), ("?encrypt=false", "no"), ("?Encrypt=strict", "strict")]
)
def test_the_connection_is_encrypted_unless_told_otherwise(query: str, encrypt: str) -> None:
    keywords = keywords_of(SAME + query) | {"driver": "D"}
    assert f"encrypt={encrypt};" in sqlserver.connection_string(keywords)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePyodbc]:
    fake = FakePyodbc()
    fake.answers = {
        "ProductVersion') AS VARCHAR": [("16.0.4195.2",)],
        "ProductVersion') AS nvarchar": [("16.0.4195.2", "Developer", "TasksDb", "tasks", 1)],
        "sys.objects": [("SchemaVersion",)],
        "FROM SchemaVersion": [(1,), (2,), (3,)],
        "HAS_PERMS_BY_NAME": [],
        "sys.triggers": [],
    }
    monkeypatch.setitem(sys.modules, "pyodbc", fake)
    sqlserver.find_driver.cache_clear()
    yield fake
    sqlserver.find_driver.cache_clear()


def test_the_newest_driver_comes_first_that_is_installed_or_came_with_the_service(
    server: FakePyodbc, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.installed = ["FreeTDS", "ODBC Driver 17 for SQL Server", "ODBC Driver 18 for SQL Server"]
    assert sqlserver.find_driver() == "ODBC Driver 18 for SQL Server"
    sqlserver.find_driver.cache_clear()
    server.installed = ["FreeTDS", "ODBC Driver 13 for SQL Server"]
    assert Path(sqlserver.find_driver()).is_file()
    sqlserver.find_driver.cache_clear()
    nowhere = SimpleNamespace(get_libs_dir=lambda: "/nowhere")
    monkeypatch.setitem(sys.modules, "mssql_python_odbc", nowhere)
    assert sqlserver.find_driver() == sqlserver.NEWEST_DRIVER


@pytest.mark.parametrize("named", ["SQL Server", "ODBC Driver 13 for SQL Server"])
def test_a_driver_of_microsofts_that_is_not_here_is_replaced(
    server: FakePyodbc, named: str
) -> None:
    keywords = keywords_of(SAME) | {"driver": named}
    assert "driver={ODBC Driver 18 for SQL Server}" in sqlserver.connection_string(keywords)


REFUSED = Error("HYT00", f"[HYT00] {MICROSOFT}Login timeout expired (0) (SQLDriverConnect)")


def driver_manager(text: str) -> Error:
    return Error("01000", f"[01000] [unixODBC][Driver Manager]{text} (0) (SQLDriverConnect)")


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (failure("Login failed for user 'tasks'.", 18456), "user and password"),
        (failure("No Kerberos credentials available", 851968), "run kinit"),
        (failure("Client with IP address '1.2.3.4' is not allowed", 40615), "firewall"),
        (failure('Cannot open database "T" requested by the login.', 4060), "db create"),
        (failure("The DELETE permission was denied on 'Task'", 229), "Least privilege"),
        (failure("certificate verify failed", -1), "TrustServerCertificate=yes to TASKS_DATABASE"),
        (driver_manager("Can't open lib 'X' : file not found"), "called X: install"),
        (REFUSED, "no SQL Server answers at db,1433"),
        (failure("Something new", 1), "the database T does not answer: Something new"),
    ],
)
def test_what_is_wrong_is_explained_in_one_line(error: Error, advice: str) -> None:
    explained = check.explain(error, at("mssql://tasks:hidden@db:1433/T?driver=X"))
    assert advice in explained
    assert "\n" not in explained
    assert "hidden" not in explained


def test_a_driver_that_lacks_a_library_is_explained(tmp_path: Path) -> None:
    driver = tmp_path / "libmsodbcsql.so"
    driver.write_bytes(b"")
    settings = at(f"mssql://u:p@db/T?driver={driver}")
    error = driver_manager(f"Can't open lib '{driver}' : file not found")
    assert "lacks a system library" in check.explain(error, settings)


def test_without_unixodbc_the_start_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pyodbc", None)
    with pytest.raises(ConfigError, match=r"TASKS_DATABASE_URL.*apt-get install unixodbc"):
        create_app(at(SAME))


def test_while_the_server_is_away_one_thread_tries_and_the_rest_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers: list[Any] = [OSError("away"), OSError("away"), "a connection", "another one"]
    inside, go_on = threading.Event(), threading.Event()

    def connect(_url: object) -> object:
        answer = answers.pop(0)
        if len(answers) == 2:
            inside.set()
            go_on.wait(10)
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(sqlserver, "connect", connect)
    connector = sqlserver.Connector(keywords_of(SAME))
    with pytest.raises(OSError, match="away"):
        connector()
    with ThreadPoolExecutor(1) as pool:
        trying = pool.submit(connector)
        inside.wait(10)
        with pytest.raises(OSError, match="away"):  # told at once, while the other one still tries
            connector()
        go_on.set()
        assert isinstance(trying.exception(), OSError)
    assert [connector(), connector()] == ["a connection", "another one"]


@pytest.fixture
def app(server: FakePyodbc) -> Flask:
    return create_app(at(SAME))


def test_a_connection_waits_for_nothing_for_ever(server: FakePyodbc) -> None:
    sqlserver.connect(keywords_of(SAME))
    assert "encrypt=yes" in server.connected[0]
    assert server.pooling is False
    assert server.timeout == sqlserver.QUERY_SECONDS
    assert server.executed == [
        f"SET LOCK_TIMEOUT {sqlserver.LOCK_SECONDS * 1000}; SET XACT_ABORT ON; SET NOCOUNT OFF"
    ]
    assert sqlserver.LOCK_SECONDS < sqlserver.QUERY_SECONDS


def test_check_says_how_the_server_is(app: Flask, server: FakePyodbc) -> None:
    report = said(app, "db", "check")
    assert "db.example.com,1433, SQL Server 16.0.4195.2, Developer" in report
    assert "TasksDb as tasks, read-committed snapshot on" in report
    assert "on, the server's certificate is checked" in report
    assert "secret" not in report
    server.answers["HAS_PERMS_BY_NAME"] = [("DELETE on Task",)]
    report = said(app, "db", "check", fails=True)
    assert "DELETE on Task" in report
    server.answers |= {"HAS_PERMS_BY_NAME": [], "sys.triggers": [("AuditTask",)]}
    server.answers["ProductVersion') AS nvarchar"] = [("13", "Web", "TasksDb", "tasks", 0)]
    report = said(app, "db", "check", fails=True)
    assert "drop or disable AuditTask" in report
    assert "read-committed snapshot off: readers wait for writers" in report


@pytest.mark.parametrize(
    ("query", "protection"),
    [("?encrypt=no", "off, unless the server"), ("?TrustServerCertificate=true", "is not checked")],
)
def test_check_says_what_protects_the_line(server: FakePyodbc, query: str, protection: str) -> None:
    assert protection in said(create_app(at(SAME + query)), "db", "check")


def test_the_service_starts_without_its_server_and_is_not_ready(
    app: Flask, server: FakePyodbc
) -> None:
    server.failures[""] = REFUSED
    client = app.test_client()
    problem(client.get("/health/ready"), 503, "unavailable")
    assert client.get("/health/live").status_code == 200
    for command in ("check", "create", "upgrade", "seed"):
        refusal = said(app, "db", command, fails=True)
        assert refusal.startswith("Error: no SQL Server answers at db.example.com,1433")
        assert "secret" not in refusal
    del server.failures[""]
    assert client.get("/health/ready").status_code == 200


def test_create_makes_a_database_of_any_name(server: FakePyodbc) -> None:
    server.failures["ALTER DATABASE"] = failure("Not here", 5069)
    app = create_app(at(SAME.replace("TasksDb", "It's%20[my]")))
    assert said(app, "db", "create") == (
        "The database It's [my] is there.\n"
        "Read-committed snapshot could not be switched on; 'db check' says whether it is: Not here\n"
    )
    assert "database=master" in server.connected[0]
    batch = next(sql for sql in server.executed if "CREATE DATABASE" in sql)
    assert "DB_ID(N'It''s [my]') IS NULL" in batch
    assert "CREATE DATABASE [It's [my]]];" in batch
    server.failures["CREATE DATABASE"] = failure("permission denied", 262)
    assert said(app, "db", "create", fails=True) == "Error: permission denied\n"


def test_an_error_in_a_later_result_is_seen(app: Flask, server: FakePyodbc) -> None:
    server.answers["FROM SchemaVersion"] = [(1,)]
    server.late_failures["UX_User_Email"] = failure("No space", 1105)
    refusal = said(app, "db", "upgrade", fails=True)
    assert refusal == "Error: 002_sessions.sql: No space\n"


def test_text_is_sent_with_the_length_of_its_column(app: Flask, server: FakePyodbc) -> None:
    Person(app.test_client()).log_in()
    assert server.sizes[0] == [(server.SQL_WVARCHAR, 50, 0)]


@pytest.mark.parametrize(
    "error",
    [
        failure("Cannot open server 'db'", 40615),
        failure("Protocol error in TDS stream", 0, "HY000"),  # of another kind of server
    ],
)
def test_whatever_keeps_us_out_is_no_bug(app: Flask, server: FakePyodbc, error: Error) -> None:
    server.failures[""] = error
    problem(Person(app.test_client()).log_in(), 503, "unavailable")


def test_a_lock_that_is_not_to_be_had_keeps_the_pool(app: Flask, server: FakePyodbc) -> None:
    client = app.test_client()
    assert client.get("/health/ready").status_code == 200
    connections = len(server.connected)
    for number, state, tries in ((1222, "HYT00", 0), (40613, "42000", 3), (37396, "42000", 3)):
        server.failures["FROM SchemaVersion"] = failure("x", number, state)
        problem(client.get("/health/ready"), 503, "unavailable")
        del server.failures["FROM SchemaVersion"]
        assert client.get("/health/ready").status_code == 200
        assert len(server.connected) == connections + tries  # each on a new connection
        connections += tries
