"""Each promise of docs/guarantees.md names tests that exist. That they show what it says is for its reader."""

import re

import pytest

from tests.components.recording import ROOT
from tests.contract.test_threat_model import names_in

_PAGE = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
_PROMISES = [
    (promise, re.findall(r"\[`(\w+)`\]\(\.\./(tests/[^)]+)\)", tests))
    for promise, tests in re.findall(r"^\| (.+?) \| (\[`.+) \|$", _PAGE, re.MULTILINE)
]


def test_every_row_is_read() -> None:
    """None is skipped for its form: the table has as many rows as were understood."""
    assert len(_PROMISES) == len(re.findall(r"^\| ", _PAGE, re.MULTILINE)) - 1


@pytest.mark.parametrize(("promise", "tests"), _PROMISES, ids=[promise for promise, _ in _PROMISES])
def test_every_promise_has_tests(promise: str, tests: list[tuple[str, str]]) -> None:
    """At least one, each in the file that it links to."""
    assert tests, promise
    assert [f"{path}::{name}" for name, path in tests if name not in names_in(ROOT / path)] == []
