"""Where bad rows go: a file of JSON lines beside silver, each with its line number, its reason and its beginning.

An entry has some hundred bytes of its own. Rows that are far shorter than that share one, where they have the same
fault: `lines` says which they are. So what is quarantined stays within a few times what was read.
"""

import json
from functools import lru_cache

from handlers.lake.lines import BadRow

CONTENT_TYPE = "application/x-ndjson"
_SHORT = 48  # characters
_FAULTS = 16  # that short rows are collected by at the same time
_RANGES = 10_000  # of an entry
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def key(kind: str, digest: str, start: int) -> str:
    """Where the bad rows of the content that begins at `start` go."""
    return f"quarantine/{kind}/{digest}-{start:012d}.jsonl"


class Entries:
    """A quarantine file in the making; rows come by their lines."""

    def __init__(self) -> None:
        self.rows = 0
        self._content = bytearray()
        self._shared: dict[tuple[str, str], _Shared] = {}  # by error type and reason

    def add(self, row: BadRow) -> None:
        """Takes a row."""
        self.rows += 1
        if len(row.row) > _SHORT:
            self._content += _entry(row)
            return
        fault = (row.error_type, row.reason)
        shared = self._shared.get(fault)
        if shared is None:
            if len(self._shared) == _FAULTS:
                self._end()
            self._shared[fault] = _Shared(row)
        else:
            shared.add(row.line)
            if len(shared.ranges) >= _RANGES:
                self._content += self._shared.pop(fault).entry()

    def __len__(self) -> int:
        """About how many bytes it has."""
        return len(self._content)

    def content(self) -> bytes:
        """The whole file: a line `{"line", "lines"?, "reason", "errorType", "row"}` an entry; "" without rows."""
        self._end()
        return bytes(self._content)

    def _end(self) -> None:
        for shared in self._shared.values():
            self._content += shared.entry()
        self._shared.clear()


class _Shared:
    """The entry of short rows with the same fault: the first of them, and the lines of all."""

    def __init__(self, first: BadRow) -> None:
        self._first = first
        self._from = self._to = first.line
        self.ranges: list[str] = []

    def add(self, line: int) -> None:
        """Takes the line of another one."""
        if line == self._to + 1:
            self._to = line
        else:
            self.ranges.append(self._range())
            self._from = self._to = line

    def entry(self) -> bytes:
        """As it is written."""
        alone = not self.ranges and self._from == self._to
        return _entry(self._first, "" if alone else f'"lines":"{",".join([*self.ranges, self._range()])}",')

    def _range(self) -> str:
        return f"{self._from}-{self._to}" if self._to > self._from else str(self._from)


def _entry(row: BadRow, lines: str = "") -> bytes:
    return (
        f'{{"line":{row.line},{lines}{_fault(row.error_type, row.reason)},"row":{_ENCODER.encode(row.row)}}}\n'.encode()
    )


@lru_cache(maxsize=64)
def _fault(error_type: str, reason: str) -> str:
    return f'"reason":{_ENCODER.encode(reason)},"errorType":{_ENCODER.encode(error_type)}'
