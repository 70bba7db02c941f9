"""Runbooks are for exactly the alarms that there are, and each step in them is a command that exists.

That the commands do what the text says is for the drills; here `lab` and AWS's own models say that there are such
commands with such options.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest
import typer.main
from botocore import xform_name

from components.observability.alarms.model import SEVERITIES
from handlers import alarm_text
from ops.cli.main import app
from tests.components.config.configuring import read
from tests.components.recording import EVERY_PIPELINE, ROOT, run_main

_RUNBOOKS = ROOT / "ops" / "runbooks"
_FILES = sorted(_RUNBOOKS.glob("*.md"))
_PROGRAMS = {"aws", "curl", "lab", "make", "pulumi"}
_OPTIONS_OF_AWS = {"--output", "--query"}  # of every command; the rest is in the service's model
_OPERAND = re.compile(r"\$\(([^()]*(?:\([^()]*\)[^()]*)*)\)")


def _blocks(text: str) -> list[str]:
    blocks: list[str] = re.findall(r"^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return blocks


def _lines(path: Path) -> list[str]:
    return [line for block in _blocks(path.read_text(encoding="utf-8")) for line in block.splitlines()]


def _commands(line: str) -> Iterator[list[str]]:
    """The words of the command, and of each command within it: `$(…)` is replaced by a plain word."""
    while inner := _OPERAND.search(line):
        yield from _commands(inner[1])
        line = line[: inner.start()] + "WORD" + line[inner.end() :]
    yield shlex.split(line)


def _all() -> list[tuple[str, list[str]]]:
    return [(path.stem, words) for path in _FILES for line in _lines(path) for words in _commands(line)]


def _of(program: str) -> list[list[str]]:
    return [list(words) for words in sorted({tuple(words) for _, words in _all() if words[0] == program})]


@pytest.mark.parametrize("stack", ["local", "dev", "prod"])
def test_runbooks_are_those_of_the_alarms(stack: str) -> None:
    """There is a runbook for every alarm, one for none, and each alarm's description names its own."""
    alarms = run_main(stack, {"pipelines": list(EVERY_PIPELINE), "useKmsCmk": True}).of("MetricAlarm")
    named = {alarm_text.runbook(alarm.inputs["alarmDescription"]) for alarm in alarms}

    assert named == {path.relative_to(ROOT).as_posix() for path in _RUNBOOKS.iterdir()}


def test_severities_are_read_as_they_are_written() -> None:
    """The program's severities are those that the webhook and `lab alarms` know; its topics and alarms name them."""
    made = run_main("dev")
    overall = [alarm.inputs["alarmName"] for alarm in made.of("CompositeAlarm")]
    topics = [topic.name for topic in made.of("Topic") if topic.name.startswith("alarms-")]

    assert alarm_text.SEVERITIES == SEVERITIES
    assert sorted(map(str, map(alarm_text.severity, overall))) == list(SEVERITIES)
    assert sorted(map(str, map(alarm_text.severity, topics))) == list(SEVERITIES)


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.stem)
def test_runbooks_say_what_to_look_at_to_repair_and_when_it_is_over(path: Path) -> None:
    """Each has its alarm's name as title and the same three parts, with a command in each."""
    text = path.read_text(encoding="utf-8")
    parts = re.split(r"^## ", text, flags=re.MULTILINE)

    assert text.startswith(f"# {path.stem}\n")
    assert [part.partition("\n")[0] for part in parts[1:]] == ["Look", "Repair", "Over"]
    assert [part.partition("\n")[0] for part in parts[1:] if not _blocks(part)] == []


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    """Every runbook that another refers to is there."""
    links = re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8"))

    assert [link for link in links if not (_RUNBOOKS / link).is_file()] == []


def test_every_step_begins_with_a_known_program() -> None:
    """No step needs anything but what comes with the project, the AWS CLI, curl or Pulumi."""
    assert {words[0] for _, words in _all()} <= _PROGRAMS


@pytest.mark.parametrize("words", _of("lab"), ids=" ".join)
def test_lab_has_the_commands(words: list[str]) -> None:
    """Each `lab` line is a command of it, with options that the command has."""
    command = typer.main.get_command(app)
    path = words[1:]
    while path and (found := getattr(command, "commands", {}).get(path[0])) is not None:
        command, path = found, path[1:]
    options = {option for parameter in command.params for option in parameter.opts}

    assert not getattr(command, "commands", {})
    assert {word for word in path if word.startswith("--")} <= options


@pytest.mark.parametrize("words", _of("aws"), ids=" ".join)
def test_aws_has_the_operations(words: list[str]) -> None:
    """Each `aws` line is an operation of the service, with parameters that the operation takes."""
    model = botocore.session.Session().get_service_model(words[1])
    operations = {xform_name(name, "-"): name for name in model.operation_names}
    shape = model.operation_model(operations[words[2]]).input_shape
    known = {f"--{xform_name(name, '-')}" for name in (shape.members if shape else {})}

    assert {word for word in words[3:] if word.startswith("--")} <= known | _OPTIONS_OF_AWS


@pytest.mark.parametrize("words", _of("pulumi"), ids=" ".join)
def test_configuration_is_changed_to_what_the_program_takes(words: list[str]) -> None:
    """What a runbook sets is a key of the program and a value within its limits."""
    if words[1:3] == ["config", "set"]:
        read({words[3]: words[4]})
    else:
        assert words[1] == "up"
