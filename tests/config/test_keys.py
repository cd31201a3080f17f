"""Keys of access tokens: each algorithm, rotation, and what others need to verify."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tasks_api.config import ConfigError, Settings
from tests.conftest import MakeApp, Person, joined, problem

KINDS: dict[str, Any] = {
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


def pem(folder: Path, key: Any) -> str:
    """The path of a private or public key in a file."""
    text = (
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        if hasattr(key, "private_bytes")
        else key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    path = folder / f"{hash(text)}.pem"
    path.write_bytes(text)
    return str(path)


@pytest.mark.parametrize("algorithm", KINDS)
def test_another_service_verifies_a_token_with_the_published_key(
    make_app: MakeApp, tmp_path: Path, algorithm: str
) -> None:
    anna = joined(make_app(JWT_PRIVATE_KEY_FILE=pem(tmp_path, KINDS[algorithm]())))
    assert anna.is_in()
    answer = anna.client.get("/.well-known/jwks.json")
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    published = jwt.PyJWKSet.from_dict(answer.get_json())
    header = jwt.get_unverified_header(anna.access)
    assert header["alg"] == algorithm
    claims = jwt.decode(
        anna.access, published[header["kid"]], [algorithm], audience="tasks-api", issuer="tasks-api"
    )
    assert claims["sub"] == str(anna.user_id)
    assert "d" not in answer.get_json()["keys"][0]


def test_with_a_secret_nothing_is_published(anna: Person) -> None:
    problem(anna.client.get("/.well-known/jwks.json"), 404, "not_found")


def test_keys_change_in_three_steps_and_nobody_notices(make_app: MakeApp, tmp_path: Path) -> None:
    old = {"JWT_SECRET_KEY": "o" * 32}
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = pem(tmp_path, key), pem(tmp_path, key.public_key())
    before = joined(make_app(**old))
    # Machines restart one after the other, so each must verify what its neighbour signs already.
    announced = make_app(**old, JWT_KEY_FILES_PREVIOUS=public).test_client()
    after = {"JWT_PRIVATE_KEY_FILE": private, "JWT_SECRET_KEY_PREVIOUS": "o" * 32}
    middle = replace(before, client=make_app(**after).test_client())
    assert middle.is_in()
    middle.log_in()
    assert middle.is_in()
    assert replace(middle, client=announced).is_in()
    last = make_app(JWT_PRIVATE_KEY_FILE=private).test_client()
    assert replace(middle, client=last).is_in()
    before.client = last
    problem(before.call("GET", "/api/tasks"), 401, "A03")
    assert before.refreshed().status_code == 200  # the session never ended


@pytest.mark.parametrize("algorithm", KINDS)
def test_a_token_that_was_cut_off_is_not_called_forged(
    capsys: pytest.CaptureFixture[str], make_app: MakeApp, tmp_path: Path, algorithm: str
) -> None:
    anna = joined(make_app(JWT_PRIVATE_KEY_FILE=pem(tmp_path, KINDS[algorithm]())))
    good = anna.access
    for anna.access, event in (
        (good[:-3], "access_token_refused"),
        (good[:-20] + "AB"[good[-20] == "A"] + good[-19:], "access_token_forged"),
    ):
        capsys.readouterr()
        problem(anna.call("GET", "/api/users/info"), 401, "A03")
        assert f'"{event}"' in capsys.readouterr().out


def test_the_key_decides_the_algorithm_and_not_the_token(make_app: MakeApp, tmp_path: Path) -> None:
    """The classic confusion: a token signed with the public key's text as if it were a secret."""
    key = rsa.generate_private_key(65537, 2048)
    settings = {"JWT_PRIVATE_KEY_FILE": pem(tmp_path, key), "JWT_SECRET_KEY_PREVIOUS": "p" * 32}
    anna = joined(make_app(**settings))
    claims = jwt.decode(anna.access, options={"verify_signature": False})
    header = jwt.get_unverified_header(anna.access)
    public = Path(pem(tmp_path, key.public_key())).read_bytes()
    hmac: Any = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    hmac.prepare_key = lambda secret: secret  # PyJWT itself refuses to sign so
    forger = jwt.PyJWS(algorithms=[])
    forger.register_algorithm("HS256", hmac)
    payload = jwt.PyJWT()._encode_payload(claims)
    for secret in (public, b"p" * 32):
        anna.access = forger.encode(payload, secret, "HS256", headers={"kid": header["kid"]})
        problem(anna.call("GET", "/api/tasks"), 401, "A03")


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (rsa.generate_private_key(65537, 1024), "2048"),
        (ec.generate_private_key(ec.SECP384R1()), "EC P-256"),
        (KINDS["EdDSA"]().public_key(), "private key"),
    ],
)
def test_a_key_that_cannot_sign_stops_the_start(tmp_path: Path, key: Any, why: str) -> None:
    with pytest.raises(ConfigError, match=rf"\ATASKS_JWT_PRIVATE_KEY_FILE .*{why}.*\Z"):
        Settings.load({"TASKS_JWT_PRIVATE_KEY_FILE": pem(tmp_path, key)}, tmp_path)


@pytest.mark.parametrize("name", ["TASKS_JWT_PRIVATE_KEY_FILE", "TASKS_JWT_KEY_FILES_PREVIOUS"])
def test_a_file_that_holds_no_key_stops_the_start(tmp_path: Path, name: str) -> None:
    file = tmp_path / "key.pem"
    with pytest.raises(ConfigError, match=rf"\A{name} .*cannot be read.*\Z"):
        Settings.load({name: str(file)}, tmp_path)
    file.write_text("nonsense")
    with pytest.raises(ConfigError, match=rf"\A{name} .*must be a PEM file.*\Z"):
        Settings.load({name: str(file)}, tmp_path)
