"""Runbooks are for exactly the alarms and topics that there are, and each step in them is a command that exists.

Each runbook is rendered for each of its alarms and pipelines, on the laptop and on AWS, as `lab runbook` does. That the
commands do what the text says is for tests/ops/test_runbooks.py; here `lab` and AWS's own models say that there are
such commands, with such options and with what they can't do without.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from components.observability.alarms.model import SEVERITIES
from handlers import alarm_text
from ops.cli import runbook as runbooks
from ops.cli.target import TargetError
from tests.components.config.configuring import read
from tests.components.recording import EVERY_PIPELINE, REGION, ROOT, run_main
from tests.contract.blocks import commands, fault_of_aws, fault_of_lab

_RUNBOOKS = ROOT / "ops" / "runbooks"
_FILES = sorted(_RUNBOOKS.glob("*.md"))
_EVERYTHING: Mapping[str, object] = {
    "pipelines": list(EVERY_PIPELINE),
    "useKmsCmk": True,
    "lakeQualityGate": True,
    "lakeBackfill": True,
    "lakeFormat": "iceberg",
    "glueDatabase": "lake",
}
_FORM = ["Meaning", "Look", "Decide", "Act", "Verify", "If it comes back"]
_PROGRAMS = {"aws", "curl", "date", "lab", "pulumi"}
_WITHOUT_STACK = (("lab", "up"), ("lab", "lake", "generate"))
_OF_NO_PIPELINE = {"list"}  # of `lab redrive`
_KEY = "orders/evt_1.a:b"
_LETTERS = {"orders-undelivered": "orders-undelivered", "lake-notices-dead": "lake-notices"}  # not of the main queue
_ENDPOINT = "http://127.0.0.1:4566"
_PROFILE = "on-call"
_SETTING = re.compile(r"# in Pulumi\.local\.yaml: ingestion-lab:(\w+): (\S+)")


def _blocks(text: str) -> list[str]:
    blocks: list[str] = re.findall(r"^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return blocks


class Step(NamedTuple):
    """A line of a runbook as it is rendered for a stack, and a command in it, word by word."""

    stack: str
    name: str
    line: str
    words: tuple[str, ...]


@cache
def _place(stack: str) -> runbooks.Place:
    program = run_main(stack, _EVERYTHING)
    files = {
        (one.inputs.get("name") or one.inputs["alarmName"]).removeprefix(f"IngestionLab-{stack}-"): Path(
            alarm_text.runbook(one.inputs["alarmDescription"]) or ""
        ).name
        for one in program.alarms()
    }
    return runbooks.Place(
        stack=stack,
        region=REGION,
        today="2026-01-31",
        profile="" if stack == "local" else _PROFILE,
        endpoint=_ENDPOINT if stack == "local" else "",
        outputs=program.outputs,
        pipelines=list(EVERY_PIPELINE),
        runbooks=files,
    )


@cache
def _rendered() -> list[tuple[str, str, str]]:
    """Stack, name and text of every runbook for every alarm and pipeline."""
    places = map(_place, ("local", "dev"))
    return [(place.stack, name, runbooks.render(name, place, _KEY)) for place in places for name in place.files]


@cache
def _steps() -> list[Step]:
    return [
        Step(stack, name, line, words)
        for stack, name, text in _rendered()
        for block in _blocks(text)
        for line in block.splitlines()
        for words in commands(line)
    ]


def _named_in_prose() -> set[tuple[str, ...]]:
    """The words of the `lab` commands that sentences name."""
    prose = {re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE) for _, _, text in _rendered()}
    return {tuple(shlex.split(found)) for text in prose for found in re.findall(r"`(lab [^`]+)`", text)}


def _of(program: str) -> set[tuple[str, ...]]:
    return {step.words for step in _steps() if step.words[0] == program}


@pytest.mark.parametrize("stack", ["local", "dev", "prod"])
def test_runbooks_are_those_of_the_alarms_and_topics(stack: str) -> None:
    """There is a runbook for every alarm and topic, and for nothing else; each alarm's description names its own."""
    alarms = run_main(stack, _EVERYTHING).alarms()
    named = {alarm_text.runbook(alarm.inputs["alarmDescription"]) for alarm in alarms}
    topics = {f"ops/runbooks/{topic}.md" for topic in runbooks.TOPICS}

    assert named & topics == set()
    assert named | topics == {path.relative_to(ROOT).as_posix() for path in _RUNBOOKS.iterdir()}


def test_severities_are_read_as_they_are_written() -> None:
    """The program's severities are those that the webhook and `lab alarms` know; its topics and alarms name them."""
    made = run_main("dev")
    overall = [one.inputs["alarmName"] for one in made.of("CompositeAlarm") if not one.inputs.get("alarmActions")]
    topics = [topic.name for topic in made.of("Topic") if topic.name.startswith("alarms-")]

    assert alarm_text.SEVERITIES == SEVERITIES
    assert sorted(map(str, map(alarm_text.severity, overall))) == list(SEVERITIES)
    assert sorted(map(str, map(alarm_text.severity, topics))) == list(SEVERITIES)


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.stem)
def test_runbooks_have_one_form(path: Path) -> None:
    """Its name as title and the same six parts: commands where something is looked at or done, reasons where not."""
    text = path.read_text(encoding="utf-8")
    heads, *parts = re.split(r"^## ", text, flags=re.MULTILINE)
    bodies = {part.partition("\n")[0]: part.partition("\n")[2].strip() for part in parts}

    assert heads == f"# {path.stem}\n\n{runbooks.NOTE}"
    assert list(bodies) == _FORM
    assert [name for name, body in bodies.items() if _blocks(body)] == ["Look", "Act", "Verify"]
    assert [name for name, body in bodies.items() if not body] == []
    assert len(re.findall("^- ", bodies["Decide"], re.MULTILINE)) >= 2


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    """Every runbook that another refers to is there."""
    links = re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8"))

    assert [link for link in links if not (_RUNBOOKS / link).is_file()] == []


def test_every_step_is_complete() -> None:
    """No variable, no output and no word to be replaced is left, and nothing but known programs is needed."""
    placeholder = re.compile(r"\$[A-Z{]|\$\(lab |\b[A-Z]{2,}_[A-Z_]+\b(?!=)|<\w+>")

    assert [step for step in _steps() if placeholder.search(_without_assignments(step.line))] == []
    assert {step.words[0] for step in _steps()} <= _PROGRAMS


def _without_assignments(line: str) -> str:
    return re.sub(r"\bAWS_[A-Z_]+=\S+ ", "", line)


def test_every_step_is_for_the_stack_of_its_alarm() -> None:
    """`lab` and `pulumi` name it, whatever LAB_STACK says; `aws` goes to the laptop's endpoint there and only there.

    The aws CLI, version 1, ignores AWS_ENDPOINT_URL for some services: without --endpoint-url, real AWS would be asked.
    """
    for step in _steps():
        is_of_stack = step.words[0] in ("lab", "pulumi") and not any(
            step.words[: len(one)] == one for one in _WITHOUT_STACK
        )
        assert is_of_stack == (step.words[-2:] == ("--stack", step.stack)), step
        if step.words[0] == "aws" and step.stack == "local":
            assert step.words[1:3] == ("--endpoint-url", _ENDPOINT), step
            assert "AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test " in step.line, step
        elif step.words[0] == "aws":
            assert step.words[1:5] == ("--region", REGION, "--profile", _PROFILE), step
            assert "endpoint" not in step.line, step
        assert (step.words[0] == "pulumi") <= (step.stack != "local"), step


@pytest.mark.parametrize("pipeline", EVERY_PIPELINE)
def test_every_step_is_for_the_pipeline_of_its_alarm(pipeline: str) -> None:
    """Nothing of another pipeline is looked at, sent to or moved; letters are those of its own queue."""
    mine = [step for step in _steps() if step.name.startswith(f"{pipeline}-")]
    others = re.compile(rf"\b({'|'.join(name for name in EVERY_PIPELINE if name != pipeline)})-")
    moves = [step for step in mine if step.words[1:2] == ("redrive",)]
    probes = {"events": ("lab", "send"), "orders": ("lab", "orders"), "lake": ("lab", "lake")}

    assert [step for step in mine if others.search(step.line)] == []
    assert moves
    for step in moves:
        if step.words[2] in _OF_NO_PIPELINE:
            continue
        letters = _LETTERS.get(step.name, pipeline)
        assert step.words[step.words.index("--pipeline") + 1] == letters
    sent = {step.words[:2] for step in mine if step.words[:2] in probes.values()}
    # the lake's ingest has no caller to try again: its runbook replays objects, whichever pipeline's alarm it is for
    assert sent - {probes["lake"]} == {probes[pipeline]} - {probes["lake"]}


def test_a_runbook_that_is_not_there_is_refused_with_those_that_are_like_it() -> None:
    """A name without its pipeline is not guessed, unless there is one pipeline."""
    with pytest.raises(
        TargetError, match=r"no runbook 'queue-age'; do you mean events-queue-age, lake-queue-age, orders"
    ):
        runbooks.render("queue-age", _place("dev"))
    with pytest.raises(TargetError, match="no runbook 'events-dlq'; do you mean events-dlq-not-empty, events-dlq-ol"):
        runbooks.render("events-dlq", _place("dev"))
    with pytest.raises(TargetError, match=r"no runbook 'backlog'; do you mean events-backlog, lake-backlog, orders"):
        runbooks.render("backlog", _place("dev"))
    with pytest.raises(TargetError, match="no runbook 'nonsense': lab runbook lists what there is"):
        runbooks.render("nonsense", _place("dev"))
    alone = replace(_place("dev"), pipelines=["orders"])

    assert runbooks.render("poison-pill", alone) == runbooks.render("orders-poison-pill", alone)


def test_what_is_about_one_record_asks_for_it() -> None:
    """Without a key no command is half-filled, and with one that a shell would read none is printed."""
    place = _place("local")
    text = runbooks.render("orders-idempotency-repair", place)

    assert "# of one record: lab runbook orders-idempotency-repair --stack local --key KEY\n" in text
    assert "delete-item" not in text
    filled = runbooks.render("orders-idempotency-repair", place, _KEY)
    assert f'{{"idempotencyKey":{{"S":"{_KEY}"}}}}' in filled
    assert f"lab logs query one-event --key {_KEY.removeprefix('orders/')} --stack local\n" in filled, "as logs have it"
    with pytest.raises(TargetError, match=r"--key has characters that a shell takes for its own"):
        runbooks.render("orders-idempotency-repair", place, "a'; rm -rf b")


def test_a_pipeline_of_ones_own_has_runbooks() -> None:
    """What nobody has said of it is a line that says where it goes; every other command is there."""
    outputs = {**_place("local").outputs, "payments": _place("local").outputs["events"]}
    place = replace(_place("local"), outputs=outputs, pipelines=["payments"], runbooks={"api-5xx": "api-5xx.md"})

    for name in place.files:
        assert re.search(r"\$[A-Z]", runbooks.render(name, place, "payments/p-1")) is None, name
    text = runbooks.render("payments-idempotency-repair", place, "payments/p-1")
    assert "# AGAIN is not known of payments: ops/cli/runbook.py\n" in text
    assert "lab logs query one-event --key p-1 --stack local\n" in text
    assert "# PROBE is not known of payments: ops/cli/runbook.py\n" in runbooks.render("api-5xx", place)


def test_an_alarm_whose_runbook_is_not_written_yet() -> None:
    """It is said which file it would be, and the others are listed."""
    place = replace(_place("local"), runbooks={"events-many-rejected": "many-rejected.md"})

    with pytest.raises(TargetError, match=r"^alarm events-many-rejected has no runbook yet: write ops/runbooks/many-"):
        runbooks.render("events-many-rejected", place)
    assert runbooks.meanings(place)["events-many-rejected"] == "not written yet: ops/runbooks/many-rejected.md"


def test_runbooks_lead_to_each_other_by_command() -> None:
    """A link is the command that prints the other one, of the same pipeline where it has one."""
    place = _place("dev")

    assert "`lab runbook lake-redrive-gone-wrong --stack dev`" in runbooks.render("lake-dlq-not-empty", place)
    assert "`lab runbook api-5xx --stack dev`" not in runbooks.render("api-5xx", place)
    assert [name for _, name, text in _rendered() if ".md)" in text] == []
    named = {found for _, _, text in _rendered() for found in re.findall(r"`lab runbook ([a-z0-9-]+) ", text)}
    assert named <= set(place.files)


def test_a_stack_that_was_deployed_before_there_was_an_output() -> None:
    """It is said which one, and nothing half-filled is printed."""
    place = replace(_place("dev"), outputs={"ApiEndpoint": "https://api"})

    with pytest.raises(TargetError, match=r"^stack dev has no output ControlFailuresUrl: deploy it again$"):
        runbooks.render("control-failures", place)


def test_an_alarm_may_be_called_by_its_whole_name() -> None:
    """As notifications call it."""
    place = _place("dev")

    assert runbooks.render("IngestionLab-dev-lake-throttles", place) == runbooks.render("lake-throttles", place)


def test_every_page_says_how_to_fill_it_in() -> None:
    """Who comes by the link in a notification sees which command does it; the filled in one says it no more."""
    assert [path.stem for path in _FILES if runbooks.NOTE not in path.read_text(encoding="utf-8")] == []
    assert [name for _, name, text in _rendered() if runbooks.NOTE in text] == []


def test_lab_has_the_commands() -> None:
    """Each `lab` line, and each `lab` command in a sentence, is a command of it, with options that the command has."""
    found = _of("lab") | _named_in_prose()

    assert found
    assert [fault for words in sorted(found) if (fault := fault_of_lab(words))] == []


def test_aws_has_the_operations() -> None:
    """Each `aws` line is an operation of the service, with parameters that it takes and all that it needs."""
    found = {("aws", *(words[3:] if words[1] == "--endpoint-url" else words[5:])) for words in _of("aws")}

    assert found
    assert [fault for words in sorted(found) if (fault := fault_of_aws(words))] == []


def test_configuration_is_changed_to_what_the_program_takes() -> None:
    """What a runbook sets is a key of the program and a value within its limits, on the laptop as on AWS."""
    on_the_laptop = {found.groups() for _, _, text in _rendered() for found in _SETTING.finditer(text)}
    on_aws = {words[3:5] for words in _of("pulumi") if words[1:3] == ("config", "set")}

    assert on_the_laptop == on_aws
    for key, value in on_aws:
        read({key: value})
    assert {words[1] for words in _of("pulumi")} == {"config", "up"}


def test_a_deployment_follows_what_is_configured() -> None:
    """Both stand in one block: what is set and not deployed changes nothing."""
    for stack, _, text in _rendered():
        for block in _blocks(text):
            lines = block.splitlines()
            if any("config set" in line or _SETTING.match(line) for line in lines):
                assert (len(lines), lines[1].split()[:2]) == (2, ["lab" if stack == "local" else "pulumi", "up"])
