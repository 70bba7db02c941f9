"""Each promise of docs/guarantees.md names tests that exist, and so does each row of the README's table of faults.

That they show what it says is for its reader.
"""

import re

import pytest

from ops.gamedays import catalogue
from tests.components.recording import ROOT
from tests.contract.test_threat_model import names_in

_PAGE = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
_PROMISES = [
    (promise, re.findall(r"\[`(\w+)`\]\(\.\./(tests/[^)]+)\)", tests))
    for promise, tests in re.findall(r"^\| (.+?) \| (\[`.+) \|$", _PAGE, re.MULTILINE)
]
_README = (ROOT / "README.md").read_text(encoding="utf-8")
_FAULT = re.compile(
    r"^\| .+ \| .+ \| \[`(\w+)`\]\((tests/[^)]+)\) \| \[`([\w-]+)`\]\((ops/[^)]+)\) \| \[([\w-]+)\]\((ops/[^)]+)\) \|$",
    re.MULTILINE,
)
_FAULTS = _FAULT.findall(_README)


def test_every_row_is_read() -> None:
    """None is skipped for its form: the table has as many rows as were understood."""
    assert len(_PROMISES) == len(re.findall(r"^\| ", _PAGE, re.MULTILINE)) - 1


@pytest.mark.parametrize(("promise", "tests"), _PROMISES, ids=[promise for promise, _ in _PROMISES])
def test_every_promise_has_tests(promise: str, tests: list[tuple[str, str]]) -> None:
    """At least one, each in the file that it links to."""
    assert tests, promise
    assert [f"{path}::{name}" for name, path in tests if name not in names_in(ROOT / path)] == []


def test_the_readme_tells_of_six_faults() -> None:
    """None is skipped for its form."""
    table = _README.partition("## What happens when …")[2].partition("\n## ")[0]

    assert len(_FAULTS) == len(re.findall(r"^\| ", table, re.MULTILINE)) - 1 == 6


@pytest.mark.parametrize(
    ("test", "file", "gameday", "code", "runbook", "page"), _FAULTS, ids=[fault[2] for fault in _FAULTS]
)
def test_a_fault_has_its_test_drill_and_runbook(  # noqa: PLR0917 - the cells of a row
    test: str, file: str, gameday: str, code: str, runbook: str, page: str
) -> None:
    """Each by its name, and the link leads to that one."""
    assert test in names_in(ROOT / file)
    assert catalogue.named(gameday).name.replace("-", "_") == (ROOT / code).stem
    assert (ROOT / page).is_file()
    assert page == f"ops/runbooks/{runbook}.md"


def test_the_readme_is_short() -> None:
    """Nobody reads more before it has run: 900 words with commands and tables."""
    assert len(_README.split()) <= 900
