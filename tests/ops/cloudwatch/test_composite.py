"""Composite alarms."""

import pytest

from ops.local.cloudwatch.alarms import State
from ops.local.cloudwatch.composite import evaluate
from ops.local.cloudwatch.errors import UnsupportedError

STATES = {"a": "ALARM", "b": "OK", "c d": "INSUFFICIENT_DATA"}


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ("ALARM(a)", True),
        ('ALARM("b")', False),
        ("OK(b)", True),
        ('INSUFFICIENT_DATA("c d")', True),
        ("ALARM(arn:aws:cloudwatch:us-east-1:000000000000:alarm:a)", True),
        ("NOT ALARM(a)", False),
        ("ALARM(b) OR ALARM(a)", True),
        ("ALARM(a) AND ALARM(b)", False),
        ("ALARM(a) OR ALARM(b) AND ALARM(b)", True),
        ("(ALARM(a) OR ALARM(b)) AND ALARM(b)", False),
        ("NOT ALARM(a) OR TRUE", True),
        ("NOT (ALARM(a) OR TRUE)", False),
        ("FALSE", False),
    ],
)
def test_rules(rule: str, holds: bool) -> None:  # noqa: FBT001 - the outcome
    """NOT binds more than AND, AND more than OR; alarms by name or ARN."""
    assert evaluate(rule, STATES) == (State.ALARM if holds else State.OK)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("ALARM(z)", "there is no alarm 'z'"),
        ("AT_LEAST(1, ALARM, (a, b))", "expected TRUE or FALSE"),
        ("ALARM(a) ALARM(b)", "'ALARM' is not understood here"),
        ("ALARM(a", "expected \\)"),
        ("", "found 'the end'"),
    ],
)
def test_refused(rule: str, message: str) -> None:
    """What the laptop does not know is said."""
    with pytest.raises(UnsupportedError, match=message):
        evaluate(rule, STATES)
