"""The address of a SQL Server and the way to it. Nothing here needs a server."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tasks_api import sqlserver
from tasks_api.config import ConfigError, Settings

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
        "mssql+pyodbc:///?odbc_connect=Server%3Ddb.example.com%2C1433%3BDatabase%3DTasksDb%3BUID%3Dtasks%3BPWD%3Dsecret",
    ],
)
def test_every_spelling_of_an_address_means_the_same(text: str) -> None:
    assert sqlserver.address(text).render_as_string(hide_password=False) == SAME


def test_the_address_in_the_originals_appsettings_is_understood() -> None:
    url = sqlserver.address(
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
    url = sqlserver.address(f"Server=db;Database=TasksDb;UID=tasks;PWD={{{braced}}};Driver=D")
    assert url.password == password
    again = sqlserver.address(sqlserver.connection_string(url))
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
        "mssql://tasks:secret@db",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_its_password(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="TASKS_DATABASE_URL") as refusal:
        Settings.load({"TASKS_DATABASE_URL": text}, tmp_path)
    assert "secret" not in str(refusal.value)


def test_the_settings_do_not_show_their_secrets(tmp_path: Path) -> None:
    settings = Settings.load({"TASKS_DATABASE_URL": "Server=db;Database=T;UID=u;PWD=hidden"}, tmp_path)
    assert not settings.upgrade_on_start
    assert "hidden" not in repr(settings)
    assert settings.jwt_secret_key.decode() not in repr(settings)


@pytest.mark.parametrize(("said", "encrypt", "freetds"), [("", "yes", "require"), ("?encrypt=false", "no", "off")])
def test_the_connection_is_encrypted_unless_told_otherwise(said: str, encrypt: str, freetds: str) -> None:
    url = sqlserver.address(SAME + said)
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


@pytest.mark.skipif(sys.platform == "win32", reason="Windows loads registered drivers only")
def test_the_driver_that_came_with_the_service_comes_next(drivers: list[str]) -> None:
    drivers += ["FreeTDS", "ODBC Driver 13 for SQL Server"]
    assert Path(sqlserver.find_driver()).is_file()


@pytest.mark.parametrize(("installed", "found"), [(["FreeTDS"], "FreeTDS"), ([], sqlserver.MICROSOFT)])
def test_freetds_is_the_last_resort(
    drivers: list[str], monkeypatch: pytest.MonkeyPatch, installed: list[str], found: str
) -> None:
    drivers += installed
    monkeypatch.setitem(sys.modules, "mssql_python_odbc", SimpleNamespace(get_libs_dir=lambda: "/nowhere"))
    assert sqlserver.find_driver() == found
