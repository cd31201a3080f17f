"""docs/extending.md: its resource, in a copy of the tree with nothing else changed than what the page says."""

import re
import shutil
import sys
from pathlib import Path

from tasks_api.config import ROOT
from tests.live import output_of

# The tests of what a resource could break: rooms, documents, schema, deletion and export.
TESTS = """notes test_rooms.py test_documents.py database/test_schema.py web/test_openapi.py auth/test_account.py
    auth/test_commands.py examples/test_postman.py"""
GRANT = "GRANT SELECT, INSERT, UPDATE, DELETE ON {} TO tasks_service;\n"
LINES = {  # what comes after which place
    "tasks_api/__init__.py": {
        r"from .tasks.routes import tasks\n": "from .notes.routes import notes\n",
        r"for blueprint in \(\s*public,": " notes,",
    },
    "README.md": {"the tasks\n": "    notes/                  the notes\n"},
    "docs/sql-server.md": {GRANT.format("Task"): GRANT.format("Note")},
}


def test_the_resource_works_and_breaks_nothing(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    ignored = shutil.ignore_patterns(
        ".*", "instance", "*.egg-info", "node_modules", "__pycache__"
    )
    shutil.copytree(ROOT, copy, ignore=ignored)
    (copy / "instance").mkdir()
    page = (ROOT / "docs" / "extending.md").read_text()
    number = 1 + len(list(ROOT.glob("sql/sqlite/0*.sql")))
    resource = page.split("## A field")[0].replace("004_", f"{number:03}_")
    resource = resource.replace("= 4)", f"= {number})").replace("(4)", f"({number})")
    for name, text in re.findall(r"```\w+\n(?:--|#) (\S+)\n(.*?)```", resource, re.DOTALL):
        file = copy / name
        file.parent.mkdir(exist_ok=True)
        with file.open("a") as end:
            end.write(text)
    for name, lines in LINES.items():
        text = (copy / name).read_text()
        for place, line in lines.items():
            text, count = re.subn(f"({place})", rf"\1{line}", text)
            assert count == 1, place
        (copy / name).write_text(text)
    tests = [f"tests/{each}" for each in TESTS.split()]
    output_of(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, folder=copy)
