"""The way to a SQL Server. Nothing here needs one."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest
from flask import Flask
from sqlalchemy.exc import DBAPIError

from tasks_api.config import ConfigError
from tasks_api.database import migrations, sqlserver
from tasks_api.database.engine import db, is_unavailable
from tests.conftest import MakeApp, problem, said
from tests.database.conftest import failure

pyodbc = pytest.importorskip("pyodbc", exc_type=ImportError)  # needs unixODBC

ADDRESS = "mssql://tasks:secret@127.0.0.1:1/TasksDb?LoginTimeout=1"


@pytest.fixture
def away(make_app: MakeApp) -> Flask:
    """An app whose server does not answer."""
    return make_app(DATABASE_URL=ADDRESS, UPGRADE_ON_START="false")


@pytest.mark.parametrize(
    ("address", "start"),
    [
        (ADDRESS, "Server=127.0.0.1,1;Database=TasksDb;UID=tasks;PWD=secret"),
        ("mssql://u:a%3Bb%7Dc@db/T", "Server=db;Database=T;UID=u;PWD={a;b}}c}"),
        (
            "Server=tcp:db; UID=u ;PWD={;}};Database=T};",
            "Server=tcp:db; UID=u ;PWD={;}};Database=T}",
        ),
    ],
)
def test_a_connection_string_gets_a_driver_and_encryption(address: str, start: str) -> None:
    found = sqlserver.connection_string(address)
    assert start in found
    assert f"driver={{{sqlserver.find_driver()}}}".lower() in found.lower()
    assert found.endswith(";Encrypt=yes;ConnectRetryCount=0")


def test_a_connection_string_keeps_what_it_says() -> None:
    complete = "driver = {D}; encrypt = strict; ConnectRetryCount=1"
    assert sqlserver.connection_string(complete) == complete


def test_the_database_of_a_connection_string_is_found_and_replaced() -> None:
    address = "Server=db;PWD={;Database=T};Database={It's a }} b}"
    assert sqlserver.database_name(address) == "It's a } b"
    other = sqlserver.on_database(address, "master")
    assert sqlserver.database_name(other) == "master"
    assert {"server=db", "pwd={;Database=T}"} <= set(re.split(";(?![^{]*})", other))
    assert sqlserver.database_name("Server=db") == ""


@pytest.mark.parametrize(
    ("more", "seconds"),
    [
        ("", sqlserver.LOGIN_SECONDS),
        ("Connection Timeout=30", 30),
        ("LoginTimeout=30", 30),
        ("connect timeout = 30", 30),
    ],
)
def test_a_connection_waits_for_nothing_without_end(
    monkeypatch: pytest.MonkeyPatch, more: str, seconds: int
) -> None:
    connect = Mock()
    monkeypatch.setattr(pyodbc, "connect", connect)
    connection: Any = sqlserver.connect(f"Server=db;{more}")
    assert connect.call_args.kwargs == {"timeout": seconds, "autocommit": True}
    assert connection.timeout == sqlserver.QUERY_SECONDS
    (options,) = connection.execute.call_args.args
    assert f"SET LOCK_TIMEOUT {sqlserver.LOCK_SECONDS * 1000};" in options
    assert sqlserver.LOCK_SECONDS < sqlserver.QUERY_SECONDS
    assert not pyodbc.pooling


def test_the_newest_driver_is_used_or_the_one_that_came_with_the_service(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def found(*installed: str) -> str:
        monkeypatch.setattr(pyodbc, "drivers", lambda: ["FreeTDS", *installed])
        return sqlserver.find_driver.__wrapped__()

    names = [f"ODBC Driver {version} for SQL Server" for version in (13, 17, 18)]
    assert found(*names) == names[-1]
    assert Path(found(names[0])).is_file()  # where mssql-python-odbc has it
    nowhere = SimpleNamespace(get_libs_dir=lambda: "/nowhere")
    monkeypatch.setitem(sys.modules, "mssql_python_odbc", nowhere)
    assert found() == sqlserver.NEWEST_DRIVER


def test_without_unixodbc_the_start_is_refused_in_one_line(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyodbc", None)
    sqlserver.find_driver.cache_clear()
    with pytest.raises(ConfigError, match=r"TASKS_DATABASE_URL.*apt-get install unixodbc"):
        make_app(DATABASE_URL=ADDRESS, UPGRADE_ON_START="false")


def test_without_its_server_the_service_starts_and_is_not_ready(away: Flask) -> None:
    client = away.test_client()
    problem(client.get("/health/ready"), 503, "unavailable")
    assert client.get("/health/live").status_code == 200
    refusal = said(away, "db", "check", fails=True)
    assert "The database does not answer: [" in refusal  # the driver's words
    assert "docs/sql-server.md" in refusal
    assert "secret" not in refusal


def test_while_the_server_is_away_one_thread_tries_and_the_others_fail_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries: list[str] = []

    def connect(address: str) -> str:
        tries.append(address)
        if len(tries) == 2:
            with pytest.raises(OSError, match="away"):
                connector()  # as another thread does, while this one still tries
        if len(tries) < 3:
            raise OSError("away")
        return "a connection"

    monkeypatch.setattr(sqlserver, "connect", connect)
    connector = sqlserver.Connector(ADDRESS)
    for _ in range(2):
        with pytest.raises(OSError, match="away"):
            connector()
    assert len(tries) == 2
    assert connector() == connector() == "a connection"


def test_create_quotes_the_name_and_sees_an_error_in_a_later_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = MagicMock()
    cursor = engine.connect().__enter__().connection.cursor()
    cursor.nextset.side_effect = [True, failure("No space", 1105)]
    monkeypatch.setattr(migrations, "create_engine", lambda *_args, **_options: engine)
    with pytest.raises(migrations.MigrationError, match="No space"):
        migrations.create("Server=db;Database=It's [my]")
    (batch,) = cursor.execute.call_args.args
    assert "DB_ID(N'It''s [my]') IS NULL" in batch
    assert "CREATE DATABASE [It's [my]]];" in batch


def test_an_error_that_passes_means_unavailable(away: Flask) -> None:
    passing, lasting = (1105, 1205, 1222, 3906, 10936, 40143, 40540, 40613), (102, 207, 208)
    with away.app_context():
        for number in passing + lasting:
            error = DBAPIError("SELECT 1", {}, failure("Not (1205) this time.", number))
            assert is_unavailable(error) is (number in passing), number
        refused_connection = DBAPIError(None, {}, failure("Login failed", 18456))
        assert is_unavailable(refused_connection)


def test_a_lock_timeout_keeps_the_connection_and_a_server_that_is_no_primary_does_not(
    away: Flask,
) -> None:
    with away.app_context():
        for number, state, is_lost in (
            (0, "HYT00", True),
            (1222, "HYT00", False),
            (3906, "42000", True),
            (596, "42000", True),
        ):
            error = pyodbc.OperationalError(*failure("No", number, state).args)
            assert db.engine.dialect.is_disconnect(error, None, None) is is_lost
