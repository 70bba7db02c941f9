"""Sends datapoints to the emulator's CloudWatch, so that GetMetricStatistics and dashboards show them."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ops.local.cloudwatch.metrics import Metric

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ops.local.cloudwatch.metrics import Datum, Point

_GRAIN = 5  # seconds of one metric that are sent as one datum, each value with its count
_MAX_VALUES = 150  # of one datum (PutMetricData)
_MAX_DATA = 500  # of one call; AWS takes 1,000
_ALSO_THEIRS = frozenset({"Invocations", "Errors"})  # the emulator counts direct invocations itself


@dataclass(slots=True)
class Memory:
    """All that there was of the metrics which the emulator counts in part, since some moment."""

    since: float
    counts: Counter[Metric] = field(default_factory=Counter)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Memory:
        """From JSON."""
        return cls(document["since"], Counter({Metric.of(*metric): count for *metric, count in document["counts"]}))

    def as_json(self) -> dict[str, Any]:
        """As JSON, for the next process."""
        counts = [[one.namespace, one.name, dict(one.dimensions), count] for one, count in self.counts.items()]
        return {"since": self.since, "counts": counts}


class Publisher:
    """Collects datapoints and sends them in few calls."""

    def __init__(self, client: Any, memory: Memory) -> None:  # noqa: ANN401 - a boto3 client, made by name
        self._client = client
        self._pending: list[Datum] = []
        self.memory = memory

    def add(self, data: Iterable[Datum]) -> None:
        """Send these with the next flush."""
        self._pending += data

    def flush(self) -> None:
        """Send what was collected; what can't be sent stays for the next time."""
        theirs = [datum for datum in self._pending if _is_theirs(datum)]
        ours = [datum for datum in self._pending if not _is_theirs(datum)]
        for namespace, data in _by_namespace(ours).items():
            self._put(namespace, list(_merged(data)))
        self._pending = theirs
        self._put("AWS/Lambda", list(self._missing(theirs)))
        self._pending = []

    def _put(self, namespace: str, data: Sequence[dict[str, Any]]) -> None:
        for start in range(0, len(data), _MAX_DATA):
            self._client.put_metric_data(Namespace=namespace, MetricData=data[start : start + _MAX_DATA])

    def _missing(self, data: Iterable[Datum]) -> Iterator[dict[str, Any]]:
        """What the emulator does not show yet of the metrics that it counts itself for some invocations."""
        latest: dict[Metric, Datum] = {}
        for datum in data:
            self.memory.counts[datum.metric] += int(datum.point.value)
            latest[datum.metric] = datum
        for metric, datum in latest.items():
            ones, samples = self._shown(metric)
            ones = self.memory.counts[metric] - ones
            zeros = self.memory.counts[replace(metric, name="Invocations")] - samples - ones
            values = [(value, count) for value, count in ((1.0, ones), (0.0, zeros)) if count > 0]
            if values:
                yield _datum(datum, values)

    def _shown(self, metric: Metric) -> tuple[int, int]:
        """Sum of what the emulator shows, and of how many samples."""
        answer = self._client.get_metric_statistics(
            Namespace=metric.namespace,
            MetricName=metric.name,
            Dimensions=_dimensions(metric),
            StartTime=datetime.fromtimestamp(self.memory.since, UTC),
            EndTime=datetime(9999, 1, 1, tzinfo=UTC),
            Period=86_400,
            Statistics=["Sum", "SampleCount"],
        )
        points = answer["Datapoints"]
        return int(sum(point["Sum"] for point in points)), int(sum(point["SampleCount"] for point in points))


def _is_theirs(datum: Datum) -> bool:
    return datum.metric.namespace == "AWS/Lambda" and datum.metric.name in _ALSO_THEIRS


def _by_namespace(data: Iterable[Datum]) -> Mapping[str, list[Datum]]:
    found: dict[str, list[Datum]] = defaultdict(list)
    for datum in data:
        found[datum.metric.namespace].append(datum)
    return found


def _merged(data: Iterable[Datum]) -> Iterator[dict[str, Any]]:
    """Data of one metric and nearly one moment as one."""
    grains: dict[tuple[Metric, str, int], list[Point]] = defaultdict(list)
    samples: dict[tuple[Metric, str, int], Datum] = {}
    for datum in data:
        key = (datum.metric, datum.unit, int(datum.point.at // _GRAIN))
        grains[key].append(datum.point)
        samples[key] = datum
    for key, points in grains.items():
        counts: Counter[float] = Counter()
        for point in points:
            counts[point.value] += point.count
        values = list(counts.items())
        for start in range(0, len(values), _MAX_VALUES):
            yield _datum(samples[key], values[start : start + _MAX_VALUES])


def _datum(datum: Datum, values: Sequence[tuple[float, int]]) -> dict[str, Any]:
    return {
        "MetricName": datum.metric.name,
        "Dimensions": _dimensions(datum.metric),
        "Timestamp": datetime.fromtimestamp(datum.point.at, UTC),
        "Unit": datum.unit,
        "StorageResolution": 1,
        "Values": [value for value, _ in values],
        "Counts": [float(count) for _, count in values],
    }


def _dimensions(metric: Metric) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in metric.dimensions]
