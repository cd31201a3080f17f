"""/: a page that shows what the tokens do, in one file that needs nothing from anywhere."""

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from flask import Blueprint, Response

from ..config import current_settings

_TEXT = (Path(__file__).parent / "static" / "page.html").read_text("utf-8")


def _hash(element: str) -> str:
    """Names the page's own style or script in its policy, so that no other is obeyed (CSP Level 3, section 2.3.1)."""
    (text,) = re.findall(f"<{element}>(.*?)</{element}>", _TEXT, re.DOTALL)
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


_POLICY = (
    f"default-src 'none'; script-src {_hash('script')}; style-src {_hash('style')}; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_SWAGGER = '<a href="swagger">Every route is described in Swagger.</a>'

page = Blueprint("page", __name__)


@page.get("/")
def show() -> Response:
    """The page."""
    response = Response(
        _TEXT if current_settings.docs_enabled else _TEXT.replace(_SWAGGER, ""),
        mimetype="text/html",
    )
    response.headers["Content-Security-Policy"] = _POLICY
    return response
