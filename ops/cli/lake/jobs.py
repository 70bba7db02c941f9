"""The replays of `lab lake`, from what was asked to the report."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from handlers.grouping import Grouping
from ops.cli import output, target
from ops.cli.lake import bronze, rights
from ops.cli.lake.bronze import Window
from ops.cli.lake.replay import Copier, Replay, Sender
from ops.cli.lake.runs import Run, RunFile
from ops.cli.timing import Pace
from ops.local.errors import LabError
from ops.local.files import BusyError, locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ops.cli.lake.bronze import Item
    from ops.cli.target import Target


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be replayed; two replays with the same values are the same replay."""

    command: str
    stack: str
    type: str  # "" is every type
    prefix: str
    start: datetime | None
    end: datetime | None
    again: bool

    def __post_init__(self) -> None:
        if self.start and self.end and self.start >= self.end:
            raise LabError(f"--start must lie before --end, got {self.start.isoformat()} and {self.end.isoformat()}")


@dataclass(frozen=True, slots=True)
class Way:
    """How it is to be replayed and reported."""

    rate: float
    dry_run: bool
    yes: bool
    resume: bool
    as_json: bool


def copy(asked: Asked, way: Way) -> None:
    """`lab lake replay-copy`."""
    found, lake = lake_of(asked.stack)
    s3, bucket = found.client("s3"), lake["bronzeBucket"]

    def start(run: Run) -> Replay:
        return Copier(s3, bucket, run.id if asked.again else "", Pace(way.rate))

    _replay(asked, way, found, bucket, start)


def send(asked: Asked, way: Way) -> None:
    """`lab lake replay-queue`."""
    found, lake = lake_of(asked.stack)
    s3, bucket = found.client("s3"), lake["bronzeBucket"]
    variables = ingest_variables(found, lake)

    def start(run: Run) -> Replay:
        return Sender(
            s3=s3,
            sqs=found.client("sqs"),
            bucket=bucket,
            queue_url=lake["queueUrl"],
            chunk_bytes=int(variables["CHUNK_BYTES"]),
            replay=run.id if asked.again else "",
            run_id=run.id,
            pace=Pace(way.rate),
            grouping=Grouping(variables.get("GROUP_BY", "")),
        )

    _replay(asked, way, found, bucket, start)


def copy_rights(stack: str) -> dict[str, Any]:
    """The policy for `lab lake replay-copy`."""
    found, lake = lake_of(stack)
    return rights.of_copy(found, lake["bronzeBucket"])


def queue_rights(stack: str) -> dict[str, Any]:
    """The policy for `lab lake replay-queue`."""
    found, lake = lake_of(stack)
    return rights.of_queue(found, lake["bronzeBucket"], lake["queueUrl"], lake["ingestFunctionName"])


def lake_of(stack: str) -> tuple[Target, dict[str, str]]:
    """The stack, and its lake's outputs.

    Raises:
        LabError: it has none.
    """
    found = target.find(stack)
    lake = found.pipelines.get("lake")
    if lake is None:
        raise LabError(f"the stack {stack} has no lake; the configuration key pipelines says which pipelines it has")
    return found, lake


def refuse_unknown(record_type: str) -> None:
    """Leave where nothing was found of a type that there is not: a slip of the pen is no empty result.

    Silver may hold types that have left the code, so this is asked only when nothing was found.
    """
    from handlers.lake import schemas  # noqa: PLC0415 - takes as long as all the rest

    if record_type and record_type not in schemas.types():
        output.fail(f"nothing was found of {record_type!r}, and no type has that name: {', '.join(schemas.types())}")


def ingest_variables(found: Target, lake: dict[str, str]) -> dict[str, str]:
    """What the deployed ingest function makes messages by: other values would make others of the same object."""
    configuration = found.client("lambda").get_function_configuration(FunctionName=lake["ingestFunctionName"])
    variables: dict[str, str] = configuration["Environment"]["Variables"]
    return variables


def _replay(asked: Asked, way: Way, found: Target, bucket: str, start: Callable[[Run], Replay]) -> None:
    s3 = found.client("s3")
    file = RunFile(target.home() / "replays", asdict(asked) | {"bucket": bucket, "life": found.life})
    with _alone(file, way):
        run = file.load(asked.end or datetime.now(UTC), anew=not way.resume)
        window = Window.of(asked.type, asked.prefix, asked.start, datetime.fromisoformat(run.end))
        if run.resumed:
            said = f"after {run.last_key}, {run.objects} objects done" if run.last_key else "at its beginning"
            output.say(f"continuing {run.id} {said}; --restart starts over")
        with output.busy(f"looking for objects in {bucket}"):
            objects, size = bronze.measure(s3, bucket, window, run.last_key)
        if way.dry_run:
            _tell({"dryRun": True, "bucket": bucket, "objects": objects, "bytes": size}, way, f"would replay {objects}")
            return
        if objects and not way.yes:
            output.confirm(f"Replay {objects} objects ({size} bytes) of {bucket}?")
        _work(file, run, way, objects, bronze.items(s3, bucket, window, run.last_key), start(run))
    if run.skipped:
        raise typer.Exit(output.FAILED)


@contextmanager
def _alone(file: RunFile, way: Way) -> Iterator[None]:
    """Keep a second process from the same replay; a dry run disturbs nobody."""
    if way.dry_run:
        yield
        return
    try:
        with locked(file.lock, wait=False):
            yield
    except BusyError as error:
        raise LabError("another process is running the same replay") from error


def _work(file: RunFile, run: Run, way: Way, objects: int, items: Iterable[Item], replay: Replay) -> None:  # noqa: PLR0913, PLR0917 - what is done, what is to do, how
    """Replay the objects one by one. What is done is remembered after each, for the same command to go on."""
    file.save(run)
    try:
        with output.progress(f"replaying {run.id}", objects) as advance:
            for item in items:
                run.enter(item.key, item.size, replay(item))
                file.save(run)
                advance(1)
    except BaseException:
        output.say("stopped before the end; the same command continues there")
        _report(run, way)
        raise
    file.forget()
    _report(run, way)


def _report(run: Run, way: Way) -> None:
    document = {
        "dryRun": False,
        "replayId": run.id,
        "resumed": run.resumed,
        "objects": run.objects,
        "bytes": run.bytes,
        "messages": run.messages,
        "skipped": run.skipped,
    }
    sent = f", {run.messages} messages" if run.messages else ""
    _tell(document, way, f"replayed {run.objects}", sent)
    if run.skipped and not way.as_json:
        output.table("Skipped", ["the object ...", "objects"], sorted(run.skipped.items()))


def _tell(document: dict[str, Any], way: Way, done: str, more: str = "") -> None:
    if way.as_json:
        output.as_json(document)
    else:
        output.result([f"{done} objects, {document['bytes']} bytes{more}"])
