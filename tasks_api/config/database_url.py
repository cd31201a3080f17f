"""TASKS_DATABASE_URL, in each spelling that people have at hand.

Nothing here quotes what it was given: the text holds a password.
"""

import re
from collections.abc import Mapping

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

# host, host,port and host:port, or an IPv6 address with its port after a comma only
_SERVER = re.compile(
    r"(?:tcp:)?\s*(?:(?P<name>[^,:]*?)(?:\s*[,:]\s*(?P<port>\d+))?"
    r"|\[?(?P<ip6>[^],]*:[^],]*:[^],]*?)\]?(?:\s*,\s*(?P<port6>\d+))?)\s*",
    re.IGNORECASE,
)
_HOST = re.compile(r"[\w.:\\()$-]+")  # with an instance's name
_KEYWORD = re.compile(r"[A-Za-z][A-Za-z0-9_ ]*")
# What ends a value: ODBC writes {a}}b} for a}b, ADO.NET "a""b" for a"b; a plain one ends at the semicolon.
_PAIR = re.compile(
    r"""\s*([^=;]*?)\s*=\s*(?:\{((?:[^}]|\}\})*)\}|"((?:[^"]|"")*)"|'((?:[^']|'')*)'|((?!\{)[^;]*?))\s*(?:;|$)"""
)
_FORM = "must be an SQLAlchemy URL or an ODBC connection string: Keyword=value;Keyword=value"

# ADO.NET's names, without blanks, for what ODBC calls otherwise.
_ODBC_NAMES = {
    "datasource": "server",
    "addr": "server",
    "address": "server",
    "networkaddress": "server",
    "initialcatalog": "database",
    "userid": "uid",
    "user": "uid",
    "username": "uid",
    "password": "pwd",
    "integratedsecurity": "trusted_connection",
    "applicationname": "app",
    "workstationid": "wsid",
    "failoverpartner": "failover_partner",
}
# The pool's business, and the service's own.
_DROPPED = {
    "timeout",
    "connecttimeout",
    "connectiontimeout",
    "commandtimeout",
    "multipleactiveresultsets",
    "mars_connection",
    "persistsecurityinfo",
    "pooling",
    "minpoolsize",
    "maxpoolsize",
}
_FREE_TEXT = {"server", "database", "uid", "pwd", "app", "wsid"}
_ODBC_VALUES = {
    "true": "yes",
    "sspi": "yes",
    "false": "no",
    "activedirectorymanagedidentity": "ActiveDirectoryMsi",
}


def read_database_url(text: str) -> URL:
    """Read the address of a database.

    Args:
        text: an SQLAlchemy URL (``sqlite://``, ``mssql://``, ``mssql+pyodbc://``), or an ODBC connection
            string, whose keywords may have their ADO.NET names, as in ``appsettings.json``.

    Returns:
        For SQL Server the one form that the service uses: ``mssql+pyodbc`` with server, port, database
        and login in their places and every other keyword, in lower case, in the query.

    Raises:
        ValueError: what is wrong.
    """
    if "://" not in text.partition("=")[0]:
        return _from_keywords(_keywords(text))
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError(_FORM) from None
    if url.drivername in ("sqlite", "sqlite+pysqlite"):
        if url.database in (None, "", ":memory:"):
            raise ValueError("must name a database file: every process of the service opens it")
        return url
    if url.drivername not in ("mssql", "mssql+pyodbc"):
        raise ValueError("must be a sqlite:/// or mssql:// address, with no other driver")
    pairs = {
        name: value if isinstance(value, str) else value[-1] for name, value in url.query.items()
    }
    query = _in_odbcs_words(pairs)
    if whole := query.pop("odbc_connect", None):
        return _from_keywords(_keywords(whole))
    return _checked(url.set(drivername="mssql+pyodbc", query=query))


def _keywords(text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    position = 0
    text = text.strip().strip(";")
    while position < len(text):
        found = _PAIR.match(text, position)
        if not found:
            raise ValueError(_FORM)
        for value, end in zip(found.group(2, 3, 4, 5), ("}", '"', "'", ""), strict=True):
            if value is not None:
                pairs[found[1]] = value.replace(end * 2, end) if end else value
        position = found.end()
    return _in_odbcs_words(pairs)


def _in_odbcs_words(pairs: Mapping[str, str]) -> dict[str, str]:
    """ODBC's names and values for ADO.NET's. What it does not know the driver may."""
    known: dict[str, str] = {}
    for spelt, value in pairs.items():
        if not _KEYWORD.fullmatch(spelt):
            raise ValueError(_FORM)
        joined = spelt.lower().replace(" ", "")
        name = _ODBC_NAMES.get(joined, joined)
        if name in _DROPPED:
            continue
        if name == "authentication":
            value = value.replace(" ", "")
        known[name] = value if name in _FREE_TEXT else _ODBC_VALUES.get(value.lower(), value)
    return known


def _from_keywords(pairs: dict[str, str]) -> URL:
    server = pairs.pop("server", "").replace("\\\\", "\\")  # as JSON has it
    found = _SERVER.fullmatch(server)
    port = pairs.pop("port", None) or (found and (found["port"] or found["port6"]))
    if not found or not (port or "0").isdecimal():
        raise ValueError("must have a number after the comma in Server=host,port")
    host = found["name"] or found["ip6"] or ""
    url = URL.create(
        "mssql+pyodbc",
        username=pairs.pop("uid", None) or None,
        password=pairs.pop("pwd", None),
        host=re.sub(r"^(\.|\(local\))(?=\\|$)", "localhost", host) or None,
        port=int(port) if port else None,
        database=pairs.pop("database", None) or None,
        query=pairs,
    )
    return _checked(url)


def _checked(url: URL) -> URL:
    if not url.host:
        raise ValueError("must name a server, and not by a DSN")
    if not url.database:
        raise ValueError("must name a database")
    if not _HOST.fullmatch(url.host):
        raise ValueError("must percent-encode special characters of user and password: @ is %40")
    if url.host.lower().startswith("(localdb)"):
        raise ValueError(
            "names (localdb), which only programs on the same Windows machine can reach"
        )
    return url
