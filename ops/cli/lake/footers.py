"""How many rows a Parquet file has, by its footer alone."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from ops.local.errors import LabError

if TYPE_CHECKING:
    from types import ModuleType

    from handlers.lake.partition import File

_TAIL = 64 * 1024  # bytes that are read first: most footers are smaller
_END = 8  # the footer's length and the magic


class NotParquetError(LabError):
    """The object is no Parquet file."""


def parquet() -> ModuleType:
    """Return pyarrow's module.

    Raises:
        LabError: it is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: PLC0415 - compiled, 100 MB: most commands do without it
    except ImportError as error:
        raise LabError("this reads Parquet and needs pyarrow: uv sync --group lake") from error
    module: ModuleType = pyarrow.parquet
    return module


def read(s3: Any, bucket: str, file: File) -> Any:  # noqa: ANN401 - a boto3 client and pyarrow's FileMetaData
    """The footer of exactly this file; reads its end, and no row.

    Raises:
        NotParquetError: it is none.
        ClientError: S3 refused; `PreconditionFailed`, where the file has been overwritten.
    """
    import pyarrow as pa  # noqa: PLC0415 - see above

    tail = _last(s3, bucket, file, _TAIL)
    if len(tail) < _END or tail[-4:] != b"PAR1":
        raise NotParquetError(f"{file.key} is no Parquet file")
    length = struct.unpack("<I", tail[-_END:-4])[0] + _END
    if length > len(tail):
        tail = _last(s3, bucket, file, length)
    try:
        return parquet().read_metadata(pa.BufferReader(tail))
    except (pa.ArrowInvalid, OSError) as error:
        raise NotParquetError(f"{file.key} is no Parquet file: {error}") from error


def _last(s3: Any, bucket: str, file: File, count: int) -> bytes:  # noqa: ANN401
    if not file.size:
        return b""
    wanted = f"bytes={max(0, file.size - count)}-{file.size - 1}"
    content: bytes = s3.get_object(Bucket=bucket, Key=file.key, IfMatch=file.etag, Range=wanted)["Body"].read()
    return content
