"""An outage of the downstream that outlasts the receives, met by all events and by some."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.pipelines.conftest import BREAKER, CONFIG
from tests.pipelines.lab import Lab, orders, post_all, wait_for

_RECEIVES = 3


@pytest.fixture
def short_lived(lab: Lab) -> Iterator[Lab]:
    """Three receives of a few seconds each: what a longer outage costs shows quickly."""
    yield lab
    lab.deploy(**CONFIG)


def _probe(lab: Lab) -> dict[str, Any]:
    """What the breaker finds, once no tick of its schedule is at the same work."""
    return wait_for(
        "a probe of its own",
        lambda: answer if (answer := lab.invoke("events-breaker")) != {"state": "CONTENDED"} else {},
    )


def test_with_the_breaker(short_lived: Lab) -> None:
    """No good message is on the DLQ, however large, however often it is probed, and with the state lost on the way."""
    lab = short_lived
    lab.deploy(**CONFIG | {"workerTimeoutSeconds": 3, "maxReceiveCount": _RECEIVES, "breakerHoldSeconds": 10})
    lab.switch("downstream_outage")
    keys = [key for size in (200_000, 1_000_000) * 2 for key in post_all(lab, orders(1, note="x" * size))]
    (mapping,) = lab.client("lambda").list_event_source_mappings(FunctionName="events-worker")["EventSourceMappings"]
    wait_for(
        "a paused consumer",
        lambda: lab.client("lambda").get_event_source_mapping(UUID=mapping["UUID"])["State"] == "Disabled",
    )
    keys += post_all(lab, orders(16))
    wait_for("the end of every visibility time-out", lambda: lab.visible(lab.outputs["MainQueueUrl"]) == len(keys))
    state = {"TableName": lab.outputs["ControlTableName"], "Key": BREAKER}
    for probe in range(3 * _RECEIVES):  # of messages that have three receives each
        if probe == _RECEIVES:
            lab.client("dynamodb").delete_item(**state)
        assert _probe(lab)["state"] == "OPEN"
    assert lab.client("dynamodb").get_item(**state)["Item"]["state"] == {"S": "OPEN"}  # what `lab status` shows

    lab.switch("none")
    assert _probe(lab) == {"state": "CLOSED", "probes": 0}
    # A worker that has not heard of the end trips once more: the ticks between close that, too.
    wait_for(
        "all to succeed",
        lambda: lab.invoke("events-breaker") and all(lab.record(key).get("status") == "SUCCEEDED" for key in keys),
    )
    assert lab.depth(lab.outputs["DlqUrl"]) == 0


def test_an_outage_that_only_some_events_meet(short_lived: Lab) -> None:
    """Large events fail for longer than the usual backoff of two receives lasts; others go on, and nobody is dead.

    No breaker helps: each message waits for itself, here 108 s (3 x 2 receives x 18 s), so that the others are
    through before, also on a busy machine.
    """
    lab = short_lived
    lab.deploy(**CONFIG | {"workerTimeoutSeconds": 3, "maxReceiveCount": 2, "breakerHoldSeconds": 0})
    lab.switch(json.dumps({"mode": "downstream_outage", "match": {"meets": True}}))
    met = [key for size in (1_000, 200_000, 1_000_000) for key in post_all(lab, orders(1, note="x" * size, meets=True))]
    others = post_all(lab, orders(20))
    wait_for("the outage to be met", lambda: all(lab.record(key).get("status") == "FAILED" for key in met))
    others += post_all(lab, orders(20))
    wait_for("others to succeed", lambda: all(lab.record(key).get("status") == "SUCCEEDED" for key in others))
    assert [lab.record(key)["attempts"] for key in met] == [1, 1, 1]

    lab.switch("none")
    wait_for("all to succeed", lambda: all(lab.record(key).get("status") == "SUCCEEDED" for key in met))
    assert [lab.record(key)["attempts"] for key in met] == [2, 2, 2]
    assert lab.depth(lab.outputs["DlqUrl"]) == 0
