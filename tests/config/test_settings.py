"""Settings: safe without any, refused in one line when wrong."""

import os
import stat
from pathlib import Path

import pytest

from tasks_api.config import ROOT, ConfigError, Settings
from tasks_api.config.keys import generated_key
from tasks_api.config.settings import rows
from tests.live import at_once, flask

SERVER = "Server=db;Database=T;UID=u;PWD=hidden-password"


def load(tmp_path: Path, **settings: str) -> Settings:
    return Settings.load({f"TASKS_{name}": value for name, value in settings.items()}, tmp_path)


def test_no_settings_at_all_are_safe(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert settings.database_file == tmp_path / "tasks.db"
    assert settings.upgrade_on_start
    assert settings.jwt_secret_key != settings.refresh_token_key
    assert stat.S_IMODE((tmp_path / "jwt_secret_key").stat().st_mode) == 0o600
    assert load(tmp_path) == settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABSE_URL", "x"),
        ("DATABASE_URL", "nonsense"),
        ("JWT_SECRET_KEY", "short"),
        ("JWT_SECRET_KEY", "a key with a comma, which a list would lose"),
        ("REFRESH_TOKEN_KEY", "a key with a comma, which a list would lose"),
        ("REFRESH_TOKEN_KEY_PREVIOUS", "x"),
        ("ACCESS_TOKEN_SECONDS", "15 minutes"),
        ("REFRESH_RETRY_SECONDS", "61"),
        ("CORS_ORIGINS", "https://*.example.com"),
        ("CORS_ORIGINS", "*, https://a.example"),
        ("CORS_ORIGINS", "https://a.example/"),
        ("CORS_ORIGINS", "https://a.example:443"),
        ("CORS_ORIGINS", "https://a.example:8443x"),
        ("CORS_ORIGINS", "http://[0:0:0:0:0:0:0:1]:4200"),
        ("CORS_ORIGINS", "http://A.example"),
        ("CORS_ORIGINS", "https://bücher.example"),
        ("CORS_ORIGINS", "null"),
        ("RATELIMIT_ENABLED", "perhaps"),
        ("RATELIMIT_LOGIN", "often"),
        ("RATELIMIT_STORAGE_URI", "here"),
        ("RATELIMIT_STORAGE_URI", "redis://:pass/w@cache"),
        ("RATELIMIT_STORAGE_URI", "redis://:1234#w@cache"),
        ("RATELIMIT_STORAGE_URI", "redis://:pass?w@cache"),
        ("RATELIMIT_STORAGE_URI", "redis://cache/zero"),
        ("RATELIMIT_STORAGE_URI", "async+redis://cache"),
        ("LOG_LEVEL", "loud"),
        ("JWT_ISSUER", " "),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line_that_names_it(
    tmp_path: Path, name: str, value: str
) -> None:
    with pytest.raises(ConfigError, match=rf"\A.*TASKS_{name}.*\Z") as refusal:
        load(tmp_path, **{name: value})
    assert value == " " or value not in str(refusal.value)


@pytest.mark.parametrize(
    "name",
    ["PORT", "PORT_5217_TCP_ADDR", "SERVICE_HOST", "REDIS_SERVICE_HOST", "TEST_DATABASE_URL"],
)
def test_names_of_kubernetes_and_tests_are_no_settings(tmp_path: Path, name: str) -> None:
    assert load(tmp_path, **{name: "tcp://10.0.0.1:5217"}).access_token_seconds == 900


def test_the_file_is_read_and_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / "settings.cfg").write_text(
        "MAX_SESSIONS = 5\nACCESS_TOKEN_SECONDS = 60\nRATELIMIT_ENABLED = False\n"
    )
    settings = load(tmp_path, ACCESS_TOKEN_SECONDS="120")
    assert (settings.max_sessions, settings.access_token_seconds) == (5, 120)
    assert not settings.ratelimit_enabled


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("MAX_SESIONS = 5", "is not a setting"),
        ("MAX_SESSIONS = True", "must be a whole number"),
        ("MAX_SESSIONS =", "SyntaxError"),
        ("max_sessions = 5", "must be written MAX_SESSIONS"),
        ("THREADS = 4", "must be TASKS_THREADS in the environment"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "settings.cfg").write_text(text)
    with pytest.raises(ConfigError, match=rf"\A.*settings\.cfg.*{reason}.*\Z"):
        load(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_dotenv_is_read_and_the_real_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("TASKS_MAX_SESSIONS=7\nTASKS_JWT_ISSUER=dotenv\n", encoding)
    monkeypatch.setenv("TASKS_JWT_ISSUER", "real")
    settings = Settings.load(instance_path=tmp_path)
    assert (settings.max_sessions, settings.jwt_issuer) == (7, "real")


def test_a_folder_that_may_not_be_entered_is_not_needed(tmp_path: Path) -> None:
    """As where an image runs under a user id that the platform made up."""
    tmp_path.chmod(0)
    needed = {"JWT_SECRET_KEY": "j" * 32, "REFRESH_TOKEN_KEY": "r" * 32, "DATABASE_URL": SERVER}
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    try:
        assert load(tmp_path, **needed).sqlserver
        del needed["REFRESH_TOKEN_KEY"]
        with pytest.raises(ConfigError, match="TASKS_REFRESH_TOKEN_KEY is not set and "):
            load(tmp_path, **needed)
    finally:
        os.seteuid(was)
        tmp_path.chmod(0o700)


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    keys = at_once(20, lambda: generated_key(folder / "key"))
    assert keys == [(folder / "key").read_bytes()] * 20
    assert [path.name for path in folder.iterdir()] == ["key"]


@pytest.mark.parametrize("text", ["short", "a key with a comma, which a list would lose"])
def test_a_damaged_key_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "jwt_secret_key").write_text(text)
    with pytest.raises(ConfigError, match="TASKS_JWT_SECRET_KEY"):
        load(tmp_path)


def test_a_wrong_setting_stops_a_command_with_one_line(tmp_path: Path) -> None:
    code, said = flask(tmp_path, "db", "check", MAX_SESSIONS="many")
    wrong = "TASKS_MAX_SESSIONS must be a whole number from 1 to 1000"
    assert (code, said) == (1, f"Error: {wrong}\n")


def test_an_old_key_with_a_comma_can_still_be_listed(tmp_path: Path) -> None:
    old = "a key with a comma, which a list would lose"
    (tmp_path / "settings.cfg").write_text(f"JWT_SECRET_KEY_PREVIOUS = [{old!r}]")
    assert load(tmp_path).jwt_secret_key_previous == (old.encode(),)


def test_no_secret_is_shown(tmp_path: Path) -> None:
    secrets = {
        "DATABASE_URL": SERVER,
        "RATELIMIT_STORAGE_URI": "redis://:hidden-redis@cache",
        "JWT_SECRET_KEY": "hidden-jwt" * 4,
        "JWT_SECRET_KEY_PREVIOUS": "hidden-old" * 4,
        "REFRESH_TOKEN_KEY": "hidden-key" * 4,
    }
    assert "hidden" not in repr(load(tmp_path, **secrets))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1"])
def test_a_dotenv_of_another_encoding_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("TASKS_JWT_ISSUER=ö\n", encoding)
    with pytest.raises(ConfigError, match=rf"{tmp_path}/\.env cannot be read as text in UTF-8"):
        Settings.load(instance_path=tmp_path)


def test_the_documentation_has_the_table() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    for name, row in rows().items():
        shown, meaning = row.metadata["shown"], row.metadata["meaning"]
        assert f"| `TASKS_{name.upper()}` | {shown} | {meaning} |\n" in page
