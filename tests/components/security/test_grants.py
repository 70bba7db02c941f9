"""What each function's role may do."""

from tests.components.recording import Recording, grants, statements

_ON_ANYTHING = {  # by statement id; components/security/policies.py says why
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
_CONTROL = "arn:control-table"
_KEY = "arn:ingestion-key"
_FAILED_INVOCATIONS = {"FailedInvocations": ({"sqs:SendMessage"}, "arn:control-failures")}


def test_every_statement_names_its_resources_and_actions(everything: Recording) -> None:
    """No grant is on `*` but the two listed ones, and no action is a pattern."""
    open_grants = {}
    for policy in everything.of("RolePolicy"):
        for statement in statements([policy.inputs["policy"]]):
            assert not any("*" in action for action in statement["Action"])
            if statement["Effect"] == "Allow" and statement["Resource"] in ("*", ["*"]):
                open_grants[statement["Sid"]] = set(statement["Action"])

    assert open_grants == _ON_ANYTHING


def test_ingest_grants(everything: Recording) -> None:
    """Ingest sends to the main queue and asks for its health, reserves keys and reads records: nothing else."""
    assert grants(everything, "events-ingest") == {
        "Queue": ({"sqs:GetQueueAttributes", "sqs:SendMessage"}, "arn:events-queue"),
        "State": (
            {"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate"},
            _STATE,
        ),
        "FailureMode": ({"ssm:GetParameter"}, "arn:failure-mode-parameter"),
        **_common("events-ingest"),
    }


def test_worker_grants(everything: Recording) -> None:
    """The worker consumes the main queue, writes to the dead-letter queue only, keeps state and reports outcomes."""
    assert grants(everything, "events-worker") == {
        "Queue": (
            {"sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"},
            "arn:events-queue",
        ),
        "DeadLetters": ({"sqs:SendMessage"}, "arn:events-dlq"),
        "State": ({"dynamodb:BatchGetItem", "dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate"}, _STATE),
        "Outcomes": ({"events:PutEvents"}, "arn:ingestion-bus"),
        "FailureMode": ({"ssm:GetParameter"}, "arn:failure-mode-parameter"),
        **_common("events-worker"),
    }


def test_breaker_grants(everything: Recording) -> None:
    """The breaker keeps its state, pauses this one consumer, probes this one worker with a message of its queue."""
    assert grants(everything, "events-breaker") == {
        "Breaker": ({"dynamodb:GetItem", "dynamodb:PutItem"}, _CONTROL),
        "FailedEvent": ({"dynamodb:GetItem"}, _STATE),
        "Consumer": ({"lambda:GetEventSourceMapping", "lambda:UpdateEventSourceMapping"}, "arn:events-worker-mapping"),
        "Probe": ({"lambda:InvokeFunction"}, "arn:events-worker"),
        "Sample": ({"sqs:DeleteMessage", "sqs:ReceiveMessage", "sqs:SendMessage"}, "arn:events-queue"),
        "Transitions": ({"events:PutEvents"}, "arn:ingestion-bus"),
        **_FAILED_INVOCATIONS,
        **_common("events-breaker"),
    }


def test_redrive_api_grants(everything: Recording) -> None:
    """The redrive API looks at dead letters without deleting, keeps runs, reads state and wakes the runner."""
    assert grants(everything, "redrive-api") == {
        "DeadLetters": (
            {"sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"},
            ["arn:events-dlq"],
        ),
        "Runs": ({"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"}, _CONTROL),
        "State": ({"dynamodb:BatchGetItem"}, _STATE),
        "Runner": ({"lambda:InvokeFunction"}, "arn:redrive"),
        **_common("redrive-api"),
        "QueueKey": ({"kms:Decrypt"}, _KEY),  # it sends nothing
    }


def test_redrive_grants(everything: Recording) -> None:
    """The runner takes from the dead-letter queues, sends to the main queues, keeps runs and reads state."""
    assert grants(everything, "redrive") == {
        "DeadLetters": (
            {"sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"},
            ["arn:events-dlq"],
        ),
        "Queues": ({"sqs:SendMessage"}, ["arn:events-queue"]),
        "Runs": (
            {
                *("dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem"),
                *("dynamodb:Query", "dynamodb:UpdateItem"),
            },
            _CONTROL,
        ),
        "State": ({"dynamodb:BatchGetItem"}, _STATE),
        **_FAILED_INVOCATIONS,
        **_common("redrive"),
    }


def test_failure_switch_grants(everything: Recording) -> None:
    """The switch reads and writes its one parameter, and touches no table."""
    expected = {
        "FailureMode": ({"ssm:GetParameter", "ssm:PutParameter"}, "arn:failure-mode-parameter"),
        **_FAILED_INVOCATIONS,
        **_common("failure-mode"),
    }
    del expected["TableKey"]

    assert grants(everything, "failure-mode") == expected


def _common(function: str) -> dict[str, tuple[set[str], str]]:
    return {
        "QueueKey": ({"kms:Decrypt", "kms:GenerateDataKey"}, _KEY),
        "TableKey": (
            {
                *("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"),
                *("kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo"),
            },
            _KEY,
        ),
        "OwnLogs": ({"logs:CreateLogStream", "logs:PutLogEvents"}, f"arn:{function}-logs:*"),
        **{sid: (actions, "*") for sid, actions in _ON_ANYTHING.items()},
    }


_KEYS = {"QueueKey": "sqs", "TableKey": "dynamodb", "ParameterKey": "ssm"}  # through which service the key is used


def test_functions_use_the_key_through_what_they_use_anyway(everything: Recording) -> None:
    """A role can't decrypt by itself: each grant is bound to the service that calls for it, and is there if it does.

    Parameters are under the key only where they are secret, so not every function that reads one has that grant.
    """
    for policy in everything.of("RolePolicy"):
        allowed = {s["Sid"]: s for s in statements([policy.inputs["policy"]]) if s["Effect"] == "Allow"}
        services = {action.partition(":")[0] for s in allowed.values() for action in s["Action"]}
        for sid, service in _KEYS.items():
            if sid in allowed:
                assert allowed[sid]["Condition"] == {"StringLike": {"kms:ViaService": f"{service}.*"}}
            assert (sid in allowed) == (service in services) or sid == "ParameterKey"


def test_only_who_sends_has_data_keys_for_queues(everything: Recording) -> None:
    """KMS asks senders for a data key, receivers only for decryption."""
    for policy in everything.of("RolePolicy"):
        allowed = {s["Sid"]: s for s in statements([policy.inputs["policy"]]) if s["Effect"] == "Allow"}
        sends = any("sqs:SendMessage" in s["Action"] for s in allowed.values())
        if "QueueKey" in allowed:
            assert ("kms:GenerateDataKey" in allowed["QueueKey"]["Action"]) == sends


def test_functions_without_a_customer_key_have_no_kms_grant(dev: Recording) -> None:
    """Where AWS's own keys are used no role mentions KMS."""
    policies = [policy.inputs["policy"] for policy in dev.of("RolePolicy")]

    assert [policy for policy in policies if "kms:" in policy] == []
