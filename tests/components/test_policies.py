"""Who may use the queues, the topics and the key: every policy on a resource."""

import json

import pytest

from tests.components.recording import ACCOUNT, REGION, Recording, run_main, statements

_KEY = "arn:ingestion-key"


def test_queues_take_messages_from_named_functions_only(everything: Recording) -> None:
    """Ingest and the redrive runner may send to the main queue, the worker alone to the dead-letter queue."""
    producers = {
        policy.name: statement["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]
        for policy in everything.of("QueuePolicy")
        for statement in statements([policy.inputs["policy"]])
        if statement["Sid"] == "NamedProducersOnly"
    }

    assert producers == {
        "events-queue-policy": ["arn:events-ingest-role", "arn:redrive-role"],
        "events-dlq-policy": ["arn:events-worker-role"],
    }


@pytest.mark.parametrize("outcome", ["success", "failure"])
def test_topics_hear_one_rule_of_this_account(everything: Recording, outcome: str) -> None:
    """EventBridge may publish, unless it says that another rule or account is behind it; nobody may without TLS."""
    topic = f"arn:events-{outcome}"
    eventbridge = {"Principal": {"Service": "events.amazonaws.com"}, "Action": "sns:Publish", "Resource": topic}
    policy = json.loads(everything.inputs("TopicPolicy", f"events-{outcome}-policy")["policy"])

    assert policy == {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "EventBridgePublishes", "Effect": "Allow", **eventbridge},
            {
                "Sid": "OtherRules",
                "Effect": "Deny",
                **eventbridge,
                "Condition": {"Null": {"aws:SourceArn": "false"}, "ArnNotEquals": {"aws:SourceArn": topic}},
            },
            {
                "Sid": "OtherAccounts",
                "Effect": "Deny",
                **eventbridge,
                "Condition": {
                    "Null": {"aws:SourceAccount": "false"},
                    "StringNotEquals": {"aws:SourceAccount": ACCOUNT},
                },
            },
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sns:Publish",
                "Resource": topic,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        ],
    }


def test_customer_key_encrypts_everything_that_holds_data(everything: Recording) -> None:
    """Queues, topics, tables and log groups are all under the key, which rotates and has the default alias."""
    key = everything.inputs("Key", "ingestion-key")
    tables = [table.inputs["serverSideEncryption"] for table in everything.of("Table")]

    assert {queue.inputs["kmsMasterKeyId"] for queue in everything.of("Queue")} == {_KEY}
    assert {topic.inputs["kmsMasterKeyId"] for topic in everything.of("Topic")} == {_KEY}
    assert {group.inputs["kmsKeyId"] for group in everything.of("LogGroup")} == {_KEY}
    assert tables == [{"enabled": True, "kmsKeyArn": _KEY}] * 2
    assert (key["enableKeyRotation"], key["deletionWindowInDays"]) == (True, 30)
    assert everything.inputs("Alias", "ingestion-alias") == {
        "name": "alias/ingestion-lab-dev",
        "targetKeyId": "id:ingestion-key",
    }


def test_key_alias_is_the_configured_one() -> None:
    """KmsAlias names the key."""
    recording = run_main("dev", {"useKmsCmk": True, "kmsAlias": "alias/data"})

    assert recording.inputs("Alias", "ingestion-alias")["name"] == "alias/data"


def test_key_policy_lets_exactly_the_services_that_need_it(everything: Recording) -> None:
    """The account's own policies decide; EventBridge and alarms reach topics, Logs reaches this stack's groups.

    No condition on EventBridge's statement names a source: with one, events silently stop reaching encrypted topics.
    """
    account, publishers, logs = statements([everything.inputs("Key", "ingestion-key")["policy"]])

    assert (account["Principal"], account["Action"]) == ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "kms:*")
    assert publishers["Principal"] == {"Service": ["cloudwatch.amazonaws.com", "events.amazonaws.com"]}
    assert publishers["Action"] == ["kms:Decrypt", "kms:GenerateDataKey*"]
    assert publishers["Condition"] == {
        "ArnLike": {"kms:EncryptionContext:aws:sns:topicArn": [f"arn:aws:sns:{REGION}:{ACCOUNT}:*"]}
    }
    assert logs["Principal"] == {"Service": [f"logs.{REGION}.amazonaws.com"]}
    assert logs["Condition"] == {
        "ArnLike": {
            "kms:EncryptionContext:aws:logs:arn": [
                f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/ingestion-lab-dev-*",
                f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/vendedlogs/ingestion-lab-dev-*",
            ]
        }
    }
