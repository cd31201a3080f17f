"""Settings: safe when none is set, refused in one line when wrong."""

import os
import re
from pathlib import Path
from unittest.mock import patch

import pytest
from flask.cli import load_dotenv

from tasks_api.config import PREFIX, ROOT, ConfigError, Settings
from tests.live import load_settings


def load(**settings: str) -> Settings:
    return load_settings({PREFIX + name: value for name, value in settings.items()})


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, which has no .env."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_settings_the_database_is_embedded_and_brought_up_to_date() -> None:
    settings = load()
    assert settings.database_file == ROOT / "instance" / "tasks.db"
    assert settings.upgrade_on_start


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABSE_URL", "x"),
        ("JWT_SECRET_KEY", "short"),
        ("REFRESH_TOKEN_KEY", "a key with a comma, which a list would lose"),
        ("REFRESH_TOKEN_KEY_PREVIOUS", "x"),
        ("JWT_AUDIENCE", "tasks-api,"),
        ("REFRESH_RETRY_SECONDS", "601"),
        ("CORS_ORIGINS", "https://*.example.com"),
        ("CORS_ORIGINS", "*, https://a.example"),
        ("CORS_ORIGINS", "https://a.example/"),
        ("CORS_ORIGINS", "https://a.example:443"),
        ("CORS_ORIGINS", "http://A.example"),
        ("RATELIMIT_LOGIN", "often"),
        ("DATABASE_URL", "secret"),
        ("DATABASE_URL", "postgresql://tasks:secret@db/TasksDb"),
        ("DATABASE_URL", "mssql://tasks:secret@db:port/TasksDb"),
        ("DATABASE_URL", "sqlite:///:memory:"),
        ("DATABASE_URL", "sqlite:///secret.db?mode=ro"),
        ("DATABASE_URL", "Data Source=db;Initial Catalog=TasksDb"),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line_that_names_it(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=rf"\A{PREFIX}{name}\b.*\Z") as refusal:
        load(**{name: value})
    assert value not in refusal.value.message
    assert "secret" not in refusal.value.message


def test_a_name_of_ado_net_is_refused_with_the_name_that_odbc_has() -> None:
    with pytest.raises(ConfigError, match=r"\ATASKS_DATABASE_URL: .*\bUID\.\Z"):
        load(DATABASE_URL="Server=db;Database=TasksDb; user id = tasks;PWD=secret")


@pytest.mark.parametrize(
    "address",
    [
        "mssql://tasks:secret@db.example.com:1433/TasksDb",
        "mssql+pyodbc:///?odbc_connect=Server%3Ddb%3BDatabase%3DTasksDb",
        "Server=tcp:db,1433;Database=TasksDb;UID=tasks;PWD={p;Password=w}",
    ],
)
def test_sql_server_has_a_url_or_an_odbc_string_and_is_upgraded_by_its_operator(
    address: str,
) -> None:
    settings = load(DATABASE_URL=address)
    assert settings.database_file is None
    assert not settings.upgrade_on_start


def test_a_relative_database_file_is_in_the_instance_folder(folder: Path) -> None:
    for url, file in (
        ("sqlite:///a.db", folder / "a.db"),
        ("sqlite:////data/a.db", "/data/a.db"),
    ):
        assert load(INSTANCE_PATH=".", DATABASE_URL=url).database_file == Path(file)


def test_lists_are_split_at_commas_and_an_empty_value_is_not_set() -> None:
    settings = load(CORS_ORIGINS=" https://a.example, capacitor://localhost,http://[::1]:4200")
    assert settings.cors_origins == [
        "https://a.example",
        "capacitor://localhost",
        "http://[::1]:4200",
    ]
    assert vars(load(CORS_ORIGINS="", MAX_SESSIONS=" ")) == vars(load())


@pytest.mark.parametrize(
    "name",
    ["PORT", "PORT_5217_TCP_ADDR", "SERVICE_HOST", "REDIS_SERVICE_HOST", "TEST_DATABASE_URL"],
)
def test_names_of_kubernetes_and_of_tests_are_not_settings(name: str) -> None:
    assert vars(load(**{name: "tcp://10.0.0.1:5217"})) == vars(load())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("flask_was_first", [False, True])
def test_dotenv_stands_as_it_is_written_and_the_environment_wins(
    folder: Path, encoding: str, flask_was_first: bool
) -> None:
    text = "TASKS_MAX_SESSIONS=7\nTASKS_JWT_ISSUER=dotenv\nTASKS_RATELIMIT_STORAGE_URI=a${HOME}\n"
    (folder / ".env").write_text(text, encoding)
    with patch.dict(os.environ, {"TASKS_JWT_ISSUER": "real", "HOME": "/home"}, clear=True):
        if flask_was_first:
            load_dotenv()
        settings = Settings()
    found = (settings.max_sessions, settings.jwt_issuer, settings.ratelimit_storage_uri)
    assert found == (7, "real", "a${HOME}")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1"])
def test_a_dotenv_in_another_encoding_is_refused(folder: Path, encoding: str) -> None:
    (folder / ".env").write_text("TASKS_JWT_ISSUER=ö\n", encoding)
    with pytest.raises(
        ConfigError, match=rf"\A{folder}/\.env cannot be read as text in UTF-8\.\Z"
    ):
        load()


def test_the_documentation_has_every_setting_with_its_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)  # where the default of TASKS_INSTANCE_PATH is a relative path
    page = (ROOT / "docs" / "settings.md").read_text()
    rows = dict(re.findall(r"^\| `(TASKS_\w+)` \| (.+?) \|", page, re.MULTILINE))
    settings = {PREFIX + name.upper(): value for name, value in vars(load()).items()}
    assert rows.keys() == settings.keys()
    defaults = {name: cell.split("`")[1] for name, cell in rows.items() if cell.startswith("`")}
    assert vars(load_settings(defaults)) == vars(load())
    # Where the page has words, there is no value.
    assert not [name for name in rows.keys() - defaults.keys() if settings[name]]
