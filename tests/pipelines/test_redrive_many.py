"""A redrive of thousands that dies, is cancelled and begun again. A file of its own: it waits while others run."""

import json
import time
from collections import Counter
from typing import Any
from uuid import uuid4

import pytest

from ops.local import lambdas
from tests.pipelines.lab import Lab, wait_for
from tests.pipelines.redrives import finished


def letters(lab: Lab, count: int) -> list[str]:
    """That many dead letters put straight on the DLQ, with attributes of every type; their keys."""
    sqs, keys = lab.client("sqs", role="events-worker"), []
    for start in range(0, count, 10):
        entries = []
        for i in range(start, min(start + 10, count)):
            key = f"letter-{uuid4()}"
            keys.append(key)
            attributes = {
                "idempotencyKey": {"DataType": "String", "StringValue": key},
                "errorType": {"DataType": "String", "StringValue": "DownstreamError"},
                "originalMessageId": {"DataType": "String", "StringValue": f"m-{i}"},
                "raw": {"DataType": "Binary", "BinaryValue": bytes([i % 256, 0, 255])},
                "weight": {"DataType": "Number.float", "StringValue": f"{i}.5"},
            }
            body = json.dumps({"orderId": key, "amount": i})
            entries.append({"Id": str(i), "MessageBody": body, "MessageAttributes": attributes})
        answer = sqs.send_message_batch(QueueUrl=lab.outputs["DlqUrl"], Entries=entries)
        assert not answer.get("Failed")
    return keys


def test_five_thousand_letters_with_a_kill_a_cancel_and_a_restart(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    """Killed in the middle and resumed by the tick, cancelled and started again: nothing lost, nothing moved twice.

    The main queue's consumer is paused, so that every message that was moved can be counted in the queue itself.
    """
    with lab.paused():
        keys = letters(lab, 5000)
        runs = [lab.call("POST", "/redrive/start", {"maxMessages": 100_000})[1]["redriveId"]]
        wait_for("the middle of the run", lambda: _moved(lab, runs[0]) >= 500)
        killed = lambdas.kill(lab.emulator, "redrive")
        moved_then = _moved(lab, runs[0])
        _let_lapse(lab, runs[0])  # the tick takes it up again
        wait_for("the run going on", lambda: _tick(lab) and _moved(lab, runs[0]) > moved_then)
        assert lab.call("POST", "/redrive/cancel", {"redriveId": runs[0]})[0] in (202, 409)
        first = finished(lab, runs[0])
        dlq = lab.outputs["DlqUrl"]
        wait_for("what the dead runner held", lambda: lab.visible(dlq) == lab.depth(dlq), seconds=120)
        runs.append(lab.call("POST", "/redrive/start", {"maxMessages": 100_000})[1]["redriveId"])
        second = finished(lab, runs[1], seconds=120)
        arrived = Counter(message["key"] for message in _drain(lab, lab.outputs["MainQueueUrl"]))

    twice = sum(count > 1 for count in arrived.values())
    by_run = [Counter(m["messageId"] for m in run["messages"] if m["state"] == "MOVED") for run in (first, second)]
    with capsys.disabled():
        print(  # noqa: T201 - the figures are part of what the test shows
            f"\n  letters {len(keys)}, runner processes killed {killed} after {moved_then} moved; "
            f"first run {first['state']} {first['counts']}; second run {second['state']} {second['counts']}; "
            f"arrived {len(arrived)}, lost {len(set(keys) - set(arrived))}, arrived twice {twice}, "
            f"left on the DLQ {lab.depth(lab.outputs['DlqUrl'])}"
        )
    assert killed >= 1
    assert set(arrived) == set(keys)
    assert second["state"] == "SUCCEEDED"
    assert all(max(moved.values(), default=0) <= 1 for moved in by_run)
    assert twice <= first["counts"]["uncertain"]
    assert lab.depth(lab.outputs["DlqUrl"]) == 0
    for run in (first, second):
        assert Counter(m["state"].lower() for m in run["messages"])["moved"] == run["counts"]["moved"]


def _moved(lab: Lab, redrive_id: str) -> int:
    return int(lab.call("GET", f"/redrive/{redrive_id}?limit=1")[1]["counts"]["moved"])


def _let_lapse(lab: Lab, redrive_id: str) -> None:
    """The dead runner's lease ends now, not in 90 s: whether somebody else may take the run is what the record says."""
    lab.client("dynamodb").update_item(
        TableName=lab.outputs["ControlTableName"],
        Key={"id": {"S": f"redrive#{redrive_id}"}, "item": {"S": "run"}},
        UpdateExpression="SET leaseUntil = :past",
        ConditionExpression="leaseOwner <> :nobody",
        ExpressionAttributeValues={":past": {"N": "1"}, ":nobody": {"S": ""}},
    )


def _tick(lab: Lab) -> bool:
    """What the schedule does every minute."""
    lab.client("lambda").invoke(FunctionName="redrive", InvocationType="Event", Payload=b"{}")
    time.sleep(1)
    return True


def _drain(lab: Lab, url: str) -> list[dict[str, Any]]:
    """Every message of a queue: its key, after its attributes have been compared."""
    sqs, found = lab.client("sqs"), []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get(
        "Messages"
    ):
        for message in messages:
            body, attributes = json.loads(message["Body"]), message["MessageAttributes"]
            i = int(body["amount"])
            assert attributes["raw"] == {"DataType": "Binary", "BinaryValue": bytes([i % 256, 0, 255])}
            assert attributes["weight"] == {"DataType": "Number.float", "StringValue": f"{i}.5"}
            assert attributes["redriveCount"] == {"DataType": "Number", "StringValue": "1"}
            found.append({"key": attributes["idempotencyKey"]["StringValue"]})
        entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
        sqs.delete_message_batch(QueueUrl=url, Entries=entries)
    return found
