"""The control plane: its table, its queue for failed invocations, the breaker, redrive, and what calls them."""

import json
from typing import Any

import pytest

from components.config.aws_limits import MAX_TIMEOUT
from components.control.control_table import ControlPlane, ControlPlaneArgs, limit_failure_senders
from components.messaging.function_rule import FunctionRuleArgs
from tests.components.recording import Recording, run, run_main, statements, variables

_TAGS = {"Project": "ingestion-lab", "Stack": "dev"}
_COMMON = {"ENVIRONMENT": "dev", "POWERTOOLS_LOG_LEVEL": "INFO", "POWERTOOLS_SERVICE_NAME": "ingestion-lab"}
_REDRIVE = {
    **_COMMON,
    "CONTROL_TABLE_NAME": "control-table",
    "MAX_REDRIVES": "3",
    "QUEUES": '{"events": {"queueUrl": "https://events-queue", "dlqUrl": "https://events-dlq"}}',
    "STATE_TABLE_NAME": "ingestion_state",
}
_TICKS = {"events-breaker-tick": "{}", "failure-mode-expiry": '{"onlyIfExpired": true}', "redrive-tick": "{}"}
_TARGETS = {
    "events-breaker-tick": "events-breaker",
    "events-breaker-trip": "events-breaker",
    "failure-mode-expiry": "failure-mode",
    "redrive-tick": "redrive",
}


def test_control_table(dev: Recording) -> None:
    """On demand, by id and item, with TTL: many small records of a kind under one id."""
    assert dev.inputs("Table", "control-table") == {
        "attributes": [{"name": "id", "type": "S"}, {"name": "item", "type": "S"}],
        "billingMode": "PAY_PER_REQUEST",
        "deletionProtectionEnabled": False,
        "hashKey": "id",
        "pointInTimeRecovery": {"enabled": True},
        "rangeKey": "item",
        "tags": _TAGS,
        "ttl": {"attributeName": "expiresAt", "enabled": True},
    }


def test_a_control_plane_is_closed_to_plain_http_as_it_is_made() -> None:
    """IAM decides who sends to its queue; a second policy is refused."""
    policy = run(lambda: ControlPlane("control", ControlPlaneArgs())).inputs("QueuePolicy", "control-failures-policy")

    assert [statement["Sid"] for statement in statements([policy["policy"]])] == ["TlsOnly"]
    with pytest.raises(ValueError, match=r"^the queue of control has its policy: make it with senders_follow=True$"):
        run(lambda: limit_failure_senders(ControlPlane("control", ControlPlaneArgs()), []))


def test_failed_invocations_are_kept_for_long_in_an_encrypted_queue(dev: Recording) -> None:
    """The queue for failed invocations keeps them 14 days and is reached over TLS only, and by whose they are."""
    policy = dev.inputs("QueuePolicy", "control-failures-policy")

    assert dev.inputs("Queue", "control-failures") == {
        "maxMessageSize": 1_048_576,
        "messageRetentionSeconds": 1_209_600,
        "sqsManagedSseEnabled": True,
        "tags": _TAGS,
    }
    assert policy["queueUrl"] == "https://control-failures"
    assert statements([policy["policy"]]) == [
        {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sqs:*",
            "Resource": "arn:control-failures",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
        {
            "Sid": "NamedProducersOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sqs:SendMessage",
            "Resource": "arn:control-failures",
            "Condition": {
                "ArnNotEquals": {
                    "aws:PrincipalArn": ["arn:failure-mode-role", "arn:events-breaker-role", "arn:redrive-role"]
                },
                "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
            },
        },
    ]


def test_every_asynchronously_invoked_function_keeps_its_failures(dev: Recording) -> None:
    """What EventBridge or another function invokes without waiting has the failures queue, and nothing else has."""
    by_events = {p.inputs["function"] for p in dev.of("Permission") if p.inputs["principal"] == "events.amazonaws.com"}
    by_redrive_api = {variables(dev, "redrive-api")["RUNNER_FUNCTION_NAME"]}
    destinations = {
        config.inputs["functionName"]: config.inputs["destinationConfig"]
        for config in dev.of("FunctionEventInvokeConfig")
    }

    kept = {"onFailure": {"destination": "arn:control-failures"}}
    assert destinations == dict.fromkeys(by_events | by_redrive_api, kept)


@pytest.mark.parametrize(("rule", "payload"), _TICKS.items())
def test_ticks(dev: Recording, rule: str, payload: str) -> None:
    """Every minute on the account's default bus, the only one with schedules, with a payload that says so."""
    given = dict(dev.inputs("EventRule", rule))

    assert given.pop("description")
    assert given == {"scheduleExpression": "rate(1 minute)", "tags": _TAGS}
    assert dev.inputs("EventTarget", f"{rule}-target") == {
        "arn": f"arn:{_TARGETS[rule]}",
        "input": payload,
        "rule": rule,
        "targetId": "function",
    }


def test_breaker_hears_of_trips_of_its_own_pipeline(dev: Recording) -> None:
    """The worker's CircuitTripped on the stack's own bus reaches the breaker as it is."""
    rule = dev.inputs("EventRule", "events-breaker-trip")

    assert json.loads(rule["eventPattern"]) == {
        "source": ["myapp.ingestion"],
        "detail-type": ["CircuitTripped"],
        "detail": {"pipeline": ["events"]},
    }
    assert rule["eventBusName"] == "ingestion-bus"
    assert dev.inputs("EventTarget", "events-breaker-trip-target") == {
        "arn": "arn:events-breaker",
        "eventBusName": "ingestion-bus",
        "rule": "events-breaker-trip",
        "targetId": "function",
    }


def test_functions_are_invoked_by_the_api_and_by_named_rules_only(dev: Recording) -> None:
    """Each permission on a function is limited to this API's or one rule's ARN."""
    permissions = {p.name: p.inputs for p in dev.of("Permission")}
    by_api = ("events-ingest", "failure-mode", "redrive-api")

    assert permissions == {
        f"{function}-invocation": {
            "action": "lambda:InvokeFunction",
            "function": function,
            "principal": "apigateway.amazonaws.com",
            "sourceArn": "execute:ingestion-api/*/*",
        }
        for function in by_api
    } | {
        f"{rule}-invocation": {
            "action": "lambda:InvokeFunction",
            "function": function,
            "principal": "events.amazonaws.com",
            "sourceArn": f"arn:{rule}",
        }
        for rule, function in _TARGETS.items()
    }


def test_rules_have_their_permission_before_their_target(dev: Recording) -> None:
    """No event is sent to a function that does not yet admit it."""
    for rule in _TARGETS:
        assert f"{rule}-invocation" in dev.one("EventTarget", f"{rule}-target").depends_on


@pytest.mark.parametrize(("worker_timeout", "timeout"), [(5, 35), (899, MAX_TIMEOUT)])
def test_breaker_function_outlasts_a_probe(worker_timeout: int, timeout: int) -> None:
    """The breaker is told the consumer, the worker and both tables, and has the worker's time and 30 s more."""
    recording = run_main("dev", {"workerTimeoutSeconds": worker_timeout})
    function = recording.inputs("Function", "events-breaker")

    assert (function["handler"], function["timeout"]) == ("handlers.control.breaker.handler", timeout)
    assert variables(recording, "events-breaker") == {
        **_COMMON,
        "CONTROL_TABLE_NAME": "control-table",
        "EVENT_BUS_NAME": "ingestion-bus",
        "EVENT_SOURCE": "myapp.ingestion",
        "EVENT_SOURCE_MAPPING_ID": "uuid:events-worker-mapping",
        "PIPELINE": "events",
        "STATE_TABLE_NAME": "ingestion_state",
        "WORKER_FUNCTION_NAME": "events-worker",
        "QUEUE_URL": "https://events-queue",
        "MAX_RECEIVE_COUNT": "5",
    }


def test_deployments_leave_a_paused_consumer_paused(dev: Recording) -> None:
    """Whether the consumer runs is the breaker's affair where there is one, and the program's where there is none."""
    without = run_main("dev", {"breakerHoldSeconds": 0})
    mappings = [r.one("EventSourceMapping", "events-worker-mapping") for r in (dev, without)]

    assert [mapping.ignore_changes for mapping in mappings] == [("enabled",), ()]


def test_redrive_api_function(dev: Recording) -> None:
    """The API is told the tables, all queues, the runner and the limit, and answers before the HTTP API gives up."""
    function = dev.inputs("Function", "redrive-api")

    assert (function["handler"], function["timeout"]) == ("handlers.control.redrive.api.entry.handler", 29)
    assert variables(dev, "redrive-api") == {**_REDRIVE, "RUNNER_FUNCTION_NAME": "redrive"}


def test_redrive_function() -> None:
    """The runner is told the same but itself, and may take all the time that Lambda has."""
    recording = run_main("dev", {"maxRedrives": 7})
    function = recording.inputs("Function", "redrive")

    assert (function["handler"], function["timeout"]) == ("handlers.control.redrive.run.entry.handler", MAX_TIMEOUT)
    assert variables(recording, "redrive") == {**_REDRIVE, "MAX_REDRIVES": "7"}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({}, "give a schedule or a pattern, got None and None"),
        ({"schedule": "rate(1 day)", "pattern": {}}, r"give a schedule or a pattern, got 'rate\(1 day\)' and {}"),
        (
            {"schedule": "rate(1 day)", "bus_name": "bus"},
            r"a schedule must be on the default bus; got 'rate\(1 day\)' on another",
        ),
    ],
)
def test_impossible_triggers_are_refused(args: dict[str, Any], message: str) -> None:
    """A rule has either a schedule or a pattern, and a schedule no bus."""
    with pytest.raises(ValueError, match=f"^{message}$"):
        FunctionRuleArgs(**{"function": None, "description": "", **args})
