"""What lies in bronze: objects by type, name and time, in the order of their keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from handlers.lake.message import PREFIX, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Window:
    """Which objects: those whose keys begin so, and that were written last from `start` until before `end`."""

    prefix: str
    start: datetime | None
    end: datetime

    @classmethod
    def of(cls, record_type: str, prefix: str, start: datetime | None, end: datetime) -> Window:
        """A window on one type's folder, or on all."""
        return cls(f"{PREFIX}{record_type}/{prefix}" if record_type else PREFIX + prefix, start, end)


@dataclass(frozen=True, slots=True)
class Item:
    """An object that lay there when it was listed."""

    key: str
    etag: str
    size: int

    @property
    def match(self) -> str:
        """The ETag as conditions want it."""
        return f'"{self.etag}"'


def items(s3: Any, bucket: str, window: Window, after: str = "") -> Iterator[Item]:  # noqa: ANN401 - a boto3 client, made by name
    """The current version of each object of the window that the lake takes, from the first key past `after` on."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=window.prefix, StartAfter=after)
    for page in pages:
        for found in page.get("Contents", []):
            if _within(found["LastModified"], window) and kind_of(found["Key"]):
                yield Item(found["Key"], found["ETag"].strip('"'), found["Size"])


def measure(s3: Any, bucket: str, window: Window, after: str = "") -> tuple[int, int]:  # noqa: ANN401
    """How many objects a window has, and how many bytes."""
    objects = size = 0
    for item in items(s3, bucket, window, after):
        objects += 1
        size += item.size
    return objects, size


def _within(modified: datetime, window: Window) -> bool:
    return (window.start is None or window.start <= modified) and modified < window.end
