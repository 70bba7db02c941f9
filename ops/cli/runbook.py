"""`lab runbook`: the runbook of an alarm or of a topic, its commands filled in for the stack that it is read for."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.cli import alarms, output, target
from ops.local.emulator import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ops.cli.target import Target

FOLDER = ROOT / "ops" / "runbooks"
NOTE = "`lab runbook NAME` prints this with its commands filled in: pipeline, functions, queues, stack, endpoint.\n\n"
# What is not an alarm's, but each pipeline has it: a runbook is named PIPELINE-TOPIC.
TOPICS = (
    "backlog",
    "downstream-outage",
    "idempotency-repair",
    "poison-pill",
    "redrive-gone-wrong",
    "throttling",
    "timeout-visibility",
)
_BLOCK = re.compile(r"(?<=^```bash\n).*?(?=^```)", re.DOTALL | re.MULTILINE)
_VARIABLE = re.compile(r"\$([A-Z]+(?:_[A-Z]+)*)\b")
_LINK = re.compile(r"\[([a-z0-9-]+)\]\(\1\.md\)")
_MEANING = re.compile(r"^## Meaning\n\n(.*?)\n\n", re.DOTALL | re.MULTILINE)
_KEY = re.compile(r"[\w.:/#@+=-]+")  # what a shell and JSON take as it stands
_OUTPUT = re.compile(r"\$\(lab status --output ([A-Za-z.]+)\)")
_WITHOUT_STACK = ("lab up", "lab lake generate")
_LAPTOP = "AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1 aws --endpoint-url"
# What the runbooks' commands differ in by pipeline: something to send through it, and configuration keys with a value.
_BY_PIPELINE: Mapping[str, Mapping[str, str]] = {
    "events": {
        "PROBE": "lab send --count 10 --wait",
        "AGAIN": "lab send --file event.jsonl --key $KEY --wait",
        "MORE_TIME": "workerTimeoutSeconds 60",
        "MORE_MEMORY": "workerMemoryMb 1024",
        "MORE_PRODUCER_MEMORY": "ingestMemoryMb 512",
        "SMALLER_BATCHES": "batchSize 5",
    },
    "orders": {
        "PROBE": "lab orders send --count 10 --wait",
        "AGAIN": "lab orders replay --start $TODAY",
        "MORE_TIME": "ordersWorkerTimeoutSeconds 60",
        "MORE_MEMORY": "workerMemoryMb 1024",
        "MORE_PRODUCER_MEMORY": "ingestMemoryMb 512",
        "SMALLER_BATCHES": "ordersBatchSize 2",
    },
    "lake": {
        "PROBE": "lab lake generate --type shipments --count 10 --output probe.jsonl && $AWS s3api put-object "
        '--bucket "$(lab status --output lake.bronzeBucket)" --key "bronze/shipments/probe-$(date +%s).jsonl" '
        "--body probe.jsonl",
        "AGAIN": "lab lake replay-queue --start $TODAY",
        "MORE_TIME": "lakeTransformTimeoutSeconds 600",
        "MORE_MEMORY": "lakeTransformMemoryMb 2048",
        "MORE_PRODUCER_MEMORY": "lakeIngestMemoryMb 1024",
        "SMALLER_BATCHES": "lakeChunkMebibytes 4",
    },
}

_VARIES = frozenset(name for known in _BY_PIPELINE.values() for name in known)

NameArgument = Annotated[
    str,
    typer.Argument(
        help="An alarm, with or without IngestionLab-STACK- before it, or PIPELINE-TOPIC; left out: list them.",
        show_default=False,
    ),
]
KeyOption = Annotated[
    str, typer.Option("--key", help="The state record that it is about, by the table's idempotencyKey.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The stack that a runbook is read for. `endpoint` is that of the laptop's AWS, "" on AWS.

    `runbooks` are files by alarm, `profile` and `region` what the aws CLI needs on AWS to find the stack; `today` is a
    date of ISO 8601 in UTC.
    """

    stack: str
    endpoint: str
    outputs: Mapping[str, Any]
    pipelines: Sequence[str]
    runbooks: Mapping[str, str]
    region: str
    today: str
    profile: str = ""

    @property
    def files(self) -> Mapping[str, str]:
        """File of each runbook that the stack has, of alarms and topics, by name."""
        topics = {f"{pipeline}-{topic}": f"{topic}.md" for topic in TOPICS for pipeline in self.pipelines}
        return {**self.runbooks, **topics}


def runbook(
    name: NameArgument = "",
    key: KeyOption = "",
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Print the runbook of an alarm or a topic, with commands that run as they stand.

    Example: lab runbook orders-dlq-not-empty
    """
    place = here(target.find(stack))
    if not name:
        _list(place, as_json=as_json)
        return
    text = render(name, place, key)
    if as_json:
        output.as_json({"runbook": name, "stack": stack, "text": text})
    else:
        output.result(text.splitlines())


def here(found: Target) -> Place:
    """A stack as runbooks are read for it, now."""
    return Place(
        stack=found.stack,
        endpoint=found.emulator.endpoint if found.emulator else "",
        outputs=found.outputs,
        pipelines=list(found.pipelines),
        runbooks=alarms.runbooks(found.client("cloudwatch"), found.stack),
        region=found.region,
        today=datetime.now(UTC).date().isoformat(),
        profile=os.environ.get("AWS_PROFILE", ""),
    )


def render(name: str, place: Place, key: str = "") -> str:
    """A runbook with every command complete; what is about a single record asks for its key where none is given.

    Raises:
        TargetError: the stack has no such runbook, or the key would not stand in a command as it is.
    """
    if key and not _KEY.fullmatch(key):
        raise target.TargetError(f"--key has characters that a shell takes for its own: {key!r}; leave it out")
    name = name.removeprefix(f"IngestionLab-{place.stack}-")
    file = place.files.get(name)
    if file is None:
        known = sorted(one for one in (f"{pipeline}-{name}" for pipeline in place.pipelines) if one in place.files)
        if name not in TOPICS or len(known) != 1:
            known = known or sorted(one for one in place.files if name and name in one)
            more = f"; do you mean {', '.join(known)}?" if known else ": lab runbook lists what there is"
            raise target.TargetError(f"stack {place.stack} has no runbook {name!r}{more}")
        name, file = known[0], place.files[known[0]]
    pipeline = name.removesuffix(f"-{file.removesuffix('.md')}")
    if not (FOLDER / file).is_file():
        raise target.TargetError(f"alarm {name} has no runbook yet: write ops/runbooks/{file}")
    text = (FOLDER / file).read_text(encoding="utf-8").replace(NOTE, "")
    values = _values(pipeline, place) | ({"KEY": key, "LOG_KEY": key.removeprefix(f"{pipeline}/")} if key else {})
    lines = partial(_line, name=name, values=values, place=place)
    text = _BLOCK.sub(lambda block: "".join(map(lines, block[0].splitlines(keepends=True))), text)
    return _LINK.sub(lambda link: _link(link[1], pipeline, place), text.replace("$PIPELINE", pipeline))


def _list(place: Place, *, as_json: bool) -> None:
    found = meanings(place)
    if as_json:
        output.as_json({"stack": place.stack, "runbooks": found})
    else:
        output.table("Runbooks", ["name", "meaning"], list(found.items()))


def meanings(place: Place) -> dict[str, str]:
    """The first sentence of the meaning of each runbook that the stack has, by name."""
    return {name: _meaning(file) for name, file in sorted(place.files.items())}


def _meaning(file: str) -> str:
    if not (FOLDER / file).is_file():
        return f"not written yet: ops/runbooks/{file}"
    found = _MEANING.search((FOLDER / file).read_text(encoding="utf-8"))
    return " ".join(found[1].split()).partition(". ")[0].partition(": ")[0].rstrip(".") if found else ""


def _link(stem: str, pipeline: str, place: Place) -> str:
    """The command that prints another runbook: that of the same pipeline where there is one."""
    names = [name for name in (f"{pipeline}-{stem}", stem) if name in place.files]
    return f"`lab runbook {names[0]} --stack {place.stack}`" if names else stem


def _values(pipeline: str, place: Place) -> dict[str, str]:
    """What the variables of the runbook's commands stand for; an alarm of the whole stack tries its first pipeline."""
    profile = f" --profile {shlex.quote(place.profile)}" if place.profile else ""
    aws = f"{_LAPTOP} {place.endpoint}" if place.endpoint else f"aws --region {place.region}{profile}"
    values = {"AWS": aws, "TODAY": place.today}
    if pipeline in place.pipelines:
        return {**values, "PIPELINE": pipeline, **_BY_PIPELINE.get(pipeline, {})}
    return {**values, **{key: text for key, text in _BY_PIPELINE.get(place.pipelines[0], {}).items() if key == "PROBE"}}


def _line(line: str, name: str, values: Mapping[str, str], place: Place) -> str:
    while variable := _VARIABLE.search(line):
        if variable[1] in ("KEY", "LOG_KEY") and "KEY" not in values:
            return f"# of one record: lab runbook {name} --stack {place.stack} --key KEY\n"
        if variable[1] in _VARIES - values.keys():  # of a pipeline that is somebody's own
            return f"# {variable[1]} is not known of {values.get('PIPELINE', place.pipelines[0])}: ops/cli/runbook.py\n"
        line = line.replace(variable[0], values[variable[1]])
    line = _OUTPUT.sub(lambda wanted: _output(wanted[1], place), line)
    return " && ".join(_command(part, place) for part in line.rstrip("\n").split(" && ")) + "\n"


def _command(words: str, place: Place) -> str:
    """A command for the stack; on the laptop, `lab up` deploys what its file configures."""
    if words.startswith("pulumi ") and place.endpoint:
        if not words.startswith("pulumi config set "):
            return words.replace("pulumi", "lab", 1)
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
