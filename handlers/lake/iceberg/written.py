"""What a finished chunk has written, as its state record has it.

Of files whose record has expired nobody knows the chunk, but where its content begins: that is in their names. They are
a *place*, `<digest>/<start>`, and what any chunk around it writes later takes their place.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from handlers import jsontext
from handlers.lake.message import Chunk
from handlers.lake.ready import origin_of

DONE = "SUCCEEDED"


@dataclass(frozen=True, slots=True)
class File:
    """A Parquet file of silver, and what its writer says of it."""

    key: str
    type: str
    dt: str
    rows: int


@dataclass(frozen=True, slots=True)
class Written:
    """One time that a chunk was worked, done at `at` (ISO 8601, UTC). `chunk` is the same each time.

    Nobody is told of one without an origin: its files are known for long.
    """

    chunk: str
    at: str
    files: tuple[File, ...]
    origin: jsontext.JsonObject  # what its rows came in

    def of(self, record_type: str) -> tuple[File, ...]:
        """Its files of a type."""
        return tuple(file for file in self.files if file.type == record_type)

    @property
    def types(self) -> set[str]:
        """The types of its files."""
        return {file.type for file in self.files}

    @property
    def digest(self) -> str:
        """What is the same for all chunks of a content."""
        return self.chunk.partition("/")[0]

    @property
    def is_place(self) -> bool:
        """Whether it is the files of a place, whose chunk is not known."""
        return _span(self.chunk)[1] is None

    def touches(self, chunk: str) -> bool:
        """Whether the other is a place within this chunk, or a chunk around this place."""
        (mine, end), (other, other_end) = _span(self.chunk), _span(chunk)
        if end is None:
            return other_end is not None and other <= mine < other_end
        return other_end is None and mine <= other < end

    def as_note(self) -> str:
        """As a note has it."""
        return json.dumps([self.chunk, self.at, [[one.key, one.type, one.dt, one.rows] for one in self.files]])

    @classmethod
    def from_note(cls, text: str) -> Self:
        """Reads what `as_note` gives."""
        chunk, at, files = json.loads(text)
        return cls(chunk, at, tuple(File(*one) for one in files), {})

    @classmethod
    def from_record(cls, item: Mapping[str, Any]) -> Self | None:
        """Reads a state record (attribute-value form); None where the chunk is not done."""
        if item["status"]["S"] != DONE:
            return None
        chunk = Chunk.from_payload(jsontext.load(item["payload"]["S"]))  # type: ignore[arg-type]
        result: Any = jsontext.load(item["result"]["S"])
        files = tuple(File(one["key"], one["type"], one["dt"], one["rows"]) for one in result["files"])
        return cls(chunk.lasting_id, item["processedAt"]["S"], files, origin_of(chunk))


def _span(chunk: str) -> tuple[int, int | None]:
    """The bytes of a chunk, of a place where they begin."""
    start, is_chunk, end = chunk.split("/")[1].partition("-")
    return int(start), int(end) if is_chunk else None
