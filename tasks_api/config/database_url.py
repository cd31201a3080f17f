"""TASKS_DATABASE_URL, in each spelling that people have at hand.

Nothing here quotes what it was given: the text holds a password.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

Keywords = dict[str, str]  # of an ODBC connection string to SQL Server, in lower case

_KEYWORD = re.compile(r"[A-Za-z][A-Za-z0-9_ ]*")
# What ends a value: ODBC writes {a}}b} for a}b, ADO.NET "a""b" for a"b; a plain one ends at the semicolon.
_PAIR = re.compile(
    r"""\s*([^=;]*?)\s*=\s*(?:\{((?:[^}]|\}\})*)\}|"((?:[^"]|"")*)"|'((?:[^']|'')*)'|((?!\{)[^;]*?))\s*(?:;|$)"""
)
_FORM = "must be an SQLAlchemy URL or an ODBC connection string: Keyword=value;Keyword=value"
# A name or an address, an instance or a port.
_SERVER = re.compile(r"(tcp:)?([\w.$-]+|[0-9a-f:.]+:[0-9a-f:.]*)(\\[\w$]+)?(,\d+)?", re.IGNORECASE)
_HERE = re.compile(r"^(\.|\(local\))(?=$|[\\,])")

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
_DROPPED = re.compile(
    "(connect|connection|command)?timeout|multipleactiveresultsets|mars_connection|persistsecurityinfo"
    "|pooling|(min|max)poolsize"
)
_SWITCHES = {"encrypt", "trustservercertificate", "trusted_connection", "multisubnetfailover"}
_SWITCHED = {"true": "yes", "1": "yes", "sspi": "yes", "false": "no", "0": "no"}


def read_database_url(text: str) -> Path | Keywords:
    """Read the address of a database.

    Args:
        text: an SQLAlchemy URL (``sqlite://``, ``mssql://``, ``mssql+pyodbc://``), or an ODBC connection
            string, whose keywords may have their ADO.NET names, as in ``appsettings.json``.

    Returns:
        The file of an embedded database, or the keywords of an ODBC connection string.

    Raises:
        ValueError: what is wrong.
    """
    if "://" not in text.partition("=")[0]:
        return _in_odbcs_words(_keywords(text))
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError(_FORM) from None
    if url.drivername in ("sqlite", "sqlite+pysqlite"):
        if url.database in (None, "", ":memory:") or url.query:
            raise ValueError(
                "must name a database file, as in sqlite:///tasks.db, and nothing else"
            )
        return Path(str(url.database))
    if url.drivername not in ("mssql", "mssql+pyodbc"):
        raise ValueError("must be a sqlite:/// or mssql:// address, with no other driver")
    more = {name: str(value) for name, value in url.query.items()}
    if whole := more.get("odbc_connect"):
        return _in_odbcs_words(_keywords(whole))
    server = f"{url.host},{url.port}" if url.port else url.host
    place = {"server": server, "database": url.database, "uid": url.username, "pwd": url.password}
    return _in_odbcs_words({name: str(value) for name, value in place.items() if value} | more)


def _keywords(text: str) -> Keywords:
    pairs: Keywords = {}
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
    return pairs


def _in_odbcs_words(pairs: Mapping[str, str]) -> Keywords:
    """ODBC's names and values for ADO.NET's. What is not known here the driver may know."""
    known: Keywords = {}
    for spelt, value in pairs.items():
        if not _KEYWORD.fullmatch(spelt):
            raise ValueError(_FORM)
        joined = spelt.lower().replace(" ", "")
        name = _ODBC_NAMES.get(joined, joined)
        if name == "authentication":
            value = value.replace(" ", "").replace("ManagedIdentity", "Msi")
        if name in _SWITCHES:
            value = _SWITCHED.get(value.lower(), value.lower())
        if not _DROPPED.fullmatch(name):
            known[name] = value
    known["server"] = _server(known.get("server", ""), known.pop("port", ""))
    if not known.get("database"):
        raise ValueError("must name a database")
    return known


def _server(text: str, port: str) -> str:
    server = text.replace("\\\\", "\\")  # as JSON has it
    server = re.sub(r"\s*,\s*", ",", re.sub(r"[][]", "", server)).strip()
    server = re.sub(r"^(tcp:)\s*", r"\1", server, flags=re.IGNORECASE)
    server = re.sub(r"^((?:tcp:)?[^:,]+):(\d+)$", r"\1,\2", server, flags=re.IGNORECASE)
    server = _HERE.sub("localhost", server) + (f",{port}" if port else "")
    if not server:
        raise ValueError("must name a server, and not by a DSN")
    if server.lower().startswith("(localdb)"):
        raise ValueError(
            "names (localdb), which only programs on the same Windows machine can reach"
        )
    if not _SERVER.fullmatch(server):
        raise ValueError("must have a server like host,port; in a URL %40 is @ in user or password")
    return server
