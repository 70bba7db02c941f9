"""Whether the days of silver are what their types expect of them; a verdict is written down beside silver.

Nothing is moved or deleted: a day that fails is marked, by `gate/TYPE/dt=DAY.json` and by an event on the bus.
"""

from __future__ import annotations

import io
import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from handlers import jsontext
from handlers.aws import eventbridge
from ops.cli.lake import footers, ledger
from ops.cli.lake.compaction import Compactor, Partition
from ops.cli.lake.ledger import DONE, ChunkRecord
from ops.local.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from handlers.lake.expectations import Expectations
    from ops.cli.target import Target

SOURCE = "myapp.lake"
CHECKED = "SilverPartitionChecked"
PREFIX = "gate/"
_EVENT_TIME = "event_time"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a day: `findings` is empty where it is as expected."""

    type: str
    dt: str
    inputs: str  # which files were checked
    rows: int
    findings: tuple[str, ...]
    checked_at: str

    @property
    def passed(self) -> bool:
        """Whether it is as expected."""
        return not self.findings

    def as_json(self) -> jsontext.JsonObject:
        """As it is written down, and told."""
        return {
            "type": self.type,
            "dt": self.dt,
            "passed": self.passed,
            "rows": self.rows,
            "findings": list(self.findings),
            "inputs": self.inputs,
            "checkedAt": self.checked_at,
        }


class Gate:
    """Checks days, writes verdicts down, and tells them."""

    def __init__(self, found: Target, bucket: str, now: datetime) -> None:
        self._found = found
        self._s3 = found.client("s3")
        self._bucket = bucket
        self._now = now
        self._shares: dict[str, tuple[int, int]] | None = None

    def days(self, record_type: str, dt: str) -> Iterator[tuple[Partition, bool]]:
        """The days of silver, and whether each is the last one of its type."""
        former: Partition | None = None
        for day in Compactor(self._found, self._bucket).partitions(record_type, dt):
            if former:
                yield former, former.type != day.type
            former = day
        if former:
            yield former, not dt

    def verdict(self, day: Partition) -> dict[str, Any] | None:
        """The one that was written down for exactly these files; None where there is none."""
        try:
            body = self._s3.get_object(Bucket=self._bucket, Key=_key(day))["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"NoSuchKey", "404"}:
                raise
            return None
        found: dict[str, Any] = json.loads(body)
        return found if found.get("inputs") == day.inputs else None

    def check(self, day: Partition, wanted: Expectations, *, is_last: bool) -> Verdict:
        """Check a day; its columns that are asked for are held in memory.

        Raises:
            LabError: a file can't be read.
        """
        table = self._read(day, {*wanted.unique, *wanted.bounds, _EVENT_TIME})
        findings = [*_unique(table, wanted.unique), *_bounds(table, wanted)]
        if wanted.quarantine_percent is not None:
            findings += self._share(day, wanted.quarantine_percent)
        if wanted.fresh_hours is not None and is_last:
            findings += self._age(table, wanted.fresh_hours)
        return Verdict(day.type, day.dt, day.inputs, table.num_rows, tuple(findings), self._now.isoformat())

    def tell(self, day: Partition, verdict: Verdict) -> None:
        """Put a verdict on the bus, and write it down: in this order, so that one is told again rather than never.

        Raises:
            LabError: the bus did not take it.
        """
        detail = verdict.as_json()
        name = eventbridge.event_id(CHECKED, "lake", _key(day), f"{day.inputs}/{verdict.checked_at}")
        event = eventbridge.Event("0", SOURCE, CHECKED, {"eventId": name, "pipeline": "lake", **detail})
        failed = eventbridge.put(self._found.client("events"), self._found.outputs["EventBusName"], [event])
        if failed:
            code = failed[event.id]
            raise LabError(
                f"the bus did not take the verdict on {day.type} {day.dt}: {code}; run the same command again"
            )
        self._s3.put_object(
            Bucket=self._bucket, Key=_key(day), Body=jsontext.compact(detail).encode(), ContentType="application/json"
        )

    def _read(self, day: Partition, fields: set[str]) -> Any:  # noqa: ANN401 - pyarrow's
        import pyarrow as pa  # noqa: PLC0415 - see footers.parquet

        tables = []
        parquet = footers.parquet()
        for file in day.files:
            try:
                body = self._s3.get_object(Bucket=self._bucket, Key=file.key, IfMatch=file.etag)["Body"].read()
                opened = parquet.ParquetFile(io.BytesIO(body))
                columns = sorted(fields & set(opened.schema_arrow.names))
                tables.append(opened.read(columns=columns))
            except (pa.ArrowException, ClientError) as error:
                raise LabError(f"{file.key} can't be read: {error}; run the same command again") from error
        table = pa.concat_tables(tables, promote_options="default")
        if missing := sorted(fields - set(table.column_names)):
            raise LabError(f"{day.type} expects something of {', '.join(missing)}, which no row of {day.dt} has")
        return table

    def _share(self, day: Partition, limit: float) -> Iterator[str]:
        if self._shares is None:
            self._shares = _shares(ledger.records(self._found))
        digests = {file.key.rpartition("/")[2].partition("-")[0] for file in day.files}
        known = [self._shares[digest] for digest in digests if digest in self._shares]
        if len(known) < len(digests):
            yield f"the share of quarantine is not known: {len(digests) - len(known)} objects have no record (ttlDays)"
        rows, bad = (sum(one[i] for one in known) for i in (0, 1))
        if rows and 100 * bad / rows > limit:
            yield f"{100 * bad / rows:.2f} % of the objects' rows are in quarantine, {limit:g} % are expected at most"

    def _age(self, table: Any, hours: float) -> Iterator[str]:  # noqa: ANN401 - pyarrow's
        import pyarrow.compute as pc  # noqa: PLC0415 - see footers.parquet

        newest = pc.max(table[_EVENT_TIME]).as_py()
        age = (self._now - newest).total_seconds() / 3600
        if age > hours:
            yield f"the newest row is {age:.1f} hours old, {hours:g} are expected at most"


def _unique(table: Any, fields: tuple[str, ...]) -> Iterator[str]:  # noqa: ANN401 - pyarrow's
    if not fields:
        return
    counted = table.group_by(list(fields)).aggregate([([], "count_all")])
    if repeated := table.num_rows - counted.num_rows:
        yield f"{repeated} rows share {' and '.join(fields)} with another"


def _bounds(table: Any, wanted: Expectations) -> Iterator[str]:  # noqa: ANN401 - pyarrow's
    import pyarrow.compute as pc  # noqa: PLC0415 - see footers.parquet

    for name, (least, greatest) in wanted.bounds.items():
        found = pc.min_max(table[name]).as_py()
        if least is not None and found["min"] is not None and found["min"] < least:
            yield f"{name} goes down to {found['min']}, {least:g} is expected at least"
        if greatest is not None and found["max"] is not None and found["max"] > greatest:
            yield f"{name} goes up to {found['max']}, {greatest:g} is expected at most"


def _shares(records: Iterable[ledger.ObjectRecord | ChunkRecord]) -> dict[str, tuple[int, int]]:
    """Digest of an object's content -> its rows, and those of them that are in quarantine; the last work counts."""
    latest: dict[tuple[Any, ...], tuple[str, int, int]] = {}
    for one in records:
        if isinstance(one, ChunkRecord) and one.status == DONE:
            key = (*one.span, one.chunk.part)
            if key not in latest or latest[key][0] < one.processed_at:
                latest[key] = (one.processed_at, one.silver + one.quarantined, one.quarantined)
    shares: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for (digest, *_), (_, rows, bad) in latest.items():
        before = shares[digest]
        shares[digest] = (before[0] + rows, before[1] + bad)
    return dict(shares)


def _key(day: Partition) -> str:
    return f"{PREFIX}{day.type}/dt={day.dt}.json"
