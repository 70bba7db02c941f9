"""An outage of the downstream that outlasts the receives, with and without the circuit breaker."""

from collections.abc import Iterator

import pytest

from tests.pipelines.conftest import CONFIG
from tests.pipelines.lab import Lab, orders, post_all, wait_for

_RECEIVES = 3
_STATE = {"id": {"S": "breaker#events"}, "item": {"S": "state"}}


@pytest.fixture
def short_lived(lab: Lab) -> Iterator[Lab]:
    """Three receives of a few seconds each: what a longer outage costs shows quickly."""
    yield lab
    lab.deploy(**CONFIG)


def test_with_the_breaker(short_lived: Lab) -> None:
    """No good message is on the DLQ, however large, however often it is probed, and with the state lost on the way."""
    lab = short_lived
    lab.deploy(**CONFIG | {"workerTimeoutSeconds": 1, "maxReceiveCount": _RECEIVES, "breakerHoldSeconds": 10})
    lab.switch("downstream_outage")
    keys = [key for size in (200_000, 1_000_000) * 2 for key in post_all(lab, orders(1, note="x" * size))]
    (mapping,) = lab.client("lambda").list_event_source_mappings(FunctionName="events-worker")["EventSourceMappings"]
    wait_for(
        "a paused consumer",
        lambda: lab.client("lambda").get_event_source_mapping(UUID=mapping["UUID"])["State"] == "Disabled",
    )
    keys += post_all(lab, orders(16))
    wait_for("the end of every visibility time-out", lambda: lab.visible(lab.outputs["MainQueueUrl"]) == len(keys))
    state = {"TableName": lab.outputs["ControlTableName"], "Key": _STATE}
    for probe in range(3 * _RECEIVES):  # of messages that have three receives each
        if probe == _RECEIVES:
            lab.client("dynamodb").delete_item(**state)
        assert lab.invoke("events-breaker")["state"] == "OPEN"
    assert lab.client("dynamodb").get_item(**state)["Item"]["state"] == {"S": "OPEN"}  # what `lab status` shows

    lab.switch("none")
    assert lab.invoke("events-breaker") == {"state": "CLOSED", "probes": 0}
    # A worker that has not heard of the end trips once more: the ticks between close that, too.
    wait_for(
        "all to succeed",
        lambda: lab.invoke("events-breaker") and all(lab.record(key).get("status") == "SUCCEEDED" for key in keys),
    )
    assert lab.depth(lab.outputs["DlqUrl"]) == 0


def test_without_the_breaker(short_lived: Lab) -> None:
    """Every message uses up its receives and is dead-lettered."""
    lab = short_lived
    lab.deploy(**CONFIG | {"workerTimeoutSeconds": 1, "maxReceiveCount": _RECEIVES, "breakerHoldSeconds": 0})
    lab.switch("downstream_outage")
    keys = post_all(lab, orders(20))

    assert len(lab.dead_letters(len(keys), seconds=60)) == len(keys)
