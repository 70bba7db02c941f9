"""Metadata files of tables in S3, as pyiceberg reads and writes them: with the clients that all handlers use."""

import io
import re
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from pyiceberg.io import FileIO, InputFile, OutputFile
from pyiceberg.typedef import EMPTY_DICT, Properties

from handlers.aws import clients
from handlers.aws.clients import AWS_ERRORS, error_code

if TYPE_CHECKING:
    from types import TracebackType

    from mypy_boto3_s3 import S3Client

_READ_TIMEOUT_SECONDS = 20
_CONNECTIONS = 16
_PLACE = re.compile(r"s3://(?P<bucket>[^/]+)/(?P<key>.+)")
_GONE = frozenset({"NoSuchKey", "404"})


@cache
def s3_client() -> "S3Client":
    """The client of all metadata files; pyiceberg makes a `FileIO` for each table, by the name of its class."""
    made: S3Client = clients.client("s3", read_timeout=_READ_TIMEOUT_SECONDS, connections=_CONNECTIONS)
    return made


def place(location: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`.

    Raises:
        ValueError: it is none.
    """
    match = _PLACE.fullmatch(location)
    if match is None:
        raise ValueError(f"a file of a table must be in S3, got {location!r}")
    return match["bucket"], match["key"]


class _Input(InputFile):
    def __init__(self, client: "S3Client", location: str) -> None:
        super().__init__(location)
        self._client = client

    def __len__(self) -> int:
        bucket, key = place(self.location)
        return int(self._client.head_object(Bucket=bucket, Key=key)["ContentLength"])

    def exists(self) -> bool:
        return _exists(self._client, self.location)

    def open(self, seekable: bool = True) -> io.BytesIO:  # noqa: FBT001, FBT002, ARG002 - pyiceberg's own signature
        """The whole file: metadata are small, and read from end to end."""
        bucket, key = place(self.location)
        try:
            return io.BytesIO(self._client.get_object(Bucket=bucket, Key=key)["Body"].read())
        except AWS_ERRORS as exc:
            if error_code(exc) in _GONE:
                raise FileNotFoundError(self.location) from exc
            raise


class _Stream(io.BytesIO):
    """What is written, put as one object when it is closed; nothing where writing failed."""

    def __init__(self, client: "S3Client", location: str, *, overwrite: bool) -> None:
        super().__init__()
        self._client = client
        self._location = location
        self._condition: Any = {} if overwrite else {"IfNoneMatch": "*"}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exctype: type[BaseException] | None, excinst: BaseException | None, exctb: "TracebackType | None"
    ) -> None:
        if exctype is None:
            self.close()
        else:
            super().close()

    def close(self) -> None:
        if self.closed:
            return
        bucket, key = place(self._location)
        try:
            self._client.put_object(Bucket=bucket, Key=key, Body=self.getvalue(), **self._condition)
        finally:
            super().close()


class _Output(OutputFile):
    def __init__(self, client: "S3Client", location: str) -> None:
        super().__init__(location)
        self._client = client

    def __len__(self) -> int:
        return len(self.to_input_file())

    def exists(self) -> bool:
        return _exists(self._client, self.location)

    def to_input_file(self) -> InputFile:
        return _Input(self._client, self.location)

    def create(self, overwrite: bool = False) -> _Stream:  # noqa: FBT001, FBT002 - pyiceberg's own signature
        return _Stream(self._client, self.location, overwrite=overwrite)


class S3FileIO(FileIO):
    """What pyiceberg reads and writes with. It deletes nothing.

    pyiceberg would delete the metadata of a commit that was refused. One that was made and whose answer was lost is
    refused when the SDK repeats it, and its metadata are the table's.
    """

    def __init__(self, properties: Properties = EMPTY_DICT, client: "S3Client | None" = None) -> None:
        super().__init__(properties)
        self._client = client or s3_client()

    def new_input(self, location: str) -> InputFile:
        """A file to read."""
        return _Input(self._client, location)

    def new_output(self, location: str) -> OutputFile:
        """A file to write."""
        return _Output(self._client, location)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        """Leaves it; whoever looks after the table removes what no snapshot names."""


def _exists(client: "S3Client", location: str) -> bool:
    bucket, key = place(location)
    try:
        client.head_object(Bucket=bucket, Key=key)
    except AWS_ERRORS as exc:
        if error_code(exc) in _GONE:
            return False
        raise
    return True
