"""A function's role, network, failure destination; what feeds it from a queue."""

import json
from pathlib import Path
from typing import Any

import pytest

from components.compute.function import InstrumentedFunction, InstrumentedFunctionArgs
from components.compute.platform import FunctionPlatform, FunctionPlatformArgs
from components.config.pollers import Pollers
from components.messaging.consumer import QueueConsumer, QueueConsumerArgs
from tests.components.recording import EVERY_PIPELINE, Recording, run, run_main

_CONSUMER = {"queue_arn": "arn:queue", "function_arn": "arn:function"}
_LOGS = {
    "Sid": "OwnLogs",
    "Effect": "Allow",
    "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
    "Resource": "arn:job-logs:*",
}


def _function(platform: dict[str, Any] | None = None, **args: Any) -> Recording:
    def program() -> None:
        zips = {"handlers_zip": Path("handlers.zip"), "layer_zip": Path("dependencies-x.zip"), "tracing": False}
        shared = FunctionPlatform("platform", FunctionPlatformArgs(**{**zips, **(platform or {})}))
        given = {"handler": "handlers.job.handler", "timeout_seconds": 3, "environment": {}, "statements": []}
        InstrumentedFunction("job", InstrumentedFunctionArgs(platform=shared, **{**given, **args}))

    return run(program)


def _grants(recording: Recording) -> list[dict[str, Any]]:
    statements: list[dict[str, Any]] = json.loads(recording.inputs("RolePolicy", "job-policy")["policy"])["Statement"]
    return statements


def test_role_may_log_to_its_own_group_and_do_nothing_else() -> None:
    """Without statements, tracing and network the role's one grant is its own log group; only Lambda assumes it."""
    recording = _function()

    assert _grants(recording) == [_LOGS]
    assert json.loads(recording.inputs("Role", "job-role")["assumeRolePolicy"]) == {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }


def test_function_waits_for_its_grants() -> None:
    """What checks a role's rights when the function is made finds them there."""
    assert "job-policy" in _function().one("Function", "job").depends_on


def test_organization_rules_shape_the_role() -> None:
    """A prefix starts the role's name whole, and the permissions boundary is on it."""
    boundary = "arn:aws:iam::123456789012:policy/edge"
    role = _function({"iam_name_prefix": "team-a-", "permissions_boundary_arn": boundary}).inputs("Role", "job-role")

    assert (role["namePrefix"], role["permissionsBoundary"]) == ("team-a-job-", boundary)


def test_vpc_functions_have_the_network_and_the_right_to_join_it() -> None:
    """Lambda may manage interfaces for the function; the function's own code may not."""
    recording = _function({"subnet_ids": ("subnet-1",), "security_group_ids": ("sg-1",)})
    network, guard = json.loads(recording.inputs("RolePolicy", "job-network")["policy"])["Statement"]

    assert recording.inputs("Function", "job")["vpcConfig"] == {
        "securityGroupIds": ["sg-1"],
        "subnetIds": ["subnet-1"],
    }
    assert (network["Effect"], guard["Effect"]) == ("Allow", "Deny")
    assert network["Action"] == guard["Action"]
    assert guard["Condition"] == {"Null": {"lambda:SourceFunctionArn": "false"}}


def test_what_the_role_may_goes_after_the_function() -> None:
    """Lambda removes a function's interfaces with the rights of its role, so these are deleted after the function.

    The right to the network is a resource of its own: an engine deletes what has left the program after all updates, so
    it goes after the function has left the VPC. A statement of the other policy would go before, as functions depend
    on their policies.
    """
    chosen = {"vpcSubnetIds": ["subnet-0123456789abcdef0"], "vpcSecurityGroupIds": ["sg-0123456789abcdef0"]}
    inside, outside = run_main("dev", {"pipelines": list(EVERY_PIPELINE), **chosen}), run_main("dev")

    for function in inside.of("Function"):
        assert {f"{function.name}-policy", f"{function.name}-network"} <= function.depends_on
        assert "NetworkInterface" not in inside.inputs("RolePolicy", f"{function.name}-policy")["policy"]
        assert inside.inputs("RolePolicy", f"{function.name}-network")["role"] == f"{function.name}-role"
    assert [policy.name for policy in outside.of("RolePolicy") if policy.name.endswith("-network")] == []


def test_program_passes_the_network_on() -> None:
    """The configured subnets and groups are those of every function."""
    chosen = {"vpcSubnetIds": ["subnet-0123456789abcdef0"], "vpcSecurityGroupIds": ["sg-0123456789abcdef0"]}

    for function in run_main("dev", chosen).of("Function"):
        assert function.inputs["vpcConfig"] == {
            "securityGroupIds": ["sg-0123456789abcdef0"],
            "subnetIds": ["subnet-0123456789abcdef0"],
        }


def test_failed_asynchronous_invocations_are_kept() -> None:
    """With a queue for them, failures of asynchronous invocations go there and the role may send to it."""
    recording = _function(async_failure_queue_arn="arn:failures")

    assert recording.inputs("FunctionEventInvokeConfig", "job-async") == {
        "destinationConfig": {"onFailure": {"destination": "arn:failures"}},
        "functionName": "job",
    }
    assert _grants(recording)[1:] == [
        {"Sid": "FailedInvocations", "Effect": "Allow", "Action": ["sqs:SendMessage"], "Resource": "arn:failures"}
    ]


def test_functions_without_asynchronous_callers_have_no_destination() -> None:
    """No invoke configuration is made unasked."""
    assert _function().of("FunctionEventInvokeConfig") == []


def test_tracing_is_a_grant_and_a_mode() -> None:
    """Tracing on means Active and the right to write traces; off means neither."""
    on, off = _function({"tracing": True}), _function()

    assert on.inputs("Function", "job")["tracingConfig"] == {"mode": "Active"}
    assert _grants(on)[1:] == [
        {
            "Sid": "Tracing",
            "Effect": "Allow",
            "Action": ["xray:PutTelemetryRecords", "xray:PutTraceSegments"],
            "Resource": "*",
        }
    ]
    assert off.inputs("Function", "job")["tracingConfig"] == {"mode": "PassThrough"}


def test_timeouts_that_lambda_lacks_are_refused() -> None:
    """The message gives the limit and the value."""
    with pytest.raises(ValueError, match=r"^timeout_seconds must be 1-900, got 901$"):
        _function(timeout_seconds=901)


def test_fifo_consumers_have_no_batching_window() -> None:
    """Lambda has no such setting for FIFO queues, so it is left out rather than zero."""
    args = QueueConsumerArgs(
        queue_arn="arn:queue.fifo", function_arn="arn:function", batching_window_seconds=0, fifo=True
    )

    assert run(lambda: QueueConsumer("job", args)).inputs("EventSourceMapping", "job-mapping") == {
        "batchSize": 10,
        "eventSourceArn": "arn:queue.fifo",
        "functionName": "arn:function",
        "functionResponseTypes": ["ReportBatchItemFailures"],
        "scalingConfig": {"maximumConcurrency": 2},
    }


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"fifo": True}, "batching_window_seconds must be 0 on a FIFO queue, got 2"),
        ({"batch_size": 10_001}, "batch_size must be 1-10000 with a batching window of 2 s, got 10001"),
        (
            {"batch_size": 11, "batching_window_seconds": 0},
            "batch_size must be 1-10 with a batching window of 0 s, got 11",
        ),
        (
            {"batch_size": 11, "batching_window_seconds": 0, "fifo": True},
            "batch_size must be 1-10 with a batching window of 0 s, got 11",
        ),
        ({"max_concurrency": 1}, "max_concurrency must be 2-1000, got 1"),
        (
            {"pollers": Pollers(minimum=2, maximum=20), "reserved_concurrency": 199},
            r"reserved_concurrency must be at least that of the pollers \(200\).*, got 199",
        ),
        (
            {"pollers": Pollers(minimum=1, maximum=20)},
            r"pollers must be 2 or more, and the least at most the most, got Pollers\(minimum=1, maximum=20\)",
        ),
        ({"reserved_concurrency": 1}, r"reserved_concurrency must be at least max_concurrency \(2\).*, got 1"),
    ],
)
def test_impossible_consumers_are_refused(args: dict[str, Any], message: str) -> None:
    """What Lambda refuses, or what would burn receives, fails at construction."""
    with pytest.raises(ValueError, match=f"^{message}$"):
        QueueConsumerArgs(**{**_CONSUMER, **args})
