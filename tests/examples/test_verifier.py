"""examples/verifier.py: another service that trusts the access tokens of this one."""

import runpy
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
import requests

from tasks_api.config import ROOT
from tests.live import Live, bearer, new_user, serving
from tests.pem import KINDS, pem

Verifier: Any = runpy.run_path(str(ROOT / "examples" / "verifier.py"))["Verifier"]


@pytest.fixture(scope="module", params=KINDS)
def algorithm(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def service(
    algorithm: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Live, Any]]:
    """The running service, and the key with which it signs."""
    folder, key = tmp_path_factory.mktemp("signing"), KINDS[algorithm]()
    audiences = "tasks-api,reports"
    file = pem(folder, key)
    with serving(
        folder, JWT_PRIVATE_KEY_FILE=file, JWT_AUDIENCE=audiences, TRUSTED_PROXIES="1"
    ) as live:
        yield live, key


def test_a_token_is_valid_for_each_audience_and_for_no_other(
    service: tuple[Live, Any], algorithm: str
) -> None:
    live, _ = service
    tokens = new_user(live, "anna@example.com")
    for audience in ("tasks-api", "reports"):
        claims = Verifier(live.url, audience).claims(tokens["accessToken"])
        assert claims["sub"] == str(tokens["userId"])
    assert jwt.get_unverified_header(tokens["accessToken"])["alg"] == algorithm
    with pytest.raises(jwt.InvalidAudienceError):
        Verifier(live.url, "other").claims(tokens["accessToken"])
    with pytest.raises(jwt.InvalidIssuerError):
        Verifier(live.url, "reports", "other").claims(tokens["accessToken"])


def test_every_wrong_kind_of_token_is_refused(service: tuple[Live, Any], algorithm: str) -> None:
    live, key = service
    verifier = Verifier(live.url, "reports")
    tokens = new_user(live, "bertil@example.com")
    good, header = verifier.claims(tokens["accessToken"]), {}
    header["kid"] = jwt.get_unverified_header(tokens["accessToken"])["kid"]
    assert verifier.claims(jwt.encode(good, key, algorithm, header)) == good
    for wrong in (
        "",
        tokens["refreshToken"],
        jwt.encode(good | {"type": "refresh"}, key, algorithm, header),
        jwt.encode(good | {"exp": good["iat"] - 60}, key, algorithm, header),
        jwt.encode(good | {"nbf": good["exp"]}, key, algorithm, header),
        jwt.encode({k: v for k, v in good.items() if k != "sid"}, key, algorithm, header),
        jwt.encode(good, KINDS[algorithm](), algorithm, header),
        jwt.encode(good, "k" * 32, "HS256", header),
        jwt.encode(good, "", "none", header),
        jwt.encode(good, key, algorithm, {"kid": "unknown"}),
        jwt.encode(good, key, algorithm),
    ):
        with pytest.raises(jwt.PyJWTError):
            verifier.claims(wrong)


def test_asking_whether_the_session_lives_counts_as_a_use(service: tuple[Live, Any]) -> None:
    live, _ = service
    verifier = Verifier(live.url, "reports")
    for email, asks in (("carin@example.com", False), ("david@example.com", True)):
        first = new_user(live, email)
        second = live.refresh(first).json()
        assert not asks or verifier.is_let_in(second["accessToken"])
        elsewhere = bearer("") | {"X-Forwarded-For": "10.0.0.9"}
        body = {"refreshToken": first["refreshToken"]}
        url = f"{live.url}/api/users/refresh_token"
        # The parent again, from another address: if nothing says that it was received, the answer counts as lost.
        answer = requests.post(url, json=body, headers=elsewhere, timeout=30)
        assert answer.status_code == (400 if asks else 200)
        assert not asks or not verifier.is_let_in(second["accessToken"])


def test_the_keys_are_public_and_may_be_kept_for_five_minutes(
    service: tuple[Live, Any],
) -> None:
    answer = service[0].get("/.well-known/jwks.json")
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert not answer.json()["keys"][0].keys() & {"d", "p", "q"}  # the private parts


def test_when_the_service_is_away_the_error_is_another_one() -> None:
    for ask in (Verifier.claims, Verifier.is_let_in):
        with pytest.raises(OSError, match=r"fetched|refused"):
            ask(Verifier("http://127.0.0.1:9", "reports"), "x")
