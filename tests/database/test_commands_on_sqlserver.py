"""The operator's commands, and the pages about them, on a SQL Server."""

import re
import sys
import uuid
from contextlib import closing
from pathlib import Path

import pytest

from tasks_api.config import ROOT
from tasks_api.config.database_url import Keywords
from tasks_api.database import migrations, sqlserver
from tests.databases import TABLES, databases, needs_server
from tests.live import code_block, environment, flask, output_of

pytestmark = needs_server
PAGE = "docs/sql-server.md"


def flask_db(instance: Path, *words: str, at: Keywords | None = None) -> tuple[int, str]:
    """The exit status and the output of ``flask db``, on another database than the instance's if need be."""
    other = {"DATABASE_URL": sqlserver.connection_string(at)} if at else {}
    return flask(instance, "db", *words, **other)


def test_check_says_how_the_database_is(tmp_path: Path) -> None:
    code, said = flask_db(tmp_path, "check")
    assert code == 1
    advice = "(001_tasksdb.sql, 002_sessions.sql, 003_lost_answers.sql): run 'flask --app tasks_api db upgrade'"
    assert f"not current {advice}" in said
    assert flask_db(tmp_path, "upgrade")[0] == 0
    code, said = flask_db(tmp_path, "check")
    assert code == 0, said
    named = [line.split()[0] for line in said.splitlines()]
    assert named == ["driver", "server", "database", "encryption", "schema"]
    assert re.search(r"driver +\S*msodbcsql\S* \d", said)
    assert "schema      current" in said
    assert databases.at()["pwd"] not in said


def test_check_explains_what_is_wrong_without_the_password(tmp_path: Path) -> None:
    for wrong, advice in (
        (databases.at(pwd="not-the-password"), "check user and password"),
        (databases.at(database="NowhereDb"), "db create"),
        (databases.at(trustservercertificate="no"), "read and change everything"),
    ):
        code, said = flask_db(tmp_path, "check", at=wrong)
        if code == 0:
            pytest.skip("this server's certificate is trusted")
        assert (code, said.count("\n")) == (1, 1)
        assert advice in said
        assert wrong["pwd"] not in said


def test_create_makes_a_database_of_any_name_and_is_harmless_when_repeated(tmp_path: Path) -> None:
    name = "Tasks'Test ö"
    for _ in range(2):
        code, said = flask_db(tmp_path, "create", at=databases.at(database=name))
        assert code == 0, said
        assert f"{name} is there" in said
    with closing(sqlserver.connect(databases.at(database="master"))) as connection:
        connection.execute(f"DROP DATABASE [{name}]")


def test_the_scripts_run_by_hand_leave_the_same_database(tmp_path: Path) -> None:
    databases.settings(tmp_path)
    for _ in range(2):
        for path in sorted((ROOT / "sql" / "sqlserver").glob("00[1-9]_*.sql")):
            batches = migrations._batches(path.read_text())
            databases.execute(tmp_path, "SET QUOTED_IDENTIFIER OFF", *batches)  # as sqlcmd begins
    assert "schema      current" in flask_db(tmp_path, "check")[1]


def test_the_readmes_login_has_what_the_service_needs_and_no_more(tmp_path: Path) -> None:
    script = code_block(PAGE, "## Least privilege", "sql")
    login = f"tasks_test_{uuid.uuid4().hex[:8]}"
    assert flask_db(tmp_path, "upgrade")[0] == 0
    name = databases.made[tmp_path]["database"]
    script = script.replace("tasks_service", login).replace("TasksDb", name)
    password = script.split("PASSWORD = N'")[1].split("'")[0]
    service = databases.at(database=name, uid=login, pwd=password)
    try:
        databases.execute(tmp_path, *filter(str.strip, script.split(";")))
        code, said = flask_db(tmp_path, "check", at=service)
        assert code == 0, said
        databases.execute(tmp_path, f"REVOKE DELETE ON Task TO {login}")
        code, said = flask_db(tmp_path, "check", at=service)
        assert code == 1
        assert "missing: DELETE on Task" in said
        with closing(sqlserver.connect(service)) as limited:
            for forbidden in (
                "CREATE TABLE X (Id int)",
                "DROP TABLE Task",
                "DELETE FROM SchemaVersion",
            ):
                with pytest.raises(Exception, match=r"(?i)permission|must be owner"):
                    limited.execute(forbidden)
    finally:
        things = [*(f"TABLE {table}" for table in TABLES), f"USER {login}", f"LOGIN {login}"]
        databases.execute(tmp_path, *(f"DROP {thing}" for thing in things))


def test_the_readmes_way_to_a_server_that_exists(tmp_path: Path) -> None:
    commands = code_block(PAGE, "## On a server that exists").splitlines()
    script = [line for line in commands if not line.startswith(("make", "export TASKS_DATABASE"))]
    assert len(script) == len(commands) - 4
    script.append(".venv/bin/flask --app tasks_api db check")
    text = "\n".join(script).replace(".venv/bin/flask", f"{sys.executable} -m flask")
    said = output_of("bash", "-euc", text, environ=environment(tmp_path))
    assert "Applied 002_sessions.sql" in said
    assert "schema      current" in said


def test_a_backup_can_be_restored(tmp_path: Path) -> None:
    assert flask_db(tmp_path, "upgrade")[0] == 0
    assert flask_db(tmp_path, "seed")[0] == 0
    name = databases.made[tmp_path]["database"]
    backup, restore = code_block(PAGE, "## Backup", "sql").replace("TasksDb", name).splitlines()
    master = databases.at(database="master")
    with closing(sqlserver.connect(master, query_seconds=60)) as connection:
        for statement in (backup, f"DELETE FROM {name}.dbo.Task", restore):
            try:
                cursor = connection.execute(statement)
                while cursor.nextset():
                    pass
            except Exception as error:
                if "not currently supported" in str(error):
                    pytest.skip(f"this server has no backups: {error}")
                raise
    with closing(sqlserver.connect(databases.made[tmp_path])) as connection:
        assert connection.execute("SELECT COUNT(*) FROM Task").fetchval() == 5
