"""Metric math against the tables of "Using metric math" in CloudWatch's user guide."""

import pytest

from ops.local.cloudwatch.errors import UnsupportedError
from ops.local.cloudwatch.metric_math import evaluate
from ops.local.cloudwatch.metrics import Series


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("metric1 < metric2", [0, 0, 1, 0]),
        ("metric1 > 20", [1, 0, 0, 0]),
        ("metric1 > 15 AND metric2 > 15", [1, 0, 0, 0]),
    ],
)
def test_comparisons(expression: str, expected: Series) -> None:
    """The guide's example: a missing value counts as 0 where the other series has one."""
    assert evaluate(expression, {"metric1": [30, 20, 0, 0], "metric2": [20, None, 20, None]}) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("IF(metric1, metric2, 5)", [30, 0, 5, 5, 5]),
        ("IF(metric1, 1, 0)", [1, 1, 0, 0, 0]),
        ("IF(metric1, metric2, metric3)", [30, 0, 20, 0, 20]),
        ("IF(metric1, 1, metric3)", [1, 1, 20, 0, 20]),
    ],
)
def test_if(expression: str, expected: Series) -> None:
    """The guide's table: the third stands for a missing condition too, and 0 for a missing value."""
    given: dict[str, Series] = {
        "metric1": [1, 1, 0, 0, None],
        "metric2": [30, None, 0, 0, 30],
        "metric3": [0, 0, 20, None, 20],
    }
    assert evaluate(expression, given) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a + b", [3, 1, 2, None]),
        ("a * b", [2, 0, 0, None]),
        ("100 * b / a", [200, 0, None, None]),
        ("a + b * 2", [5, 1, 4, None]),
        ("(a + b) * 2", [6, 2, 4, None]),
        ("FILL(a, 7)", [1, 1, 7, 7]),
        ("FILL(a, 0) + FILL(b, 0)", [3, 1, 2, 0]),
    ],
)
def test_operations(expression: str, expected: Series) -> None:
    """Missing operands are 0 beside one that is there, a division by zero drops the datapoint."""
    assert evaluate(expression, {"a": [1, 1, None, None], "b": [2, None, 2, None]}) == expected


def test_no_data_at_all() -> None:
    """FILL makes data of a metric that never had any, and so does IF; nothing else does."""
    assert evaluate("FILL(a, 0)", {"a": [None, None]}) == [0, 0]
    assert evaluate("IF(a > 1, 1, 0)", {"a": [None, None]}) == [0, 0]
    assert evaluate("a + 1", {"a": [None, None]}) == [None, None]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("SUM(a)", "the laptop does not know SUM\\(\\)"),
        ("SEARCH('x', 'Sum')", "not understood on the laptop"),
        ("a - b", "'- b' is not understood|'-' is not understood"),
        ("a OR b", "'OR' is not understood here"),
        ("[a, b]", "not understood on the laptop"),
        ("c + 1", "there is no id 'c'"),
        ("7", "a number stands where a time series is needed"),
        ("1 + 2", "an operator needs a time series"),
        ("a +", "ends too early"),
        ("a b", "'b' is not understood here"),
        ("FILL(a, REPEAT)", "there is no id 'REPEAT'"),
        ("FILL(a, b)", "fills with a number only"),
        ("IF(a, b)", "expected ,"),
    ],
)
def test_refused(expression: str, message: str) -> None:
    """What the laptop does not know is said, not ignored."""
    with pytest.raises(UnsupportedError, match=message):
        evaluate(expression, {"a": [1.0], "b": [1.0]})
