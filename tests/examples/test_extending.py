"""docs/extending.md: its resource, in a copy of the tree with nothing else changed than what the page says."""

import re
import shutil
import sys
from pathlib import Path

from tasks_api.config import ROOT
from tests.live import output_of

# The tests of what a resource could break: rooms, documents, schema, deletion and export.
TESTS = "notes test_rooms.py test_documents.py database/test_schema.py web/test_openapi.py auth/test_account.py"
LINES = {
    "tasks_api/__init__.py": [
        ("from .tasks.routes import tasks\n", "from .notes.routes import notes\n"),
        ("(public, account, tasks, ", "notes, "),
    ],
    "README.md": [("the tasks\n", "    notes/                  the notes\n")],
    "docs/sql-server.md": [
        (
            "ON Task TO tasks_service;\n",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON Note TO tasks_service;\n",
        )
    ],
}


def test_the_resource_works_and_breaks_nothing(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    ignored = shutil.ignore_patterns(
        ".*", "instance", "*.egg-info", "node_modules", "__pycache__"
    )
    shutil.copytree(ROOT, copy, ignore=ignored)
    (copy / "instance").mkdir()
    page = (ROOT / "docs" / "extending.md").read_text()
    resource = page.split("## A field")[0]
    for name, text in re.findall(r"```\w+\n(?:--|#) (\S+)\n(.*?)```", resource, re.DOTALL):
        file = copy / name
        file.parent.mkdir(exist_ok=True)
        (file.parent / "__init__.py").touch()
        with file.open("a") as end:
            end.write(text)
    for name, lines in LINES.items():
        text = (copy / name).read_text()
        for before, line in lines:
            assert text.count(before) == 1, before
            text = text.replace(before, before + line)
        (copy / name).write_text(text)
    tests = [f"tests/{each}" for each in TESTS.split()]
    output_of(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, folder=copy)
