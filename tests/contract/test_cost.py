"""The documentation says what a stack costs that nobody uses."""

from decimal import Decimal
from typing import Any

import pytest

from tests.components.configurations import FIXED
from tests.components.recording import ROOT, Recording, Registered
from tests.contract.cost import ITEMS, render


def test_the_page_says_what_is_registered(record_property: Any) -> None:
    """Whoever adds an alarm sees its price in the change."""
    record_property("configurations priced", len(FIXED))
    assert (ROOT / "docs" / "cost.md").read_text(encoding="utf-8") == render()


def _registered(kind: str, **inputs: object) -> Registered:
    return Registered(
        kind, "n", inputs, "", protect=False, retained=False, depends_on=frozenset(), ignore_changes=(), secrets=()
    )


def _alarm(*names: str) -> Registered:
    parts = [{"metric": {"namespace": "IngestionLab/dev", "metricName": name, "dimensions": {}}} for name in names]
    return _registered("aws:cloudwatch/metricAlarm:MetricAlarm", metricQueries=[*parts, {"expression": "a + b"}])


@pytest.mark.parametrize(
    ("item", "registered", "count"),
    [
        ("alarm metric", [_alarm("a", "b"), _alarm("b")], 3),
        ("custom metric", [_alarm("a", "b"), _alarm("b")], 2),
        ("composite alarm", [_registered("aws:cloudwatch/compositeAlarm:CompositeAlarm")], 1),
        ("customer key", [_registered("aws:kms/key:Key")], 1),
        ("invocation", [_registered("aws:x:EventRule", scheduleExpression="rate(1 minute)")], 43_800),
        ("invocation", [_registered("aws:x:EventRule", scheduleExpression="rate(1 hour)", state="DISABLED")], 0),
        ("receive", [_registered("aws:x:EventSourceMapping")], 657_000),
    ],
)
def test_each_item_is_counted(item: str, registered: list[Registered], count: int) -> None:
    """A metric that two alarms read is two alarm metrics and one metric."""
    (found,) = [each for each in ITEMS if each.name.startswith(item)]
    recording = Recording(resources=registered)
    assert found.count(recording) == count
    assert found.price > Decimal()
