"""/: a page to try the tokens. It loads nothing from another server."""

from flask import Blueprint, Response, render_template

from ..config import current_settings

_CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

page = Blueprint(
    "page",
    __name__,
    template_folder="templates",
    static_folder="static",
    static_url_path="/page",
)


@page.get("/")
def show() -> Response:
    """Return the page."""
    html = render_template("page.html", has_docs=current_settings.docs_enabled)
    response = Response(html, mimetype="text/html")
    response.headers["Content-Security-Policy"] = _CONTENT_POLICY
    return response
