"""The lake with tables, on the AWS in memory: a worker that notes what it writes, and a committer."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from handlers.lake.iceberg import fileio, tables
from handlers.lake.iceberg.commit import Round
from handlers.lake.iceberg.committer import Committer
from handlers.lake.iceberg.ledger import MARKS, Ledger
from handlers.lake.iceberg.tables import Tables
from handlers.lake.notes import Notes
from handlers.lake.step import Transformer
from tests.handlers.conftest import FakeClock
from tests.handlers.lake.conftest import START, Lake, created, table
from tests.handlers.lake.fakes import BRONZE, SILVER
from tests.handlers.lake.iceberg.fakes import DATABASE, LEDGER, STATE, FakeCatalog, FakeTables
from tests.handlers.lake.iceberg.table_bucket import FakeTableBucket


@dataclass
class TableLake(Lake):
    """The functions of a lake whose silver is tables."""

    catalog: FakeCatalog | FakeTableBucket = field(kw_only=True)
    _read: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def tables_aws(self) -> FakeTables:
        """The same AWS, with its ledger."""
        return cast("FakeTables", self.aws)

    @property
    def in_bucket(self) -> bool:
        """Whether its tables are in a table bucket."""
        return isinstance(self.catalog, FakeTableBucket)

    def mark(self, record_type: str = "shipments") -> tuple[str, str]:
        """The keys of a table's mark in the ledger."""
        return MARKS[self.in_bucket], record_type

    def transformer(self) -> Transformer:
        client = cast("Any", self.aws)
        return Transformer(
            client,
            client,
            pipeline="lake",
            bronze_bucket=BRONZE,
            silver_bucket=SILVER,
            queue_url="https://lake",
            start=START,
            notes=Notes(client, LEDGER),
        )

    def round(self) -> Round:
        """The committer's inside, made anew, as after a crash."""
        client = cast("Any", self.aws)
        ledger = Ledger(client, LEDGER, in_bucket=self.in_bucket)
        made = Tables(self.catalog, DATABASE, client, SILVER, keeps_files=self.in_bucket)
        committer = Committer(made, ledger, client, pipeline="lake", bucket=SILVER, bus="bus")
        return Round(client, ledger, committer, pipeline="lake", table_name=STATE)

    def table(self, record_type: str = "shipments") -> Any:
        """The table of a type."""
        return self.catalog.load_table((DATABASE, record_type))

    def in_table(self, record_type: str = "shipments") -> list[str]:
        """The keys in silver of a table's files; each as often as it is in it."""
        found = self.table(record_type)
        return sorted(tables.key_of(found, one) for one in tables.data_files(found))

    def rows_of(self, location: str) -> list[dict[str, Any]]:
        """The rows of a file that a table names."""
        if location not in self._read:
            (version,) = self.aws.versions[fileio.place(location)]
            self._read[location] = table(version.content).to_pylist()
        return self._read[location]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> FakeTables:
    """An empty AWS; pyiceberg's files are in it, too."""
    made = FakeTables()
    monkeypatch.setattr(fileio, "s3_client", lambda: made)
    return made


@pytest.fixture(params=["glue", "s3tables"])
def lake(
    aws: FakeTables,
    fake_clock: FakeClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[TableLake]:
    """The lake. Its catalog is a file, which compares as Glue's does, or that of a table bucket."""
    catalog: FakeCatalog | FakeTableBucket
    if request.param == "glue":
        catalog = FakeCatalog(aws, f"sqlite:///{tmp_path}/catalog.db")
        catalog.create_namespace(DATABASE)
    else:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        catalog = FakeTableBucket(aws)
    yield TableLake(aws, fake_clock, catalog=catalog)
    catalog.close()


@pytest.fixture
def ingested(lake: TableLake) -> Callable[..., None]:
    """Uploads an object, cuts it and works its chunks."""

    def ingest(content: bytes, key: str = "bronze/shipments/day.jsonl", **metadata: Any) -> None:
        version = lake.aws.upload(key, content, **metadata)
        before = len(lake.aws.sent)
        lake.ingest(created(version.version_id, version.etag, key))
        for one in lake.deliveries()[before:]:
            assert lake.transform(one) == {"batchItemFailures": []}

    return ingest
