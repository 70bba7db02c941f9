"""A table bucket of S3 Tables in memory: its REST catalog, as strict as AWS documents it, and no socket.

A table has a place of its own, which nobody chooses; all files that a snapshot names must be there. A commit whose
requirements do not hold is refused with a 409. Names are in small letters.
"""

import json
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import unquote

from pyiceberg.catalog.rest import CreateTableRequest, TableResponse
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.table import CommitTableRequest, CommitTableResponse
from pyiceberg.table.metadata import TableMetadata, new_table_metadata
from pyiceberg.table.sorting import SortOrder
from pyiceberg.table.update import update_table_metadata
from requests import PreparedRequest, Response, Session

from handlers.lake.iceberg.fileio import S3FileIO, place
from handlers.lake.iceberg.s3tables import S3TablesCatalog, properties
from tests.handlers.lake.fakes import Version
from tests.handlers.lake.iceberg.fakes import DATABASE, FakeTables

ARN = "arn:aws:s3tables:eu-west-1:123456789012:bucket/lake-tables"
_PATH = re.compile(r"/iceberg/v1/(?P<prefix>[^/]+)/namespaces/(?P<namespace>[a-z0-9_]+)/tables(/(?P<name>[a-z0-9_]+))?")
_SIGNED = "/eu-west-1/s3tables/aws4_request"


class RefusedError(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class FakeTableBucket(S3TablesCatalog):
    """The catalog as the committer uses it, whose requests are answered here, count as calls and may fail or crash.

    `between` runs before the next commit is answered.
    """

    def __init__(self, aws: FakeTables) -> None:
        self._aws = aws
        self._tables: dict[str, tuple[str, TableMetadata]] = {}
        self._files = S3FileIO(client=cast("Any", _Unseen(aws)))
        self.between: Callable[[], object] = lambda: None
        super().__init__("s3tables", **properties(ARN))

    def _init_sigv4(self, session: Session) -> None:
        super()._init_sigv4(session)
        adapter: Any = session.get_adapter(self.uri)

        def send(request: PreparedRequest, **options: Any) -> Response:
            assert options["timeout"] == (1, 20)
            adapter.add_headers(request)
            assert _SIGNED in request.headers["Authorization"]
            return self._answer(request)

        adapter.send = send

    def forget_nested_columns(self, name: str) -> None:
        """Counts the columns of a table as the emulator does: without what is within lists and objects."""
        location, metadata = self._tables[name]
        counted = metadata.model_copy(update={"last_column_id": len(metadata.schema().fields)})
        self._tables[name] = location, counted

    def list_tables(self, namespace: Any) -> list[Any]:  # noqa: ARG002 - pyiceberg's own
        return [(DATABASE, name) for name in self._tables]

    def rename_table(self, from_identifier: Any, to_identifier: Any) -> Any:
        self._tables[to_identifier[-1]] = self._tables.pop(from_identifier[-1])

    def drop_table(self, identifier: Any, purge_requested: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - pyiceberg's own
        del self._tables[identifier[-1]]

    def close(self) -> None:
        self._session.close()

    def _answer(self, request: PreparedRequest) -> Response:
        response = Response()
        response.request, response.url = request, str(request.url)
        try:
            status, body = HTTPStatus.OK, self._routed(request)
        except RefusedError as exc:
            error = {"message": str(exc), "type": "refused", "code": exc.status}
            status, body = HTTPStatus(exc.status), json.dumps({"error": error})
        response.status_code, response._content = status, body.encode()
        return response

    def _routed(self, request: PreparedRequest) -> str:
        path = str(request.path_url)
        if path.startswith("/iceberg/v1/config?warehouse="):
            return json.dumps({"defaults": {"prefix": path.partition("=")[2]}, "overrides": {}})
        match = _PATH.fullmatch(path)
        assert match, path
        assert unquote(match["prefix"]) == ARN
        if match["namespace"] != DATABASE:
            raise RefusedError(404, "no such namespace")
        name, body = match["name"], request.body
        if request.method == "GET" and name:
            return self._call("LoadTable", lambda: self._load(name))
        assert request.method == "POST"
        assert isinstance(body, bytes)
        if not name:
            return self._call("CreateTable", lambda: self._create(body))
        between, self.between = self.between, lambda: None
        between()
        return self._call("CommitTable", lambda: self._commit(name, body))

    def _call(self, name: str, work: Callable[[], str]) -> str:
        return str(self._aws._call(name, lambda: {"body": work()})["body"])

    def _load(self, name: str) -> str:
        if name not in self._tables:
            raise RefusedError(404, "no such table")
        location, metadata = self._tables[name]
        made = TableResponse.model_validate({"metadata-location": location, "metadata": metadata, "config": {}})
        return made.model_dump_json()

    def _create(self, body: bytes) -> str:
        request = CreateTableRequest.model_validate({"location": None, **json.loads(body)})
        if request.location or request.stage_create:
            raise RefusedError(400, "S3 Tables chooses the place, and stages nothing")
        if request.name in self._tables:
            raise RefusedError(409, "exists")
        assert re.fullmatch("[a-z0-9_]{1,255}", request.name)
        metadata = new_table_metadata(
            request.table_schema,
            request.partition_spec or PartitionSpec(),
            request.write_order or SortOrder(),
            f"s3://{len(self._aws.calls):04d}-{request.name.replace('_', '-')}--table-s3",
            {"format-version": request.properties["format-version"]},  # others may be kept, or not
        )
        self._keep(request.name, metadata)
        return self._load(request.name)

    def _commit(self, name: str, body: bytes) -> str:
        if name not in self._tables:
            raise RefusedError(404, "no such table")
        request = CommitTableRequest.model_validate_json(body)
        location, base = self._tables[name]
        try:
            for one in request.requirements:
                one.validate(base)
        except CommitFailedException as exc:
            raise RefusedError(409, str(exc)) from exc
        metadata = update_table_metadata(base, request.updates, metadata_location=location)
        self._look(metadata)
        location = self._keep(name, metadata)
        made = CommitTableResponse.model_validate({"metadata": metadata, "metadata-location": location})
        return made.model_dump_json()

    def _look(self, metadata: TableMetadata) -> None:
        """Whether all that the current snapshot names is there, and in the table's own place."""
        snapshot = metadata.current_snapshot()
        manifests = snapshot.manifests(self._files) if snapshot else []
        named = [snapshot.manifest_list] if snapshot else []
        for one in manifests:
            named += [one.manifest_path]
            named += [e.data_file.file_path for e in one.fetch_manifest_entry(self._files, discard_deleted=True)]
        for path in named:
            if not path.startswith(f"{metadata.location}/") or not self._files.new_input(path).exists():
                raise RefusedError(400, f"{path} is not in the table's place")

    def _keep(self, name: str, metadata: TableMetadata) -> str:
        location = f"{metadata.location}/metadata/{metadata.last_updated_ms}-{len(self._aws.calls)}.metadata.json"
        self._aws.versions[place(location)] = [Version("null", metadata.model_dump_json().encode(), {})]
        self._tables[name] = location, metadata
        return location


class _Unseen:
    """Reads of S3 by S3 Tables itself, which are no calls of the committer's."""

    def __init__(self, aws: FakeTables) -> None:
        self._aws = aws

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        return self._aws._get(Bucket, Key, {})

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        return self._aws._get(Bucket, Key, {})
