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

from tasks_api import create_app, diagnosis, sqlserver
from tasks_api.address import address
from tasks_api.config import ConfigError, Settings

from .conftest import problem
from .fake_pyodbc import Error, FakePyodbc

SAME = "mssql+pyodbc://tasks:secret@db.example.com:1433/TasksDb"


@pytest.mark.parametrize(
    "text",
    [
        SAME,
        "mssql://tasks:secret@db.example.com:1433/TasksDb",
        "SERVER=db.example.com,1433;DATABASE=TasksDb;UID=tasks;PWD=secret",
        "Server=tcp:db.example.com,1433;Initial Catalog=TasksDb;User ID=tasks;Password=secret;",
        "Data Source = db.example.com,1433 ; Database=TasksDb; User Id='tasks';Password=\"secret\";"
        "MultipleActiveResultSets=True;Persist Security Info=False;Connection Timeout=30",
        "Driver={ODBC Driver 18 for SQL Server};Server=db.example.com:1433;Database=TasksDb;Uid=tasks;Pwd={secret};",
        "SERVER=db.example.com;PORT=1433;DATABASE=TasksDb;UID=tasks;PWD=secret",
        "mssql+pyodbc:///?odbc_connect=Server%3Ddb.example.com%2C1433%3BDatabase%3DTasksDb%3BUID%3Dtasks%3BPWD%3Dsecret",
    ],
)
def test_every_spelling_of_an_address_means_the_same(text: str) -> None:
    url = address(text).difference_update_query(["driver"])
    assert url.render_as_string(hide_password=False) == SAME


def test_the_address_in_the_originals_appsettings_is_understood() -> None:
    url = address(
        "Server=Home\\SQLEXPRESS;Database=TasksDb;Trusted_Connection=True;TrustServerCertificate=True;"
        "MultipleActiveResultSets=True"
    )
    text = sqlserver.connection_string(url.update_query_dict({"driver": "D"}))
    assert text == (
        "Driver=D;Server=Home\\SQLEXPRESS;Database=TasksDb;Encrypt=yes;ConnectRetryCount=0;"
        "trusted_connection=yes;trustservercertificate=yes"
    )


@pytest.mark.parametrize("password", ["a;b", "a}b", "{a}", "a=b", "'\"", " a ", "å@/:?#%", "}};PWD=x"])
def test_a_password_may_have_any_character(password: str) -> None:
    braced = password.replace("}", "}}")
    url = address(f"Server=db;Database=TasksDb;UID=tasks;PWD={{{braced}}};Driver=D")
    assert url.password == password
    again = address(sqlserver.connection_string(url))
    assert (again.password, again.host, again.database) == (password, "db", "TasksDb")


@pytest.mark.parametrize(
    "text",
    [
        "secret",
        "PWD=secret;;x",
        "Database=TasksDb;UID=tasks;PWD=secret",
        "Server=db;UID=tasks;PWD=secret",
        "Server=db,secret;Database=TasksDb",
        "Server=db;Database=TasksDb;PWD={secret",
        "mssql+pymssql://tasks:secret@db/TasksDb",
        "mssql://tasks:secret@db:port/TasksDb",
        "mssql://tasks:secret@db/TasksDb?a%3Bb=c",
        "mssql://tasks:s@secret@db/TasksDb",
        "Server=db;Database=TasksDb;PWD=a;secret=b",
        "Server=db;Database=TasksDb;TrustServerCertficate=yes",
        "Server=db;Database=TasksDb;Encrypt=maybe",
        "Server=db;Database=TasksDb;Authentication=Active Directory Default",
        "DSN=secret;Database=TasksDb",
        "Server=(localdb)\\MSSQLLocalDB;Database=TasksDb",
        "mssql://tasks:secret@db",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_its_password(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="TASKS_DATABASE_URL") as refusal:
        Settings.load({"TASKS_DATABASE_URL": text}, tmp_path)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("server", "host", "port"),
    [
        ("db", "db", None),
        ("tcp:db , 1433", "db", 1433),
        ("db:1433", "db", 1433),
        (".", "localhost", None),
        (".\\\\SQLEXPRESS", "localhost\\SQLEXPRESS", None),  # as it stands in appsettings.json
        ("(local)\\SQLEXPRESS", "localhost\\SQLEXPRESS", None),
        ("::1,1433", "::1", 1433),
        ("2001:db8::1", "2001:db8::1", None),
        ("TCP:[::1],1433", "::1", 1433),
    ],
)
def test_a_server_is_named_in_many_ways(server: str, host: str, port: int | None) -> None:
    url = address(f"Server={server};Database=TasksDb")
    assert (url.host, url.port) == (host, port)


@pytest.mark.parametrize("named", ["SQL Server", "ODBC Driver 13 for SQL Server", "SQL Server Native Client 11.0"])
def test_a_driver_of_microsofts_that_is_not_here_is_replaced(server: FakePyodbc, named: str) -> None:
    url = address(SAME).update_query_dict({"driver": named})
    assert "Driver={ODBC Driver 18 for SQL Server};" in sqlserver.connection_string(url)


def test_the_settings_do_not_show_their_secrets(tmp_path: Path) -> None:
    settings = Settings.load({"TASKS_DATABASE_URL": "Server=db;Database=T;UID=u;PWD=hidden"}, tmp_path)
    assert not settings.upgrade_on_start
    assert "hidden" not in repr(settings)
    assert str(settings.jwt_secret_key) not in repr(settings)


@pytest.mark.parametrize(("said", "encrypt", "freetds"), [("", "yes", "require"), ("?encrypt=false", "no", "off")])
def test_the_connection_is_encrypted_unless_told_otherwise(said: str, encrypt: str, freetds: str) -> None:
    url = address(SAME + said)
    assert f"Encrypt={encrypt};" in sqlserver.connection_string(url.update_query_dict({"driver": "D"})) + ";"
    assert f"Encryption={freetds};" in sqlserver.connection_string(url.update_query_dict({"driver": "FreeTDS"})) + ";"


@pytest.fixture
def drivers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The installed drivers, as the driver manager tells them; empty until the test adds some."""
    names: list[str] = []
    monkeypatch.setitem(sys.modules, "pyodbc", SimpleNamespace(drivers=lambda: names))
    sqlserver.find_driver.cache_clear()
    yield names
    sqlserver.find_driver.cache_clear()


def test_an_installed_driver_comes_first(drivers: list[str]) -> None:
    drivers += ["FreeTDS", "ODBC Driver 17 for SQL Server", "ODBC Driver 18 for SQL Server"]
    assert sqlserver.find_driver() == "ODBC Driver 18 for SQL Server"


def test_the_driver_that_came_with_the_service_comes_next(drivers: list[str]) -> None:
    drivers += ["FreeTDS", "ODBC Driver 17 for SQL Server"]
    assert Path(sqlserver.find_driver()).is_file()


@pytest.mark.parametrize(
    ("installed", "found"),
    [
        (["FreeTDS"], "FreeTDS"),
        (["FreeTDS", "ODBC Driver 17 for SQL Server"], "ODBC Driver 17 for SQL Server"),
        ([], sqlserver.MICROSOFT),
    ],
)
def test_without_it_an_older_one_and_freetds_are_the_last_resorts(
    drivers: list[str], monkeypatch: pytest.MonkeyPatch, installed: list[str], found: str
) -> None:
    drivers += installed
    monkeypatch.setitem(sys.modules, "mssql_python_odbc", SimpleNamespace(get_libs_dir=lambda: "/nowhere"))
    assert sqlserver.find_driver() == found


MICROSOFT = "[Microsoft][ODBC Driver 18 for SQL Server]"


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        (
            f"[28000] {MICROSOFT}[SQL Server]Login failed for user 'tasks'. (18456) (SQLDriverConnect)",
            "user and password",
        ),
        ("[42000] [FreeTDS][SQL Server]Login failed for user 'tasks'. (18456) (SQLDriverConnect)", "user and password"),
        (f'[42000] {MICROSOFT}[SQL Server]Cannot open database "T" requested by the login. (4060)', "db create"),
        (f"[HYT00] {MICROSOFT}Login timeout expired (0) (SQLDriverConnect)", "no SQL Server answers at db:1433"),
        ("[08S01] [FreeTDS][SQL Server]Unable to connect: Adaptive Server is unavailable (20009)", "no SQL Server"),
        (
            f"[08001] {MICROSOFT}SSL Provider: [error:0A000086:SSL routines::certificate verify failed] (-1)",
            "TrustServerCertificate=yes to TASKS_DATABASE_URL, which costs the proof",
        ),
        (sqlserver.UNTRUSTED_FREETDS, "install Microsoft's driver, or add TrustServerCertificate=yes"),
        (
            f"[42000] {MICROSOFT}[SQL Server]The DELETE permission was denied on the object 'Task' (229)",
            "Least privilege",
        ),
        (f"[42000] {MICROSOFT}[SQL Server]CREATE DATABASE permission denied in database 'master'. (262)", "db create"),
        (f"[HY000] {MICROSOFT}SSPI Provider: No Kerberos credentials available (851968)", "run kinit"),
        (f"[42000] {MICROSOFT}[SQL Server]Client with IP address '1.2.3.4' is not allowed (40615)", "Networking"),
        (
            "[01000] [unixODBC][Driver Manager]Can't open lib 'X' : file not found (0) (SQLDriverConnect)",
            "called X: install",
        ),
        ("[IM002] [unixODBC][Driver Manager]Data source name not found (0) (SQLDriverConnect)", "called X: install"),
        ("[HY000] Something new (1) (SQLExecDirectW)", "the database does not answer: Something new"),
    ],
)
def test_what_is_wrong_is_explained_in_one_line(tmp_path: Path, said: str, advice: str) -> None:
    settings = Settings.load({"TASKS_DATABASE_URL": "mssql://tasks:hidden@db:1433/T?driver=X"}, tmp_path)
    explained = diagnosis.explain(Exception(said[1:6], said), settings)
    assert advice in explained
    assert "\n" not in explained
    assert "hidden" not in explained


def test_a_driver_that_lacks_a_library_is_explained(tmp_path: Path) -> None:
    driver = tmp_path / "libmsodbcsql.so"
    driver.write_bytes(b"")
    settings = Settings.load({"TASKS_DATABASE_URL": f"mssql://u:p@db/T?driver={driver}"}, tmp_path)
    said = f"[01000] [unixODBC][Driver Manager]Can't open lib '{driver}' : file not found (0) (SQLDriverConnect)"
    assert "lacks a system library" in diagnosis.explain(Exception("01000", said), settings)


def test_without_unixodbc_the_start_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyodbc", None)
    settings = Settings.load({"TASKS_DATABASE_URL": SAME}, tmp_path)
    with pytest.raises(ConfigError, match=r"TASKS_DATABASE_URL.*apt-get install unixodbc"):
        create_app(settings)


def test_while_the_server_is_away_one_thread_tries_and_the_rest_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
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
    connector = sqlserver.Connector(address(SAME))
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
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePyodbc]:
    fake = FakePyodbc()
    fake.answers = {
        "ProductVersion') AS VARCHAR": [("16.0.4195.2",)],
        "ProductVersion') AS nvarchar": [("16.0.4195.2", "Developer Edition", "TasksDb", "tasks", 1)],
        "sys.objects": [("SchemaVersion",)],
        "FROM SchemaVersion": [(1,), (2,)],
        "HAS_PERMS_BY_NAME": [(1,)],
    }
    monkeypatch.setitem(sys.modules, "pyodbc", fake)
    sqlserver.find_driver.cache_clear()
    yield fake
    sqlserver.find_driver.cache_clear()


@pytest.fixture
def app(server: FakePyodbc, tmp_path: Path) -> Flask:
    return create_app(Settings.load({"TASKS_DATABASE_URL": SAME}, tmp_path))


def db_command(app: Flask, name: str) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(args=["db", name])
    return result.exit_code, result.output


def test_a_connection_waits_for_nothing_for_ever(server: FakePyodbc) -> None:
    sqlserver.connect(address(SAME))
    assert "Encrypt=yes" in server.connected[0]
    assert server.pooling is False
    assert server.timeout == sqlserver.QUERY_SECONDS
    assert server.executed == [f"SET LOCK_TIMEOUT {sqlserver.LOCK_SECONDS * 1000}; SET XACT_ABORT ON"]
    assert sqlserver.LOCK_SECONDS < sqlserver.QUERY_SECONDS


@pytest.mark.parametrize("query", ["", "?trustservercertificate=yes"])
def test_freetds_is_not_trusted_with_an_unchecked_certificate(server: FakePyodbc, query: str) -> None:
    server.drivers = lambda: ["FreeTDS"]  # type: ignore[method-assign]
    url = address(SAME + query).update_query_dict({"driver": "FreeTDS"})
    if query:
        sqlserver.connect(url)
    else:
        with pytest.raises(Error, match=sqlserver.UNTRUSTED_FREETDS):
            sqlserver.connect(url)
    assert len(server.connected) == bool(query)


def test_check_says_how_the_server_is(app: Flask, server: FakePyodbc) -> None:
    code, said = db_command(app, "check")
    assert code == 0
    assert "db.example.com:1433, SQL Server 16.0.4195.2, Developer Edition" in said
    assert "TasksDb as tasks, read-committed snapshot on" in said
    assert "on, the server's certificate is checked" in said
    assert "secret" not in said
    server.answers["HAS_PERMS_BY_NAME"] = [(0,)]
    code, said = db_command(app, "check")
    assert code == 1
    assert "DELETE on Task" in said


@pytest.mark.parametrize(
    ("query", "said"), [("?encrypt=no", "off, unless the server"), ("?TrustServerCertificate=true", "is not checked")]
)
def test_check_says_what_protects_the_line(server: FakePyodbc, tmp_path: Path, query: str, said: str) -> None:
    app = create_app(Settings.load({"TASKS_DATABASE_URL": SAME + query}, tmp_path))
    assert said in db_command(app, "check")[1]


def test_the_service_starts_without_its_server_and_is_not_ready(app: Flask, server: FakePyodbc) -> None:
    server.failures[""] = Error("HYT00", f"[HYT00] {MICROSOFT}Login timeout expired (0) (SQLDriverConnect)")
    client = app.test_client()
    problem(client.get("/health/ready"), 503, "unavailable")
    assert client.get("/health/live").status_code == 200
    for command in ("check", "create", "upgrade", "seed"):
        code, said = db_command(app, command)
        assert code == 1
        assert said.startswith("Error: no SQL Server answers at db.example.com:1433")
        assert "secret" not in said
    del server.failures[""]
    assert client.get("/health/ready").status_code == 200


def test_create_makes_a_database_of_any_name(server: FakePyodbc, tmp_path: Path) -> None:
    refusal = Error("42000", f"[42000] {MICROSOFT}[SQL Server]Not here (5069) (SQLExecDirectW)")
    server.failures["ALTER DATABASE"] = refusal
    app = create_app(Settings.load({"TASKS_DATABASE_URL": SAME.replace("TasksDb", "It's%20[my]")}, tmp_path))
    assert db_command(app, "create") == (
        0,
        "The database It's [my] is there.\n"
        "Read-committed snapshot could not be switched on; 'db check' says whether it is: Not here\n",
    )
    assert "Database=master" in server.connected[0]
    batch = next(sql for sql in server.executed if "CREATE DATABASE" in sql)
    assert "DB_ID(N'It''s [my]') IS NULL" in batch
    assert "CREATE DATABASE [It's [my]]];" in batch
    server.failures["CREATE DATABASE"] = Error("42000", f"[42000] {MICROSOFT}[SQL Server]permission denied (262)")
    assert db_command(app, "create") == (1, "Error: permission denied (262)\n")


def test_an_error_in_a_later_result_is_seen(app: Flask, server: FakePyodbc) -> None:
    server.answers["FROM SchemaVersion"] = [(1,)]
    server.late_failures["UX_User_Email"] = Error(
        "42000", f"[42000] {MICROSOFT}[SQL Server]No space (1105) (SQLMoreResults)"
    )
    assert db_command(app, "upgrade") == (1, "Error: 002_sessions.sql: No space\n")


def test_text_is_sent_with_the_length_of_its_column(app: Flask, server: FakePyodbc) -> None:
    app.test_client().post("/api/users/login", json={"email": "anna@example.com", "password": "x" * 8})
    assert server.sizes[0] == [(server.SQL_WVARCHAR, 50, 0)]


def test_a_lock_that_is_not_to_be_had_keeps_the_pool(app: Flask, server: FakePyodbc) -> None:
    client = app.test_client()
    assert client.get("/health/ready").status_code == 200
    connections = len(server.connected)
    for number, opened in ((sqlserver.LOCK_TIMEOUT, 0), (40613, 1)):
        server.failures["FROM SchemaVersion"] = Error(
            "HYT00", f"[HYT00] {MICROSOFT}[SQL Server]x ({number}) (SQLExecDirectW)"
        )
        problem(client.get("/health/ready"), 503, "unavailable")
        del server.failures["FROM SchemaVersion"]
        assert client.get("/health/ready").status_code == 200
        assert len(server.connected) == connections + opened
