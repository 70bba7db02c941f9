"""The quality gate on a lake at work, by `lab lake gate` and by its function: each day is judged, and told once."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handlers.aws import eventbridge
from handlers.errors import DownstreamError
from handlers.lake import gate, schemas
from handlers.lake.errors import DayNotCheckedError
from handlers.lake.expectations import Expectations
from handlers.lake.quality import Gate, Limits, Place
from tests.ops.lake_work import SILVER, Lake, lines, shipment

_MARK = "gate/shipments/dt=2026-01-31.json"


@pytest.fixture
def expect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Says what is expected of shipments, and of nothing else."""

    def say(**wanted: Any) -> None:
        expected = {"shipments": Expectations(**wanted)}
        monkeypatch.setattr(schemas, "expectations", expected.get)

    return say


@pytest.fixture
def bus(lake: Lake) -> Callable[[], list[dict[str, Any]]]:
    """What the bus has been told since the last time."""
    events, sqs = lake.client("events"), lake.client("sqs")
    url = sqs.create_queue(QueueName="verdicts")["QueueUrl"]
    pattern = {"detail-type": ["SilverPartitionChecked"]}
    events.put_rule(Name="verdicts", EventBusName="lake-bus", EventPattern=json.dumps(pattern))
    arn = "arn:aws:sqs:us-east-1:000000000000:verdicts"
    events.put_targets(Rule="verdicts", EventBusName="lake-bus", Targets=[{"Id": "q", "Arn": arn}])

    def heard() -> list[dict[str, Any]]:
        found = []
        while batch := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in batch:
                found.append(json.loads(message["Body"])["detail"])
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    return heard


def test_as_expected(lake: Lake, expect: Callable[..., None], bus: Callable[[], list[dict[str, Any]]]) -> None:
    """A verdict is written down and told once; files that have not changed are not read again."""
    expect(unique=("shipment_id",), bounds={"weight_kg": (0, 10)}, quarantine_percent=0)
    lake.put("shipments/a.jsonl", lines(shipment(1), shipment(2)))
    lake.put("tracking_events/t.jsonl", lines(shipment(1, status="x", city="y")))
    told = lake.told("gate")

    (day,) = told["days"]
    assert (day["passed"], day["rows"], day["findings"], told["left"]) == (True, 2, [], {"without expectations": 1})
    assert json.loads(lake.read(_MARK)) == day
    assert [{name: one[name] for name in day} for one in bus()] == [day]
    assert (lake.told("gate", "--type", "shipments"), bus()) == ({"days": [], "left": {"checked before": 1}}, [])
    assert (len(lake.told("gate", "--again")["days"]), len(bus())) == (1, 1)


def test_not_as_expected(lake: Lake, expect: Callable[..., None], bus: Callable[[], list[dict[str, Any]]]) -> None:
    """Each expectation that is broken is named; the day is marked, and not a row of it is gone."""
    expect(unique=("shipment_id", "carrier"), bounds={"weight_kg": (1, 100)}, quarantine_percent=20, fresh_hours=24)
    lake.put("shipments/a.jsonl", lines(shipment(1), shipment(1), shipment(1, carrier="UPS"), b"[]"))
    lake.put("shipments/b.jsonl", lines(shipment(1, weight_kg=300)))
    before = {key: lake.read(key) for key in lake.files()}
    (day,) = lake.told("gate", code=1)["days"]

    findings = day["findings"]
    assert findings[:4] == [
        "2 rows repeat the shipment_id and carrier of another",
        "weight_kg goes down to 0.5, 1 is expected at least",
        "weight_kg goes up to 300.0, 100 is expected at most",
        findings[3],
    ]
    assert [part in text for part, text in zip(("hours old, 24 are expected",), findings[3:], strict=True)] == [True]
    assert {key: lake.read(key) for key in lake.files() if key != _MARK} == before
    assert [one["passed"] for one in bus()] == [False]
    text = lake.lab("gate", "--again")
    assert (text.exit_code, text.stdout.splitlines()[0]) == (1, "0 days passed, 1 failed")


def test_a_failure_stays(lake: Lake, expect: Callable[..., None]) -> None:
    """A day that failed fails until its files change or the expectation does and it is checked again."""
    expect(bounds={"weight_kg": (None, 0)})
    lake.put("shipments/a.jsonl", lines(shipment(1)))
    lake.told("gate", code=1)
    expect(bounds={"weight_kg": (None, 10)})
    assert lake.told("gate", code=1)["left"] == {"checked before": 1}
    assert lake.told("gate", "--again")["days"][0]["passed"] is True


def test_share_of_quarantine(lake: Lake, expect: Callable[..., None]) -> None:
    """Of the objects that the day's rows came in; without their records it is not known, which is not passed."""
    expect(quarantine_percent=25)
    key = lake.put("shipments/a.jsonl", lines(shipment(1), shipment(2), b"[]"))
    assert lake.told("gate", code=1)["days"][0]["findings"] == [
        "33.33 % of the objects' rows are in quarantine, 25 % are expected at most"
    ]
    lake.forget(key)
    assert lake.told("gate", "--again", code=1)["days"][0]["findings"] == [
        "the share of quarantine is not known: 1 objects have no record (ttlDays)"
    ]


def test_age_of_the_last_day(lake: Lake, expect: Callable[..., None]) -> None:
    """Only the last day has to be fresh, and it is looked at every time."""
    expect(fresh_hours=24)
    now = datetime.now(UTC) - timedelta(hours=1)
    lake.put("shipments/a.jsonl", lines(shipment(1), shipment(2, event_time=now.isoformat())))
    assert [day["passed"] for day in lake.told("gate")["days"]] == [True, True]
    assert [day["dt"] for day in lake.told("gate")["days"]] == [now.date().isoformat()]


def test_age_of_a_day_that_is_asked_for(lake: Lake, expect: Callable[..., None]) -> None:
    """`--dt` knows whether it is the type's last day, though no other is listed."""
    expect(fresh_hours=24)
    lake.put("shipments/a.jsonl", lines(shipment(1), shipment(2, event_time="2026-01-30T12:00:00Z")))
    former, last = (
        lake.told("gate", "--type", "shipments", "--dt", day, code=code)["days"][0]["findings"]
        for day, code in (("2026-01-30", 0), ("2026-01-31", 1))
    )
    assert (former, [finding.partition("old, ")[2] for finding in last]) == ([], ["24 are expected at most"])


def test_refused(lake: Lake, expect: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """What can't be checked or told ends it: no expectations, a field or a file that is not there, a bus that fails."""
    expect(bounds={"weight_kg": (0, None)})
    assert "tracking_events has no EXPECTATIONS" in lake.lab("gate", "--type", "tracking_events").stderr
    assert "--dt is a day of a type" in lake.lab("gate", "--dt", "2026-01-31").stderr
    lake.put("shipments/a.jsonl", lines(shipment(1)))
    expect(bounds={"height": (0, None)})
    assert "expects something of height, which no row of 2026-01-31 has" in lake.lab("gate").stderr
    expect(bounds={"weight_kg": (0, None)})
    with monkeypatch.context() as patch:
        patch.setattr(eventbridge, "put", lambda *_: {"0": "InternalFailure"})
        refused = lake.lab("gate")
    assert "the bus did not take the verdict on shipments 2026-01-31: InternalFailure" in refused.stderr
    assert lake.files("gate/") == [], "a verdict that was not told is not written down"
    lake.s3.put_object(Bucket=SILVER, Key=lake.files("silver/")[0], Body=b"no")
    assert "can't be read" in lake.lab("gate").stderr


class _Function:
    """The gate's function on a lake, with limits of its own."""

    def __init__(self, lake: Lake, files: int = 1000, held_bytes: int = 1024**2) -> None:
        s3, dynamodb, events = (lake.client(name) for name in ("s3", "dynamodb", "events"))
        checks = Gate(s3, dynamodb, events, Place(SILVER, "state", "lake-bus"), Limits(files, held_bytes))
        self._keeper = gate.Keeper(lake.s3, checks, pipeline="lake", bucket=SILVER)

    def take(self, record_type: str = "shipments", dt: str = "2026-01-31") -> str:
        return self._keeper.take({"detail": {"type": record_type, "dt": dt}})


@pytest.fixture(autouse=True)
def _named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment, which metrics are named by."""
    monkeypatch.setenv("ENVIRONMENT", "local")


def test_the_function_checks_what_an_event_tells_of(
    lake: Lake,
    expect: Callable[..., None],
    bus: Callable[[], list[dict[str, Any]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A day is checked once for the same files, however many events tell of them; a failed one counts."""
    expect(unique=("shipment_id",), quarantine_percent=0, fresh_hours=24)
    key = lake.put("shipments/a.jsonl", lines(shipment(1, event_time=datetime.now(UTC).isoformat()), shipment(2)))
    today, function = datetime.now(UTC).date().isoformat(), _Function(lake)
    assert [function.take(), function.take(dt=today), function.take(), function.take(dt=today)] == [
        "passed",
        "passed",
        "checked before",
        "checked before",
    ]
    assert [(one["dt"], one["passed"]) for one in bus()] == [("2026-01-31", True), (today, True)]
    assert "QualityFailed" not in capsys.readouterr().out

    lake.put("shipments/b.jsonl", lines(shipment(2), b"[]"))
    assert function.take() == "failed"
    (told,) = bus()
    assert told["findings"] == [
        "1 rows repeat the shipment_id of another",
        "25.00 % of the objects' rows are in quarantine, 0 % are expected at most",
    ]
    assert json.loads(lake.read(_MARK)) == {name: told[name] for name in json.loads(lake.read(_MARK))}
    (metric,) = [line for line in capsys.readouterr().out.splitlines() if "QualityFailed" in line]
    assert (json.loads(metric)["QualityFailed"], json.loads(metric)["pipeline"]) == (1, "lake")
    assert lake.told("gate", code=1)["days"][0]["findings"] == told["findings"], "the command knows its verdicts"

    assert [function.take("tracking_events"), function.take(dt="2026-02-01")] == ["without expectations", "gone"]
    lake.forget(key)
    lake.put("shipments/c.jsonl", lines(shipment(9)))
    assert function.take() == "failed"
    findings = json.loads(lake.read(_MARK))["findings"]
    assert "not known: 1 objects" in " ".join(findings), "records are read anew for each day"


def test_the_function_reads_no_more_than_it_can(lake: Lake, expect: Callable[..., None]) -> None:
    """A day of too many files, or of too much to compare, is not known, so it has not passed."""
    expect(unique=("shipment_id",))
    lake.put("shipments/a.jsonl", lines(shipment(1)))
    lake.put("shipments/b.jsonl", lines(shipment(2)))
    assert _Function(lake, files=1).take() == "failed"
    (finding,) = json.loads(lake.read(_MARK))["findings"]
    assert finding == "not checked: the day has 2 files, at most 1 are read"
    assert json.loads(lake.read(_MARK))["rows"] is None
    lake.put("shipments/c.jsonl", lines(shipment(3)))
    assert _Function(lake, held_bytes=10).take() == "failed"
    assert json.loads(lake.read(_MARK))["findings"] == [
        "not checked: the columns that are compared have more than 0 MiB"
    ]
    assert lake.told("gate", "--again")["days"][0]["passed"] is True


def test_the_function_fails_where_a_day_is_not_checked(
    lake: Lake, expect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that Lambda tries again, and puts the event aside in the end: no mark, or a bus or a bucket that refuses."""
    expect(bounds={"weight_kg": (0, None)})
    lake.put("shipments/a.jsonl", lines(shipment(1)))
    with monkeypatch.context() as patch:
        patch.setattr(eventbridge, "put", lambda *_: {"0": "InternalFailure"})
        with pytest.raises(DownstreamError, match="the bus did not take the verdict"):
            _Function(lake).take()
    assert lake.files("gate/") == []
    lake.s3.put_object(Bucket=SILVER, Key=lake.files("silver/")[0], Body=b"no")
    with pytest.raises(DayNotCheckedError, match="can't be read"):
        _Function(lake).take()
    unused = Gate(lake.s3, lake.s3, lake.s3, Place("none", "t", "b"))
    nowhere = gate.Keeper(lake.s3, unused, pipeline="lake", bucket="none")
    with pytest.raises(DownstreamError, match="silver was not listed: NoSuchBucket"):
        nowhere.take({"detail": {"type": "shipments", "dt": "2026-01-31"}})


def test_expectations_of_the_types_that_ship() -> None:
    """Those that have some, and those that there are not."""
    assert schemas.expectations("shipments") is not None
    assert schemas.expectations("none") is None
