"""Starts the emulator with what it gets wrong, and can't be adapted to from outside, put right.

Run by the interpreter of the emulator's own environment, which knows nothing of this project. What is patched is
private to the pinned version; `tests/ops/test_emulator_s3.py` shows that it works.
"""

from __future__ import annotations

import sys
from typing import Any

from ministack.app import main
from ministack.services import s3

Answer = tuple[int, dict[str, str], bytes]

_get_object = s3._get_object  # noqa: SLF001 - see above


def _get_range(bucket: str, key: str, headers: dict[str, str], query: dict[str, Any] | None = None) -> Answer:
    """GetObject that minds Range also where a version is named; the emulator sends all of it."""
    answer: Answer = _get_object(bucket, key, headers, query)
    status, told, body = answer
    if status != 200 or "range" not in headers or not s3._qp(query or {}, "versionId"):  # noqa: SLF001
        return answer
    span = s3._parse_range(headers["range"], len(body))  # noqa: SLF001
    if span is None:
        refusal = {"Content-Type": "application/xml", "Content-Range": f"bytes */{len(body)}"}
        return 416, refusal, s3._xml_body(s3._range_error_xml(bucket, key))  # noqa: SLF001
    first, last = span
    # checksums are those of the whole object, and would not match
    kept = {name: value for name, value in told.items() if not name.lower().startswith("x-amz-checksum")}
    kept["Content-Length"] = str(last + 1 - first)
    kept["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
    return 206, kept, body[first : last + 1]


if __name__ == "__main__":
    s3._get_object = _get_range  # noqa: SLF001
    sys.exit(main())
