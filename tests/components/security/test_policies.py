"""Who may use the queues, the topics and the key: every policy on a resource."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from components.security.key_policy import KeyOwner, key_policy
from tests.components.recording import ACCOUNT, REGION, Recording, run_main, statements

_KEY = "arn:ingestion-key"
_TAGS = {"Project": "ingestion-lab", "Stack": "dev"}


def test_queues_take_messages_from_named_functions_only(everything: Recording) -> None:
    """Each queue names who may send to it; failed invocations come in the roles of the functions that keep them."""
    producers = {
        policy.name: statement["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]
        for policy in everything.of("QueuePolicy")
        for statement in statements([policy.inputs["policy"]])
        if statement["Sid"] == "NamedProducersOnly" and policy.name != "ingestion-bus-unreadable-policy"
    }
    keeping = [made.inputs["functionName"] for made in everything.of("FunctionEventInvokeConfig")]

    assert producers == {
        "events-queue-policy": ["arn:events-ingest-role", "arn:events-breaker-role", "arn:redrive-role"],
        "events-dlq-policy": ["arn:events-worker-role"],
        "control-failures-policy": [
            *("arn:failure-mode-role", "arn:events-breaker-role", "arn:redrive-role", "arn:alarm-webhook-role"),
        ],
    }
    assert {f"arn:{name}-role" for name in keeping} == set(producers["control-failures-policy"])


def test_events_that_the_bus_cannot_read_are_kept(everything: Recording) -> None:
    """Under a customer key the bus has a queue for them, open to it alone, and not under the key that failed."""
    name = "ingestion-bus-unreadable"

    assert _bus(everything) == {
        "kmsKeyIdentifier": _KEY,
        "deadLetterConfig": {"arn": f"arn:{name}"},
        "tags": _TAGS,
    }
    assert everything.inputs("Queue", name) == {
        "maxMessageSize": 1_048_576,
        "messageRetentionSeconds": 1_209_600,
        "sqsManagedSseEnabled": True,
        "tags": _TAGS,
    }
    assert statements([everything.inputs("QueuePolicy", f"{name}-policy")["policy"]])[1:] == [
        {
            "Sid": "NamedProducersOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sqs:SendMessage",
            "Resource": f"arn:{name}",
            "Condition": {"BoolIfExists": {"aws:PrincipalIsAWSService": "false"}},
        },
        {
            "Sid": "RulesDeliver",
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": ["sqs:SendMessage"],
            "Resource": f"arn:{name}",
            "Condition": {"ArnEquals": {"aws:SourceArn": ["arn:ingestion-bus"]}},
        },
    ]


def test_without_a_customer_key_the_bus_rests_on_that_of_aws(dev: Recording) -> None:
    """EventBridge can always use its own key, so there is nothing to keep."""
    assert _bus(dev) == {"tags": _TAGS}
    assert [queue.name for queue in dev.of("Queue") if "unreadable" in queue.name] == []


def subscriptions_denied(topic: str) -> list[dict[str, object]]:
    """What every topic's policy says of subscribers."""
    conditions = {
        "OtherSubscribers": {"StringNotEquals": {"aws:PrincipalAccount": ACCOUNT}},
        "PlainHttp": {"StringEquals": {"sns:Protocol": "http"}},
    }
    return [
        {
            "Sid": sid,
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sns:Subscribe",
            "Resource": topic,
            "Condition": condition,
        }
        for sid, condition in conditions.items()
    ]


@pytest.mark.parametrize("outcome", ["success", "failure"])
def test_topics_hear_one_rule_of_this_account(everything: Recording, outcome: str) -> None:
    """EventBridge may publish, unless it says that another rule or account is behind it; nobody may without TLS.

    Only principals of this account subscribe, and nobody for deliveries in clear.
    """
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
            *subscriptions_denied(topic),
        ],
    }


def test_customer_key_encrypts_everything_that_holds_data(everything: Recording) -> None:
    """Queues, topics, tables, log groups, environments and bus are under the key, which rotates and has an alias."""
    key = everything.inputs("Key", "ingestion-key")
    tables = [table.inputs["serverSideEncryption"] for table in everything.of("Table")]

    queues = [queue.inputs for queue in everything.of("Queue") if queue.name != "ingestion-bus-unreadable"]

    assert {queue["kmsMasterKeyId"] for queue in queues} == {_KEY}
    assert {topic.inputs["kmsMasterKeyId"] for topic in everything.of("Topic")} == {_KEY}
    assert {group.inputs["kmsKeyId"] for group in everything.of("LogGroup")} == {_KEY}
    assert {function.inputs["kmsKeyArn"] for function in everything.of("Function")} == {_KEY}
    assert _bus(everything)["kmsKeyIdentifier"] == _KEY
    assert tables == [{"enabled": True, "kmsKeyArn": _KEY}] * 2
    assert (key["enableKeyRotation"], key["deletionWindowInDays"]) == (True, 30)
    assert everything.inputs("Alias", "ingestion-alias") == {
        "name": "alias/ingestion-lab-dev",
        "targetKeyId": "id:ingestion-key",
    }


def test_customer_key_encrypts_what_the_other_pipelines_keep() -> None:
    """Archived orders and the lake's objects are under the key too, and the orders' table."""
    recording = run_main("dev", {"pipelines": ["orders", "lake"], "useKmsCmk": True})
    rules = [made.inputs["rules"] for made in recording.of("BucketServerSideEncryptionConfiguration")]
    queues = [queue.inputs for queue in recording.of("Queue") if queue.name != "ingestion-bus-unreadable"]

    assert [archive.inputs["kmsKeyIdentifier"] for archive in recording.of("EventArchive")] == [_KEY]
    assert [rule["applyServerSideEncryptionByDefault"]["kmsMasterKeyId"] for (rule,) in rules] == [_KEY, _KEY]
    assert {table.inputs["serverSideEncryption"]["kmsKeyArn"] for table in recording.of("Table")} == {_KEY}
    assert {queue["kmsMasterKeyId"] for queue in queues} == {_KEY}


def test_key_alias_is_the_configured_one() -> None:
    """KmsAlias names the key."""
    recording = run_main("dev", {"useKmsCmk": True, "kmsAlias": "alias/data"})

    assert recording.inputs("Alias", "ingestion-alias")["name"] == "alias/data"


def test_key_policy_lets_exactly_the_services_that_need_it(everything: Recording) -> None:
    """The account's own policies decide; EventBridge, alarms and Logs use the key for what is this account's, no more.

    No condition on EventBridge's statements names a source: with one, events silently stop reaching encrypted topics.
    """
    account, *services = statements([everything.inputs("Key", "ingestion-key")["policy"]])
    found = {
        s["Sid"]: (set(s["Principal"]["Service"]), set(s["Action"]), s.get("Condition"), s["Resource"])
        for s in services
    }
    events, encrypt = "events.amazonaws.com", {"kms:Decrypt", "kms:GenerateDataKey"}
    moved = {"kms:ReEncryptFrom", "kms:ReEncryptTo"}
    whole = {*encrypt, *moved, "kms:Encrypt", "kms:GenerateDataKeyWithoutPlaintext"}
    groups = ["/aws/lambda/ingestion-lab-dev-*", "/aws/vendedlogs/ingestion-lab-dev-*"]

    assert (account["Principal"], account["Action"]) == ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "kms:*")
    assert found == {
        "AlarmsAndRulesToTopics": (
            {"cloudwatch.amazonaws.com", events},
            encrypt,
            _context("aws:sns:topicArn", f"arn:aws:sns:{REGION}:{ACCOUNT}:*"),
            "*",
        ),
        "RulesAndBucketsToQueues": (
            {events, "s3.amazonaws.com"},
            encrypt,
            _context("aws:sqs:arn", f"arn:aws:sqs:{REGION}:{ACCOUNT}:*"),
            "*",
        ),
        "BusesAndArchives": (
            {events},
            encrypt | moved,
            _context("aws:events:event-bus:arn", f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/*"),
            "*",
        ),
        "BusesLookAtTheKey": ({events}, {"kms:DescribeKey"}, None, "*"),
        "LogGroups": (
            {f"logs.{REGION}.amazonaws.com"},
            whole,
            _context("aws:logs:arn", *(f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}" for group in groups)),
            "*",
        ),
    }


def _bus(recording: Recording) -> Mapping[str, Any]:
    (found,) = [r.inputs for r in recording.of("EventBus") if r.type.startswith("aws:")]
    return found


def _context(key: str, *arns: str) -> dict[str, object]:
    return {"StringLike": {f"kms:EncryptionContext:{key}": list(arns)}}


def test_permissions_on_functions_say_on_whose_behalf(everything: Recording) -> None:
    """A service invokes a function for one named source only, and where its ARN has no account the account is said."""
    for permission in everything.of("Permission"):
        assert permission.inputs["action"] == "lambda:InvokeFunction"
        assert "*" not in permission.inputs["sourceArn"].removesuffix("/*/*")
        assert permission.inputs["principal"] != "s3.amazonaws.com" or permission.inputs["sourceAccount"] == ACCOUNT


@pytest.mark.parametrize(
    ("partition", "region", "principal"),
    [
        ("aws", "eu-central-1", "logs.eu-central-1.amazonaws.com"),
        ("aws-us-gov", "us-gov-west-1", "logs.us-gov-west-1.amazonaws.com"),
        ("aws-cn", "cn-north-1", "logs.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_log_groups_use_the_key_in_every_partition(partition: str, region: str, principal: str) -> None:
    """CloudWatch Logs is a principal of its region, as the provider's `getServicePrincipal` documents it."""
    owner = KeyOwner(partition=partition, region=region, account_id="123456789012", log_groups=["/aws/lambda/*"])
    (found,) = [s for s in statements([json.dumps(key_policy(owner))]) if s["Sid"] == "LogGroups"]

    assert found["Principal"] == {"Service": [principal]}
