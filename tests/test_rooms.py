"""The house: who imports whom. README's picture of it, held against the code."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks_api.config import ROOT

PACKAGE = ROOT / "tasks_api"
# From the ground up: a module may import what is on its own floor or below, and a room may import itself.
FLOORS = [
    ["clock", "errors", "audit"],
    ["config"],
    ["models", "attempts"],
    ["database"],
    ["web"],
    ["monitoring", "auth", "tasks"],
    [""],  # the package itself: the wiring
]
FLOOR = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
SERVICES = ["auth/users.py", "auth/sessions.py", "auth/refresh.py", "tasks/service.py"]
PURE = ["auth/refresh_tokens.py", "auth/passwords.py", "clock.py", "errors.py", "audit.py"]

Import = tuple[str, str]  # a module, a name of it


def imports(path: Path) -> Iterator[Import]:
    """What a file imports, ours by their place in the package: ``database.engine``, ``db``."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            base = parts[: len(parts) - node.level] if node.level else ()
            module = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            for alias in node.names:
                is_module = (PACKAGE / module.replace(".", "/") / f"{alias.name}.py").exists()
                if node.level and is_module:
                    yield f"our {module}.{alias.name}".replace(" .", " "), ""
                else:
                    yield f"our {module}" if node.level else module, alias.name


def ours(path: Path) -> list[Import]:
    return [
        (name.removeprefix("our "), what) for name, what in imports(path) if name.startswith("our ")
    ]


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_imports_upward_or_another_rooms_private_names(path: Path) -> None:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    room = "" if parts == ("__init__",) else parts[0]
    for module, name in ours(path):
        target = module.partition(".")[0]
        assert (
            FLOOR[target] < FLOOR[room] or target == room or (room, target) == ("tasks", "auth")
        ), module
        assert not name.startswith("_"), f"{module}.{name}"


def test_there_is_no_circle() -> None:
    edges = {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): {
            module for module, _ in ours(path)
        }
        for path in MODULES
    }
    while leaves := {name for name, targets in edges.items() if not targets & edges.keys()}:
        edges = {name: targets for name, targets in edges.items() if name not in leaves}
    assert not edges


def reached(path: Path, seen: set[Path]) -> set[Path]:
    """The files that are there when this one is imported."""
    seen.add(path)
    for module, _ in ours(path):
        file = PACKAGE / f"{module.replace('.', '/')}.py"
        file = file if file.exists() else PACKAGE / module / "__init__.py"
        if file not in seen:
            reached(file, seen)
    return seen


@pytest.mark.parametrize("name", SERVICES)
def test_services_know_nothing_of_http(name: str) -> None:
    """They know an application and its settings (current_app, g), never a request, a response, or the web room."""
    assert not [module for module, _ in imports(PACKAGE / name) if module.startswith("flask")]
    for path in reached(PACKAGE / name, set()):
        assert "web" not in path.relative_to(PACKAGE).parts
        of_flask = {what for module, what in imports(path) if module in ("flask", "werkzeug")}
        assert of_flask <= {"Flask", "current_app", "g"}, path


@pytest.mark.parametrize("name", PURE)
def test_what_is_pure_needs_neither_flask_nor_a_database(name: str) -> None:
    for path in reached(PACKAGE / name, set()):
        outside = {module.partition(".")[0] for module, _ in imports(path)}
        assert not outside & {"flask", "sqlalchemy", "werkzeug"}


def test_routes_know_nothing_of_sql() -> None:
    for path in PACKAGE.rglob("routes.py"):
        assert not [
            module
            for module, _ in imports(path)
            if module.startswith(("sqlalchemy", "our database"))
        ]


def test_no_file_is_longer_than_three_hundred_lines() -> None:
    files = [
        *PACKAGE.rglob("*.py"),
        *(ROOT / "tests").rglob("*.py"),
        *(ROOT / "benchmarks").glob("*.py"),
    ]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files}
    assert {name: length for name, length in lengths.items() if length > 300} == {}


def test_tests_are_laid_out_like_the_package_and_import_no_other() -> None:
    tests = ROOT / "tests"
    rooms = {
        path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"
    }
    assert rooms <= {path.name for path in tests.iterdir() if path.is_dir()}
    for path in tests.rglob("*.py"):
        tree = ast.parse(path.read_text())
        froms = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        assert not [name for name in froms if ".test_" in f".{name}"], path
