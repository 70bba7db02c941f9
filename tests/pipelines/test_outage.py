"""An outage of the downstream that outlasts the receives, with and without the circuit breaker."""

from collections.abc import Iterator

import pytest

from tests.pipelines.conftest import CONFIG
from tests.pipelines.lab import Lab, orders, post_all, wait_for

_RECEIVES = 3


@pytest.fixture
def short_lived(lab: Lab) -> Iterator[Lab]:
    """Three receives of a few seconds each: what a longer outage costs shows quickly."""
    yield lab
    lab.deploy(**CONFIG)


def test_with_the_breaker(short_lived: Lab) -> None:
    """No good message is on the DLQ, however often the outage is probed, and all succeed afterwards."""
    lab = short_lived
    lab.deploy(**CONFIG | {"workerTimeoutSeconds": 1, "maxReceiveCount": _RECEIVES, "breakerHoldSeconds": 10})
    lab.switch("downstream_outage")
    keys = post_all(lab, orders(20))
    (mapping,) = lab.client("lambda").list_event_source_mappings(FunctionName="events-worker")["EventSourceMappings"]
    wait_for(
        "a paused consumer",
        lambda: lab.client("lambda").get_event_source_mapping(UUID=mapping["UUID"])["State"] == "Disabled",
    )
    wait_for("the end of every visibility time-out", lambda: lab.visible(lab.outputs["MainQueueUrl"]) == len(keys))
    for _ in range(_RECEIVES + 1):  # more probes than a message has receives
        assert lab.invoke("events-breaker")["state"] == "OPEN"
    breaker = {"id": {"S": "breaker#events"}, "item": {"S": "state"}}
    kept = lab.client("dynamodb").get_item(TableName=lab.outputs["ControlTableName"], Key=breaker)
    assert kept["Item"]["state"] == {"S": "OPEN"}  # what `lab status` shows

    lab.switch("none")
    assert lab.invoke("events-breaker") == {"state": "CLOSED", "probes": 0}
    for key in keys:
        lab.settled(key, seconds=60)
    assert lab.depth(lab.outputs["DlqUrl"]) == 0


def test_without_the_breaker(short_lived: Lab) -> None:
    """Every message uses up its receives and is dead-lettered."""
    lab = short_lived
    lab.deploy(**CONFIG | {"workerTimeoutSeconds": 1, "maxReceiveCount": _RECEIVES, "breakerHoldSeconds": 0})
    lab.switch("downstream_outage")
    keys = post_all(lab, orders(20))

    assert len(lab.dead_letters(len(keys), seconds=60)) == len(keys)
