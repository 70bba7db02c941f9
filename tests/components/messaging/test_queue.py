"""The main queue, the dead-letter queue and the path between them."""

import json
from typing import Any

import pulumi
import pytest

from components.messaging.queue import ExistingQueue, ReliableQueue, ReliableQueueArgs
from tests.components.recording import Recording, grants, run, run_main, variables

_QUEUE = ExistingQueue(
    url="https://sqs.eu-central-1.amazonaws.com/123456789012/theirs",
    arn="arn:aws:sqs:eu-central-1:123456789012:theirs",
)
_DLQ = ExistingQueue(
    url="https://sqs.eu-central-1.amazonaws.com/123456789012/theirs-dlq",
    arn="arn:aws:sqs:eu-central-1:123456789012:theirs-dlq",
)


def _queue(**args: Any) -> Recording:
    def program() -> None:
        ReliableQueue("orders", ReliableQueueArgs(**{"consumer_timeout_seconds": 30, **args}))

    return run(program)


def test_both_queues() -> None:
    """Retentions, visibility, SQS's own encryption and a redrive policy with the configured count; nothing else set."""
    recording = _queue(batching_window_seconds=2, max_receive_count=7)
    main = dict(recording.inputs("Queue", "orders-queue"))

    assert json.loads(main.pop("redrivePolicy")) == {"deadLetterTargetArn": "arn:orders-dlq", "maxReceiveCount": 7}
    assert main == {
        "maxMessageSize": 1_048_576,
        "messageRetentionSeconds": 345_600,
        "sqsManagedSseEnabled": True,
        "visibilityTimeoutSeconds": 182,
    }
    assert recording.inputs("Queue", "orders-dlq") == {
        "maxMessageSize": 1_048_576,
        "messageRetentionSeconds": 1_209_600,
        "sqsManagedSseEnabled": True,
    }


@pytest.mark.parametrize(
    ("args", "seconds"),
    [({}, 2700), ({"max_receive_count": 3, "visibility_seconds": 200}, 1800), ({"retention_seconds": 3600}, 1200)],
)
def test_the_outage_that_messages_outlast(args: dict[str, Any], seconds: int) -> None:
    """Three times receives x visibility; within the retention, so that nothing is deleted while it waits."""
    assert ReliableQueueArgs(consumer_timeout_seconds=30, **args).outage_seconds == seconds


def test_somebody_hears_of_dead_letters() -> None:
    """Where a topic is named: when there are some, and when they are gone; without one nobody does."""
    watched = _queue(alarm_topic_arn="arn:on-call")

    assert watched.inputs("MetricAlarm", "orders-dlq-not-empty") == {
        "alarmDescription": "Letters are on the dead-letter queue of orders: messages are not processed.",
        "namespace": "AWS/SQS",
        "metricName": "ApproximateNumberOfMessagesVisible",
        "dimensions": {"QueueName": "orders-dlq"},
        "statistic": "Maximum",
        "period": 60,
        "evaluationPeriods": 1,
        "threshold": 0,
        "comparisonOperator": "GreaterThanThreshold",
        "treatMissingData": "notBreaching",
        "alarmActions": ["arn:on-call"],
        "okActions": ["arn:on-call"],
    }
    assert _queue().of("MetricAlarm") == []


def test_only_the_main_queue_may_redrive_to_the_dlq() -> None:
    """The dead-letter queue refuses every other source queue."""
    allow = _queue().inputs("RedriveAllowPolicy", "orders-dlq-redrive-allow")

    assert allow["queueUrl"] == "https://orders-dlq"
    assert json.loads(allow["redriveAllowPolicy"]) == {
        "redrivePermission": "byQueue",
        "sourceQueueArns": ["arn:orders-queue"],
    }


@pytest.mark.parametrize("role", ["queue", "dlq"])
def test_both_queues_are_closed_to_plain_http_as_they_are_made(role: str) -> None:
    """IAM decides who sends; where the caller names the senders later, no policy is made before that."""
    policy = _queue().one("QueuePolicy", f"orders-{role}-policy")

    assert (policy.parent, policy.inputs["queueUrl"]) == ("orders", f"https://orders-{role}")
    assert json.loads(policy.inputs["policy"]) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sqs:*",
                "Resource": f"arn:orders-{role}",
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }
    assert _queue(senders_follow=True).of("QueuePolicy") == []


def test_customer_key_replaces_sqs_own_encryption() -> None:
    """With a key both queues use it, and SQS's own encryption, which excludes it, is not asked for."""
    recording = _queue(kms_key_arn="arn:key")

    for queue in recording.of("Queue"):
        assert queue.inputs["kmsMasterKeyId"] == "arn:key"
        assert "sqsManagedSseEnabled" not in queue.inputs


def test_fifo_queues_scale_by_group() -> None:
    """A FIFO queue has a FIFO dead-letter queue; both order and deduplicate by message group. Pulumi adds `.fifo`."""
    for queue in _queue(fifo=True).of("Queue"):
        assert {
            key: value for key, value in queue.inputs.items() if "fifo" in key.lower() or "dedup" in key.lower()
        } == {
            "deduplicationScope": "messageGroup",
            "fifoQueue": True,
            "fifoThroughputLimit": "perMessageGroupId",
        }


@pytest.mark.parametrize("seconds", [1, 5, 30, 900])
def test_visibility_follows_the_timeout(seconds: int) -> None:
    """Whatever the consumer's time-out alone is changed to, the queue's visibility is six of it."""
    main = _queue(consumer_timeout_seconds=seconds).inputs("Queue", "orders-queue")

    assert main["visibilityTimeoutSeconds"] == 6 * seconds


@pytest.mark.parametrize("seconds", [5, 31, 899])
def test_program_keeps_visibility_above_six_worker_timeouts(seconds: int) -> None:
    """Changing only workerTimeoutSeconds changes the function and the queue together, the window included."""
    recording = run_main("dev", {"workerTimeoutSeconds": seconds})

    assert recording.inputs("Function", "events-worker")["timeout"] == seconds
    assert recording.inputs("Queue", "events-queue")["visibilityTimeoutSeconds"] == 6 * seconds + 2


def test_adopted_main_queue_is_left_as_it_is() -> None:
    """Nothing configures a queue of someone else's; our dead-letter queue admits it."""
    recording = _queue(existing_queue=_QUEUE)

    assert {r.name for r in recording.resources if r.type.startswith("aws:")} == {
        "orders-dlq",
        "orders-dlq-policy",
        "orders-dlq-redrive-allow",
    }
    allow = recording.inputs("RedriveAllowPolicy", "orders-dlq-redrive-allow")
    assert json.loads(allow["redriveAllowPolicy"])["sourceQueueArns"] == [_QUEUE.arn]


def test_adopted_dlq_receives_from_our_queue() -> None:
    """Our queue redrives to a dead-letter queue of someone else's, which nothing configures."""
    recording = _queue(existing_dlq=_DLQ)

    assert {r.name for r in recording.resources if r.type.startswith("aws:")} == {"orders-queue", "orders-queue-policy"}
    redrive = json.loads(recording.inputs("Queue", "orders-queue")["redrivePolicy"])
    assert redrive == {"deadLetterTargetArn": _DLQ.arn, "maxReceiveCount": 5}


@pytest.mark.parametrize("role", ["existing_queue", "existing_dlq"])
@pytest.mark.parametrize(("account", "region"), [("210987654321", "eu-central-1"), ("123456789012", "eu-west-1")])
def test_queues_of_elsewhere_are_refused(role: str, account: str, region: str) -> None:
    """A queue of another account or region, which no policy here reaches, is refused before anything is registered."""
    url, arn = f"https://sqs.{region}.amazonaws.com/{account}/theirs", f"arn:aws:sqs:{region}:{account}:theirs"

    with pytest.raises(pulumi.RunError) as refusal:
        _queue(**{role: ExistingQueue(url=url, arn=arn)})

    assert str(refusal.value) == (
        f"the existing queue theirs is of account {account} and region {region}, and this stack of "
        "account 123456789012 and region eu-central-1: give a queue of the same account and region, or none"
    )


def test_program_works_on_adopted_queues() -> None:
    """With both queues adopted the functions, the mapping, the grants and the outputs all name them."""
    chosen = {
        "existingQueueUrl": _QUEUE.url,
        "existingQueueArn": _QUEUE.arn,
        "existingDlqUrl": _DLQ.url,
        "existingDlqArn": _DLQ.arn,
    }
    recording = run_main("dev", chosen)
    worker = variables(recording, "events-worker")

    assert [r.name for r in recording.resources if ":sqs/" in r.type] == ["control-failures", "control-failures-policy"]
    assert recording.inputs("EventSourceMapping", "events-worker-mapping")["eventSourceArn"] == _QUEUE.arn
    assert [grants(recording, "events-worker")[sid][1] for sid in ("Queue", "DeadLetters")] == [_QUEUE.arn, _DLQ.arn]
    assert [grants(recording, "redrive")[sid][1] for sid in ("Queues", "DeadLetters")] == [[_QUEUE.arn], [_DLQ.arn]]
    assert (worker["QUEUE_URL"], worker["DLQ_URL"]) == (_QUEUE.url, _DLQ.url)
    assert json.loads(variables(recording, "redrive")["QUEUES"]) == {
        "events": {"queueUrl": _QUEUE.url, "dlqUrl": _DLQ.url}
    }
    assert (recording.outputs["MainQueueUrl"], recording.outputs["DlqUrl"]) == (_QUEUE.url, _DLQ.url)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"consumer_timeout_seconds": 901}, "consumer_timeout_seconds must be 1-900, got 901"),
        ({"batching_window_seconds": 301}, "batching_window_seconds must be 0-300, got 301"),
        ({"batching_window_seconds": 1, "fifo": True}, "batching_window_seconds must be 0-0, got 1"),
        ({"max_receive_count": 0}, "max_receive_count must be 1-1000, got 0"),
        ({"retention_seconds": 59}, "retention_seconds must be 60-1209599, got 59"),
        ({"dlq_retention_seconds": 345_600}, "dlq_retention_seconds must be 345601-1209600, got 345600"),
        ({"visibility_seconds": 179}, "visibility_seconds must be 180-43200, got 179"),
        ({"visibility_seconds": 43_201}, "visibility_seconds must be 180-43200, got 43201"),
        (
            {"existing_queue": _QUEUE, "fifo": True},
            f"an existing queue must be FIFO exactly when fifo is True, got {_QUEUE.arn}",
        ),
    ],
)
def test_impossible_queues_are_refused(args: dict[str, Any], message: str) -> None:
    """What SQS or the consumer could not work with fails at construction, with the limit and the value received."""
    with pytest.raises(ValueError, match=f"^{message}$"):
        ReliableQueueArgs(**{"consumer_timeout_seconds": 30, **args})
