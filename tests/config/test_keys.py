"""Keys of access tokens: each algorithm, rotation, and what others need to verify."""

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
from flask.testing import FlaskClient

from tasks_api.config import ConfigError, Settings
from tests.conftest import MakeApp, Person, problem

KINDS: dict[str, Any] = {
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


def pem(folder: Path, name: str, key: Any, *, public: bool = False) -> str:
    path = folder / f"{name}.pem"
    if public:
        path.write_bytes(
            key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
    else:
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(path)


def moved(person: Person, client: FlaskClient) -> Person:
    """The same person at a service that was started again with other keys."""
    return Person(
        client, person.email, person.password, person.access, person.refresh, person.user_id
    )


@pytest.mark.parametrize("algorithm", KINDS)
def test_another_service_verifies_a_token_with_the_published_key(
    make_app: MakeApp, tmp_path: Path, algorithm: str
) -> None:
    anna = Person(
        make_app(JWT_PRIVATE_KEY_FILE=pem(tmp_path, "key", KINDS[algorithm]())).test_client()
    )
    anna.sign_up()
    anna.log_in()
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
    private, public = pem(tmp_path, "new", key), pem(tmp_path, "public", key, public=True)
    before = Person(make_app(**old).test_client())
    before.sign_up()
    before.log_in()
    # Machines restart one after the other, so each must verify what its neighbour signs already.
    announced = make_app(**old, JWT_KEY_FILES_PREVIOUS=public).test_client()
    after = make_app(
        JWT_PRIVATE_KEY_FILE=private, JWT_SECRET_KEY_PREVIOUS=old["JWT_SECRET_KEY"]
    ).test_client()
    middle = moved(before, after)
    assert middle.is_in()
    middle.log_in()
    assert middle.is_in()
    assert moved(middle, announced).is_in()
    last = make_app(JWT_PRIVATE_KEY_FILE=private).test_client()
    assert moved(middle, last).is_in()
    problem(moved(before, last).call("GET", "/api/tasks"), 401, "A03")
    assert moved(before, last).refreshed().status_code == 200  # the session never ended


def test_the_key_decides_the_algorithm_and_not_the_token(make_app: MakeApp, tmp_path: Path) -> None:
    """The classic confusion: a token signed with the public key's text as if it were a secret."""
    key = rsa.generate_private_key(65537, 2048)
    settings = {
        "JWT_PRIVATE_KEY_FILE": pem(tmp_path, "key", key),
        "JWT_SECRET_KEY_PREVIOUS": "p" * 32,
    }
    anna = Person(make_app(**settings).test_client())
    anna.sign_up()
    anna.log_in()
    claims = jwt.decode(anna.access, options={"verify_signature": False})
    header = jwt.get_unverified_header(anna.access)
    public = Path(pem(tmp_path, "public", key, public=True)).read_bytes()
    hmac: Any = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    hmac.prepare_key = lambda secret: secret  # PyJWT itself refuses to sign so
    forger = jwt.PyJWS(algorithms=[])
    forger.register_algorithm("HS256", hmac)
    payload = jwt.PyJWT()._encode_payload(claims)
    for secret, kid in ((public, header["kid"]), (b"p" * 32, header["kid"])):
        forged = forger.encode(payload, secret, "HS256", headers={"kid": kid})
        anna.access = forged
        problem(anna.call("GET", "/api/tasks"), 401, "A03")


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("JWT_PRIVATE_KEY_FILE", None, "cannot be read"),
        ("JWT_PRIVATE_KEY_FILE", "nonsense", "must be a PEM file"),
        ("JWT_PRIVATE_KEY_FILE", rsa.generate_private_key(65537, 1024), "2048"),
        ("JWT_PRIVATE_KEY_FILE", ec.generate_private_key(ec.SECP384R1()), "EC P-256"),
        ("JWT_PRIVATE_KEY_FILE", "public", "private key"),
        ("JWT_KEY_FILES_PREVIOUS", "nonsense", "must be a PEM file"),
    ],
)
def test_a_file_that_cannot_be_used_stops_the_start(
    tmp_path: Path, name: str, content: Any, why: str
) -> None:
    path = tmp_path / "key.pem"
    if content == "public":
        path = Path(pem(tmp_path, "key", ed25519.Ed25519PrivateKey.generate(), public=True))
    elif isinstance(content, str):
        path.write_text(content)
    elif content is not None:
        pem(tmp_path, "key", content)
    with pytest.raises(ConfigError, match=f"TASKS_{name} .*{why}") as refusal:
        Settings.load({f"TASKS_{name}": str(path)}, tmp_path)
    assert "\n" not in str(refusal.value)
