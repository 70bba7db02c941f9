"""docs/house.md is the tree as it is: every path in it exists, and every package of the first level is in it."""

import re

from tests.components.recording import ROOT

_PATHS = frozenset(
    path
    for path in re.findall(r"`([\w./-]+)`", (ROOT / "docs" / "house.md").read_text(encoding="utf-8"))
    if path.startswith(("components/", "handlers/", "ops/", "tests/")) or (ROOT / path).is_file()
)


def test_what_it_names_exists() -> None:
    """Folders end with a slash."""
    assert {
        path for path in _PATHS if not ((ROOT / path).is_dir() if path.endswith("/") else (ROOT / path).is_file())
    } == set()


def test_it_names_every_package() -> None:
    """Each folder of the four, so that a new one can't be left out."""
    found = {
        f"{folder}/{path.name}/"
        for folder in ("components", "handlers", "ops", "tests")
        for path in (ROOT / folder).iterdir()
        if path.is_dir() and any(file.suffix in {".py", ".md", ".txt"} for file in path.iterdir())
    }

    assert found - _PATHS == set()
