"""tables.py, sql/sqlserver and sql/sqlite describe the same tables."""

import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from typing import Any

import sqlglot
from sqlalchemy.dialects import mssql
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlglot import exp

from tasks_api.config import ROOT
from tasks_api.database.tables import metadata, tables_of_user, user_table
from tests.databases import batches

Fact = tuple[object, ...]
IDENTITY = {exp.GeneratedAsIdentityColumnConstraint, exp.AutoIncrementColumnConstraint}


def scripts(folder: str) -> dict[str, str]:
    """Return the scripts by their names. The one that creates the database has no tables."""
    found = sorted((ROOT / "sql" / folder).glob("[0-9]*.sql"))
    return {path.name: path.read_text() for path in found if path.name[:3] != "000"}


def facts(sources: Iterable[str], dialect: str) -> set[Fact]:
    """Return what the statements say of each table: columns, keys and indexes."""
    found: set[Fact] = set()
    for source in sources:
        for statement in sqlglot.parse(source, dialect=dialect):
            for node in statement.find_all(exp.Create, exp.Alter) if statement else []:
                table: Any = node.find(exp.Table)
                found |= {(table.name, *fact) for fact in facts_of(node)}
    return {fact for fact in found if fact[0] not in ("SchemaVersion", "sqlite_sequence")}


def facts_of(node: Any) -> Iterable[Fact]:
    for column in node.find_all(exp.ColumnDef):
        rules = {type(rule.kind): rule for rule in column.constraints}
        required = rules.get(exp.NotNullColumnConstraint)
        nullable = required is None or bool(required.kind.args.get("allow_null"))
        kind = column.kind.sql("tsql").lower()
        yield column.name, kind, nullable, bool(rules.keys() & IDENTITY)
        if key := rules.get(exp.PrimaryKeyColumnConstraint):
            yield key.name, column.name
        if key := rules.get(exp.Reference):  # SQLite's ADD COLUMN takes no other form
            yield key.name, column.name, *names(key.kind)
    for rule in node.find_all(exp.Constraint):
        yield tuple(names(rule))
    for index in node.find_all(exp.Index):
        yield index.name, bool(node.args.get("unique")), *names(index.args["params"])


def names(node: exp.Expression) -> list[str]:
    return [each.name for each in node.find_all(exp.Identifier, bfs=False)]


def from_tables() -> set[Fact]:
    dialect: Any = mssql.dialect()
    made: list[Any] = []
    for table in metadata.tables.values():
        made += [CreateTable(table), *map(CreateIndex, table.indexes)]
    return facts([str(each.compile(dialect=dialect)) for each in made], "tsql")


def from_sqlite() -> set[Fact]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript("".join(scripts("sqlite").values()))
        made = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
        return facts([sql for (sql,) in made], "sqlite")


def test_scripts_and_tables_agree() -> None:
    source = "\n".join(scripts("sqlserver").values())
    assert facts(batches(source), "tsql") == from_tables()
    assert from_sqlite() == from_tables()
    assert scripts("sqlserver").keys() == scripts("sqlite").keys()


def test_rows_of_users_can_be_deleted_with_their_user() -> None:
    """A second key to User could delete another user's rows, and rows without one would block the deletion."""
    of_users = [table for table, _ in tables_of_user()]
    assert len(of_users) == len(set(of_users))
    for table, owner in tables_of_user():
        assert not owner.nullable, table
    for table in metadata.tables.values():
        refers_to = {key.column.table for key in table.foreign_keys}
        assert table in of_users or not refers_to & {user_table, *of_users}, table


def test_the_least_privilege_has_every_table() -> None:
    page = (ROOT / "docs" / "sql-server.md").read_text()
    for table in metadata.tables:
        assert re.search(rf"GRANT SELECT, INSERT, UPDATE, DELETE ON \[?{table}\b", page), table


def test_the_comparison_covers_types_keys_and_indexes() -> None:
    assert from_tables() >= {
        ("RefreshToken", "UserAgent", "nvarchar(255)", True, False),
        ("RefreshToken", "FK_RefreshToken_User", "UserId", "User", "Id"),
        ("RefreshToken", "UX_RefreshToken_SessionId", True, "SessionId"),
        ("Task", "Id", "integer", False, True),
    }
