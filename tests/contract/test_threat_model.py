"""The threat model is whole, and what it leans on exists. That the tests show what it says is for its reader."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.components.recording import ROOT

_FILE = ROOT / "docs" / "threat-model.md"
_EDGE = re.compile(r"^## (\d+\. .+)$\n+((?:^\|.*\|$\n)+)", re.MULTILINE)
_LINK = re.compile(r"\[`([^`]+)`\]\(\.\./([^)#]+)\)")
_EXCUSE = re.compile(r"\b(n/a|accepted): \S")


def _edges() -> dict[str, list[list[str]]]:
    """Title of each edge of the data flow -> its rows: letter, threat and answer, code, tests."""
    return {title: _rows(table) for title, table in _EDGE.findall(_FILE.read_text(encoding="utf-8"))}


def _rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


@cache
def names_in(path: Path) -> frozenset[str]:
    """Names of the functions of a test file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


_ALL = [(title, row) for title, rows in _edges().items() for row in rows]


def test_every_edge_of_the_drawing_is_judged() -> None:
    """The numbers in the drawing are those of the sections, in order."""
    drawing = _FILE.read_text(encoding="utf-8").partition("```")[2].partition("```")[0]
    drawn = {int(number) for number in re.findall(r"──(\d+)──", drawing)}

    assert [int(title.partition(".")[0]) for title in _edges()] == sorted(drawn) == list(range(1, 14))


@pytest.mark.parametrize("title", _edges())
def test_every_edge_has_all_six(title: str) -> None:
    """Each kind of threat once, in STRIDE's order, so that none is forgotten."""
    assert "".join(row[0] for row in _edges()[title]) == "STRIDE"


@pytest.mark.parametrize(("title", "row"), _ALL, ids=lambda value: value if isinstance(value, str) else value[0])
def test_every_answer_has_code_and_a_test(title: str, row: list[str]) -> None:
    """Each names files that exist and tests that these files have; one without says why (n/a or accepted)."""
    _, answer, code, tests = row
    missing = [path for _, path in _LINK.findall(code) if not (ROOT / path).is_file()]
    absent = [f"{path}::{name}" for name, path in _LINK.findall(tests) if name not in names_in(ROOT / path)]

    assert (title, missing, absent) == (title, [], [])
    assert [name for name, path in _LINK.findall(code) if Path(path).name != name] == []
    assert [path for _, path in _LINK.findall(tests) if not path.startswith("tests/")] == []
    if not _EXCUSE.search(answer):
        assert _LINK.findall(code)
        assert _LINK.findall(tests)


def test_security_policy_leads_here() -> None:
    """The two documents name each other, and every link of the policy leads somewhere."""
    policy = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", policy) if not link.startswith("https://")]

    assert "docs/threat-model.md" in links
    assert [link for link in links if not (ROOT / link).exists()] == []
    assert "../SECURITY.md" in _FILE.read_text(encoding="utf-8")
