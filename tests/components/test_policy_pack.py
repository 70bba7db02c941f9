"""The policy pack as the engine runs it, a process asked over gRPC: about what is registered, and broken copies."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

import pytest
from pulumi.runtime import rpc
from pulumi.runtime.proto import analyzer_pb2

from components.messaging.queue import ReliableQueue, ReliableQueueArgs
from tests.components.configurations import CONFIGURATIONS, Configuration
from tests.components.policing import Made, Pack, started
from tests.components.recording import ROOT, Recording, run

_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # how the engine writes a string that is not known yet
_SECRET = {rpc._special_sig_key: rpc._special_secret_sig}  # how the engine writes that a value is encrypted
_QUEUE = "aws:sqs/queue:Queue"
_FUNCTION = "aws:lambda/function:Function"
_MAPPING = "aws:lambda/eventSourceMapping:EventSourceMapping"


@pytest.fixture(scope="module")
def pack() -> Iterator[Pack]:
    """The pack, started as the engine starts it."""
    with started() as pack:
        yield pack


def _made(recording: Recording, stack: str) -> list[Made]:
    """What was registered, with the outputs that the recording gave for it."""
    made = []
    for one in recording.resources:
        inputs = dict(one.inputs)
        outputs = {"arn": f"arn:{one.name}", "url": f"https://{one.name}", "id": f"id:{one.name}", "name": one.name}
        made.append(Made(one.type, one.name, inputs, {**outputs, **inputs}, one.protect, stack=stack))
    return made


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=str)
def test_ours(pack: Pack, configuration: Configuration) -> None:
    """What the program registers violates no policy, in any configuration; where nothing is watched, just that."""
    settings = configuration.whole
    production = settings.get("production", configuration.stack == "prod") and not settings.get("deletionAllowed")
    stack = configuration.stack if production else "another"  # the pack tells production by the stack's name alone
    found = pack.found(_made(configuration.recording(), stack))

    if not settings.get("observabilityEnabled", True):
        found = {(policy, name) for policy, name in found if policy != "dead-letters-are-watched"}
    assert found == set()


def test_ours_broken(pack: Pack) -> None:
    """Each policy sees what the program registers: of a copy that is broken for all of them, each finds something."""
    (everything,) = (one for one in CONFIGURATIONS if one.name == "everything on prod")
    broken: Mapping[str, Mapping[str, Any]] = {
        "Queue": {"maxMessageSize": None, "sqsManagedSseEnabled": None, "kmsMasterKeyId": None, "redrivePolicy": None},
        "Function": {"loggingConfig": None, "timeout": 900},
        "EventSourceMapping": {"functionResponseTypes": None},
        "LogGroup": {"retentionInDays": None},
        "MetricAlarm": {"alarmActions": []},
        "RolePolicy": {"policy": _policy({"Effect": "Allow", "Action": "*", "Resource": "*"})},
    }
    whole = _made(everything.recording(), "prod")
    left_out = ("QueuePolicy", "BucketServerSideEncryptionConfiguration")
    resources = [deepcopy(one) for one in whole if not one.type.endswith(left_out)]
    for one in resources:
        one.protect = False
        changed = broken.get(one.type.rpartition(":")[2], {})
        one.inputs, one.outputs = (
            {key: value for key, value in {**of, **changed}.items() if value is not None}
            for of in (one.inputs, one.outputs)
        )
    unwatched = [one for one in whole if not one.type.endswith(":MetricAlarm")]  # with their redrive policies

    seen = {policy for policy, _ in pack.found(resources)}
    assert {policy for policy, _ in pack.found(unwatched)} == {"dead-letters-are-watched"}
    assert seen == pack.names() - {"dead-letters-are-watched"}


def test_a_queue_that_has_a_topic(pack: Pack) -> None:
    """The component alone is as the pack wants it once it knows whom to tell of dead letters; else that is missing."""

    def found(**args: Any) -> set[tuple[str, str]]:
        made = run(lambda: ReliableQueue("orders", ReliableQueueArgs(consumer_timeout_seconds=30, **args)))
        return pack.found(_made(made, "another"))

    assert found(alarm_topic_arn="arn:on-call") == set()
    assert found() == {("dead-letters-are-watched", "orders-dlq")}


def _good() -> list[Made]:
    """A queue with everything that the policies ask for, in production."""
    tls = {"Effect": "Deny", "Principal": "*", "Action": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    grant = {"Effect": "Allow", "Action": ["sqs:SendMessage"], "Resource": "arn:queue"}
    trace = {"Effect": "Allow", "Action": ["xray:PutTraceSegments"], "Resource": "*"}
    queue: dict[str, Any] = {
        "visibilityTimeoutSeconds": 180,
        "messageRetentionSeconds": 345_600,
        "maxMessageSize": 1_048_576,
    }
    queue |= {"sqsManagedSseEnabled": True, "redrivePolicy": '{"deadLetterTargetArn": "arn:dlq", "maxReceiveCount": 5}'}
    dlq: dict[str, Any] = {
        "messageRetentionSeconds": 1_209_600,
        "maxMessageSize": 1_048_576,
        "kmsMasterKeyId": "arn:key",
    }
    alarm: dict[str, Any] = {"namespace": "AWS/SQS", "metricName": "ApproximateNumberOfMessagesVisible"}
    alarm |= {"dimensions": {"QueueName": "dlq"}, "alarmActions": ["arn:topic"], "treatMissingData": "notBreaching"}
    window = {**alarm, "metricName": "ApproximateAgeOfOldestMessage", "alarmActions": []}
    mapping: dict[str, Any] = {"eventSourceArn": "arn:queue", "functionName": "arn:worker"}
    mapping |= {"functionResponseTypes": ["ReportBatchItemFailures"]}
    resources: list[tuple[str, str, dict[str, Any], bool]] = [
        (_QUEUE, "queue", queue, True),
        (_QUEUE, "dlq", dlq, True),
        (
            "aws:sqs/queuePolicy:QueuePolicy",
            "queue-policy",
            {"queueUrl": "https://queue", "policy": _policy(tls)},
            False,
        ),
        ("aws:sqs/queuePolicy:QueuePolicy", "dlq-policy", {"queueUrl": "https://dlq", "policy": _policy(tls)}, False),
        (_FUNCTION, "worker", {"timeout": 30, "loggingConfig": {"logGroup": "/logs"}}, False),
        ("aws:cloudwatch/logGroup:LogGroup", "logs", {"name": "/logs", "retentionInDays": 30}, False),
        (_MAPPING, "mapping", mapping, False),
        ("aws:cloudwatch/metricAlarm:MetricAlarm", "alarm", alarm, False),
        ("aws:cloudwatch/metricAlarm:MetricAlarm", "window", window, False),
        (
            "aws:cloudwatch/compositeAlarm:CompositeAlarm",
            "windows",
            {"alarmRule": 'ALARM("window")', "alarmActions": ["arn:topic"]},
            False,
        ),
        ("aws:iam/rolePolicy:RolePolicy", "grants", {"policy": _policy(grant, trace)}, False),
        ("aws:sns/topic:Topic", "topic", {"kmsMasterKeyId": "arn:key"}, False),
        ("aws:sns/topicPolicy:TopicPolicy", "topic-policy", {"arn": "arn:topic", "policy": _policy(tls)}, False),
        ("aws:dynamodb/table:Table", "table", {}, True),
        ("aws:kms/key:Key", "key", {}, True),
        ("aws:s3/bucket:Bucket", "bucket", {"bucket": "files"}, True),
        ("aws:s3/bucketPolicy:BucketPolicy", "bucket-policy", {"bucket": "files", "policy": _policy(tls)}, False),
        (
            "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
            "encryption",
            {"bucket": "files", "rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]},
            False,
        ),
    ]
    made = []
    for type_, name, inputs, protect in resources:
        outputs = {"arn": f"arn:{name}", "url": f"https://{name}", "name": name, **inputs}
        made.append(Made(type_, name, dict(inputs), outputs, protect, stack="prod"))
    return made


def _policy(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _one(resources: Sequence[Made], name: str) -> Made:
    (found,) = [one for one in resources if one.name == name]
    return found


def _with(name: str, **properties: Any) -> Callable[[list[Made]], None]:
    """Sets properties; None takes one away."""

    def change(resources: list[Made]) -> None:
        one = _one(resources, name)
        for properties_of in (one.inputs, one.outputs):
            properties_of.update(properties)
            for key in [key for key, value in properties_of.items() if value is None]:
                del properties_of[key]

    return change


def _without(name: str) -> Callable[[list[Made]], None]:
    return lambda resources: resources.remove(_one(resources, name))


def _unprotected(name: str) -> Callable[[list[Made]], None]:
    def change(resources: list[Made]) -> None:
        _one(resources, name).protect = False

    return change


_ALLOWED = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "arn:queue"}
_BROKEN: tuple[tuple[str, str, Callable[[list[Made]], None]], ...] = (
    ("visibility-covers-timeout", "queue", _with("queue", visibilityTimeoutSeconds=179)),
    ("visibility-covers-timeout", "queue", _with("worker", timeout=31)),
    ("visibility-covers-timeout", "queue", _with("queue", visibilityTimeoutSeconds=None)),
    ("consumed-queue-has-dead-letters", "queue", _with("queue", redrivePolicy=None)),
    ("consumed-queue-has-dead-letters", "dlq", _with("dlq", messageRetentionSeconds=345_600)),
    ("consumed-queue-has-dead-letters", "dlq", _with("dlq", messageRetentionSeconds=None)),
    ("dead-letters-are-watched", "dlq", _without("alarm")),
    ("dead-letters-are-watched", "dlq", _with("alarm", dimensions={"QueueName": "queue"})),
    ("dead-letters-are-watched", "dlq", _with("alarm", metricName="NumberOfMessagesSent")),
    ("partial-batch-response", "mapping", _with("mapping", functionResponseTypes=None)),
    ("partial-batch-response", "mapping", _with("mapping", functionResponseTypes=[])),
    ("tls-only", "queue", _without("queue-policy")),
    ("tls-only", "bucket", _with("bucket-policy", policy=_policy(_ALLOWED))),
    ("bucket-encryption-stated", "bucket", _without("encryption")),
    ("function-logs-are-ours", "worker", _with("worker", loggingConfig=None)),
    ("queue-encryption-stated", "queue", _with("queue", sqsManagedSseEnabled=False)),
    ("queue-encryption-stated", "dlq", _with("dlq", kmsMasterKeyId=None)),
    ("message-size-stated", "queue", _with("queue", maxMessageSize=None)),
    ("message-size-stated", "queue", _with("queue", maxMessageSize=262_144)),  # filled in by the provider
    ("no-wildcard-grants", "grants", _with("grants", policy=_policy({**_ALLOWED, "Action": "sqs:*"}))),
    ("no-wildcard-grants", "grants", _with("grants", policy=_policy({**_ALLOWED, "Resource": ["*"]}))),
    ("no-wildcard-grants", "grants", _with("grants", policy=_policy({**_ALLOWED, "Resource": "arn:aws:s3:::*"}))),
    ("no-wildcard-grants", "grants", _with("grants", policy=_policy({"Effect": "Allow", "NotAction": "iam:*"}))),
    ("log-retention", "logs", _with("logs", retentionInDays=None)),
    ("alarm-tells-somebody", "alarm", _with("alarm", alarmActions=[])),
    ("alarm-tells-somebody", "alarm", _with("alarm", actionsEnabled=False)),
    ("alarm-tells-somebody", "window", _with("windows", alarmActions=[])),
    ("alarm-tells-somebody", "window", _with("windows", actionsEnabled=False)),
    ("alarm-tells-somebody", "window", _with("windows", alarmRule='ALARM("alarm")')),
    ("alarm-tells-somebody", "alarm", _with("alarm", treatMissingData=None)),
    ("alarm-tells-somebody", "alarm", _with("alarm", treatMissingData="missing")),  # filled in by the provider
    ("tls-only", "topic", _without("topic-policy")),
    ("tls-only", "topic", _with("topic-policy", policy=_policy({"Effect": "Deny", "Principal": "*", "Action": "*"}))),
    *(("stateful-protected", name, _unprotected(name)) for name in ("bucket", "queue", "table", "key")),
)


def test_a_good_stack(pack: Pack) -> None:
    """What follows is found in this one alone because it is broken."""
    assert pack.found(_good()) == set()


@pytest.mark.parametrize(
    ("policy", "resource", "broken"), _BROKEN, ids=[f"{p}-{i}" for i, (p, _, _) in enumerate(_BROKEN)]
)
def test_broken(pack: Pack, policy: str, resource: str, broken: Callable[[list[Made]], None]) -> None:
    """A stack that is broken in one place violates one policy, at that resource."""
    resources = _good()
    broken(resources)

    assert pack.found(resources) == {(policy, resource)}


def test_every_policy_is_broken_once(pack: Pack) -> None:
    """No policy of the pack goes untried."""
    assert pack.names() == {policy for policy, _, _ in _BROKEN}


def test_documented(pack: Pack) -> None:
    """The page names each policy, and no other."""
    page = (ROOT / "docs" / "policy-pack.md").read_text()

    assert set(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE)) == pack.names()


def test_names_no_production(pack: Pack) -> None:
    """Outside production nothing need be protected."""
    resources = _good()
    for one in resources:
        one.stack, one.protect = "dev", False

    assert pack.found(resources) == set()


def _preview() -> list[Made]:
    """The good stack before it is made: no ARN, URL or name is known, who means whom is."""
    resources = _good()
    for one in resources:
        for key in ("arn", "url", "name"):
            if one.inputs.get(key) is None:
                one.outputs[key] = _UNKNOWN
    mapping, queue, alarm = (_one(resources, name) for name in ("mapping", "queue", "alarm"))
    for properties in (mapping.inputs, mapping.outputs):
        properties.update(eventSourceArn=_UNKNOWN, functionName=_UNKNOWN)
    mapping.needs = {"eventSourceArn": ["queue"], "functionName": ["worker"]}
    for properties in (queue.inputs, queue.outputs):
        properties.update(redrivePolicy=_UNKNOWN)
    queue.needs = {"redrivePolicy": ["dlq"]}
    for properties in (alarm.inputs, alarm.outputs):
        properties.update(dimensions={"QueueName": _UNKNOWN})
    alarm.needs = {"dimensions": ["dlq"]}
    windows = _one(resources, "windows")
    for properties in (windows.inputs, windows.outputs):
        properties.update(alarmRule=_UNKNOWN)
    windows.needs = {"alarmRule": ["window"]}
    for name, names_it in (("queue", "queueUrl"), ("dlq", "queueUrl"), ("topic", "arn")):
        policy = _one(resources, f"{name}-policy")
        for properties in (policy.inputs, policy.outputs):
            properties[names_it] = _UNKNOWN
        policy.needs = {names_it: [name]}
    return resources


def test_a_preview(pack: Pack) -> None:
    """Nothing is refused because it is not known yet; that it was not checked is said."""
    said = pack.diagnostics(_preview())

    assert {one.enforcementLevel for one in said} <= {analyzer_pb2.ADVISORY}
    assert all("can't be known during preview" in one.message for one in said)


@pytest.mark.parametrize(
    ("policy", "broken"),
    [
        ("visibility-covers-timeout", _with("worker", timeout=31)),
        ("consumed-queue-has-dead-letters", _with("dlq", messageRetentionSeconds=60)),
        ("partial-batch-response", _with("mapping", functionResponseTypes=None)),
        ("tls-only", _without("queue-policy")),
    ],
)
def test_broken_in_a_preview(pack: Pack, policy: str, broken: Callable[[list[Made]], None]) -> None:
    """What can be known is refused in a preview, before anything is made."""
    resources = _preview()
    broken(resources)

    refused = {one.policyName for one in pack.diagnostics(resources) if one.enforcementLevel == analyzer_pb2.MANDATORY}
    assert refused == {policy}


def test_secrets_are_read(pack: Pack) -> None:
    """A value that is encrypted is judged as any other."""
    resources = _good()
    one = _one(resources, "grants")
    policy = deepcopy(_policy({**_ALLOWED, "Action": "*"}))
    one.inputs["policy"] = {**_SECRET, "value": policy}

    assert pack.found(resources) == {("no-wildcard-grants", "grants")}
