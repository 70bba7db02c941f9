"""The days of silver: the files of a type and day, as S3 lists them."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_SILVER = "silver/"
_FILE = re.compile(r"silver/(?P<type>[^/]+)/dt=(?P<dt>\d{4}-\d{2}-\d{2})/[^/]+\.parquet")
_FOLDER = re.compile(r"silver/[^/]+/dt=(\d{4}-\d{2}-\d{2})/")


@dataclass(frozen=True, slots=True)
class File:
    """A file of a bucket as it was listed; `etag` in quotes, as S3 gives it."""

    key: str
    etag: str
    size: int


@dataclass(frozen=True, slots=True)
class Partition:
    """The files of one type and day, as they were listed."""

    type: str
    dt: str
    files: Sequence[File]
    modified: datetime  # the newest of them

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def inputs(self) -> str:
        """What tells these files from any others."""
        text = "".join(f"{file.key} {file.etag}\n" for file in self.files)
        return hashlib.sha256(text.encode()).hexdigest()


def partitions(s3: "S3Client", bucket: str, record_type: str = "", dt: str = "") -> Iterator[Partition]:
    """The days of a type, or of all; in order, one at a time."""
    prefix = _SILVER + (f"{record_type}/" if record_type else "") + (f"dt={dt}/" if dt else "")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    listed = (one for page in pages for one in page.get("Contents", []))
    named = ((match.groups(), one) for one in listed if (match := _FILE.fullmatch(one["Key"])))
    for (kind, day), members in groupby(named, key=lambda one: one[0]):
        found = [one for _, one in members]
        files = [File(one["Key"], one["ETag"], one["Size"]) for one in found]
        yield Partition(kind, day, files, max(one["LastModified"] for one in found))


def last_day(s3: "S3Client", bucket: str, record_type: str) -> str:
    """The last day of a type, by its folders; none of the files in them is listed."""
    prefix = f"{_SILVER}{record_type}/"
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
    folders = (one.get("Prefix", "") for page in pages for one in page.get("CommonPrefixes", []))
    return max((match[1] for folder in folders if (match := _FOLDER.fullmatch(folder))), default="")
