"""Failure modes: what the parameter means, whom it hits, and that it is read rarely and never trusted blindly."""

import os
import re
import time
from collections.abc import Iterator
from typing import Any, cast

import pytest

from handlers import faults, jsontext
from handlers.errors import DownstreamError, IngestionError, SchemaValidationError
from handlers.faults import Fault, FaultSwitch, RandomFaultError
from handlers.idempotency.store import StateStore
from handlers.worker.worker import Worker
from tests.handlers.conftest import NOW_MS, SOURCE, WORKER_ENV, FakeClock, Step, failures, record
from tests.handlers.fakes import FakeAws, FakeContext, client_error


class FakeParameter:
    """SSM with one parameter."""

    def __init__(self, value: str) -> None:
        self.value = value
        self.reads = 0

    def get_parameter(self, *, Name: str) -> dict[str, Any]:
        assert Name == "/ingestion/failure_mode"
        self.reads += 1
        if self.value == "unreadable":
            raise client_error("ParameterNotFound")
        return {"Parameter": {"Value": self.value}}


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The monotonic clock of the cache, and what was slept."""
    time = type("Time", (), {})()
    time.now, slept = 100.0, list[float]()
    time.monotonic = lambda: time.now
    time.sleep = slept.append
    monkeypatch.setattr(faults, "time", time)
    yield slept
    assert time.now >= 100.0


def switch(value: str) -> tuple[FaultSwitch, FakeParameter]:
    """A switch on a parameter with that value."""
    parameter = FakeParameter(value)
    return FaultSwitch(cast("Any", parameter), "/ingestion/failure_mode"), parameter


@pytest.mark.parametrize(
    "mode",
    [
        "none",
        "poison_payload",
        "slow_downstream",
        "random_fail_p0",
        "random_fail_p30",
        "random_fail_p100",
        "duplicate_submit",
        "downstream_outage",
        "crash",
        "hang",
    ],
)
def test_modes(mode: str) -> None:
    """Plain or as JSON, a mode is a mode."""
    assert faults.parse(mode) == Fault(mode)
    assert faults.parse(f' {{"mode": "{mode}"}}') == Fault(mode)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "/mode must be one of none, poison_payload"),
        ("poison", "/mode must be one of"),
        ("random_fail_p101", "/mode must be one of"),
        ("random_fail_pNN", "/mode must be one of"),
        ("random_fail_p\u0663", "/mode must be one of"),
        ("{", "(root) is not JSON"),
        ('{"mode": 1}', "/mode must be one of"),
        ('{"mode": "none", "until": 1}', "/until is not known"),
        ('{"mode": "none", "a/b": 1}', "/a~1b is not known"),
        ('{"mode": "none", "match": []}', "/match must be an object, got array"),
        ('{"mode": "none", "expiresAt": 5}', "/expiresAt must be an RFC 3339 time"),
        ('{"mode": "none", "expiresAt": "soon"}', "/expiresAt must be an RFC 3339 time"),
        ('{"mode": "none", "expiresAt": "0001-01-01T00:00:00+23:59"}', "/expiresAt must be an RFC 3339 time"),
        ('{"mode": "none", "expiresAt": "9999-12-31T23:59:59-23:59"}', "/expiresAt must be an RFC 3339 time"),
    ],
)
def test_a_value_that_is_no_mode(value: str, message: str) -> None:
    """Refused with the reason where it is set."""
    with pytest.raises(SchemaValidationError, match=re.escape(message)):
        faults.parse(value)


def test_the_json_form_round_trips() -> None:
    """What is written is what is read."""
    fault = Fault("random_fail_p30", NOW_MS, {"orderId": "1"})

    assert faults.parse(jsontext.compact(fault.as_json())) == fault


@pytest.mark.parametrize("then", ["1969-07-20T20:17:40Z", "1970-01-01T00:00:00Z", "0001-01-01T00:00:00"])
def test_a_time_long_past_is_past(then: str) -> None:
    """Not never."""
    assert faults.parse(f'{{"mode": "poison_payload", "expiresAt": "{then}"}}').effective(NOW_MS) == "none"


def test_the_last_moment_there_is() -> None:
    """Can be shown, too."""
    fault = faults.parse('{"mode": "poison_payload", "expiresAt": "9999-12-31T23:59:59.999999Z"}')

    assert str(fault.as_json()["expiresAt"]).startswith("9999-12-31T23:59:59.99")


@pytest.mark.parametrize("value", ["unreadable", "nonsense", "none"])
def test_what_cannot_be_read_is_none(seconds: list[float], value: str) -> None:
    """The switch fails to off."""
    of, _ = switch(value)

    of.disturb("k", 1, {}, seconds_left=1)
    assert of.current() == Fault()
    assert seconds == []


def test_the_parameter_is_read_once_in_five_seconds(seconds: list[float]) -> None:
    """Not once per message; a change is seen within 5 s."""
    of, parameter = switch("poison_payload")
    for _ in range(20):
        assert of.current().mode == "poison_payload"
    parameter.value = "none"
    assert (of.current().mode, parameter.reads) == ("poison_payload", 1)
    faults.time.now += 5  # type: ignore[attr-defined]

    assert (of.current().mode, parameter.reads) == ("none", 2)
    assert seconds == []


def test_a_mode_ends_by_itself(fake_clock: FakeClock) -> None:
    """Past `expiresAt` it is none for whoever reads it, before anything has reset it."""
    of, _ = switch('{"mode": "poison_payload", "expiresAt": "2027-01-15T08:00:10Z"}')
    with pytest.raises(SchemaValidationError):
        of.disturb("k", 1, {}, seconds_left=1)
    fake_clock.advance(10_000)

    of.disturb("k", 1, {}, seconds_left=1)


def test_only_records_that_match_are_hit() -> None:
    """Every field of `match` must have its value; nothing else is touched."""
    of, _ = switch('{"mode": "downstream_outage", "match": {"orderId": "1", "amount": 2}}')

    for payload in ({}, {"orderId": "1"}, {"orderId": "1", "amount": 3}):
        of.disturb("k", 1, cast("jsontext.JsonObject", payload), seconds_left=1)
    with pytest.raises(DownstreamError):
        of.disturb("k", 1, {"orderId": "1", "amount": 2, "more": True}, seconds_left=1)


def test_slow_sleeps_past_the_deadline(seconds: list[float]) -> None:
    """Longer than the invocation has, so that Lambda ends it."""
    of, _ = switch("slow_downstream")

    of.disturb("k", 1, {}, seconds_left=28)
    assert seconds == [33]


def test_crash_ends_the_process_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the system does: no exception, no cleaning up. Only records that match."""
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    of, _ = switch('{"mode": "crash", "match": {"orderId": "1"}}')

    of.disturb("k", 1, {"orderId": "2"}, seconds_left=1)
    assert ended == []
    of.disturb("k", 1, {"orderId": "1"}, seconds_left=1)
    assert ended == [1]


def test_hang_never_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often its sleep ends: only Lambda's time-out does."""
    sleeps = iter([None] * 100)
    monkeypatch.setattr(time, "sleep", lambda _seconds: next(sleeps))
    of, _ = switch("hang")

    with pytest.raises(StopIteration):
        of.disturb("k", 1, {}, seconds_left=1)


def test_random_failures_are_known_in_advance() -> None:
    """The verdict can be computed by whoever knows key and attempt; about the share asked for, and per attempt."""
    of, _ = switch("random_fail_p30")
    hit = set[tuple[str, int]]()
    for key in map(str, range(1000)):
        for attempt in (1, 2):
            try:
                of.disturb(key, attempt, {}, seconds_left=1)
            except RandomFaultError:
                hit.add((key, attempt))

    assert hit == {(str(k), a) for k in range(1000) for a in (1, 2) if faults.fails(str(k), a, 30)}
    assert 500 < len(hit) < 700
    assert not any(faults.fails(str(k), 1, 0) for k in range(1000))
    assert all(faults.fails(str(k), 1, 100) for k in range(1000))


@pytest.mark.parametrize(
    ("mode", "error", "kept"),
    [("poison_payload", SchemaValidationError, False), ("downstream_outage", DownstreamError, True)],
)
def test_a_fault_hits_the_record_before_its_step(
    fake_aws: FakeAws,
    step: Step,
    mode: str,
    error: type[IngestionError],
    kept: bool,  # noqa: FBT001 - a table of cases
) -> None:
    """The worker treats it as any failure of the step; the step itself knows nothing of it."""
    client = cast("Any", fake_aws)
    store = StateStore(client, "t", pipeline="events", ttl_days=7)
    of, _ = switch(f'{{"mode": "{mode}", "match": {{"n": "hit"}}}}')
    worker = Worker(WORKER_ENV, SOURCE, store=store, sqs=client, events=client, process=step, faults=of)
    batch = {"Records": [record(f"m-{n}", {"n": n}, key=n) for n in ("hit", "spared")]}

    assert worker.handle(batch, FakeContext()) == failures(*["m-hit"] * kept)
    assert step.runs == ["spared"]
    assert fake_aws.items["hit"]["errorType"] == {"S": error.__name__}
