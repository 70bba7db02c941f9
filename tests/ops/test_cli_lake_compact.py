"""`lab lake compact` on a lake at work: the same rows in one file, whatever is written beside it, wherever it dies."""

import io
import re
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ops.cli import target
from ops.cli.lake import compaction
from ops.cli.lake.compaction import Compactor, RefusedError, united
from tests.ops.lake_work import SILVER, Lake, lines, shipment

_NOW = ("--quiet-minutes", "0", "--min-files", "2")
_COPY = "compacted/shipments/dt=2026-01-31/all.parquet"


def _rows(lake: Lake, *keys: str) -> list[str]:
    tables = [pq.read_table(io.BytesIO(lake.read(key)), partitioning=None) for key in keys]
    return sorted(str(row) for table in tables for row in table.to_pylist())


def _put(lake: Lake, *numbers: int) -> None:
    for number in numbers:
        lake.put(f"shipments/{number}.jsonl", lines(shipment(number), shipment(number + 1000)))


def test_one_file_with_the_same_rows(lake: Lake) -> None:
    """Of days with many files; silver is not touched, and a second run has nothing to do."""
    _put(lake, 1, 2, 3)
    lake.put("shipments/other.jsonl", lines(shipment(9, event_time="2026-02-01T00:00:00Z")))
    before = {key: lake.read(key) for key in lake.files()}
    dry = lake.told("compact", *_NOW, "--dry-run")
    assert (dry["days"], dry["left"]) == (
        [{"type": "shipments", "dt": "2026-01-31", "files": 3, "was": "new"}],
        {"few files": 1},
    )
    assert lake.files("compacted/") == []
    (day,) = lake.told("compact", *_NOW)["days"]

    assert (day["rows"], day["files"], day["stillFresh"]) == (6, 3, True)
    assert lake.files("compacted/") == [_COPY]
    day_files = lake.files("silver/shipments/dt=2026-01-31/")
    assert _rows(lake, _COPY) == _rows(lake, *day_files)
    written = pq.ParquetFile(io.BytesIO(lake.read(_COPY)))
    assert written.schema_arrow.equals(
        pq.ParquetFile(io.BytesIO(lake.read(day_files[0]))).schema_arrow, check_metadata=True
    )
    assert {key: lake.read(key) for key in lake.files("silver/")} == before
    assert lake.told("compact", *_NOW) == {"dryRun": False, "days": [], "left": {"few files": 1, "fresh": 1}}
    assert lake.told("check")["problems"] == {}


def test_writers_beside_it(lake: Lake) -> None:
    """A replay that writes its files again, and rows that come late, make the copy stale; then it has each row once."""
    _put(lake, 1, 2)
    lake.told("compact", *_NOW)
    copy = lake.read(_COPY)
    lake.lab("replay-queue", "--again")
    lake.work()
    assert lake.told("compact", *_NOW)["left"] == {"fresh": 1}, "the same bytes are the same files"
    _put(lake, 3)
    assert lake.read(_COPY) == copy
    (day,) = lake.told("compact", *_NOW)["days"]
    assert (day["was"], day["rows"], day["files"]) == ("stale", 6, 3)
    assert _rows(lake, _COPY) == _rows(lake, *lake.files("silver/"))


def test_the_files_to_read_have_each_row_once(lake: Lake) -> None:
    """A day's compacted file while it is fresh, else those of silver; of the days that are asked for."""
    _put(lake, 1, 2)
    lake.put("shipments/other.jsonl", lines(shipment(9, event_time="2026-02-01T00:00:00Z")))
    place = f"s3://{SILVER}/"

    def files(*options: str) -> list[str]:
        found = lake.told("files", "--type", "shipments", *options)["files"]
        return [url.removeprefix(place) for url in found]

    assert files() == lake.files("silver/")
    lake.told("compact", *_NOW)
    other = lake.files("silver/shipments/dt=2026-02-01/")
    assert files() == [_COPY, *other]
    assert _rows(lake, *files()) == _rows(lake, *lake.files("silver/"))
    assert (files("--to", "2026-01-31"), files("--from", "2026-02-01")) == ([_COPY], other)
    _put(lake, 3)
    assert files() == lake.files("silver/"), "a copy that is out of date is left alone"
    told = lake.lab("files", "--type", "shipments", "--to", "2026-01-31")
    assert told.stdout.splitlines() == [place + key for key in lake.files("silver/shipments/dt=2026-01-31/")]
    assert "3 files: 0 days compacted, 1 days as they are in silver" in told.stderr.replace("\n", " ")
    assert "no type has that name" in lake.lab("files", "--type", "nope").stderr.replace("\n", " ")
    assert "--from must be a date" in lake.lab("files", "--type", "shipments", "--from", "yesterday").stderr


def test_days_that_are_still_written_to(lake: Lake) -> None:
    """They are left alone, unless none is asked to rest."""
    _put(lake, 1, 2)
    assert lake.told("compact", "--min-files", "2")["left"] == {"still written to": 1}
    assert len(lake.told("compact", "--type", "shipments", "--dt", "2026-01-31", "--quiet-minutes", "0")["days"]) == 1


class _Dying:
    """S3 of a process that dies before, or after, its call of this number."""

    def __init__(self, s3: Any, at: int, *, after: bool) -> None:
        self._s3, self._at, self._after = s3, at, after
        self._calls = count(1)

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._s3, name)
        return self._dying(real) if name in {"get_object", "head_object", "put_object", "get_paginator"} else real

    def _dying(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **more: Any) -> Any:
            dies = next(self._calls) == self._at
            if dies and not self._after:
                raise KeyboardInterrupt
            answer = real(*given, **more)
            if dies:
                if isinstance(answer, dict) and "Body" in answer:
                    answer["Body"].close()
                raise KeyboardInterrupt
            return answer

        return call


@pytest.mark.parametrize("after", [False, True])
def test_death_at_any_call(lake: Lake, monkeypatch: pytest.MonkeyPatch, *, after: bool) -> None:
    """A reader of the copy finds the day as it was or as it is, never a part; the same command ends what was begun."""
    _put(lake, 1, 2)
    lake.told("compact", *_NOW)
    old, versions = _rows(lake, _COPY), set()
    _put(lake, 3)
    new = _rows(lake, *lake.files("silver/"))
    real = target.Target.client
    former = lake.read(_COPY)
    at = 0
    while True:
        at += 1
        dying = _Dying(lake.s3, at, after=after)
        monkeypatch.setattr(target.Target, "client", lambda self, n, s3=dying: s3 if n == "s3" else real(self, n))
        died = lake.lab("compact", *_NOW).exit_code == 130
        found = _rows(lake, _COPY)
        assert found in (old, new)
        versions.add(len(found))
        if not died:
            break
        if found == new:
            lake.s3.put_object(Bucket=SILVER, Key=_COPY, Body=former)
    assert (at > 8, versions, _rows(lake, _COPY)) == (True, {4, 6}, new)


def test_overtaken(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is overwritten while it is read, or a faster run, ends it with nothing replaced; it is told why."""
    _put(lake, 1, 2)
    shape = Compactor._shape
    key = lake.files("silver/")[0]

    def overwritten(self: Compactor, day: Any) -> Any:
        done = shape(self, day)
        lake.s3.put_object(Bucket=SILVER, Key=key, Body=lake.read(key) + b"")
        lake.s3.put_object(Bucket=SILVER, Key=key, Body=lake.read(lake.files("silver/")[1]))
        return done

    with monkeypatch.context() as patch:
        patch.setattr(Compactor, "_shape", overwritten)
        (day,) = lake.told("compact", *_NOW, code=1)["days"]
    assert (day["refused"], lake.files("compacted/")) == (f"{key} was overwritten or deleted meanwhile", [])

    compare = compaction._compare

    def faster(file: Path, shape: Any) -> None:
        compare(file, shape)
        lake.s3.put_object(Bucket=SILVER, Key=_COPY, Body=b"another")

    monkeypatch.setattr(compaction, "_compare", faster)
    (day,) = lake.told("compact", *_NOW, code=1)["days"]
    assert (day["refused"], lake.read(_COPY)) == ("another run has compacted it meanwhile", b"another")


def test_files_that_do_not_fit_together(lake: Lake) -> None:
    """A field with two types is refused, as is what is no Parquet; other days are compacted all the same."""
    _put(lake, 1, 2)
    lake.put("tracking_events/t.jsonl", lines(shipment(1, status="x", city="y")))
    other = {"event_time": pa.array([0], pa.timestamp("us", "UTC")), "weight_kg": pa.array(["1"])}
    sink = io.BytesIO()
    pq.write_table(pa.table(other), sink)
    lake.s3.put_object(Bucket=SILVER, Key="silver/shipments/dt=2026-01-31/zz.parquet", Body=sink.getvalue())
    told = lake.told("compact", "--quiet-minutes", "0", "--min-files", "1", code=1)
    assert [(day["type"], day.get("refused", "")[:38]) for day in told["days"]] == [
        ("shipments", "weight_kg is double in some files and "),
        ("tracking_events", ""),
    ]
    lake.s3.put_object(Bucket=SILVER, Key="silver/shipments/dt=2026-01-31/zz.parquet", Body=b"no")
    text = lake.lab("compact", *_NOW)
    assert (text.exit_code, "isnoParquetfile" in re.sub(r"[^a-zA-Z]", "", text.stdout)) == (1, True)
    assert max(map(len, text.stdout.splitlines())) <= 80


def _schema(*fields: pa.Field, **metadata: str) -> pa.Schema:
    return pa.schema(list(fields), metadata or None)


def test_one_schema_for_old_and_new_files() -> None:
    """A field that was added is null in old files; what all require stays required; metadata stay that all share."""
    a, b = pa.field("a", pa.string(), nullable=False), pa.field("b", pa.int64(), nullable=False)
    old, new = _schema(a, owner="x", version="1"), _schema(a, b, owner="x", version="2")

    expected = _schema(a, pa.field("b", pa.int64()), owner="x")
    assert united([old, new]).equals(expected, check_metadata=True)
    assert united([new, new]).equals(new, check_metadata=True)
    with pytest.raises(RefusedError, match="a is int64 in some files and string in others"):
        united([old, _schema(pa.field("a", pa.int64()), b)])


def test_added_field(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old rows have null for a field that came later, whichever file comes first by its name."""
    day = "silver/shipments/dt=2026-01-31"
    for name, columns in (("1", {"a": [1]}), ("0", {"a": [2], "b": ["x"]}), ("2", {"a": [3]})):
        sink = io.BytesIO()
        pq.write_table(pa.table(columns), sink)
        lake.s3.put_object(Bucket=SILVER, Key=f"{day}/{name}.parquet", Body=sink.getvalue())
    monkeypatch.setattr(compaction, "_GROUP_ROWS", 2)
    lake.told("compact", *_NOW)

    written = pq.ParquetFile(io.BytesIO(lake.read(_COPY)))
    assert written.read().to_pylist() == [{"a": 2, "b": "x"}, {"a": 1, "b": None}, {"a": 3, "b": None}]
    assert written.num_row_groups == 2


def test_refused(lake: Lake) -> None:
    """A day without its type, and what is no day."""
    assert "--dt is a day of a type: it needs --type" in lake.lab("compact", "--dt", "2026-01-31").stderr
    assert "--dt must be a date" in lake.lab("compact", "--type", "shipments", "--dt", "31.1.").stderr
    mistyped = lake.lab("compact", "--type", "shipment")
    assert mistyped.exit_code == 1
    assert "nothing was found of 'shipment', and no type has that name: invoice_lines, shipments" in mistyped.stderr
