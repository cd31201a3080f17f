"""Pages of a list: ``limit`` and ``after`` in the query, and a link to the next page (RFC 8288)."""

from collections.abc import Callable, Sequence
from typing import Any

from flask import request, url_for
from marshmallow import validate

from .blueprint import camel_case
from .fields import QueryInteger
from .parsing import RequestSchema

PAGE_LIMIT = 1000
LINK = {
    "Link": {
        "schema": {"type": "string"},
        "description": 'the next page, rel="next", when there is one (RFC 8288)',
    }
}


class PageQuery(RequestSchema):
    """Which part of a list to return. Subclasses add filters."""

    limit = QueryInteger(
        load_default=lambda: PAGE_LIMIT,
        validate=validate.Range(1, PAGE_LIMIT, error=f"must be from 1 to {PAGE_LIMIT}"),
        metadata={"description": f"{PAGE_LIMIT} if not given"},
    )
    after = QueryInteger(
        load_default=int, metadata={"description": "the last id of the page before", "minimum": 0}
    )


def page_of(query: dict[str, Any], find: Callable[..., Sequence[Any]]) -> Any:
    """Return a page and, when there is a next one, the header Link.

    Args:
        query: as a ``PageQuery`` was parsed.
        find: returns at most ``limit`` rows with an id above ``after``, ordered by id. It also gets the filters.
    """
    limit = query["limit"]
    rows = find(**query | {"limit": limit + 1})  # one more, to see whether there is a next page
    if len(rows) <= limit:
        return rows
    page = rows[:limit]
    link: dict[str, Any] = {
        camel_case(name): str(value).lower() if isinstance(value, bool) else value
        for name, value in query.items()
    }
    link |= {**(request.view_args or {}), "after": page[-1].id}
    return page, {"Link": f'<{url_for(str(request.endpoint), **link)}>; rel="next"'}
