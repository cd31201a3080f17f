"""README, SECURITY.md, CONTRIBUTING.md and docs/ name only what is there."""

import re

import pytest

from tasks_api.config import PREFIX, ROOT, ConfigError
from tests.live import load_settings

PAGES = {path.name: path.read_text() for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))}
SECURITY = PAGES["SECURITY.md"]

each_page = pytest.mark.parametrize("page", PAGES)


@each_page
def test_every_link_leads_to_a_file(page: str) -> None:
    folder = ROOT if (ROOT / page).exists() else ROOT / "docs"
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", PAGES[page]):
        assert (folder / target).exists(), target


@each_page
def test_every_target_of_make_is_in_the_makefile(page: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", PAGES[page], re.MULTILINE)) <= targets


def is_setting(name: str) -> bool:
    try:
        load_settings({name: "x"})
    except ConfigError as error:  # "x" may be a wrong value
        return "is not a setting" not in error.message
    return True


@each_page
def test_every_setting_is_one(page: str) -> None:
    names = set(re.findall(rf"\b{PREFIX}[A-Z_]*[A-Z]\b", PAGES[page]))
    assert not [name for name in names if not is_setting(name)]


def test_the_readme_is_short() -> None:
    prose = re.sub(r"```.*?```", "", PAGES["README.md"], flags=re.DOTALL)
    assert len(prose.split()) <= 900


def test_the_security_page_names_tests_and_files_that_exist() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    tests = set(re.findall(r"`(test_\w+)`", SECURITY))
    assert tests
    assert not {name for name in tests if f"def {name}(" not in sources}
    for path in set(re.findall(r"`((?:\w+/)?\w+\.py)`", SECURITY)):
        assert (ROOT / "tasks_api" / path).is_file(), path


def test_the_security_page_has_every_event() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "tasks_api").rglob("*.py"))
    events = set(re.findall(r'security_event\(\s*"(\w+)"', sources))
    assert events <= set(re.findall(r"`(\w+)`", SECURITY))
