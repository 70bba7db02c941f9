"""What a finished chunk has written, as its state record has it."""

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
    """One time that a chunk was worked, done at `at` (ISO 8601, UTC). `chunk` is the same each time."""

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

    @classmethod
    def from_record(cls, item: Mapping[str, Any]) -> Self | None:
        """Reads a state record (attribute-value form); None where the chunk is not done."""
        if item["status"]["S"] != DONE:
            return None
        chunk = Chunk.from_payload(jsontext.load(item["payload"]["S"]))  # type: ignore[arg-type]
        result: Any = jsontext.load(item["result"]["S"])
        files = tuple(File(one["key"], one["type"], one["dt"], one["rows"]) for one in result["files"])
        return cls(chunk.lasting_id, item["processedAt"]["S"], files, origin_of(chunk))
