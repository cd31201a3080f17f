"""Habits of ASP.NET on which clients of the .NET original rely.

To do without them, delete this file with tests/test_dotnet.py and tests/examples/test_original_clients.py, its line in
README, the base class DotnetSchema in web/parsing.py, null_is_absent in the schemas, and the call of
ignore_case_of_paths() in create_app().
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import marshmallow as ma
from flask import Flask

Wsgi = Callable[..., Iterable[bytes]]

_INTEGER = re.compile(r"-?[0-9]{1,18}", re.ASCII)


class DotnetSchema(ma.Schema):
    """Reads the members of a body or a query as ASP.NET's JSON reader does."""

    null_is_absent = True

    @ma.pre_load
    def read_like_dotnet(self, data: Any, **_kwargs: Any) -> Any:
        """Match names without case, drop null where it is not allowed, read decimal text as an integer.

        Of two members with the same name the last one counts. A body that is null counts as empty.
        """
        if data is None and self.null_is_absent:
            return {}
        if not isinstance(data, Mapping):
            return data
        fields = {str(field.data_key).lower(): field for field in self.fields.values()}
        read = {}
        for name, value in data.items():
            field = fields.get(name.lower())
            if field is None:
                continue
            is_integer = isinstance(field, ma.fields.Integer)
            if is_integer and isinstance(value, str) and _INTEGER.fullmatch(value):
                value = int(value)
            read[field] = value
        return {
            str(field.data_key): value
            for field, value in read.items()
            if value is not None or field.allow_none or not self.null_is_absent
        }


def ignore_case_of_paths(app: Flask) -> None:
    """Match the paths under /api without case, and with or without a slash at the end.

    The path is changed before Flask sees it, because many clients lose the body of a request that is redirected.
    """
    inner: Wsgi = app.wsgi_app

    def fold(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "").lower()
        if path.startswith("/api/"):
            environ["PATH_INFO"] = path.removesuffix("/")
        return inner(environ, start_response)

    app.wsgi_app = fold  # type: ignore[method-assign]
