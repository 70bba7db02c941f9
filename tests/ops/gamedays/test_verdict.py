"""A verdict passes a good run, and fails a run that is false in one point, for that point."""

import pytest

from ops.gamedays import verdict
from ops.gamedays.journal import Line
from ops.gamedays.recording import Recording
from ops.gamedays.schema_break import GAMEDAY
from tests.ops.gamedays import falsified
from tests.ops.gamedays.made import BROKEN, RUN, good_run


def failed(recording: Recording) -> list[str]:
    """Names of the checks that do not hold."""
    return [check.name for check in verdict.judge(GAMEDAY, recording) if not check.ok]


def without(recording: Recording, kind: str, **fields: object) -> Recording:
    """The run without some lines."""
    return Recording(
        [
            line
            for line in recording.lines
            if line["kind"] != kind or any(line[name] != value for name, value in fields.items())
        ]
    )


def test_a_good_run_passes() -> None:
    """All checks hold, and there are some."""
    checks = verdict.judge(GAMEDAY, good_run())

    assert [check for check in checks if not check.ok] == []
    assert verdict.passed(checks)
    assert not verdict.passed([])


@pytest.mark.parametrize("what", [*falsified.falsifications(GAMEDAY, good_run())])
def test_a_falsified_run_fails_for_its_reason(what: str) -> None:
    """Alarm silenced, message dropped, event processed twice, success lost, count falsified, stray alarm."""
    recording, reason = falsified.falsifications(GAMEDAY, good_run())[what]

    assert reason in failed(recording)


def test_a_stray_alarm_fails_nothing_else() -> None:
    """The reason is told alone where nothing else is wrong."""
    assert failed(falsified.stray(good_run(), "events-breaker-errors")) == [falsified.NO_OTHER]


def test_an_alarm_that_a_neighbour_makes_does_not_count() -> None:
    """What another GameDay at the same time may cause is no alarm of this one."""
    recording = falsified.stray(good_run(), "api-5xx")
    neighboured = falsified.copied(recording, lambda line: line.update(foreign=["api-5xx"] * ("foreign" in line)))

    assert failed(recording) == [falsified.NO_OTHER]
    assert failed(neighboured) == []


def test_an_alarm_before_the_injection_is_none_of_it() -> None:
    """It has to fire because of the fault."""

    def early(line: Line) -> None:
        if line["kind"] == "sample":
            line["alarms"] = ["events-dlq-not-empty"] if line["t"] < 1004 else ["events-dlq-oldest-age"]

    assert "alarm events-dlq-not-empty fired" in failed(falsified.copied(good_run(), early))


def test_what_was_not_looked_at_is_not_passed() -> None:
    """No samples, no ledger, no accepted events: nothing to check with is a failure."""
    run = good_run()

    assert falsified.NO_OTHER in failed(without(run, "sample"))
    assert falsified.EVEN in failed(without(run, "facts"))
    assert falsified.COUNTS in failed(without(run, "accepted"))


def test_what_was_not_taken_back_fails() -> None:
    """A change that stays is told by name."""
    checks = verdict.judge(GAMEDAY, without(good_run(), "undone", id=1))

    assert [(check.name, check.evidence) for check in checks if not check.ok] == [
        ("every change was taken back", "failure mode")
    ]


def test_a_redrive_that_counts_otherwise_than_the_queue_fails() -> None:
    """What redrive says of itself is compared with what was on the dead-letter queue."""

    def boast(line: Line) -> None:
        if line["kind"] == "redrive":
            line["counts"] = {"examined": 3, "moved": 4}

    assert failed(falsified.copied(good_run(), boast)) == ["the redrive has moved as many as were dead"]


def test_a_good_event_on_the_dead_letter_queue_fails() -> None:
    """Exactly the broken ones are to be there."""

    def spread(line: Line) -> None:
        if line["kind"] == "facts" and line["moment"] == "broken":
            line["letters"] = [{"id": one, "cause": "SchemaValidationError"} for one in BROKEN[:2]]

    assert "exactly the broken events are dead-lettered" in failed(falsified.copied(good_run(), spread))


def test_the_verdict_for_programs() -> None:
    """Run, stack, figures and every check."""
    run = good_run()
    document = verdict.document(GAMEDAY, run, verdict.judge(GAMEDAY, run))

    assert (document["run"], document["gameday"], document["stack"], document["passed"]) == (
        RUN, "schema-break", "local", True,
    )  # fmt: skip
    assert document["ledger"] == {"accepted": 6, "succeeded": 6, "deadLettered": 0, "inFlight": 0, "lost": 0}
