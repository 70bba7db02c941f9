"""A look into files with Arrow, in a process of its own: it takes 50 MB, and keeps them for as long as it lives.

The process is given the content on its stdin and prints JSON. It calls nobody, and has no use for credentials.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops.local.emulator import ROOT
from ops.local.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_BYTES = 8 * 1024 * 1024  # that are fetched of a file; of a larger Parquet file that is its footer
MOST_ROWS = 20
_MOST_CHARACTERS = 200  # of a value
_SECONDS = 60


class PeekError(LabError):
    """The content can't be looked into; the message says why."""


@dataclass(frozen=True, slots=True)
class Look:
    """What is in a Parquet file; `rows` are the first of `count`, none where the file was too large to be fetched."""

    count: int
    fields: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[str]]
    groups: int
    writer: str


def parquet(content: bytes, *, is_whole: bool) -> Look:
    """Look into a Parquet file, of which this is all, or the end.

    Raises:
        PeekError: it is none, or pyarrow is not installed.
    """
    found = _ask(content, "parquet", "whole" if is_whole else "end")
    return Look(**found)


def count(content: bytes, key: str) -> int:
    """How many rows an object of bronze has, told apart as the lake tells them.

    Raises:
        PeekError: they can't be counted.
    """
    return int(_ask(content, "count", key)["rows"])


def _ask(content: bytes, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "ops.console.peek", *arguments]
    try:
        done = subprocess.run(command, cwd=ROOT, input=content, capture_output=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise PeekError(f"this takes more than {_SECONDS} s") from error
    if done.returncode != 0:
        told = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise PeekError(told or f"the process that looks ended with {done.returncode}")
    answer: dict[str, Any] = json.loads(done.stdout)
    if "error" in answer:
        raise PeekError(answer["error"])
    return answer


def _parquet(content: bytes, *, is_whole: bool) -> dict[str, Any]:
    from ops.cli.lake import footers  # noqa: PLC0415 - only the process of its own

    parquet = footers.parquet()
    import pyarrow as pa  # noqa: PLC0415

    try:
        footer = parquet.read_metadata(pa.BufferReader(content))
        rows: list[dict[str, Any]] = []
        if is_whole:
            file = parquet.ParquetFile(pa.BufferReader(content))
            rows = next((batch.to_pylist() for batch in file.iter_batches(batch_size=MOST_ROWS)), [])
    except (pa.ArrowException, OSError) as error:
        raise LabError(f"it is no Parquet file that can be read: {error}") from error
    schema = footer.schema.to_arrow_schema()
    return {
        "count": footer.num_rows,
        "fields": [(one.name, str(one.type)) for one in schema],
        "rows": [[_told(row[one.name]) for one in schema] for row in rows],
        "groups": footer.num_row_groups,
        "writer": footer.created_by,
    }


def _count(content: bytes, key: str) -> dict[str, Any]:
    from ops.cli.lake import check  # noqa: PLC0415 - only the process of its own

    return {"rows": check.rows_in(key, [content])}


def _told(value: object) -> str:
    text = "" if value is None else value if isinstance(value, str) else _json(value)
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str).removeprefix('"').removesuffix('"')


def _main(what: str, argument: str) -> None:
    content = sys.stdin.buffer.read()
    try:
        found = _count(content, argument) if what == "count" else _parquet(content, is_whole=argument == "whole")
    except LabError as error:
        found = {"error": str(error)}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    _main(*sys.argv[1:])
