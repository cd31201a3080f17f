"""/: a page that shows what the tokens do. It is one file and loads nothing from another server."""

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from flask import Blueprint, Response

from ..config import current_settings

_HTML = (Path(__file__).parent / "static" / "page.html").read_text("utf-8")
_SWAGGER_LINK = '<a href="swagger">Every route is described in Swagger.</a>'


def _hash_of(element: str) -> str:
    """Return the hash by which the page's policy allows its own style or script (CSP Level 3, section 2.3.1)."""
    (text,) = re.findall(f"<{element}>(.*?)</{element}>", _HTML, re.DOTALL)
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


_CONTENT_POLICY = (
    f"default-src 'none'; script-src {_hash_of('script')}; style-src {_hash_of('style')}; "
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

page = Blueprint("page", __name__)


@page.get("/")
def show() -> Response:
    """Return the page."""
    html = _HTML if current_settings.docs_enabled else _HTML.replace(_SWAGGER_LINK, "")
    response = Response(html, mimetype="text/html")
    response.headers["Content-Security-Policy"] = _CONTENT_POLICY
    return response
