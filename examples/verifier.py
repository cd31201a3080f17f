#!/usr/bin/env python3
"""How another service verifies access tokens of Tasks API. docs/other-services.md gives the reasons.

Needs ``pip install 'pyjwt[crypto]>=2.15' requests``. Try it: ``verifier.py http://localhost:5217 tasks-api TOKEN``
"""

import sys
from typing import Any

import jwt
import requests

SECONDS = 5  # how long a request may take, and how far the clocks of two machines may differ
REQUIRED = ["iss", "aud", "sub", "sid", "exp", "nbf", "type"]


class Verifier:
    """Verifies access tokens that are meant for ``audience``."""

    def __init__(self, url: str, audience: str, issuer: str = "tasks-api") -> None:
        self.url, self.audience, self.issuer = url.rstrip("/"), audience, issuer
        # It keeps the keys for 5 minutes. For an unknown kid it asks again, but at most every 30 seconds.
        self.keys = jwt.PyJWKClient(f"{self.url}/.well-known/jwks.json", timeout=SECONDS)

    def claims(self, token: str) -> dict[str, Any]:
        """Return the claims of a valid token; ``sub`` is the user's id, ``sid`` the session's.

        Raises:
            jwt.PyJWTError: the token is not valid. Answer 401.
            OSError: the keys cannot be fetched. Answer 503.
        """
        try:
            self.keys.get_jwk_set()
        except Exception as error:  # of many types: a proxy may answer anything
            raise OSError("the keys cannot be fetched") from error
        key = self.keys.get_signing_key_from_jwt(token)
        claims = jwt.decode(
            token,
            key,
            [key.algorithm_name],  # the key decides, never the token
            audience=self.audience,
            issuer=self.issuer,
            leeway=SECONDS,
            options={"require": REQUIRED},
        )
        if claims["type"] != "access":
            raise jwt.InvalidTokenError("not an access token")
        return claims

    def is_let_in(self, token: str) -> bool:
        """Ask Tasks API whether it lets the token in. If not, answer 401. The token counts as used after that.

        Raises:
            OSError: it does not answer. Answer 503.
        """
        headers = {"Authorization": f"Bearer {token}"}
        answer = requests.get(f"{self.url}/api/users/info", headers=headers, timeout=SECONDS)
        if answer.status_code != 401:
            answer.raise_for_status()
        return answer.status_code == 200


if __name__ == "__main__":
    _, address, audience, access_token = sys.argv
    verifier = Verifier(address, audience)
    print(verifier.claims(access_token))
    sys.exit(None if verifier.is_let_in(access_token) else "refused")
