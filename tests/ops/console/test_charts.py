"""The dashboard's charts, from its definition to their lines."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from ops.console import charts
from tests.ops.console.served import FakeStack, found, serving

_NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
_WIDGETS = [
    {
        "title": "Queue",
        "period": 60,
        "metrics": [
            ["AWS/SQS", "Visible", "QueueName", "q", {"stat": "Maximum", "label": "waiting"}],
            [{"expression": "SEARCH('x')", "id": "errors"}],
        ],
    },
    {"title": "Quiet", "period": 300, "metrics": [["Own", "Count", {"stat": "Sum", "label": "taken"}]]},
]


class _GoneError(Exception):
    """There is no such dashboard."""


class _CloudWatch:
    """CloudWatch with a dashboard and with two pages of data for its first line."""

    class exceptions:  # noqa: N801 - as boto3 has it
        ResourceNotFound = _GoneError

    def __init__(self, *, has_dashboard: bool = True) -> None:
        self.asked: list[Any] = []
        self._has_dashboard = has_dashboard

    def get_dashboard(self, DashboardName: str) -> Any:
        if not self._has_dashboard:
            raise _GoneError
        widgets = [{"type": "metric", "properties": one} for one in _WIDGETS]
        assert DashboardName == "IngestionLab-dev"
        return {"DashboardBody": json.dumps({"widgets": [{"type": "alarm", "properties": {}}, *widgets]})}

    def get_paginator(self, name: str) -> "_CloudWatch":
        assert name == "get_metric_data"
        return self

    def paginate(self, **given: Any) -> Any:
        self.asked.append(given)
        start, span = given["StartTime"], given["EndTime"] - given["StartTime"]
        for part, value in ((0.5, 4.0), (0.52, 3.0), (1.0, 2.0)):
            data = {"Id": "w0l0", "Timestamps": [start + span * part], "Values": [value]}
            yield {"MetricDataResults": [data]}


def test_a_line_goes_through_its_points() -> None:
    """From the past on the left to now on the right, the highest value at the upper edge; broken where nothing was."""
    client = _CloudWatch()
    queue, quiet = charts.read(client, _WIDGETS, _NOW, timedelta(hours=1), has_expressions=False)

    assert (queue.title, queue.top, queue.untold) == ("Queue", 4.0, ["SEARCH('x')"])
    assert [(line.label, line.path, line.last) for line in queue.lines] == [
        ("waiting", "M200.0 0.0h1L208.0 30.0M400.0 60.0h1", "2")
    ]
    assert [(line.label, line.path, line.last) for line in quiet.lines] == [("taken", "", "-")]
    (asked,) = client.asked
    of = {"Namespace": "AWS/SQS", "MetricName": "Visible", "Dimensions": [{"Name": "QueueName", "Value": "q"}]}
    assert asked["MetricDataQueries"] == [
        {"Id": "w0l0", "MetricStat": {"Metric": of, "Period": 60, "Stat": "Maximum"}},
        {
            "Id": "w1l0",
            "MetricStat": {
                "Metric": {"Namespace": "Own", "MetricName": "Count", "Dimensions": []},
                "Period": 300,
                "Stat": "Sum",
            },
        },
    ]


def test_values_are_told_as_people_read_them() -> None:
    """Never as 1.2e+04."""
    assert [charts.told(value) for value in (0.0, 0.12345, 2.0, 12000.4)] == ["0", "0.1235", "2", "12,000"]


def test_aws_works_out_expressions() -> None:
    """They are asked for with the widget's period."""
    client = _CloudWatch()
    queue, _ = charts.read(client, _WIDGETS, _NOW, timedelta(hours=1), has_expressions=True)

    assert {"Id": "w0l1", "Expression": "SEARCH('x')", "Period": 60} in client.asked[0]["MetricDataQueries"]
    assert queue.untold == []


def test_what_an_expression_reads_is_not_drawn() -> None:
    """AWS is asked for it under the name that the expression calls it by; the laptop is not asked at all."""
    hidden = ["Own", "Sent", {"stat": "Sum", "id": "sent", "visible": False}]
    widget = {"title": "Left", "metrics": [[{"expression": "PERIOD(sent) / sent", "label": "left"}], hidden]}
    of = {"Namespace": "Own", "MetricName": "Sent", "Dimensions": []}
    stat = {"Metric": of, "Period": 60, "Stat": "Sum"}
    client = _CloudWatch()

    (on_aws,) = charts.read(client, [widget], _NOW, timedelta(hours=1), has_expressions=True)
    (on_laptop,) = charts.read(client, [widget], _NOW, timedelta(hours=1), has_expressions=False)

    assert client.asked[0]["MetricDataQueries"] == [
        {"Id": "w0l0", "Expression": "PERIOD(w0l1) / w0l1", "Period": 60},
        {"Id": "w0l1", "MetricStat": stat, "ReturnData": False},
    ]
    assert ([line.label for line in on_aws.lines], on_aws.untold) == (["left"], [])
    assert (on_laptop.lines, on_laptop.untold) == ([], ["left"])


def test_the_page_draws_what_is_deployed() -> None:
    """For the time that is chosen; a stack without a dashboard says so."""
    stack = FakeStack()
    client = stack.clients["cloudwatch"] = _CloudWatch()
    with serving(found(stack), "dev") as console:
        text = console.get("/charts?span=15m").text
        assert "<figcaption>Queue</figcaption>" in text
        start, end = client.asked[-1]["StartTime"], client.asked[-1]["EndTime"]
        assert f"{start:%H:%M}</time>" in text
        assert f"{end:%H:%M} UTC</time>" in text
        assert f"waiting <b>2</b> at {end:%H:%M}</li>" in text  # of its own time, which may be another line's past
        assert "taken <b>-</b></li>" in text
        assert client.asked[-1]["EndTime"] - client.asked[-1]["StartTime"] == timedelta(minutes=15)
        assert console.get("/charts/live?span=never").status == 200
        assert client.asked[-1]["EndTime"] - client.asked[-1]["StartTime"] == timedelta(hours=1)
        stack.clients["cloudwatch"] = _CloudWatch(has_dashboard=False)
    with serving(found(stack), "dev") as console:
        assert "no dashboard" in console.get("/charts").text
