"""FIFO end to end: the order of each group is kept through failures, dead letters and a redrive."""

import json
from collections import defaultdict
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from handlers.faults import fails
from ops.local.deployer import deploy
from ops.local.emulator import Emulator
from tests.pipelines.conftest import CONFIG
from tests.pipelines.lab import ROOT, Lab, wait_for
from tests.pipelines.redrives import finished

_RECEIVES = 4
_FIFO = {
    **CONFIG,
    "pipelines": ["events"],
    "queueType": "fifo",
    "groupBy": "/customerId",
    "maxReceiveCount": _RECEIVES,
    "breakerHoldSeconds": 0,
    "observabilityEnabled": False,
}
# Of each group what happens to its events, in the order in which they are sent.
_GROUPS = {"a": ("good", "dead", "good", "dead", "good"), "b": ("good", "dead", "good"), "c": ("good", "shaky", "good")}


@pytest.fixture(scope="module")
def fifo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A stack of its own, whose events queue is FIFO."""
    home = tmp_path_factory.mktemp("fifo")
    with Emulator.start(home) as emulator:
        deployment = deploy(ROOT, "local", endpoint=emulator.endpoint, state_file=home / "local.json", config=_FIFO)
        yield Lab(emulator, home, deployment)


def key(name: str, fate: str) -> str:
    """A key that `random_fail_p50` fails at its first attempt only, or at all of them."""
    wanted = [True] * _RECEIVES if fate == "dead" else [True, False]
    made = (f"{name}-{number}" for number in count())
    return next(one for one in made if [fails(one, 1 + n, 50) for n in range(len(wanted))] == wanted)


def effects(lab: Lab) -> dict[str, list[str]]:
    """The events that were processed, by group, in the order in which they were."""
    found = lab.client("logs").filter_log_events(logGroupName="/aws/lambda/ingestion-lab-local-events-worker")["events"]
    lines = [json.loads(line["message"]) for line in found if line["message"].startswith("{")]
    done = [line["idempotencyKey"].partition("-")[0] for line in lines if line.get("processed")]
    by_group: dict[str, list[str]] = defaultdict(list)
    for name in done:
        by_group[name[0]].append(name)
    return dict(by_group)


def test_order_is_kept_through_failures_dead_letters_and_a_redrive(fifo: Lab) -> None:
    """A transient failure holds its group up, a dead letter leaves its place, a redrive takes them back in order.

    What is posted again meanwhile is accepted and never comes to the queue.
    """
    mode = {"mode": "random_fail_p50", "match": {"shaky": True}}
    parameter: dict[str, Any] = {"Name": "/ingestion/failure_mode", "Type": "String", "Overwrite": True}
    fifo.client("ssm").put_parameter(Value=json.dumps(mode), **parameter)
    events = [
        {
            "orderId": f"{group}{place}",
            "amount": 1,
            "customerId": group,
            "shaky": fate != "good",
            "idempotencyKey": key(f"{group}{place}", fate),
        }
        for place in range(5)
        for group, fates in _GROUPS.items()
        for fate in fates[place : place + 1]
    ]

    assert fifo.call("POST", "/events/batch", events)[0] == 202
    wait_for("an empty queue", lambda: fifo.depth(fifo.outputs["MainQueueUrl"]) == 0)
    assert fifo.outputs["DlqUrl"].endswith(".fifo")
    assert fifo.depth(fifo.outputs["DlqUrl"]) == 3
    wait_for("the log", lambda: sum(map(len, effects(fifo).values())) == 8)
    assert effects(fifo) == {"a": ["a0", "a2", "a4"], "b": ["b0", "b2"], "c": ["c0", "c1", "c2"]}

    assert fifo.call("POST", "/events/batch", events)[0] == 202
    assert fifo.depth(fifo.outputs["MainQueueUrl"]) == 0

    fifo.switch("none")
    started = fifo.call("POST", "/redrive/start", {})[1]
    run = finished(fifo, started["redriveId"])
    wait_for("the log", lambda: sum(map(len, effects(fifo).values())) == 11)

    assert (run["state"], run["counts"]["moved"]) == ("SUCCEEDED", 3)
    assert effects(fifo) == {"a": ["a0", "a2", "a4", "a1", "a3"], "b": ["b0", "b2", "b1"], "c": ["c0", "c1", "c2"]}
    assert fifo.statuses() == {"SUCCEEDED": 11}
    wait_for("empty queues", lambda: fifo.depth(fifo.outputs["DlqUrl"]) + fifo.depth(fifo.outputs["MainQueueUrl"]) == 0)
