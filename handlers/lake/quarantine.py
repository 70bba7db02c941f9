"""Where bad rows go: a file of JSON lines beside silver, each with its line number, its reason and its beginning."""

from handlers import jsontext
from handlers.lake.lines import BadRow

CONTENT_TYPE = "application/x-ndjson"


def key(kind: str, digest: str, start: int) -> str:
    """Where the bad rows of the content that begins at `start` go."""
    return f"quarantine/{kind}/{digest}-{start:012d}.jsonl"


def encode(row: BadRow) -> bytes:
    """One entry: `{"line", "reason", "errorType", "row"}`."""
    entry: jsontext.JsonObject = {
        "line": row.line,
        "reason": row.reason,
        "errorType": row.error_type,
        "row": row.row,
    }
    return jsontext.compact(entry).encode() + b"\n"
