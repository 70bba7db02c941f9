"""`lab lake quarantine` on a lake at work: what is counted, what is shown, and that a retry leaves each row once."""

import io
import json
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from handlers.lake import model, schemas, silver
from tests.ops.lake_work import SILVER, Lake, lines, shipment

_HEAVY = "/weight_kg must be a number, got string"


def _ids(lake: Lake) -> list[str]:
    """The shipments of silver."""
    tables = [pq.read_table(io.BytesIO(lake.read(key)), columns=["shipment_id"]) for key in lake.files("silver/")]
    return sorted(name for table in tables for name in table["shipment_id"].to_pylist())


def test_counted(lake: Lake) -> None:
    """Rows by reason, most first, and by object; a file that no record names is counted, too."""
    day = lake.put(
        "shipments/day.jsonl", lines(shipment(1), shipment(2, weight_kg="x"), b"{", shipment(3, weight_kg="y"))
    )
    other = lake.put("tracking_events/t.jsonl", lines({}))
    lake.forget(other)
    told = lake.told("quarantine", "list")

    reasons = [(one["type"], one["errorType"], one["reason"], one["rows"]) for one in told["reasons"]]
    assert reasons[0] == ("shipments", "SchemaValidationError", _HEAVY, 2)
    assert sorted(reason[3] for reason in reasons) == [1, 1, 2]
    assert (told["rows"], told["files"], told["moreFiles"]) == (4, 2, 0)
    assert [(one["object"], one["rows"], sum(one["errors"].values())) for one in told["objects"]] == [
        (day, 3, 3),
        ("", 1, 1),
    ]
    assert [one["file"] for one in told["objects"]] == lake.files("quarantine/")
    assert lake.told("quarantine", "list", "--type", "tracking_events")["rows"] == 1


def test_short_rows_that_share_an_entry_are_counted_by_themselves(lake: Lake) -> None:
    """Every one of them; the first is shown for all."""
    key = lake.put("shipments/day.jsonl", lines(shipment(1), b"{", b"{", shipment(2), b"{", b"[]"))

    assert [one["rows"] for one in lake.told("quarantine", "list")["reasons"]] == [3, 1]
    assert [(one["line"], one["lines"]) for one in lake.told("quarantine", "show", key)["rows"]] == [
        (2, "2-3,5"),
        (6, "6"),
    ]
    assert lake.lab("quarantine", "show", key).stdout.splitlines()[0] == "line 2-3,5: SchemaValidationError"


def test_tables_fit(lake: Lake) -> None:
    """Names are whole in 80 columns, and what is left out is told."""
    for number in range(3):
        lake.put(f"shipments/{'long' * 20}-{number}.jsonl", b"{\n")
    done = lake.lab("quarantine", "list", "--limit", "2")

    assert done.stdout.startswith("3 rows in 3 files\n")
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "".join(done.stdout.split()).count("long" * 5) >= 2
    assert "1 more files and 0 more reasons are not shown: --limit" in done.stdout


def test_shown(lake: Lake) -> None:
    """Rows of a file or of an object, by line; a reason chooses; more than the limit is told."""
    key = lake.put("shipments/day.jsonl", lines(b"oops", shipment(1), b"[]", shipment(2, weight_kg="x")))
    (file,) = lake.files("quarantine/")

    told = lake.told("quarantine", "show", key)
    assert [(row["line"], row["errorType"]) for row in told["rows"]] == [
        (n, "SchemaValidationError") for n in (1, 3, 4)
    ]
    assert (told["rows"][2]["reason"], json.loads(told["rows"][2]["row"])["weight_kg"]) == (_HEAVY, "x")
    assert told == lake.told("quarantine", "show", file)
    assert lake.told("quarantine", "show", file, "--limit", "1") == {"rows": told["rows"][:1], "more": True}
    assert lake.told("quarantine", "show", file, "--error-type", "TruncatedGzip") == {"rows": [], "more": False}
    text = lake.lab("quarantine", "show", key, "--limit", "1")
    assert text.stdout.splitlines()[0] == "line 1: SchemaValidationError"
    assert text.stderr.endswith("there are more: --limit\n")


def _mend(monkeypatch: pytest.MonkeyPatch) -> None:
    """The type takes anything for a weight from now on, as after a deployment."""
    fields = tuple(field for field in schemas.types()["shipments"].fields if field.name != "weight_kg")
    mended = {"shipments": model.RecordType("shipments", fields)}
    monkeypatch.setattr(schemas, "types", lambda: mended)


@pytest.mark.usefixtures("at_once")
def test_retried_after_the_type_was_mended(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the chunks with bad rows are worked; each row is in silver once then, and the quarantine file is gone."""
    lake.put("shipments/day.jsonl", lines(*(shipment(n, weight_kg="x" if n == 7 else n) for n in range(20))))
    lake.put("shipments/clean.jsonl", lines(shipment(100)))
    assert (len(lake.files("quarantine/")), len(lake.files("silver/"))) == (1, 4)
    _mend(monkeypatch)
    told = lake.told("quarantine", "retry", "--yes")

    assert told == {
        "dryRun": False,
        "chunks": 1,
        "done": 1,
        "open": {},
        "rows": 1,
        "stillInQuarantine": 0,
        "silverGained": 1,
        "filesDeleted": 0,
    }
    assert _ids(lake) == sorted(f"S-{n}" for n in (*range(20), 100))
    assert lake.files("quarantine/") == []
    assert lake.told("quarantine", "retry", "--yes") == {"dryRun": False, "chunks": 0, "rows": 0}


@pytest.mark.usefixtures("at_once")
def test_rows_that_move_to_another_day(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that the new work no longer writes is deleted: no row stays under the day that it had before."""
    lake.put("shipments/day.jsonl", lines(shipment(1), b"{", shipment(2, event_time="2026-02-01T00:00:00Z")))
    before = lake.files("silver/")
    step = silver.partitions
    monkeypatch.setattr(
        silver, "partitions", lambda tables: [("2026-01-31", rows) for _, rows in _joined(step(tables))]
    )
    told = lake.told("quarantine", "retry", "--yes", code=1)

    assert (told["filesDeleted"], told["silverGained"], told["stillInQuarantine"]) == (1, 0, 1)
    assert (lake.files("silver/"), _ids(lake)) == (before[:1], ["S-1", "S-2"])


def _joined(parts: Iterator[tuple[str, pa.Table]]) -> list[tuple[str, pa.Table]]:
    return [("", pa.concat_tables([rows for _, rows in parts]))]


@pytest.mark.usefixtures("at_once")
def test_still_bad(lake: Lake) -> None:
    """What is as bad as before stays, is told, and leaves with 1; the other objects are not touched."""
    key = lake.put("shipments/a.jsonl", lines(shipment(1), b"{"))
    lake.put("shipments/b.jsonl", b"[]\n")
    kept = {name: lake.read(name) for name in lake.files()}
    told = lake.told("quarantine", "retry", "--yes", "--object", key, code=1)

    assert (told["chunks"], told["rows"], told["stillInQuarantine"], told["silverGained"]) == (1, 1, 1, 0)
    assert {name: lake.read(name) for name in lake.files()} == kept


def test_not_done_in_time(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told what is open and what to do; nothing is deleted; the same command finds it again, as it is."""
    lake.put("shipments/a.jsonl", b"{\n")
    kept = lake.files()
    _mend(monkeypatch)
    told = lake.told("quarantine", "retry", "--yes", "--timeout", "0", code=1)
    assert (told["done"], told["open"], lake.files()) == (0, {"UNKNOWN": 1}, kept)
    text = lake.lab("quarantine", "retry", "--yes", "--timeout", "0")
    assert text.stdout.splitlines()[1:] == [
        "not done: 1 UNKNOWN",
        "once they are, lab lake check --delete-left-over clears up behind them; FAILED: lab redrive",
    ]


def test_asked_first(lake: Lake) -> None:
    """A dry run and a no change nothing; a reason chooses chunks."""
    lake.put("shipments/a.jsonl", b"{\n")
    assert lake.told("quarantine", "retry", "--dry-run") == {"dryRun": True, "chunks": 1, "rows": 1}
    assert lake.told("quarantine", "retry", "--dry-run", "--error-type", "TruncatedGzip")["chunks"] == 0
    refused = lake.lab("quarantine", "retry", typed="n\n")

    assert (refused.exit_code, lake.work()) == (3, 0)
    assert refused.stderr.endswith("error: nothing was changed; --yes skips this question\n")


def test_refused(lake: Lake) -> None:
    """What is not there is told with the next step; nothing of a type that there is not is no empty result."""
    for words in (("list",), ("retry", "--dry-run")):
        mistyped = lake.lab("quarantine", *words, "--type", "shipment")
        assert (mistyped.exit_code, "no type has that name: invoice_lines, ship" in mistyped.stderr) == (1, True)
    for key, message in (
        ("quarantine/shipments/none.jsonl", "is not there; lab lake quarantine list shows what is"),
        ("bronze/shipments/none.jsonl", "no record names rows of bronze/shipments/none.jsonl in quarantine; lab lake"),
    ):
        refused = lake.lab("quarantine", "show", key)
        assert (refused.exit_code, message in refused.stderr) == (1, True)
    lake.s3.put_object(Bucket=SILVER, Key="quarantine/shipments/x.jsonl", Body=b"[1]\n")
    assert "quarantine/shipments/x.jsonl is no quarantine file" in lake.lab("quarantine", "list").stderr
