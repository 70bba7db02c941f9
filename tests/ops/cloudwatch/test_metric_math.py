"""Metric math against the tables of "Using metric math" in CloudWatch's user guide."""

import pytest

from ops.local.cloudwatch.errors import UnsupportedError
from ops.local.cloudwatch.metric_math import Inputs, evaluate
from ops.local.cloudwatch.metrics import Series

_ = None


def result(expression: str, **series: Series) -> Series:
    """Value of an expression over these series of minutes, all of them metrics."""
    return evaluate(expression, Inputs(series, list(series), 60))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("metric1 < metric2", [0, 0, 1, 0]),
        ("metric1 >= 30", [1, 0, 0, 0]),
        ("metric1 > 15 AND metric2 > 15", [1, 0, 0, 0]),
        ("metric1 > 15 && metric2 > 15 || metric1 == 0", [1, 0, 1, 1]),
    ],
)
def test_comparisons(expression: str, expected: Series) -> None:
    """The guide's example: a missing value counts as 0 where the other series has one."""
    assert result(expression, metric1=[30, 20, 0, 0], metric2=[20, None, 20, None]) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("IF(metric1, metric2, metric3)", [30, 0, 20, None, None]),
        ("IF(metric1, 5, metric3)", [5, 5, 20, None, None]),
        ("IF(metric1, metric2, 5)", [30, 0, 5, 5, 5]),
        ("IF(metric1, metric2)", [30, 0, None, None, None]),
    ],
)
def test_if(expression: str, expected: Series) -> None:
    """The guide's three tables, and the form without a value for false."""
    given: dict[str, Series] = {
        "metric1": [1, 1, 0, 0, None],
        "metric2": [30, None, 0, 0, 30],
        "metric3": [0, 0, 20, None, 20],
    }
    assert result(expression, **given) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a + b", [3, 1, 2, None]),
        ("a - b", [-1, 1, -2, None]),
        ("a * b", [2, 0, 0, None]),
        ("100 * b / a", [200, 0, None, None]),
        ("-a", [-1, -1, None, None]),
        ("2 ^ a + 1", [3, 3, None, None]),
        ("(a + b) / PERIOD(a)", [0.05, 1 / 60, 2 / 60, None]),
        ("FILL(a, 7)", [1, 1, 7, 7]),
        ("FILL(a, b)", [1, 1, 2, None]),
        ("FILL(b, REPEAT)", [2, 2, 2, 2]),
        ("FILL(a, 0) + FILL(b, 0)", [3, 1, 2, 0]),
        ("SUM([a, b])", [3, 1, 2, None]),
        ("SUM(METRICS())", [3, 1, 2, None]),
        ('MAX(METRICS("b"))', [2, None, 2, None]),
        ("AVG([a, b])", [1.5, 0.5, 1, None]),
        ("a / MAX(b)", [0.5, 0.5, None, None]),
        ("CEIL(a / 3)", [1, 1, None, None]),
        ("ABS(a - b)", [1, 1, 2, None]),
    ],
)
def test_operations(expression: str, expected: Series) -> None:
    """Missing operands are 0 beside one that is there, a division by zero drops the datapoint."""
    assert result(expression, a=[1, 1, None, None], b=[2, None, 2, None]) == pytest.approx(expected)


def test_no_data_at_all() -> None:
    """FILL makes data of a metric that never had any; nothing else does."""
    assert result("FILL(a, 0)", a=[None, None]) == [0, 0]
    assert result("IF(a > 1, 1, 0)", a=[None, None]) == [0, 0]
    assert result("a + 1", a=[None, None]) == [None, None]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("ANOMALY_DETECTION_BAND(a)", "ANOMALY_DETECTION_BAND with 1 arguments is not known"),
        ("SEARCH('x', 'Sum')", "not understood on the laptop"),
        ("c + 1", "there is no id 'c'"),
        ("SUM(a)", "the result must be one time series"),
        ("[a, b]", "the result must be one time series"),
        ("a +", "ends too early"),
        ("a b", "'b' is not understood here"),
        ("FILL(a, LINEAR)", "there is no id 'LINEAR'"),
    ],
)
def test_refused(expression: str, message: str) -> None:
    """What the laptop does not know is said, not ignored."""
    with pytest.raises(UnsupportedError, match=message):
        result(expression, a=[1.0], b=[1.0])
