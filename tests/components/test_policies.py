"""Who may do what: every grant the program makes."""

import json

import pytest

from tests.components.recording import ACCOUNT, REGION, Recording, run_main, statements

_EVERYTHING_ON = {
    "useKmsCmk": True,
    "tracing": True,
    "vpcSubnetIds": ["subnet-0123456789abcdef0"],
    "vpcSecurityGroupIds": ["sg-0123456789abcdef0"],
}
_WITHOUT_RESOURCES_IN_AWS = {  # by statement id: AWS defines no resource for these actions
    "Tracing": {"xray:PutTelemetryRecords", "xray:PutTraceSegments"},
    "Network": {
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:UnassignPrivateIpAddresses",
    },
}
_STATE = "arn:ingestion_state"
_KEY = "arn:ingestion-key"


@pytest.fixture(scope="module")
def everything() -> Recording:
    """The program with every option on that adds a grant."""
    return run_main("dev", _EVERYTHING_ON)


def _grants(recording: Recording, role: str) -> dict[str, tuple[set[str], str]]:
    policy = recording.inputs("RolePolicy", f"{role}-policy")["policy"]
    allowed = [s for s in statements([policy]) if s["Effect"] == "Allow"]
    return {s["Sid"]: (set(s["Action"]), s["Resource"]) for s in allowed}


def test_every_statement_names_its_resources_and_actions(everything: Recording) -> None:
    """No grant is on `*` but the listed ones for which AWS has no resource, and no action is a service's `*`."""
    open_grants = {}
    for policy in everything.of("RolePolicy"):
        for statement in statements([policy.inputs["policy"]]):
            assert not any(action.endswith(":*") for action in statement["Action"])
            if statement["Effect"] == "Allow" and statement["Resource"] == "*":
                open_grants[statement["Sid"]] = set(statement["Action"])

    assert open_grants == _WITHOUT_RESOURCES_IN_AWS


def test_ingest_grants(everything: Recording) -> None:
    """Ingest sends to the main queue and asks for its health, reserves keys and reads records: nothing else."""
    assert _grants(everything, "events-ingest") == {
        "Queue": ({"sqs:GetQueueAttributes", "sqs:SendMessage"}, "arn:events-queue"),
        "State": (
            {"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate"},
            _STATE,
        ),
        **_common("events-ingest"),
    }


def test_worker_grants(everything: Recording) -> None:
    """The worker consumes the main queue, writes to the dead-letter queue only, keeps state and reports outcomes."""
    assert _grants(everything, "events-worker") == {
        "Queue": (
            {"sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"},
            "arn:events-queue",
        ),
        "DeadLetters": ({"sqs:SendMessage"}, "arn:events-dlq"),
        "State": ({"dynamodb:BatchGetItem", "dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate"}, _STATE),
        "Outcomes": ({"events:PutEvents"}, "arn:ingestion-bus"),
        **_common("events-worker"),
    }


def _common(function: str) -> dict[str, tuple[set[str], str]]:
    return {
        "QueueKey": ({"kms:Decrypt", "kms:GenerateDataKey*"}, _KEY),
        "TableKey": (
            {"kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"},
            _KEY,
        ),
        "OwnLogs": ({"logs:CreateLogStream", "logs:PutLogEvents"}, f"arn:{function}-logs:*"),
        **{sid: (actions, "*") for sid, actions in _WITHOUT_RESOURCES_IN_AWS.items()},
    }


def test_functions_use_the_key_through_queues_and_table_only(everything: Recording) -> None:
    """A role can't decrypt with the key by itself: each grant is bound to the service that calls for it."""
    policies = [policy.inputs["policy"] for policy in everything.of("RolePolicy")]
    bound = {
        (s["Sid"], s["Condition"]["StringLike"]["kms:ViaService"]) for s in statements(policies) if "Key" in s["Sid"]
    }

    assert bound == {("QueueKey", "sqs.*"), ("TableKey", "dynamodb.*")}


def test_functions_without_a_customer_key_have_no_kms_grant() -> None:
    """Where AWS's own keys are used no role mentions KMS."""
    policies = [policy.inputs["policy"] for policy in run_main("dev").of("RolePolicy")]

    assert [policy for policy in policies if "kms:" in policy] == []


def test_queues_take_messages_from_one_function_each(everything: Recording) -> None:
    """Ingest alone may send to the main queue, the worker alone to the dead-letter queue."""
    producers = {
        policy.name: statement["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]
        for policy in everything.of("QueuePolicy")
        for statement in statements([policy.inputs["policy"]])
        if statement["Sid"] == "NamedProducersOnly"
    }

    assert producers == {
        "events-queue-policy": ["arn:events-ingest-role"],
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


def test_only_this_api_may_invoke_ingest(everything: Recording) -> None:
    """The one permission on a function is the API's, limited to its own ARN."""
    assert [permission.inputs for permission in everything.of("Permission")] == [
        {
            "action": "lambda:InvokeFunction",
            "function": "events-ingest",
            "principal": "apigateway.amazonaws.com",
            "sourceArn": "execute:ingestion-api/*/*",
        }
    ]


def test_customer_key_encrypts_everything_that_holds_data(everything: Recording) -> None:
    """Queues, topics, table and log groups are all under the key, which rotates and has the default alias."""
    key = everything.inputs("Key", "ingestion-key")
    table = everything.inputs("Table", "ingestion_state")

    assert {queue.inputs["kmsMasterKeyId"] for queue in everything.of("Queue")} == {_KEY}
    assert {topic.inputs["kmsMasterKeyId"] for topic in everything.of("Topic")} == {_KEY}
    assert {group.inputs["kmsKeyId"] for group in everything.of("LogGroup")} == {_KEY}
    assert table["serverSideEncryption"] == {"enabled": True, "kmsKeyArn": _KEY}
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
