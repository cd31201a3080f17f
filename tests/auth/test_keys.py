"""Keys: generated once, each algorithm, rotation, and what other services need to verify access tokens."""

import hmac
import json
import stat
from base64 import urlsafe_b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from flask import Flask

from tasks_api import create_app
from tasks_api.auth.keys import Keys, init_keys
from tasks_api.config import ConfigError
from tests.conftest import MakeApp, Person, joined, problem
from tests.live import at_once, environment, load_settings
from tests.pem import KINDS, pem


def loaded(instance: Path, **settings: str) -> Keys:
    """The keys of an application with these settings."""
    return init_keys(Flask("keys"), load_settings(environment(instance, {}, **settings)))


# --- generated keys ------------------------------------------------------------------------------------


def test_processes_that_start_together_generate_the_same_private_keys(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    settings = load_settings(environment(folder, {}))
    first, *others = at_once(20, lambda: init_keys(Flask("keys", static_folder=None), settings))
    assert others == [first] * 19
    assert first.of_access_tokens[0].signing != first.of_refresh_tokens[0]
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}


def test_a_damaged_key_file_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "jwt_secret_key").write_text("short")
    with pytest.raises(ConfigError, match=r"\ATASKS_JWT_SECRET_KEY .*\Z"):
        loaded(tmp_path)


def test_the_instance_folder_is_needed_only_for_keys_that_are_not_set(tmp_path: Path) -> None:
    folder = tmp_path / "file" / "instance"  # cannot be made
    folder.parent.touch()
    given = {"JWT_SECRET_KEY": "j" * 32, "REFRESH_TOKEN_KEY": "r" * 32}
    assert loaded(folder, **given).generated == ()
    del given["REFRESH_TOKEN_KEY"]
    with pytest.raises(ConfigError, match=r"\ATASKS_REFRESH_TOKEN_KEY is not set, and .*\Z"):
        loaded(folder, **given)


def test_generated_keys_on_a_server_database_are_warned_about_at_each_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = {"TASKS_DATABASE_URL": "Server=db;Database=TasksDb"}
    settings = load_settings(environment(tmp_path, server, JWT_SECRET_KEY="j" * 32))
    loaded(tmp_path)  # which generates them
    create_app(settings)
    said = capsys.readouterr().err
    assert "TASKS_REFRESH_TOKEN_KEY" in said
    assert "TASKS_JWT_SECRET_KEY" not in said


# --- keys in files -------------------------------------------------------------------------------------


def test_with_a_secret_nothing_is_published(anna: Person) -> None:
    problem(anna.client.get("/.well-known/jwks.json"), 404, "not_found")


def test_keys_change_in_three_steps_and_no_session_ends(
    make_app: MakeApp, tmp_path: Path
) -> None:
    key = KINDS["ES256"]()
    new, new_public = pem(tmp_path, key), pem(tmp_path, key.public_key())
    secret = "o" * 32
    before = joined(make_app(JWT_SECRET_KEY=secret))
    # Machines restart one after the other, so each must verify what another one signs already.
    announced = make_app(JWT_SECRET_KEY=secret, JWT_KEY_FILES_PREVIOUS=new_public)
    changed = make_app(JWT_PRIVATE_KEY_FILE=new, JWT_SECRET_KEY_PREVIOUS=secret)
    last = make_app(JWT_PRIVATE_KEY_FILE=new)
    middle = replace(before, client=changed.test_client())
    assert middle.is_in()
    middle.log_in()
    for app in (announced, changed, last):
        assert replace(middle, client=app.test_client()).is_in()
    before.client = last.test_client()
    problem(before.call("GET", "/api/tasks"), 401, "A03")
    assert before.refreshed().status_code == 200


def base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def test_the_key_decides_the_algorithm_and_not_the_token(
    make_app: MakeApp, tmp_path: Path
) -> None:
    """The classic confusion: a token signed with the public key as if that were a secret."""
    key, old = KINDS["RS256"](), "p" * 32
    settings = {"JWT_PRIVATE_KEY_FILE": pem(tmp_path, key), "JWT_SECRET_KEY_PREVIOUS": old}
    anna = joined(make_app(**settings))
    header = jwt.get_unverified_header(anna.access) | {"alg": "HS256"}
    signed = f"{base64url(json.dumps(header).encode())}.{anna.access.split('.')[1]}"
    for secret in (Path(pem(tmp_path, key.public_key())).read_bytes(), old.encode()):
        anna.access = f"{signed}.{base64url(hmac.digest(secret, signed.encode(), 'sha256'))}"
        problem(anna.call("GET", "/api/tasks"), 401, "A03")


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (rsa.generate_private_key(65537, 1024), "2048"),
        (ec.generate_private_key(ec.SECP384R1()), "EC P-256"),
        (KINDS["EdDSA"]().public_key(), "private key"),
    ],
)
def test_a_key_that_cannot_sign_stops_the_start(tmp_path: Path, key: Any, reason: str) -> None:
    with pytest.raises(ConfigError, match=rf"\ATASKS_JWT_PRIVATE_KEY_FILE\b.*{reason}.*\Z"):
        loaded(tmp_path, JWT_PRIVATE_KEY_FILE=pem(tmp_path, key))


@pytest.mark.parametrize("name", ["JWT_PRIVATE_KEY_FILE", "JWT_KEY_FILES_PREVIOUS"])
def test_a_file_without_a_key_stops_the_start(tmp_path: Path, name: str) -> None:
    file = tmp_path / "key.pem"
    file.write_text("nonsense")
    for wrong, reason in ((file, "PEM"), (tmp_path / "missing", "missing")):
        with pytest.raises(ConfigError, match=rf"\ATASKS_{name}: .*{reason}.*\Z"):
            loaded(tmp_path, **{name: str(wrong)})
