"""README, SECURITY.md and docs/ name what is there."""

import re

from tasks_api.config import ROOT

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *(ROOT / "docs").glob("*.md"),
]


def test_every_link_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_target_of_make_is_one() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        named = re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(), re.MULTILINE)
        assert set(named) <= targets, page.name


def test_the_readme_is_the_first_quarter_of_an_hour() -> None:
    assert len((ROOT / "README.md").read_text().split()) <= 2000


def test_the_security_page_names_what_is_there() -> None:
    page = (ROOT / "SECURITY.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", page))
    assert len(named) > 20
    sources = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert not {name for name in named if f"def {name}(" not in sources}
    for path in set(re.findall(r"`((?:\w+/)?\w+\.py)`", page)):
        assert (ROOT / "tasks_api" / path).is_file(), path


def test_the_security_page_has_every_event() -> None:
    page = (ROOT / "SECURITY.md").read_text()
    listed = page.split("## Log and alerts")[1].split("Alert on")[0]
    sources = "".join(path.read_text() for path in (ROOT / "tasks_api").rglob("*.py"))
    raised = set(re.findall(r'security_event\(\s*"(\w+)"', sources))
    assert raised == set(re.findall(r"`([a-z]+_[a-z_]+)`", listed))
