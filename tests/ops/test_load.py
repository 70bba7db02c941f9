"""What a load run sends, and its figures."""

from collections import Counter

import pytest

from ops.load import figures
from ops.load.scenario import Item, Scenario


def test_an_event_follows_from_its_number() -> None:
    """Whoever sends it; other runs send others."""
    assert Scenario(run="r1").item(95) == Item({"orderId": "order-r1-95", "amount": 15, "currency": "EUR"})
    orders = Scenario(run="r1", pipeline="orders", groups=3)
    assert orders.item(8) == Item(
        {"items": [{"sku": "SKU-1", "qty": 1}], "customerId": "customer-2"}, {"Idempotency-Key": "r1-8"}
    )


def test_a_template() -> None:
    """Its texts are filled in, at any depth; what is none of the words stays."""
    template = {"source": "shop-{run}", "type": "{other}", "payload": {"id": ["{group}/{n}", "{n}", True]}}
    item = Scenario(run="r1", template=template, groups=2).item(3)
    assert item.body == {
        "source": "shop-r1",
        "type": "{other}",
        "payload": {"id": ["customer-1/3", 3, True]},
        "customerId": "customer-1",
    }


@pytest.mark.parametrize("pipeline", ["events", "orders"])
def test_shares(pipeline: str) -> None:
    """Of 4,000, about the percentages that were asked for; a duplicate is an earlier one to the last character."""
    scenario = Scenario(run="r1", pipeline=pipeline, duplicates=20, poison=5)  # type: ignore[arg-type]
    items = [scenario.item(number) for number in range(4000)]
    texts = [str(item) for item in items]
    poison = ["FAIL-ME" in text or "schemaVersion" in text for text in texts]
    keys = Counter(item.headers.get("Idempotency-Key", text) for item, text in zip(items, texts, strict=True))
    assert len(keys) == pytest.approx(3200, abs=80)
    assert sum(poison) == pytest.approx(200, abs=60)
    assert scenario.item(0) == items[0]


def test_percentiles_are_measured_ones() -> None:
    """Nearest rank, in milliseconds."""
    values = [number / 1000 for number in range(1000, 0, -1)]
    assert figures.summary(values) == {"p50": 500, "p90": 900, "p95": 950, "p99": 990, "p99.9": 999, "max": 1000}
    assert figures.summary([0.0123]) == dict.fromkeys(("p50", "p90", "p95", "p99", "p99.9", "max"), 12.3)
    assert figures.summary([]) == {}


def test_histogram() -> None:
    """Bounds 1, 2, 5 of each power of ten; a value on a bound is below it; empty buckets between others stand."""
    assert figures.histogram([0.001, 0.0011, 0.002, 0.02]) == [(1, 1), (2, 2), (5, 0), (10, 0), (20, 1)]
    assert figures.histogram([0.0]) == [(1, 1)]
    assert figures.histogram([]) == []


def test_lines_fit_a_screen() -> None:
    """A bar for each bucket, the longest for the fullest, none too small to be seen."""
    lines = figures.lines([0.004] * 1000 + [0.0155], "latency of 1001 calls")
    assert lines == [
        "latency of 1001 calls, in ms: p50 4, p90 4, p95 4, p99 4, p99.9 4, max 15.5",
        f"  <=  5 ms {'█' * 40} 1000",
        f"  <= 10 ms {' ' * 40} 0",
        f"  <= 20 ms {'█' + ' ' * 39} 1",
    ]
    assert max(map(len, lines)) <= 80
    assert figures.lines([], "nothing") == []
