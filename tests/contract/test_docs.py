"""What people type and what they look at is in the documentation, and what the documentation names exists."""

import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from ops.cli.main import app
from ops.local.cloudwatch import log_metrics
from ops.local.cloudwatch.logs import LogEvent
from tests.components.recording import ROOT

_DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "ops/runbooks").glob("*.md"))]
_OBSERVABILITY = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")


def _leaves(command: Any, path: tuple[str, ...] = ("lab",)) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that call it."""
    children = getattr(command, "commands", {})
    if not children:
        yield path, command
    for name, child in children.items():
        yield from _leaves(child, (*path, name))


_COMMANDS = {" ".join(path): command for path, command in _leaves(typer.main.get_command(app))}


@pytest.mark.parametrize("words", _COMMANDS)
def test_every_command_is_documented(words: str) -> None:
    """Somewhere in the README, the documentation or a runbook."""
    mention = re.compile(rf"\b{words}\b")

    assert [path.name for path in _DOCUMENTS if mention.search(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("words", _COMMANDS)
def test_every_command_shows_an_example(words: str) -> None:
    """In its help, with options that it has."""
    command = _COMMANDS[words]
    (example,) = re.findall(rf"^ *Example: .*?\b{words}\b(.*)$", command.help, re.MULTILINE)
    options = {option for parameter in command.params for option in parameter.opts}

    assert {word.rstrip(")") for word in example.split() if word.startswith("--")} <= options


def _table(first: str) -> dict[str, str]:
    """A table of the document by the names in its first column."""
    (rows,) = re.findall(rf"^\| {first} \|.*\n\|[-|]+\n((?:\|.*\n)+)", _OBSERVABILITY, re.MULTILINE)
    return dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", rows, re.MULTILINE))


def test_every_saved_query_is_explained() -> None:
    """Each file of ops/queries, and no other."""
    assert _table("saved query").keys() == {path.stem for path in (ROOT / "ops" / "queries").iterdir()}


def test_every_metric_of_ours_is_explained(log_set: list[LogEvent]) -> None:
    """Each that some handler sends, and no other."""
    sent = {datum.metric.name for event in log_set for datum in log_metrics.embedded(event.message)}

    assert _table("metric").keys() == sent


def test_links_lead_somewhere() -> None:
    """Every file that the documentation refers to is there."""
    links = {
        (path, link)
        for path in _DOCUMENTS
        for link in re.findall(r"\]\(([^)#]+)", path.read_text(encoding="utf-8"))
        if "://" not in link
    }

    assert {str(path) for path, link in links if not (path.parent / link).exists()} == set()


def test_every_page_is_found_on_the_site() -> None:
    """What the navigation names is there, once; a page that it does not name is one that another page leads to."""
    navigation = str(tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"])
    named = re.findall(r"'docs/([^']+\.md)'", navigation)
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    text = "".join(path.read_text(encoding="utf-8") for path in _DOCUMENTS)

    assert set(named) <= pages | {"code.md"}
    assert len(named) == len(set(named))
    assert {page for page in pages - set(named) if not re.search(rf"[(/]{page}[)#]", text)} == set()


def test_every_page_of_the_control_room_is_told_of() -> None:
    """Each that its head leads to has a row; its pictures are there, and small; README has the first."""
    head = (ROOT / "ops" / "console" / "templates" / "base.html").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "console.md").read_text(encoding="utf-8")
    table = page.partition("| page | shows |")[2].partition("\n\n")[0]
    pictures = {*re.findall(r"\]\(([^)]+\.png)\)", page)}

    assert re.findall(r"^\| \[?([A-Z][A-Za-z ]*[a-zA-Z])", table, re.MULTILINE) == re.findall(
        r'\("/[a-z]*", "([^"]+)"\)', head
    )
    assert {name for name in pictures if (ROOT / "docs" / name).stat().st_size > 200_000} == set()
    assert "](docs/console.png)" in (ROOT / "README.md").read_text(encoding="utf-8")
