"""The deployed dashboard's charts: its definition, the data of its metrics, and where their lines are drawn."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH, HEIGHT = 400, 120  # of a chart, in its own units
_MOST_QUERIES = 500  # of one GetMetricData
_ID = re.compile(r"\b[a-z]\w*")  # of a metric, in an expression
_PERIOD_SECONDS = 60  # where a widget names none
_GAP_PERIODS = 2  # a longer one is one in which nothing was measured


def told(value: float) -> str:
    """A value as people read it."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


@dataclass(frozen=True, slots=True)
class Line:
    """A metric: its points by time, and how it is drawn."""

    label: str
    points: Sequence[tuple[datetime, float]]
    path: str

    @property
    def last(self) -> str:
        """The last value, as people read it; "-" where there is none."""
        return told(self.points[-1][1]) if self.points else "-"


@dataclass(frozen=True, slots=True)
class Chart:
    """A widget of the dashboard. `top` is the value at its upper edge."""

    title: str
    lines: Sequence[Line]
    top: float
    untold: Sequence[str]  # expressions that only AWS can work out


@dataclass(frozen=True, slots=True)
class _Query:
    """A line of a widget as GetMetricData takes it."""

    label: str
    query: dict[str, Any]
    is_drawn: bool = True


def widgets(client: Any, stack: str) -> list[dict[str, Any]]:  # noqa: ANN401 - a boto3 client, made by name
    """The metric widgets of the stack's dashboard as it is deployed; none where it has no dashboard."""
    try:
        body = json.loads(client.get_dashboard(DashboardName=f"IngestionLab-{stack}")["DashboardBody"])
    except client.exceptions.ResourceNotFound:
        return []
    return [one["properties"] for one in body["widgets"] if one["type"] == "metric"]


def read(
    client: Any,  # noqa: ANN401 - a boto3 client, made by name
    shown: Sequence[Mapping[str, Any]],
    until: datetime,
    span: timedelta,
    *,
    has_expressions: bool,
) -> list[Chart]:
    """The charts of these widgets with their data up to a moment; the laptop works out no expressions."""
    plans = [_queries(widget, number, has_expressions=has_expressions) for number, widget in enumerate(shown)]
    asked = [one.query for queries, _ in plans for one in queries]
    data: dict[str, list[tuple[datetime, float]]] = {}
    for first in range(0, len(asked), _MOST_QUERIES):
        pages = client.get_paginator("get_metric_data").paginate(
            MetricDataQueries=asked[first : first + _MOST_QUERIES],
            StartTime=until - span,
            EndTime=until,
            ScanBy="TimestampAscending",
        )
        for result in (result for page in pages for result in page["MetricDataResults"]):
            points = zip(result["Timestamps"], result["Values"], strict=True)
            data.setdefault(result["Id"], []).extend((at.astimezone(UTC), value) for at, value in points)
    return [
        _chart(widget, queries, untold, data, until, span)
        for widget, (queries, untold) in zip(shown, plans, strict=True)
    ]


def _queries(widget: Mapping[str, Any], number: int, *, has_expressions: bool) -> tuple[list[_Query], list[str]]:
    """The lines of a widget to ask for, and the expressions that can't be asked for here."""
    period = int(widget.get("period", _PERIOD_SECONDS))
    queries, untold = [], []
    lines = [(f"w{number}l{position}", line, _options(line)) for position, line in enumerate(widget["metrics"])]
    names = {options["id"]: name for name, _, options in lines if "id" in options}
    for name, line, options in lines:
        is_drawn = options.get("visible", True)
        if not is_drawn and not has_expressions:
            continue
        if "expression" in options:
            label = str(options.get("label", options["expression"]))
            if not has_expressions:
                untold.append(label)
                continue
            expression = _ID.sub(lambda found: names.get(found[0], found[0]), options["expression"])
            queries.append(_Query(label, {"Id": name, "Expression": expression, "Period": period}))
            continue
        namespace, metric, *pairs = [part for part in line if not isinstance(part, dict)]
        dimensions = [{"Name": key, "Value": value} for key, value in zip(pairs[::2], pairs[1::2], strict=True)]
        of = {"Namespace": namespace, "MetricName": metric, "Dimensions": dimensions}
        stat = {"Metric": of, "Period": period, "Stat": options.get("stat", "Average")}
        query = {"Id": name, "MetricStat": stat, **({} if is_drawn else {"ReturnData": False})}
        queries.append(_Query(str(options.get("label", metric)), query, is_drawn))
    return queries, untold


def _options(line: Sequence[Any]) -> Mapping[str, Any]:
    return line[-1] if isinstance(line[-1], dict) else {}


def _chart(  # noqa: PLR0913, PLR0917 - what a chart is made of
    widget: Mapping[str, Any],
    queries: Sequence[_Query],
    untold: Sequence[str],
    data: Mapping[str, Sequence[tuple[datetime, float]]],
    until: datetime,
    span: timedelta,
) -> Chart:
    period = timedelta(seconds=widget.get("period", _PERIOD_SECONDS))
    found = [(one.label, data.get(one.query["Id"], [])) for one in queries if one.is_drawn]
    top = max((value for _, points in found for _, value in points), default=0.0) or 1.0
    lines = [Line(label, points, _path(points, top, until, span, period)) for label, points in found]
    return Chart(str(widget.get("title", "")), lines, top, untold)


def _path(
    points: Sequence[tuple[datetime, float]], top: float, until: datetime, span: timedelta, period: timedelta
) -> str:
    """The line through the points, broken where there was no data; a point alone is a short dash, to be seen."""
    path, before = "", None
    for at, value in points:
        x, y = round(WIDTH * (1 - (until - at) / span), 1), round(HEIGHT * (1 - max(value, 0.0) / top), 1)
        goes_on = before is not None and at - before <= _GAP_PERIODS * period
        path += f"L{x} {y}" if goes_on else f"M{x} {y}h1"
        before = at
    return path
