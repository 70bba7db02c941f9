"""Who may send to a queue, and when the rule that sends to it begins."""

import json
from collections.abc import Sequence

import pytest

from components.messaging.queue import ExistingQueue, ReliableQueue, ReliableQueueArgs
from components.messaging.queue_access import QueueSenders, limit_senders
from components.messaging.queue_rule import QueueRule, QueueRuleArgs
from tests.components.recording import Recording, run

_THEIRS = ExistingQueue(
    url="https://sqs.eu-central-1.amazonaws.com/123456789012/theirs",
    arn="arn:aws:sqs:eu-central-1:123456789012:theirs",
)
_RULE = QueueRuleArgs(bus_name="bus", source="myapp.orders", detail_type="OrderCreated")


def _limited(
    *, queue: ExistingQueue | None = None, dlq: ExistingQueue | None = None, by_rule: bool = False
) -> Recording:
    def program() -> None:
        args = ReliableQueueArgs(
            consumer_timeout_seconds=30, existing_queue=queue, existing_dlq=dlq, senders_follow=True
        )
        rule = QueueRule("orders-created", _RULE) if by_rule else None
        limit_senders(
            ReliableQueue("orders", args), QueueSenders(queue=["arn:producer"], dlq=["arn:worker"], rule=rule)
        )

    return run(program)


@pytest.mark.parametrize(
    ("role", "sender"), [("queue", "arn:producer"), ("dlq", "arn:worker")], ids=["main", "dead-letter"]
)
def test_queues_take_messages_from_named_senders_over_tls_only(role: str, sender: str) -> None:
    """Each queue's policy denies plain HTTP, and sending to all but its own senders."""
    policy = _limited().one("QueuePolicy", f"orders-{role}-policy")

    assert policy.parent == "orders"
    assert policy.inputs["queueUrl"] == f"https://orders-{role}"
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
            },
            {
                "Sid": "NamedProducersOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sqs:SendMessage",
                "Resource": f"arn:orders-{role}",
                "Condition": {
                    "ArnNotEquals": {"aws:PrincipalArn": [sender]},
                    "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
                },
            },
        ],
    }


def test_a_rule_delivers_to_the_main_queue_only_once_it_is_admitted() -> None:
    """The main queue's policy names the rule, the DLQ's does not; the target comes after both policies it needs."""
    recording = _limited(by_rule=True)
    sids = {
        role: {
            s["Sid"]
            for s in json.loads(recording.inputs("QueuePolicy", f"orders-{role}-policy")["policy"])["Statement"]
        }
        for role in ("queue", "dlq")
    }
    target = recording.one("EventTarget", "orders-created-target")

    assert sids == {
        "queue": {"TlsOnly", "NamedProducersOnly", "RulesDeliver"},
        "dlq": {"TlsOnly", "NamedProducersOnly"},
    }
    assert target.parent == "orders-created"
    assert target.inputs == {
        "arn": "arn:orders-queue",
        "deadLetterConfig": {"arn": "arn:orders-created-undelivered"},
        "eventBusName": "bus",
        "retryPolicy": {"maximumEventAgeInSeconds": 3600, "maximumRetryAttempts": 185},
        "rule": "orders-created",
        "targetId": "queue",
    }
    assert {"orders-queue-policy", "orders-created-undelivered-policy"} <= target.depends_on


@pytest.mark.parametrize(
    ("queue", "dlq", "policies"),
    [
        (_THEIRS, None, ["orders-dlq-policy"]),
        (None, _THEIRS, ["orders-queue-policy"]),
        (_THEIRS, _THEIRS, []),
    ],
    ids=["main", "dead-letter", "both"],
)
def test_queues_of_others_keep_their_policies(
    queue: ExistingQueue | None, dlq: ExistingQueue | None, policies: Sequence[str]
) -> None:
    """Only queues that the stack owns get a policy."""
    assert [policy.name for policy in _limited(queue=queue, dlq=dlq).of("QueuePolicy")] == policies


def test_a_rule_delivers_to_a_queue_of_others() -> None:
    """The target is made without a policy of ours, which the queue's owner has to have made."""
    target = _limited(queue=_THEIRS, by_rule=True).one("EventTarget", "orders-created-target")

    assert target.inputs["arn"] == _THEIRS.arn
    assert "orders-created-undelivered-policy" in target.depends_on


def test_queues_without_senders_are_refused() -> None:
    """A queue that nobody may send to is a mistake of the caller."""
    with pytest.raises(ValueError, match=r"^each queue needs a sender, got 1 for the main queue and 0 for the DLQ$"):
        QueueSenders(queue=["arn:producer"], dlq=[])


def test_a_queue_may_have_a_bucket_for_its_only_sender() -> None:
    """Whom its policy names is decided by who is to send; no role is needed for that."""
    QueueSenders(queue=[], dlq=["arn:worker"], bucket="arn:bucket", account_id="123456789012")


def test_queues_that_are_closed_already_are_refused() -> None:
    """A second policy would replace the first, or be replaced by it."""

    def program() -> None:
        queue = ReliableQueue("orders", ReliableQueueArgs(consumer_timeout_seconds=30))
        limit_senders(queue, QueueSenders(queue=["arn:producer"], dlq=["arn:worker"]))

    with pytest.raises(ValueError, match=r"^the queues of orders have their policies: make them with senders_follow"):
        run(program)
