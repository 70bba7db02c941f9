"""Sample rows for the lake: any number of them, the same for the same seed, and bad ones among them on request."""

from __future__ import annotations

import gzip
import json
import random
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Row: TypeAlias = "dict[str, Any]"

_BLOCK = 1000  # rows that are written at once
_DAY_MS = 86_400_000
_CITIES = ("Antwerp", "Bilbao", "Cork", "Dresden", "Espoo", "Gdańsk", "Malmö", "Nantes", "Porto", "Trieste")
_CARRIERS = ("DHL", "DPD", "GLS", "PostNL", "UPS")
_STATUSES = ("picked_up", "in_transit", "at_customs", "out_for_delivery", "delivered")
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Samples:
    """What the rows are to be like. `bad_percent` of them are for the quarantine."""

    type: str
    seed: int = 0
    bad_percent: float = 0
    first_day: date = date(2026, 1, 1)
    days: int = 1
    as_array: bool = False  # one JSON array, else a row a line
    compressed: bool = False


@dataclass(slots=True)
class Written:
    """What has been written; `bytes` before compression."""

    rows: int = 0
    bad: int = 0
    bytes: int = 0


def _shipment(chance: random.Random) -> Row:
    return {
        "shipment_id": f"SH-{chance.randrange(10**9):09}",
        "origin": chance.choice(_CITIES),
        "destination": chance.choice(_CITIES),
        "carrier": chance.choice(_CARRIERS),
        "weight_kg": chance.randrange(100, 30_000) / 1000,
    }


def _tracking_event(chance: random.Random) -> Row:
    return {
        "shipment_id": f"SH-{chance.randrange(10**9):09}",
        "status": chance.choice(_STATUSES),
        "city": chance.choice(_CITIES),
    }


def _invoice_line(chance: random.Random) -> Row:
    quantity, cents = chance.randint(1, 20), chance.randrange(50, 50_000)
    return {
        "invoice_id": f"INV-{chance.randrange(10**7):07}",
        "sku": f"SKU-{chance.randrange(10**4):04}",
        "quantity": quantity,
        "unit_price": cents / 100,
        "line_total": quantity * cents / 100,
    }


# Type -> how one of its rows is made up, and the field that a bad one lacks.
TYPES: dict[str, tuple[Callable[[random.Random], Row], str]] = {
    "shipments": (_shipment, "shipment_id"),
    "tracking_events": (_tracking_event, "status"),
    "invoice_lines": (_invoice_line, "invoice_id"),
}


def lines(samples: Samples) -> Iterator[tuple[str, bool]]:
    """Rows without end, each as JSON, and whether it is a bad one."""
    chance = random.Random(f"{samples.type}/{samples.seed}")  # noqa: S311 - made-up data
    make, required = TYPES[samples.type]
    start = datetime.combine(samples.first_day, datetime.min.time(), UTC)
    while True:
        moment = start + timedelta(milliseconds=chance.randrange(samples.days * _DAY_MS))
        row = {"event_time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"), **make(chance)}
        bad = chance.random() * 100 < samples.bad_percent
        yield (_spoilt(row, required, chance, samples), True) if bad else (_ENCODER.encode(row), False)


def write(
    samples: Samples,
    sink: BinaryIO,
    *,
    rows: int | None = None,
    size: int | None = None,
    advance: Callable[[Written], None] = lambda _: None,
) -> Written:
    """Write so many rows, or as many as make up a size (bytes before compression), in little memory.

    `advance` gets what has been written since its last call.
    """
    source = lines(samples) if rows is None else islice(lines(samples), rows)
    whole = Written()
    with _compressed(sink) if samples.compressed else nullcontext(sink) as out:
        for block in _blocks(source, size):
            part = Written(len(block), sum(bad for _, bad in block))
            text = _joined([line for line, _ in block], first=whole.rows == 0, as_array=samples.as_array)
            part.bytes = out.write(text)
            whole = Written(whole.rows + part.rows, whole.bad + part.bad, whole.bytes + part.bytes)
            advance(part)
        if samples.as_array:
            whole.bytes += out.write(b"\n]\n" if whole.rows else b"[]\n")
    return whole


def _blocks(source: Iterator[tuple[str, bool]], size: int | None) -> Iterator[list[tuple[str, bool]]]:
    """The rows in blocks; with a size, up to the row that reaches it."""
    block: list[tuple[str, bool]] = []
    written = 0
    for line in source:
        block.append(line)
        written += len(line[0].encode()) + 1
        if size is not None and written >= size:
            break
        if len(block) == _BLOCK:
            yield block
            block = []
    if block:
        yield block


def _joined(texts: list[str], *, first: bool, as_array: bool) -> bytes:
    if not as_array:
        return ("\n".join(texts) + "\n").encode()
    return (("[\n" if first else ",\n") + ",\n".join(texts)).encode()


def _spoilt(row: Row, required: str, chance: random.Random, samples: Samples) -> str:
    """A row with a fault that makes it a case for the quarantine; in an array, none that breaks the document."""
    faults: tuple[Row, ...] = (
        {name: value for name, value in row.items() if name != required},
        {name: value for name, value in row.items() if name != "event_time"},
        row | {"event_time": "yesterday"},
        row | {"record_type": "no_such_type"},
    )
    fault = chance.randrange(len(faults) + (not samples.as_array))
    return _ENCODER.encode(faults[fault]) if fault < len(faults) else _ENCODER.encode(row)[:-1]


def _compressed(sink: BinaryIO) -> BinaryIO:
    """Gzip without the time and name that would make the same rows other bytes."""
    return cast("BinaryIO", gzip.GzipFile(filename="", mode="wb", fileobj=sink, mtime=0))
