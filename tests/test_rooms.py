"""README's picture of the rooms, held against the tree; and which room may import which."""

import ast
import re
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path

import pytest

from tasks_api.config import ROOT

PACKAGE = ROOT / "tasks_api"
TESTS = ROOT / "tests"
# From the ground up: a module may import its own room and what is on a floor below.
FLOORS = [
    ["clock", "errors", "audit", "dotnet"],
    ["config"],
    ["database"],
    ["web"],
    ["auth", "monitoring"],
    [],  # resources: tasks, and what a fork adds
    ["tasks_api"],  # the package itself, which wires all
]
FLOOR = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
RESOURCES = len(FLOORS) - 2
# In a room with routes, these modules know HTTP or the command line. All others are services.
NOT_SERVICES = {"routes", "jwks", "schemas", "commands", "cookie", "limits", "access_tokens"}
PURE = ["auth/refresh_tokens.py", "auth/passwords.py", "clock.py", "errors.py", "audit.py"]


def pictured() -> Iterator[str]:
    """The paths in README's picture. A folder's path ends with a slash."""
    _, picture = (ROOT / "README.md").read_text().split("```\nwsgi.py, gunicorn.conf.py", 1)
    yield from ("wsgi.py", "gunicorn.conf.py")
    folder = ""
    for line in picture.split("```")[0].splitlines()[1:]:
        names = re.match(r"( *[\w./]+(/|\.py)(?=[ ,]|$),?)*", line)
        for name in re.findall(r"[^ ,]+", names[0] if names else ""):
            folder = folder if line.startswith(" ") else name
            yield folder + name if line.startswith(" ") else name


def test_the_picture_shows_what_is_there() -> None:
    assert not [path for path in pictured() if not (ROOT / path).exists()]
    folders = {f"{path.parent.relative_to(ROOT)}/" for path in PACKAGE.glob("*/__init__.py")}
    modules = {str(path.relative_to(ROOT)) for path in PACKAGE.glob("*.py")}
    assert folders | modules <= set(pictured())


def module_of(path: Path) -> str:
    """``tasks_api.database.engine``; for a package its folder's name."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
ROUTES = [path for path in MODULES.values() if path.stem == "routes"]
SERVICES = [
    path
    for routes in ROUTES
    for path in sorted(routes.parent.glob("*.py"))
    if path.stem not in NOT_SERVICES
]


def room_of(name: str) -> str:
    return name.split(".")[1] if "." in name else name


def imports(path: Path) -> set[str]:
    """The full names of what a file imports: modules, and names in modules."""
    package = ".".join(path.relative_to(ROOT).parent.parts)
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def of_ours(path: Path) -> set[str]:
    """The modules of the package that a file imports."""
    names = {name if name in MODULES else name.rpartition(".")[0] for name in imports(path)}
    return names & MODULES.keys()


def reached(path: Path) -> set[Path]:
    """The files that are loaded with this one."""
    found, new = set(), {path}
    while new:
        found |= new
        new = {MODULES[name] for each in new for name in of_ours(each)} - found
    return found


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_its_own_room_or_a_lower_floor_and_no_private_names(module: str) -> None:
    for name in imports(MODULES[module]):
        if name.startswith("tasks_api."):
            room, target = room_of(module), room_of(name)
            height = FLOOR.get(room, RESOURCES)
            assert target == room or FLOOR.get(target, RESOURCES) < height, name
            assert "._" not in name


@pytest.mark.parametrize("path", SERVICES, ids=module_of)
def test_services_know_nothing_of_http(path: Path) -> None:
    loaded = reached(path)
    assert not [file for file in loaded if file.parent.name == "web"]
    names = {name for file in loaded for name in imports(file)}
    of_flask = {name for name in names if name.startswith(("flask.", "werkzeug."))}
    # An application and its settings, never a request or a response.
    assert of_flask <= {
        "flask.Flask",
        "flask.current_app",
        "flask.g",
        "werkzeug.local.LocalProxy",
    }


@pytest.mark.parametrize("name", PURE)
def test_pure_code_needs_neither_flask_nor_a_database(name: str) -> None:
    names = {name for file in reached(PACKAGE / name) for name in imports(file)}
    assert not [name for name in names if name.startswith(("flask", "sqlalchemy", "werkzeug"))]


@pytest.mark.parametrize("path", ROUTES, ids=module_of)
def test_routes_know_nothing_of_sql(path: Path) -> None:
    names = imports(path)
    assert not [name for name in names if name.startswith(("sqlalchemy", "tasks_api.database"))]


def test_no_file_is_long() -> None:
    for path in (*MODULES.values(), *TESTS.rglob("*.py"), *ROOT.glob("benchmarks/*.py")):
        longest = 250 if path.is_relative_to(PACKAGE) else 300
        assert len(path.read_text().splitlines()) <= longest, path


def test_tests_are_laid_out_like_the_package_and_import_no_test() -> None:
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert rooms <= {path.parent.name for path in TESTS.glob("*/__init__.py")}
    for path in TESTS.rglob("*.py"):
        assert not [name for name in imports(path) if ".test_" in f".{name}"], path
