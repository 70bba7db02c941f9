"""The documentation says what a stack costs, before the first event and for each million."""

from decimal import Decimal
from typing import Any

import pytest

from ops.cost import fixed, paths
from ops.cost.fixed import ITEMS
from tests.components.configurations import FIXED
from tests.components.recording import ROOT, Registered, run_main
from tests.contract.cost import render


def test_the_page_says_what_is_registered(record_property: Any) -> None:
    """Whoever adds an alarm sees its price in the change."""
    record_property("configurations priced", len(FIXED))
    assert (ROOT / "docs" / "cost.md").read_text(encoding="utf-8") == render()


def test_the_readme_has_the_sums() -> None:
    """Of the stack dev, in a month and for a million events, in whole dollars, as nothing was measured."""
    (dev,) = (one.recording().resources for one in FIXED if one.name == "dev")
    shape = paths.Shape.of(dev)
    month = sum((item.dollars(dev) for item in ITEMS), Decimal())
    million = paths.per_million("events", shape, paths.Usage.assumed("events", shape))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert f"${month:.0f} a month before the first event\nand ${million:.0f} for a million" in readme


def _registered(kind: str, name: str = "n", **inputs: object) -> Registered:
    return Registered(
        kind, name, inputs, "", protect=False, retained=False, depends_on=frozenset(), ignore_changes=(), secrets=()
    )


def _alarm(*names: str) -> Registered:
    parts = [{"metric": {"namespace": "IngestionLab/dev", "metricName": name, "dimensions": {}}} for name in names]
    return _registered("aws:cloudwatch/metricAlarm:MetricAlarm", metricQueries=[*parts, {"expression": "a + b"}])


_FIFO = [
    _registered("aws:x:Queue", "one", fifoQueue=True),
    _registered("aws:x:EventSourceMapping", eventSourceArn="arn:one"),
    _registered("aws:x:EventSourceMapping", eventSourceArn="arn:two"),
    _registered("aws:x:EventSourceMapping", eventSourceArn="arn:three"),
]


@pytest.mark.parametrize(
    ("item", "registered", "count"),
    [
        ("alarm metric", [_alarm("a", "b"), _alarm("b")], 3),
        ("custom metric", [_alarm("a", "b"), _alarm("b")], 2),
        ("composite alarm", [_registered("aws:cloudwatch/compositeAlarm:CompositeAlarm")], 1),
        ("customer key", [_registered("aws:kms/key:Key")], 1),
        ("invocation", [_registered("aws:x:EventRule", scheduleExpression="rate(1 minute)")], 43_800),
        ("invocation", [_registered("aws:x:EventRule", scheduleExpression="rate(1 hour)", state="DISABLED")], 0),
        ("receive from an empty queue", _FIFO, 2 * 657_000),
        ("receive from an empty FIFO queue", _FIFO, 657_000),
        ("hour of a provisioned poller", _FIFO, 0),
        (
            "hour of a provisioned poller",
            [_registered("aws:x:EventSourceMapping", provisionedPollerConfig={"minimumPollers": 3.0})],
            3 * 730,
        ),
    ],
)
def test_each_item_is_counted(item: str, registered: list[Registered], count: int) -> None:
    """A metric that two alarms read is two alarm metrics and one metric; a FIFO queue's receives have their price."""
    (found,) = [each for each in ITEMS if each.name.startswith(item)]
    assert found.count(registered) == count
    assert found.price.dollars > Decimal()


def test_what_observability_costs() -> None:
    """Without it, nothing of what is said to go with it is left."""
    optional = [item for item in ITEMS if item.is_optional]
    off = run_main("dev", {"observabilityEnabled": False}).resources

    assert [item.count(off) for item in optional] == [0] * len(optional)
    assert fixed.of(off, "Function")
