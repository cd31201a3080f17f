"""The address of a SQL Server, in each spelling that people have at hand."""

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
# What ends a value: ODBC writes {a}}b} for a}b, ADO.NET "a""b" for a"b; a plain value ends at the semicolon.
_PAIR = re.compile(
    r"""\s*([^=;]*?)\s*=\s*(?:\{((?:[^}]|\}\})*)\}|"((?:[^"]|"")*)"|'((?:[^']|'')*)'|((?!\{)[^;]*?))\s*(?:;|$)"""
)


def _pairs(text: str) -> dict[str, str]:
    return dict(pair.split("=") for pair in text.split())


# ADO.NET's names for ODBC keywords, without blanks and in lower case.
_SPELLINGS = _pairs(
    "datasource=server addr=server address=server networkaddress=server initialcatalog=database userid=uid user=uid "
    "username=uid password=pwd integratedsecurity=trusted_connection applicationname=app"
)
# The service's own business.
_IGNORED = re.compile(
    "connecttimeout|connectiontimeout|commandtimeout|multipleactiveresultsets|mars_connection|persistsecurityinfo|"
    "pooling|minpoolsize|maxpoolsize"
)
# Every other keyword is refused: a misspelt TrustServerCertificate must not be passed over.
_KNOWN = re.compile(
    "driver|server|database|uid|pwd|port|app|wsid|language|authentication|encrypt|trustservercertificate|"
    "trusted_connection|servercertificate|hostnameincertificate|serverspn|applicationintent|multisubnetfailover|"
    "failover_partner|failoverpartnerspn|connectretrycount|connectretryinterval|keepalive|keepaliveinterval|"
    "ipaddresspreference|transparentnetworkipresolution|columnencryption|tds_version|odbc_connect"
)
_SYNONYMS = _pairs("true=yes sspi=yes 1=yes false=no 0=no activedirectorymanagedidentity=activedirectorymsi")
_SWITCHES = {
    "encrypt": "yes no mandatory optional strict",
    "trustservercertificate": "yes no",
    "trusted_connection": "yes no",
    "multisubnetfailover": "yes no",
    "transparentnetworkipresolution": "yes no",
    "authentication": "SqlPassword ActiveDirectoryPassword ActiveDirectoryIntegrated ActiveDirectoryMsi "
    "ActiveDirectoryServicePrincipal",
}


def address(text: str) -> URL:
    """Read the address of a database on SQL Server.

    Args:
        text: an SQLAlchemy URL (``mssql://``, ``mssql+pyodbc://``), or an ODBC connection string, whose
            keywords may have their ADO.NET names, as in ``appsettings.json``.

    Returns:
        The one form that the service uses: ``mssql+pyodbc`` with server, port, database and login in
        their places and every other keyword, in lower case, in the query.

    Raises:
        ValueError: what is wrong. It quotes nothing, for the text holds a password.
    """
    if "://" not in text.split("=")[0]:
        return _from_keywords(_keywords(text))
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError("must be an SQLAlchemy URL or an ODBC connection string") from None
    if url.drivername not in ("mssql", "mssql+pyodbc"):
        raise ValueError("must be a sqlite:// or mssql+pyodbc:// address")
    query = _read({name: value if isinstance(value, str) else value[-1] for name, value in url.query.items()})
    if whole := query.pop("odbc_connect", None):
        return _from_keywords(_keywords(whole))
    return _complete(url.set(drivername="mssql+pyodbc", query=query))


def _keywords(text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    position = 0
    text = text.strip().strip(";")
    while position < len(text):
        found = _PAIR.match(text, position)
        if not found or not _KEYWORD.fullmatch(found[1]):
            raise ValueError("must be an SQLAlchemy URL or an ODBC connection string: Keyword=value;Keyword=value")
        for value, end in zip(found.group(2, 3, 4, 5), ("}", '"', "'", ""), strict=True):
            if value is not None:
                pairs[found[1]] = value.replace(end * 2, end) if end else value
        position = found.end()
    return _read(pairs)


def _read(pairs: Mapping[str, str]) -> dict[str, str]:
    """One spelling of each keyword and switch, without those that are the service's own business."""
    known: dict[str, str] = {}
    for spelt, value in pairs.items():
        folded = spelt.lower().replace(" ", "")
        name = _SPELLINGS.get(folded, folded)
        if _IGNORED.fullmatch(name):
            continue
        if not _KNOWN.fullmatch(name):  # it is not quoted: it may be the rest of a password
            raise ValueError("has a keyword that SQL Server's driver does not know")
        known[name] = _switched(name, value) if name in _SWITCHES else value
    return known


def _switched(name: str, value: str) -> str:
    choices = {choice.lower(): choice for choice in _SWITCHES[name].split()}
    folded = value.lower().replace(" ", "")
    if (found := choices.get(_SYNONYMS.get(folded, folded))) is None:
        raise ValueError(f"must have {' or '.join(choices.values())} for {name}")
    return found


def _from_keywords(pairs: dict[str, str]) -> URL:
    server = pairs.pop("server", "").replace("\\\\", "\\")  # as JSON has it
    found = _SERVER.fullmatch(server)
    port = pairs.pop("port", None) or (found and (found["port"] or found["port6"]))
    if not found or not (port or "0").isdecimal():
        raise ValueError("must have a number after the comma in Server=host,port")
    url = URL.create(
        "mssql+pyodbc",
        username=pairs.pop("uid", None) or None,
        password=pairs.pop("pwd", None),
        host=re.sub(r"^(\.|\(local\))(?=\\|$)", "localhost", found["name"] or found["ip6"] or "") or None,
        port=int(port) if port else None,
        database=pairs.pop("database", None) or None,
        query=pairs,
    )
    return _complete(url)


def _complete(url: URL) -> URL:
    if not url.host:
        raise ValueError("must name a server, and not by a DSN")
    if not url.database:
        raise ValueError("must name a database")
    if not _HOST.fullmatch(url.host):
        raise ValueError("must percent-encode special characters of user and password: @ is %40")
    if url.host.lower().startswith("(localdb)"):
        raise ValueError("names (localdb), which only programs on the same Windows machine can reach")
    return url
