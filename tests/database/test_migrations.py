"""The scripts: models, sql/sqlserver and sql/sqlite say the same; the runner applies each once."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from flask import Flask
from sqlalchemy import Connection, UniqueConstraint, inspect
from sqlalchemy.dialects import mssql
from sqlglot import exp

from tasks_api.config import ROOT, Settings
from tasks_api.database import migrations
from tasks_api.database.commands import DEMO_EMAIL, DEMO_PASSWORD
from tasks_api.database.engine import db
from tasks_api.database.migrations import _GO, MigrationError, pending, run, scripts, seed, upgrade
from tasks_api.models import metadata
from tests.conftest import MakeApp, Person
from tests.databases import embedded_only
from tests.live import flask, run_flask


@dataclass
class Table:
    """What one source says of a table."""

    columns: dict[str, tuple[str, bool]] = field(default_factory=dict)  # type, nullable
    primary_key: tuple[str, tuple[str, ...]] | None = None
    foreign_keys: set[tuple[str, tuple[str, ...], str, tuple[str, ...]]] = field(
        default_factory=set
    )
    indexes: set[tuple[str, tuple[str, ...], bool]] = field(default_factory=set)
    identity: str | None = None


MSSQL: Any = mssql.dialect()
TABLES = {"User", "Task", "RefreshToken"}


def from_models() -> dict[str, Table]:
    found = {}
    for table in metadata.tables.values():
        said = Table()
        for column in table.columns:
            said.columns[column.name] = (normal(column.type.compile(MSSQL)), bool(column.nullable))
        said.primary_key = (
            str(table.primary_key.name),
            tuple(column.name for column in table.primary_key),
        )
        for key in table.foreign_key_constraints:
            targets = tuple(element.column.name for element in key.elements)
            said.foreign_keys.add(
                (
                    str(key.name),
                    tuple(column.name for column in key.columns),
                    key.referred_table.name,
                    targets,
                )
            )
        assert not [rule for rule in table.constraints if isinstance(rule, UniqueConstraint)]
        said.indexes = {
            (str(index.name), tuple(column.name for column in index.columns), index.unique)
            for index in table.indexes
        }
        said.identity = "Id" if table.autoincrement_column is not None else None
        found[table.name] = said
    return found


def normal(text: str) -> str:
    """One spelling of a type."""
    return exp.DataType.build(text, dialect="tsql").sql(dialect="tsql").lower()


def from_scripts(dialect: str, folder: str) -> dict[str, Table]:
    found: dict[str, Table] = {}
    for path in sorted((ROOT / "sql" / folder).glob("00[1-9]_*.sql")):
        source = path.read_text()
        for batch in _GO.split(source) if dialect == "tsql" else [source]:
            for statement in sqlglot.parse(batch, dialect=dialect):
                if statement is not None:
                    for node in statement.find_all(exp.Create, exp.Alter, exp.Drop):
                        apply(node, found, dialect)
    return {name: table for name, table in found.items() if name in TABLES}


def apply(node: exp.Expression, found: dict[str, Table], dialect: str) -> None:
    target = node.find(exp.Table)
    assert target is not None
    name = target.name
    if isinstance(node, exp.Drop):
        del found[name]
    elif isinstance(node, exp.Create) and node.kind == "INDEX":
        index = node.this
        columns = tuple(column.name for column in index.args["params"].find_all(exp.Column))
        found[index.args["table"].name].indexes.add(
            (index.name, columns, bool(node.args.get("unique")))
        )
    elif isinstance(node, exp.Create):
        table = found[name] = Table()
        for element in node.this.expressions:
            read(element, table, dialect)
    else:
        for action in node.args["actions"]:
            if isinstance(action, exp.AlterRename):
                found[action.this.name] = found.pop(name)
            else:
                for element in (
                    [action]
                    if isinstance(action, exp.ColumnDef)
                    else action.expressions or [action]
                ):
                    read(element, found[name], dialect)


def read(element: exp.Expression, table: Table, dialect: str) -> None:
    if isinstance(element, exp.ColumnDef):
        kinds = [constraint.args.get("kind") for constraint in element.constraints]
        nullable = not any(
            isinstance(kind, exp.NotNullColumnConstraint) and not kind.args.get("allow_null")
            for kind in kinds
        )
        table.columns[element.name] = (element.args["kind"].sql(dialect="tsql").lower(), nullable)
        for constraint in element.constraints:
            if isinstance(constraint.args.get("kind"), exp.PrimaryKeyColumnConstraint):
                table.primary_key = (constraint.name, (element.name,))
            if isinstance(
                constraint.args.get("kind"),
                exp.GeneratedAsIdentityColumnConstraint | exp.AutoIncrementColumnConstraint,
            ):
                table.identity = element.name
    elif isinstance(element, exp.Constraint):
        for kind in element.expressions:
            if isinstance(kind, exp.PrimaryKey):
                table.primary_key = (element.name, tuple(part.name for part in kind.expressions))
            elif isinstance(kind, exp.ForeignKey):
                reference = kind.args["reference"].this
                columns = tuple(part.name for part in kind.expressions)
                targets = tuple(part.name for part in reference.expressions)
                table.foreign_keys.add((element.name, columns, reference.this.name, targets))


@pytest.mark.parametrize(("dialect", "folder"), [("tsql", "sqlserver"), ("", "sqlite")])
def test_scripts_and_models_agree(dialect: str, folder: str) -> None:
    assert from_scripts(dialect, folder) == from_models()


def test_the_parser_sees_what_matters() -> None:
    table = from_scripts("tsql", "sqlserver")["RefreshToken"]
    assert table.columns["SessionId"] == ("uniqueidentifier", False)
    assert table.columns["UserAgent"] == ("nvarchar(255)", True)
    assert ("UX_RefreshToken_SessionId", ("SessionId",), True) in table.indexes
    assert len(table.columns) == 12


def test_both_databases_have_the_same_scripts() -> None:
    names = [
        {path.name for path in (ROOT / "sql" / folder).glob("00[1-9]_*.sql")}
        for folder in ("sqlserver", "sqlite")
    ]
    assert names[0] == names[1]


@embedded_only
def test_the_database_is_its_owners_alone(app: Flask, anna: Person, tmp_path: Path) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "instance").iterdir()}
    assert {"tasks.db", "tasks.db-wal", "jwt_secret_key", "refresh_token_key"} <= set(modes)
    assert set(modes.values()) == {0o600}


@embedded_only
def test_another_process_leaves_the_service_its_database(
    app: Flask, anna: Person, tmp_path: Path
) -> None:
    """A process that thinks itself alone with the file would delete what the service writes to."""
    with app.app_context():
        connections = [db.engine.connect() for _ in range(3)]  # each once looked at the file
    log = tmp_path / "instance" / "tasks.db-wal"
    before = log.stat().st_ino
    other = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); print(c.execute('SELECT 1 FROM Task').fetchall())"
    subprocess.run(
        [sys.executable, "-c", other, str(tmp_path / "instance" / "tasks.db")],
        check=True,
        timeout=30,
    )
    assert log.stat().st_ino == before
    for connection in connections:
        connection.close()


def test_an_upgrade_happens_once(make_app: MakeApp) -> None:
    app = make_app(UPGRADE_ON_START="false")
    settings = app.extensions["settings"]
    with app.app_context():
        assert len(pending(db.engine, settings)) == 2
        assert [int(script.name[:3]) for script in upgrade(db.engine, settings)] == [1, 2]
        assert upgrade(db.engine, settings) == []
        assert pending(db.engine, settings) == []


def test_a_failing_script_leaves_nothing_half_done(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(UPGRADE_ON_START="false")
    settings = app.extensions["settings"]
    folder = tmp_path / "sql"
    shutil.copytree(migrations._folder(settings), folder)
    (folder / "003_bad.sql").write_text(
        "CREATE TABLE Half (Id int);\nINSERT INTO Nowhere VALUES (1);\n"
    )
    monkeypatch.setattr(migrations, "_folder", lambda _settings: folder)
    with app.app_context():
        with pytest.raises(MigrationError, match=r"(?i)003_bad\.sql.*Nowhere"):
            upgrade(db.engine, settings)
        assert [int(script.name[:3]) for script in pending(db.engine, settings)] == [3]
        assert not inspect(db.engine).has_table("Half")


def test_a_script_that_does_not_record_itself_is_refused(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(UPGRADE_ON_START="false")
    (tmp_path / "001_forgetful.sql").write_text("CREATE TABLE SomeTable (Id int)\n")
    monkeypatch.setattr("tasks_api.database.migrations._folder", lambda _settings: tmp_path)
    with app.app_context(), pytest.raises(MigrationError, match="did not record itself"):
        upgrade(db.engine, app.extensions["settings"])


@contextmanager
def original(settings: Settings) -> Iterator[Connection]:
    """A connection to a database as the first script leaves it: the original's tables and no others."""
    with migrations._patient(db.engine) as connection:
        migrations._lock(connection)
        run(connection, scripts(settings)[0])
        yield connection
        migrations._execute(connection, "COMMIT")


def test_emails_that_collide_are_listed_and_nothing_changes(make_app: MakeApp) -> None:
    app = make_app(UPGRADE_ON_START="false")
    settings = app.extensions["settings"]
    with app.app_context():
        with original(settings) as connection:
            for email in ("a@b.se", "A@b.se", "c@d.se"):
                connection.exec_driver_sql(
                    'INSERT INTO "User" (Email, Password, PasswordSalt, FirstName, LastName, TS, Active)'
                    f" VALUES ('{email}', '', '', '', '', '2026-01-01 00:00:00', 1)"
                )
        with pytest.raises(MigrationError, match=r"a@b\.se \(2 times\)"):
            upgrade(db.engine, settings)
        assert [int(script.name[:3]) for script in pending(db.engine, settings)] == [2]
    assert Person(app.test_client()).log_in().status_code == 401  # what is there goes on working


def test_rows_of_the_original_become_sessions(make_app: MakeApp) -> None:
    app = make_app(UPGRADE_ON_START="false")
    settings = app.extensions["settings"]
    with app.app_context():
        with original(settings) as connection:
            run(connection, migrations._folder(settings) / "seed.sql")
            for _ in range(2):
                connection.exec_driver_sql(
                    "INSERT INTO RefreshToken (UserId, TokenHash, TokenSalt, TS, ExpiryDate)"
                    " VALUES (1, 'h', 's', '2026-01-01 00:00:00', '2070-01-01 00:00:00')"
                )
        upgrade(db.engine, settings)
    anna = Person(app.test_client(), DEMO_EMAIL, DEMO_PASSWORD)
    anna.log_in()
    listed = anna.call("GET", "/api/users/sessions").get_json()
    assert len({entry["sessionId"] for entry in listed}) == 3


def test_seeding_needs_an_empty_database(app: Flask) -> None:
    settings = app.extensions["settings"]
    with app.app_context():
        assert seed(db.engine, settings)
        assert not seed(db.engine, settings)
    anna = Person(app.test_client(), DEMO_EMAIL, DEMO_PASSWORD)
    assert anna.log_in().status_code == 200
    assert len(anna.call("GET", "/api/tasks").get_json()) == 3


def test_processes_that_upgrade_together_apply_each_script_once(tmp_path: Path) -> None:
    started = [run_flask(tmp_path, "db", "upgrade") for _ in range(4)]
    applied = "".join(process.communicate(timeout=60)[0] for process in started)
    assert [process.returncode for process in started] == [0] * 4
    assert applied.count("Applied 001") == applied.count("Applied 002") == 1


@embedded_only
def test_the_commands_say_what_they_did(tmp_path: Path) -> None:
    code, text = flask(tmp_path, "db", "check")
    assert code == 1
    assert (
        "not current (001_tasksdb.sql, 002_sessions.sql): run 'flask --app tasks_api db upgrade'"
        in text
    )
    code, text = flask(tmp_path, "db", "seed", UPGRADE_ON_START="false")
    assert code == 1
    assert "db upgrade" in text
    assert DEMO_PASSWORD in flask(tmp_path, "db", "seed")[1]
    assert DEMO_PASSWORD in flask(tmp_path, "db", "seed")[1]
    code, text = flask(tmp_path, "db", "check")
    assert code == 0
    assert "schema      current" in text
    with sqlite3.connect(tmp_path / "tasks.db") as connection:
        connection.execute("UPDATE \"User\" SET Email = 'x' || Id")
    connection.close()
    assert "other users" in flask(tmp_path, "db", "seed")[1]
