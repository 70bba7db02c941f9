"""A broken file on the lake: refused as a whole, while its neighbours and their good rows go on."""

from __future__ import annotations

import gzip
import io
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ops.gamedays.model import Check, GameDay, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.gamedays.context import Context
    from ops.gamedays.recording import Recording

_ROWS, _BAD = 10, 2
_ARCHIVE = b"PK\x03\x04" + bytes(2000)  # what begins so is a zip, whatever its name says


def _row(context: Context, file: str, number: int) -> dict[str, Any]:
    return {
        "event_time": datetime.now(UTC).strftime("%Y-%m-%dT00:00:00Z"),
        "shipment_id": f"{context.run}-{file}-{number:03}",
        "origin": "Hamburg",
        "destination": "Oslo",
        "carrier": "north",
        "weight_kg": 1.5,
    }


def _lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def _before(context: Context) -> None:
    rows = [_row(context, "good", number) for number in range(_ROWS)]
    context.settled(context.upload("before", {"good.jsonl": _lines(rows)}))
    context.journal.add("uploaded", rows=[row["shipment_id"] for row in rows])


def _inject(context: Context) -> None:
    rows = [_row(context, "mixed", number) for number in range(_ROWS)]
    for row in rows[:_BAD]:
        row["weight_kg"] = "heavy"
    context.upload("mixed", {"mixed.jsonl": _lines(rows)})
    context.journal.add("uploaded", rows=[row["shipment_id"] for row in rows])
    context.upload("broken", {"broken.jsonl.gz": gzip.compress(_ARCHIVE, mtime=0)})


def _watch(context: Context) -> None:
    context.settled([*context.ids("mixed")])
    context.settled([*context.ids("broken")], "FAILED")
    context.buried(1)
    context.look("broken")
    context.alarms(*GAMEDAY.fires)


def _repair(context: Context) -> None:
    rows = [_row(context, "mended", number) for number in range(_ROWS)]
    context.settled(context.upload("mended", {"broken.jsonl.gz": gzip.compress(_lines(rows), mtime=0)}))
    context.journal.add("uploaded", rows=[row["shipment_id"] for row in rows])
    context.dispose(context.ids("broken"), "the file can't be read; its producer has uploaded it again")


def _verify(context: Context) -> None:
    context.look()
    context.journal.add("rows", **_found(context))
    context.quiet()


def _found(context: Context) -> dict[str, list[str]]:
    """The run's rows as they lie in the silver bucket, counted by reading the files."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - the lake's own; no other GameDay needs it

    own = re.compile(rf"{context.run}-[a-z]+-\d{{3}}")
    silver: list[str] = []
    bad: list[str] = []
    for key, body in context.stack.objects(f"silver/shipments/dt={datetime.now(UTC):%Y-%m-%d}/"):
        if key.endswith(".parquet"):
            silver += pq.read_table(io.BytesIO(body), columns=["shipment_id"]).column(0).to_pylist()
    for _, body in context.stack.objects("quarantine/shipments/"):
        bad += own.findall(body.decode())
    return {"silver": sorted(one for one in silver if own.fullmatch(one)), "quarantined": sorted(bad)}


def _checks(recording: Recording) -> Iterator[Check]:
    broken, final = recording.ledger("broken"), recording.ledger()
    found = recording.of("rows")
    if not broken or not final or not found:
        yield Check("the broken file alone is dead-lettered", ok=False, evidence="nobody has looked")
        return
    group = recording.group("broken")
    causes = sorted({letter.cause for letter in broken.facts.letters})
    yield Check(
        "the broken file alone is dead-lettered, with its cause",
        broken.dead == group and bool(group) and causes == ["UnreadableObjectError"],
        f"{len(broken.dead)} of {len(broken.accepted)} files dead: {', '.join(causes)}",
    )
    uploaded = [one for line in recording.of("uploaded") for one in line["rows"]]
    silver, bad = found[-1]["silver"], found[-1]["quarantined"]
    yield Check(
        "rows that were uploaded = rows in silver + rows in quarantine, each once",
        sorted([*silver, *bad]) == sorted(set(uploaded)) and bool(uploaded),
        f"{len(set(uploaded))} uploaded = {len(silver)} in silver + {len(bad)} in quarantine",
    )
    yield Check("the bad rows, and no others, are in quarantine", len(bad) == _BAD, f"{len(bad)} of {_BAD}")
    yield Check(
        "every other file has succeeded",
        final.succeeded == final.accepted - group,
        f"{len(final.succeeded)} of {len(final.accepted - group)}",
    )


GAMEDAY = GameDay(
    name="broken-file",
    title="A broken file on the lake",
    pipeline="lake",
    hypothesis=(
        "When a file arrives that is not what its name says, it is refused as a whole and dead-lettered with its"
        " cause; files beside it are ingested, a bad row of theirs goes to quarantine alone; the mended file, uploaded"
        " again under its key, is another object and is ingested."
    ),
    lesson=(
        "Bad rows are data: they are set aside with their reason. A file that nobody can read is an incident: its"
        " producer must mend it, no redrive does. Once it is uploaded again, its letter is deleted by hand, knowingly."
    ),
    fires=("lake-dlq-not-empty", "lake-dlq-oldest-age"),
    may_fire=("lake-error-rate",),
    claims=frozenset({"lake"}),
    blast_radius="only the run's own files",
    checks=_checks,
    steps=(
        Step(
            "load",
            f"a good file of {_ROWS} rows is ingested",
            _before,
            ("lab lake generate --type shipments --count 10 --format jsonl --output good.jsonl",),
        ),
        Step(
            "inject",
            f"a file with {_BAD} bad rows arrives, and one that is a zip in a gzip",
            _inject,
            (
                "printf 'PK\\003\\004and so on' | gzip > broken.jsonl.gz",
                'aws s3 cp broken.jsonl.gz "s3://$(lab status --output lake.bronzeBucket)/bronze/shipments/gd/"',
            ),
        ),
        Step(
            "observe",
            "the broken file is dead-lettered, the others are ingested",
            _watch,
            ("lab redrive preview --pipeline lake", "lab alarms"),
        ),
        Step(
            "repair",
            "its producer uploads it again, mended; the letter is deleted",
            _repair,
            ("lab redrive delete MESSAGE_ID --pipeline lake",),
        ),
        Step("verify", "each row is in silver or in quarantine, once", _verify, ("lab status", "lab alarms")),
    ),
)
