"""`lab runbook`: the runbook of an alarm, its commands filled in for where the alarm rang."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.cli import alarms, output, target
from ops.local.emulator import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FOLDER = ROOT / "ops" / "runbooks"
NOTE = "`lab runbook ALARM` prints this with its commands filled in: pipeline, functions, queues, stack, endpoint.\n\n"
_BLOCK = re.compile(r"(?<=^```bash\n).*?(?=^```)", re.DOTALL | re.MULTILINE)
_VARIABLE = re.compile(r"\$([A-Z]+(?:_[A-Z]+)*)\b")
_OUTPUT = re.compile(r"\$\(lab status --output ([A-Za-z.]+)\)")
_WITHOUT_STACK = ("lab up", "lab lake generate")
_LAPTOP = "AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1 aws --endpoint-url"
# What the runbooks' commands differ in by pipeline: something to send through it, and configuration keys with a value.
_BY_PIPELINE: Mapping[str, Mapping[str, str]] = {
    "events": {
        "PROBE": "lab send --count 10 --wait",
        "MORE_TIME": "workerTimeoutSeconds 60",
        "MORE_MEMORY": "workerMemoryMb 1024",
        "MORE_PRODUCER_MEMORY": "ingestMemoryMb 512",
        "SMALLER_BATCHES": "batchSize 5",
    },
    "orders": {
        "PROBE": "lab orders send --count 10 --wait",
        "MORE_TIME": "ordersWorkerTimeoutSeconds 60",
        "MORE_MEMORY": "workerMemoryMb 1024",
        "MORE_PRODUCER_MEMORY": "ingestMemoryMb 512",
        "SMALLER_BATCHES": "ordersBatchSize 2",
    },
    "lake": {
        "PROBE": "lab lake generate --type shipments --count 10 --output probe.jsonl && $AWS s3api put-object "
        '--bucket "$(lab status --output lake.bronzeBucket)" --key "bronze/shipments/probe-$(date +%s).jsonl" '
        "--body probe.jsonl",
        "MORE_TIME": "lakeTransformTimeoutSeconds 600",
        "MORE_MEMORY": "lakeTransformMemoryMb 2048",
        "MORE_PRODUCER_MEMORY": "lakeIngestMemoryMb 1024",
        "SMALLER_BATCHES": "lakeChunkMebibytes 4",
    },
}

AlarmArgument = Annotated[
    str, typer.Argument(help="The alarm's name, with or without IngestionLab-STACK- at its beginning.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an alarm rang. `endpoint` is that of the laptop's AWS, "" on AWS; `runbooks` are files by alarm."""

    stack: str
    endpoint: str
    outputs: Mapping[str, Any]
    pipelines: Sequence[str]
    runbooks: Mapping[str, str]


def runbook(alarm: AlarmArgument, stack: target.StackOption = target.LOCAL) -> None:
    """Print the runbook of an alarm, with commands that run as they stand.

    Example: lab runbook orders-dlq-not-empty
    """
    found = target.find(stack)
    place = Place(
        stack=stack,
        endpoint=found.emulator.endpoint if found.emulator else "",
        outputs=found.outputs,
        pipelines=list(found.pipelines),
        runbooks=alarms.runbooks(found.client("cloudwatch"), stack),
    )
    output.result(render(alarm, place).splitlines())


def render(alarm: str, place: Place) -> str:
    """The runbook of an alarm with every command complete.

    Raises:
        TargetError: the stack has no such alarm.
    """
    name = alarm.removeprefix(f"IngestionLab-{place.stack}-")
    file = place.runbooks.get(name)
    if file is None:
        known = ", ".join(sorted(one for one in place.runbooks if one.endswith(name)))
        more = f"; do you mean {known}?" if known else ": see lab alarms"
        raise target.TargetError(f"stack {place.stack} has no alarm {name!r}{more}")
    text = (FOLDER / file).read_text(encoding="utf-8").replace(NOTE, "")
    values = _values(name.removesuffix(f"-{file.removesuffix('.md')}"), place)
    lines = partial(_line, values=values, place=place)
    return _BLOCK.sub(lambda block: "".join(map(lines, block[0].splitlines(keepends=True))), text)


def _values(pipeline: str, place: Place) -> Mapping[str, str]:
    """What the variables of the runbook's commands stand for; an alarm of the whole stack tries its first pipeline."""
    values = {"AWS": f"{_LAPTOP} {place.endpoint}" if place.endpoint else "aws"}
    if pipeline in place.pipelines:
        return {**values, "PIPELINE": pipeline, **_BY_PIPELINE[pipeline]}
    return {**values, "PROBE": _BY_PIPELINE[place.pipelines[0]]["PROBE"]}


def _line(line: str, values: Mapping[str, str], place: Place) -> str:
    while variable := _VARIABLE.search(line):
        line = line.replace(variable[0], values[variable[1]])
    line = _OUTPUT.sub(lambda wanted: _output(wanted[1], place), line)
    return " && ".join(_command(part, place) for part in line.rstrip("\n").split(" && ")) + "\n"


def _command(words: str, place: Place) -> str:
    """A command for the stack; on the laptop, `lab up` deploys what its file configures."""
    if words.startswith("pulumi ") and place.endpoint:
        if not words.startswith("pulumi config set "):
            return "lab up"
        key, value = words.split()[3:]
        return f"# in Pulumi.{place.stack}.yaml: ingestion-lab:{key}: {value}"
    is_of_stack = words.startswith(("lab ", "pulumi ")) and not words.startswith(_WITHOUT_STACK)
    return f"{words} --stack {place.stack}" if is_of_stack else words


def _output(path: str, place: Place) -> str:
    value: Any = place.outputs
    for part in path.split("."):
        value = value.get(part, {})
    if not value:
        raise target.TargetError(f"stack {place.stack} has no output {path}: deploy it again")
    return str(value)
