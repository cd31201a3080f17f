"""models.py, sql/sqlserver and sql/sqlite say the same of TasksDb."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlglot
from sqlalchemy.dialects import mssql
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlglot import exp

from tasks_api.config import ROOT
from tasks_api.database.migrations import _batches
from tasks_api.database.tables import metadata

Fact = tuple[object, ...]


def scripts(folder: str) -> list[Path]:
    return sorted((ROOT / "sql" / folder).glob("00[1-9]_*.sql"))


def source(folder: str) -> str:
    return "".join(path.read_text() for path in scripts(folder))


def facts(sources: Iterable[str], dialect: str) -> set[Fact]:
    """What the statements say of each table: columns, keys and indexes."""
    found: set[Fact] = set()
    for source in sources:
        for statement in sqlglot.parse(source, dialect=dialect):
            for node in statement.find_all(exp.Create, exp.Alter) if statement else []:
                table: Any = node.find(exp.Table)
                found |= {(table.name, *fact) for fact in said(node)}
    return {fact for fact in found if fact[0] in metadata.tables}


def said(node: Any) -> Iterable[Fact]:
    for column in node.find_all(exp.ColumnDef):
        rules = {type(rule.kind): rule for rule in column.constraints}
        required = rules.get(exp.NotNullColumnConstraint)
        nullable = required is None or bool(required.kind.args.get("allow_null"))
        yield column.name, column.kind.sql("tsql").lower(), nullable
        if key := rules.get(exp.PrimaryKeyColumnConstraint):
            yield key.name, "primary key", column.name
        if rules.keys() & {
            exp.GeneratedAsIdentityColumnConstraint,
            exp.AutoIncrementColumnConstraint,
        }:
            yield column.name, "identity"
    for rule in node.find_all(exp.Constraint):
        for key in rule.find_all(exp.PrimaryKey):
            yield rule.name, "primary key", *names(key)
        for key in rule.find_all(exp.ForeignKey):
            yield rule.name, "foreign key", *names(key)
    for index in node.find_all(exp.Index):
        yield index.name, "index", bool(node.args.get("unique")), *names(index.args["params"])


def names(node: exp.Expression) -> list[str]:
    return [each.name for each in node.find_all(exp.Identifier, bfs=False)]


def from_models() -> set[Fact]:
    dialect: Any = mssql.dialect()
    made: list[Any] = []
    for table in metadata.tables.values():
        made += [CreateTable(table), *(CreateIndex(index) for index in table.indexes)]
    return facts([str(each.compile(dialect=dialect)) for each in made], "tsql")


def from_sqlserver() -> set[Fact]:
    return facts(_batches(source("sqlserver")), "tsql")


def from_sqlite() -> set[Fact]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(source("sqlite"))
        made = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
        return facts([sql for (sql,) in made], "sqlite")


def test_scripts_and_models_agree() -> None:
    assert from_sqlserver() == from_models()
    assert from_sqlite() == from_models()


def test_the_parser_sees_what_matters() -> None:
    assert from_models() >= {
        ("RefreshToken", "SessionId", "uniqueidentifier", False),
        ("RefreshToken", "UserAgent", "nvarchar(255)", True),
        ("RefreshToken", "PK_RefreshToken", "primary key", "Id"),
        ("RefreshToken", "FK_RefreshToken_User", "foreign key", "UserId", "User", "Id"),
        ("RefreshToken", "UX_RefreshToken_SessionId", "index", True, "SessionId"),
        ("Task", "IX_Task_UserId_Id", "index", False, "UserId", "Id"),
        ("Task", "Id", "identity"),
    }


def test_both_databases_have_the_same_scripts() -> None:
    assert [path.name for path in scripts("sqlserver")] == [path.name for path in scripts("sqlite")]
