"""Where bad rows go: a file of JSON lines beside silver, each with its line number, its reason and its beginning.

An entry has some hundred bytes of its own. Rows that are far shorter than that share one, where they have the same
fault: `lines` says which they are. So what is quarantined stays within a few times what was read.
"""

import json
from functools import lru_cache

from handlers.lake.lines import BadRow

CONTENT_TYPE = "application/x-ndjson"
_SHORT = 16  # characters: what is shorter says little that its reason does not
_FAULTS = 16  # that short rows are collected by at the same time
_RANGES = 10_000  # of an entry
_OWN_BYTES, _RANGE_BYTES = 300, 8  # of an entry and of a line in it, about


def key(kind: str, digest: str, start: int) -> str:
    """Where the bad rows of the content that begins at `start` go."""
    return f"quarantine/{kind}/{digest}-{start:012d}.jsonl"


class Entries:
    """A quarantine file in the making; rows come by their lines."""

    def __init__(self) -> None:
        self.rows = 0
        self._entries: list[bytes | _Shared] = []  # by their first line
        self._bytes = 0
        self._shared: dict[tuple[str, str], _Shared] = {}  # those that take more rows, by error type and reason

    def add(self, row: BadRow) -> None:
        """Takes a row."""
        self.rows += 1
        if len(row.row) > _SHORT:
            entry = _entry(row)
            self._entries.append(entry)
            self._bytes += len(entry)
            return
        fault = (row.error_type, row.reason)
        shared = self._shared.get(fault)
        if shared is None or len(shared.ranges) >= _RANGES:
            if len(self._shared) == _FAULTS:
                self._shared.clear()
            self._shared[fault] = shared = _Shared(row)
            self._entries.append(shared)
            self._bytes += _OWN_BYTES
        else:
            shared.add(row.line)
            self._bytes += _RANGE_BYTES

    def __len__(self) -> int:
        """About how many bytes it has."""
        return self._bytes

    def content(self) -> bytes:
        """The whole file: a line `{"line", "lines"?, "reason", "errorType", "row"}` an entry; "" without rows."""
        return b"".join(one if isinstance(one, bytes) else one.entry() for one in self._entries)


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
    return f'{{"line":{row.line},{lines}{_fault(row.error_type, row.reason)},"row":{json.dumps(row.row)}}}\n'.encode()


@lru_cache(maxsize=64)
def _fault(error_type: str, reason: str) -> str:
    return f'"reason":{json.dumps(reason)},"errorType":{json.dumps(error_type)}'
