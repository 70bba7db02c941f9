"""What the deployer's state file says, as the laptop's CloudWatch needs it."""

import json
from pathlib import Path
from typing import Any

import pytest

from ops.local.cloudwatch.alarms import Alarm, Missing, Statistic
from ops.local.cloudwatch.definitions import (
    Composite,
    Definitions,
    Rule,
    SavedQuery,
    alarm,
    composite,
    definitions,
    metric_filter,
)
from ops.local.cloudwatch.errors import UnsupportedError
from ops.local.cloudwatch.log_metrics import MetricFilter
from ops.local.cloudwatch.metrics import Metric
from tests.ops.stack import Stack

_SIMPLE: dict[str, Any] = {
    "namespace": "AWS/SQS",
    "metricName": "Age",
    "dimensions": {"QueueName": "q"},
    "statistic": "Maximum",
    "period": 60,
    "evaluationPeriods": 3,
    "threshold": 5,
    "comparisonOperator": "GreaterThanThreshold",
}
_OPERANDS = [{"id": "m", "metric": _SIMPLE | {"stat": "Sum"}}]


def test_nothing_deployed(tmp_path: Path) -> None:
    """Without a state file there is nothing to watch."""
    assert definitions(tmp_path / "none.json") == Definitions()


def test_what_the_deployer_writes(stack: Stack) -> None:
    """The whole of a program with everything in it, read back from its state file."""
    stack.deploy()
    found = definitions(stack.state_file)
    visible = Metric.of("AWS/SQS", "ApproximateNumberOfMessagesVisible", {"QueueName": "dlq"})
    errors = Metric.of("AWS/Lambda", "Errors", {"FunctionName": "function"})
    plain = Alarm(
        name="fixture-plain",
        queries=[Statistic("m", visible, "Maximum")],
        period=10,
        comparison="GreaterThanThreshold",
        threshold=0,
        periods=1,
        datapoints=1,
        missing=Missing.NOT_BREACHING,
    )
    mathematical = Alarm(
        name="fixture-mathematical",
        queries=[
            Statistic("e", expression="FILL(m, 0) * 2"),
            Statistic("m", errors, "Sum", is_result=False),
        ],
        period=60,
        comparison="GreaterThanOrEqualToThreshold",
        threshold=1,
        periods=3,
        datapoints=2,
    )
    api = stack.client("apigatewayv2").get_apis()["Items"][0]["ApiId"]
    address = f"{stack.emulator.endpoint}/000000000000"
    assert sorted(found.alarms, key=lambda one: one.name) == [mathematical, plain]
    assert found.composites == {"fixture-composite": Composite(["fixture-plain", "fixture-mathematical"])}
    dimensions = {"errorType": "$.errorType"}
    counts = MetricFilter("/fixture/function", '{ $.errorType = "*" }', "Failures", "Fixture", dimensions=dimensions)
    assert found.filters == [counts]
    text = "filter ispresent(errorType) | stats count(*) by errorType"
    assert found.queries == [SavedQuery("fixture/failures", text, ["/fixture/function"])]
    assert found.queues == {
        "dlq": f"{address}/dlq",
        "queue": f"{address}/queue",
        "ordered.fifo": f"{address}/ordered.fifo",
    }
    assert (found.functions, found.api_functions) == ({"/fixture/function": "function"}, {"function": api})
    topic = "arn:aws:sns:us-east-1:000000000000:topic"
    assert (found.rules, found.topics) == ([Rule("bus", "rule", [topic])], [topic])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"statistic": "TM(10%:90%)"}, "alarm a: the laptop does not know TM"),
        ({"comparisonOperator": "LessThanLowerThreshold"}, "does not know LessThanLowerThreshold"),
        ({"metricQueries": [{"id": "e", "expression": "1"}]}, "exactly one of its metrics must return data"),
        (
            {"metricQueries": [{"id": "m", "returnData": True, "metric": _SIMPLE | {"stat": "Sum", "period": 10}}]},
            "all its metrics must have the same period",
        ),
        ({"metricQueries": [*_OPERANDS, {"id": "e", "expression": "MAX(m)", "returnData": True}]}, r"know MAX\(\)"),
        ({"evaluateLowSampleCountPercentiles": "ignore"}, "alarm a: the laptop does not ignore few samples"),
    ],
)
def test_refused(changes: dict[str, Any], message: str) -> None:
    """An alarm that the laptop could not evaluate is refused when it is deployed, not when it should fire."""
    with pytest.raises(UnsupportedError, match=message):
        alarm("a", _SIMPLE | changes)


def test_defaults() -> None:
    """Without other words: as many datapoints as periods, and missing data is missing."""
    found = alarm("a", json.loads(json.dumps(_SIMPLE)))
    assert (found.datapoints, found.missing) == (3, Missing.MISSING)
    assert alarm("a", _SIMPLE | {"extendedStatistic": "p99"}).queries[0].statistic == "p99"


@pytest.mark.parametrize(
    ("rule", "names"),
    [('ALARM("a")', ["a"]), ('ALARM("a b") OR ALARM("c")', ["a b", "c"]), ("ALARM(a) OR ALARM(b)", ["a", "b"])],
)
def test_composite_alarms(rule: str, names: list[str]) -> None:
    """A rule is a list of alarms of which any sets the composite off."""
    assert composite(rule) == Composite(names)


def test_composite_alarms_of_all() -> None:
    """Or of which all have to ring; one that is not there does not."""
    both = composite('ALARM("a") AND ALARM("b")')

    assert both == Composite(["a", "b"], needs_all=True)
    states = [{"a": "ALARM", "b": "ALARM"}, {"a": "ALARM", "b": "OK"}, {"b": "ALARM"}]
    assert [both.rings(one) for one in states] == [True, False, False]
    assert [Composite(["a", "b"]).rings(one) for one in states] == [True, True, True]


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "OK(a)",
        "NOT ALARM(a)",
        "ALARM(a) AND ALARM(b) OR ALARM(c)",
        "ALARM(a) AND OK(b)",
        "(ALARM(a))",
        "ALARM(a",
        "TRUE",
    ],
)
def test_refused_rules(rule: str) -> None:
    """Every other rule of a composite alarm is refused."""
    with pytest.raises(UnsupportedError, match="the laptop knows only ALARM"):
        composite(rule)


def test_a_metric_filter_of_values_is_refused() -> None:
    """The laptop counts lines; it does not take values out of them."""
    target = {"name": "m", "namespace": "N", "value": "$.latency"}
    with pytest.raises(UnsupportedError, match=r"metric filter of m: .* not \$\.latency"):
        metric_filter({"logGroupName": "g", "pattern": "{ $.a IS TRUE }", "metricTransformation": target})
