"""The commands by which people do a GameDay themselves."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from ops.cli.main import app
from ops.gamedays import catalogue, report

_LINES = [
    (one.name, line) for one in catalogue.ALL for step in one.steps for line in step.by_hand if not line.startswith("#")
]


def _of_lab(line: str) -> Iterator[list[str]]:
    """The words of each call of `lab` in a line."""
    for call in re.findall(r"(?:^|\$\()lab ([^)\"|>]*)", line):
        yield call.split()


@pytest.mark.parametrize(("name", "line"), _LINES, ids=[f"{name}: {line[:40]}" for name, line in _LINES])
def test_it_can_be_typed(name: str, line: str) -> None:
    """Each `lab` is a command that there is, with options that it has; the rest is curl, aws and the shell's own."""
    for words in _of_lab(line):
        command: Any = typer.main.get_command(app)
        while getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options, name
    assert re.match(r"(lab|curl|aws|cp|mkdir|printf) ", line), name


def test_no_line_reaches_aws_from_the_laptop() -> None:
    """Each call of the aws CLI names the endpoint, also within another command."""
    shown = [report._typed([line], "http://127.0.0.1:1") for _, line in _LINES]
    calls = [call for line in shown for call in re.findall(r"\baws (?:[a-z-]+ )?\S+", line)]

    assert len(calls) >= 8
    assert [call for call in calls if not call.startswith("aws --endpoint-url http://127.0.0.1:1")] == []
