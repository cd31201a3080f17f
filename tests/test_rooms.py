"""The house: who imports whom. README's picture of it, held against the code."""

import ast
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path

import pytest

from tasks_api.config import ROOT

PACKAGE = ROOT / "tasks_api"
TESTS = ROOT / "tests"
# From the ground up: a module may import what is on its own floor or below, and a room may import itself.
FLOORS = [
    ["clock", "errors", "audit"],
    ["config"],
    ["models", "attempts"],
    ["database"],
    ["web"],
    ["monitoring", "auth", "tasks"],
    ["tasks_api"],  # the package itself: the wiring
]
FLOOR = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
MODULES = sorted(PACKAGE.rglob("*.py"))


def module_of(path: Path) -> str:
    """``tasks_api.database.engine``; of a package it is the folder's name."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def path_of(module: str) -> Path:
    path = ROOT / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """The modules that a file imports by their full names, and what of each: ``""`` for the module itself."""
    package = ".".join(path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                module = f"{base}.{alias.name}"
                yield (module, "") if path_of(module).exists() else (base, alias.name)


def imported(path: Path) -> set[str]:
    return {module for module, _ in imports(path)}


def of_ours(path: Path) -> set[str]:
    return {module for module in imported(path) if module.startswith("tasks_api")}


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else module


@pytest.mark.parametrize("path", MODULES, ids=module_of)
def test_nothing_imports_upward_or_another_rooms_private_names(path: Path) -> None:
    room = room_of(module_of(path))
    for module, name in imports(path):
        if module.startswith("tasks_api"):
            target = room_of(module)
            is_below = FLOOR[target] < FLOOR[room] or (room, target) == ("tasks", "auth")
            assert is_below or target == room, module
            assert not name.startswith("_"), f"{module}.{name}"


def test_there_is_no_circle() -> None:
    edges = {module_of(path): of_ours(path) for path in MODULES}
    assert "tasks_api.config" in edges["tasks_api.database.engine"]
    while leaves := {name for name, targets in edges.items() if not targets & edges.keys()}:
        edges = {name: targets for name, targets in edges.items() if name not in leaves}
    assert not edges


def reached(path: Path, seen: set[Path]) -> set[Path]:
    """The files that are there when this one is imported."""
    seen.add(path)
    for module in of_ours(path):
        if path_of(module) not in seen:
            reached(path_of(module), seen)
    return seen


@pytest.mark.parametrize(
    "name",
    [
        "auth/users.py",
        "auth/accounts.py",
        "auth/sessions.py",
        "auth/refresh.py",
        "tasks/service.py",
    ],
)
def test_services_know_nothing_of_http(name: str) -> None:
    """They know an application and its settings (current_app, g), never a request, a response, or the web room."""
    assert not [module for module in imported(PACKAGE / name) if module.startswith("flask")]
    for path in reached(PACKAGE / name, set()):
        assert room_of(module_of(path)) != "web"
        of_flask = {what for module, what in imports(path) if module in ("flask", "werkzeug")}
        assert of_flask <= {"Flask", "current_app", "g"}, path


@pytest.mark.parametrize(
    "name", ["auth/refresh_tokens.py", "auth/passwords.py", "clock.py", "errors.py", "audit.py"]
)
def test_what_is_pure_needs_neither_flask_nor_a_database(name: str) -> None:
    for path in reached(PACKAGE / name, set()):
        outside = {module.partition(".")[0] for module in imported(path)}
        assert not outside & {"flask", "sqlalchemy", "werkzeug"}


@pytest.mark.parametrize("name", ["auth/routes.py", "tasks/routes.py"])
def test_routes_know_nothing_of_sql(name: str) -> None:
    found = imported(PACKAGE / name)
    assert not [each for each in found if each.startswith(("sqlalchemy", "tasks_api.database"))]


def test_no_file_is_longer_than_three_hundred_lines() -> None:
    for path in (*MODULES, *TESTS.rglob("*.py"), *(ROOT / "benchmarks").glob("*.py")):
        assert len(path.read_text().splitlines()) <= 300, path


def test_tests_are_laid_out_like_the_package_and_import_no_other() -> None:
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert rooms <= {path.parent.name for path in TESTS.glob("*/__init__.py")}
    for path in TESTS.rglob("*.py"):
        for module, name in imports(path):
            assert ".test_" not in f".{module}.{name}", path
