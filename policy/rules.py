"""The rules that this project lives by, as policies of Pulumi: they hold for any AWS resource, whoever registers it.

Rules about one resource see its inputs, before it is made. Rules about several see the whole stack, in a preview with
values that are not known yet: what is known is judged, and the rest is reported as not checked.

A policy's properties are proxies: a list in them is no `list` and equals none. `plain` turns them into Python's own.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pulumi_policy import (
    Policy,
    PolicyConfigSchema,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

# Stacks that are production, unless the pack is configured otherwise: prod, eu-prod, production, live; not pre-prod.
PRODUCTION = r"(?<![a-z])(?<!pre[-_])(?<!non[-_])(?<!not[-_])(prod|production|prd|live)(?![a-z])"
VISIBILITY_PER_TIMEOUT = 6  # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
_QUEUE = "aws:sqs/queue:Queue"
_FUNCTION = "aws:lambda/function:Function"
_MAPPING = "aws:lambda/eventSourceMapping:EventSourceMapping"
_ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
_COMPOSITE = "aws:cloudwatch/compositeAlarm:CompositeAlarm"
_TABLE = "aws:dynamodb/table:Table"
_TOPIC = "aws:sns/topic:Topic"
_LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
_KEY = "aws:kms/key:Key"
_BUCKETS = ("aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2")
_BUCKET_ENCRYPTIONS = (
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2",
)
_STATEFUL = (_QUEUE, _TABLE, _KEY, "aws:s3tables/tableBucket:TableBucket", *_BUCKETS)
_GRANTS = ("aws:iam/rolePolicy:RolePolicy", "aws:iam/policy:Policy", "aws:iam/userPolicy:UserPolicy")
_POLICIES_OF = {  # the type of a resource's policy, by the type; and the property that names the resource
    _QUEUE: ("aws:sqs/queuePolicy:QueuePolicy", "queueUrl"),
    _TOPIC: ("aws:sns/topicPolicy:TopicPolicy", "arn"),
    **dict.fromkeys(_BUCKETS, ("aws:s3/bucketPolicy:BucketPolicy", "bucket")),
}
_PROVIDER_MESSAGE_SIZE = 262_144  # bytes, where nothing is stated
_DEPTHS = ("ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesNotVisible")
_HANDLES = ("arn", "url", "id", "name", "bucket")  # the outputs by which others name a resource

# Actions for which IAM knows no resource: https://docs.aws.amazon.com/service-authorization/latest/reference/
_WITHOUT_RESOURCE = (
    r"xray:(PutTraceSegments|PutTelemetryRecords|GetSampling\w+)",
    r"ec2:(Create|Delete|Describe|Assign|Unassign)(NetworkInterfaces?|PrivateIpAddresses|Subnets|Vpcs|SecurityGroups)",
    r"cloudwatch:PutMetricData",
    r"sts:GetCallerIdentity",
)

Violations = Iterator[tuple[str, str]]  # urn, what is wrong


def plain(value: Any) -> Any:
    """The value with Python's own dicts and lists.

    Raises:
        UnknownValueError: part of it is not known yet.
    """
    if isinstance(value, Mapping):
        return {key: plain(value[key]) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(one) for one in value]
    return value


def _parsed(document: Any) -> Any:
    """A policy or its like, given as JSON text or as an object."""
    return json.loads(document) if isinstance(document, str) else plain(document)


def _listed(value: Any) -> list[Any]:
    """A value of a policy document, which may stand alone or in a list."""
    return value if isinstance(value, list) else [] if value is None else [value]


class Stack:
    """All resources of a stack, and who means whom."""

    def __init__(self, resources: Sequence[PolicyResource]) -> None:
        self.resources = resources
        self.unknown: UnknownValueError | None = None  # the first that was met
        self._by_type: dict[str, list[PolicyResource]] = defaultdict(list)
        for resource in resources:
            self._by_type[resource.resource_type].append(resource)

    def of(self, *types: str) -> list[PolicyResource]:
        """The resources of these types."""
        return [resource for type_ in types for resource in self._by_type[type_]]

    def known(self, resource: PolicyResource, name: str) -> Any:
        """A property; None where it is not set, or not known yet, which is noted."""
        try:
            return plain(resource.props.get(name))
        except UnknownValueError as exc:
            self.unknown = self.unknown or exc
            return None

    def is_unknown(self, resource: PolicyResource, name: str) -> bool:
        """Whether a property, or part of it, is not known yet."""
        try:
            plain(resource.props.get(name))
        except UnknownValueError:
            return True
        return False

    def meant(self, resource: PolicyResource, name: str, *types: str) -> list[PolicyResource]:
        """The resources of these types that a property names: as the engine tracked it, else by its value."""
        tracked = [one for one in resource.property_dependencies.get(name, []) if one.resource_type in types]
        if tracked or self.is_unknown(resource, name):
            return tracked
        text = json.dumps(self.known(resource, name)).replace('\\"', '"')  # a document may be text itself
        return [one for one in self.of(*types) if any(f'"{handle}"' in text for handle in self._handles(one))]

    def _handles(self, resource: PolicyResource) -> list[str]:
        found = [None if self.is_unknown(resource, name) else resource.props.get(name) for name in _HANDLES]
        return [handle for handle in found if isinstance(handle, str) and handle]


def _seconds(value: float) -> str:
    return f"{value:g} s"


def _visibility(stack: Stack) -> Violations:
    for mapping in stack.of(_MAPPING):
        for queue in stack.meant(mapping, "eventSourceArn", _QUEUE):
            for function in stack.meant(mapping, "functionName", _FUNCTION):
                timeout = stack.known(function, "timeout") or 3  # Lambda's default
                visible = stack.known(queue, "visibilityTimeoutSeconds")
                visible = 30 if visible is None and not stack.is_unknown(queue, "visibilityTimeoutSeconds") else visible
                if visible is not None and visible < VISIBILITY_PER_TIMEOUT * timeout:
                    told = (
                        f"its messages are visible again after {_seconds(visible)}, and {function.name} may work for "
                        f"{_seconds(timeout)}: set visibilityTimeoutSeconds to "
                        f"{_seconds(VISIBILITY_PER_TIMEOUT * timeout)} or more"
                    )
                    yield queue.urn, told


def _redrive_targets(stack: Stack, queue: PolicyResource) -> list[PolicyResource]:
    of_its_own = [
        policy
        for policy in stack.of("aws:sqs/redrivePolicy:RedrivePolicy")
        if queue in stack.meant(policy, "queueUrl", _QUEUE)
    ]
    named = [one for policy in of_its_own for one in stack.meant(policy, "redrivePolicy", _QUEUE)]
    return named or stack.meant(queue, "redrivePolicy", _QUEUE)


def _dead_letters(stack: Stack) -> Violations:
    for mapping in stack.of(_MAPPING):
        for queue in stack.meant(mapping, "eventSourceArn", _QUEUE):
            targets = _redrive_targets(stack, queue)
            if not targets and not stack.known(queue, "redrivePolicy") and not stack.is_unknown(queue, "redrivePolicy"):
                yield queue.urn, "it has a consumer and no dead-letter queue: set redrivePolicy"
            for target in targets:
                kept = stack.known(queue, "messageRetentionSeconds") or 345_600  # SQS's default, four days
                letters_kept = stack.known(target, "messageRetentionSeconds") or 345_600
                if letters_kept <= kept:
                    told = (
                        f"it keeps a message for {_seconds(letters_kept)}, and {queue.name}, whose letters it takes,"
                        f" for {_seconds(kept)}; a message's age may go on across the move: keep them longer"
                    )
                    yield target.urn, told


def _metrics(stack: Stack, alarm: PolicyResource) -> list[Mapping[str, Any]]:
    queries = stack.known(alarm, "metricQueries") or []
    found = [query["metric"] for query in queries if query.get("metric")]
    return found or [{name: stack.known(alarm, name) for name in ("namespace", "metricName", "dimensions")}]


def _depth_alarms(stack: Stack) -> Violations:
    watched = set()
    for alarm in stack.of(_ALARM):
        tracked = alarm.property_dependencies
        for metric in _metrics(stack, alarm):
            if metric.get("namespace") == "AWS/SQS" and metric.get("metricName") in _DEPTHS:
                watched.add((metric.get("dimensions") or {}).get("QueueName"))
        if stack.is_unknown(alarm, "dimensions") or stack.is_unknown(alarm, "metricQueries"):
            watched |= {one.urn for name in ("dimensions", "metricQueries") for one in tracked.get(name, [])}
    for queue in {one.urn: one for source in stack.of(_QUEUE) for one in _redrive_targets(stack, source)}.values():
        name = stack.known(queue, "name")
        if queue.urn not in watched and name is not None and name not in watched:
            yield queue.urn, f"it takes dead letters and no alarm watches its depth: put one on {_DEPTHS[0]}"


def _has_tls_only(document: Any) -> bool:
    return any(
        statement.get("Effect") == "Deny"
        and statement.get("Principal") in ("*", {"AWS": "*"})
        and str(statement.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport")).lower() == "false"
        for statement in _listed(_parsed(document).get("Statement"))
    )


def _tls_only(stack: Stack) -> Violations:
    for type_, (policy_type, names_it) in _POLICIES_OF.items():
        for resource in stack.of(type_):
            policies = [one for one in stack.of(policy_type) if resource in stack.meant(one, names_it, type_)]
            documents = [stack.known(one, "policy") for one in policies] or [stack.known(resource, "policy")]
            unknown = any(stack.is_unknown(one, "policy") for one in policies)
            if not unknown and not any(_has_tls_only(document) for document in documents if document):
                yield (
                    resource.urn,
                    'it can be called without TLS: give it a policy that denies "*" where aws:SecureTransport is false',
                )


def _bucket_encryption(stack: Stack) -> Violations:
    configured = {
        bucket.urn for one in stack.of(*_BUCKET_ENCRYPTIONS) for bucket in stack.meant(one, "bucket", *_BUCKETS)
    }
    for bucket in stack.of(*_BUCKETS):
        if bucket.urn not in configured and not stack.known(bucket, "serverSideEncryptionConfiguration"):
            yield bucket.urn, "its encryption is not stated: add a BucketServerSideEncryptionConfiguration"


def _function_logs(stack: Stack) -> Violations:
    groups = {stack.known(group, "name") for group in stack.of(_LOG_GROUP)}
    for function in stack.of(_FUNCTION):
        logging = stack.known(function, "loggingConfig") or {}
        name = logging.get("logGroup") or f"/aws/lambda/{stack.known(function, 'name')}"
        unknown = stack.is_unknown(function, "loggingConfig") or stack.is_unknown(function, "name")
        if name not in groups and not unknown:
            told = (
                f"its log group {name} is not part of the stack, so Lambda makes it and keeps its logs for ever: "
                "register it with retentionInDays"
            )
            yield function.urn, told


def _partial_batch(stack: Stack) -> Violations:
    for mapping in stack.of(_MAPPING):
        types = stack.known(mapping, "functionResponseTypes") or []
        if stack.meant(mapping, "eventSourceArn", _QUEUE) and "ReportBatchItemFailures" not in types:
            yield (
                mapping.urn,
                "one bad message fails its whole batch: set functionResponseTypes to ReportBatchItemFailures",
            )


def _message_size(args: ResourceValidationArgs) -> Iterator[str]:
    # The engine shows inputs with the provider's defaults filled in: what is left out can't be told from its default.
    if args.resource_type == _QUEUE and args.props.get("maxMessageSize") in (None, _PROVIDER_MESSAGE_SIZE):
        yield "state maxMessageSize: the provider's default is 262,144 bytes, where SQS takes 1,048,576"


def _encryption(args: ResourceValidationArgs) -> Iterator[str]:
    # A table's items are encrypted whatever is set, a bucket's by what `_bucket_encryption` asks for.
    stated = args.props.get("kmsMasterKeyId") or args.props.get("sqsManagedSseEnabled")
    if args.resource_type == _QUEUE and not stated:
        yield "its messages are not encrypted by what is stated: set sqsManagedSseEnabled, or kmsMasterKeyId"


def _wildcards(args: ResourceValidationArgs) -> Iterator[str]:
    if args.resource_type not in _GRANTS:
        return
    for statement in _listed(_parsed(args.props["policy"]).get("Statement")):
        if statement.get("Effect") != "Allow":
            continue
        sid = statement.get("Sid", "without a Sid")
        actions = _listed(statement.get("Action"))
        if "NotAction" in statement or "NotResource" in statement:
            yield f"statement {sid} allows everything but what it names: name what is allowed"
        for action in actions:
            if "*" in action:
                yield f"statement {sid} allows {action}: name each action"
        needs = [one for one in actions if not any(re.fullmatch(known, one) for known in _WITHOUT_RESOURCE)]
        for resource in _listed(statement.get("Resource")):
            if re.fullmatch(r"\*|arn:[^:]*:[^:]*:[^:]*:[^:]*:\*", resource) and needs:
                yield f"statement {sid} allows {', '.join(needs)} on {resource}: name the resources"


def _log_retention(args: ResourceValidationArgs) -> Iterator[str]:
    if args.resource_type == _LOG_GROUP and not args.props.get("retentionInDays"):
        yield "it keeps its logs for ever: set retentionInDays"


def _acts(stack: Stack, alarm: PolicyResource) -> bool:
    return stack.is_unknown(alarm, "alarmActions") or bool(stack.known(alarm, "alarmActions"))


def _alarms(stack: Stack) -> Violations:
    # A composite alarm may be a view of alarms that act themselves, so it need not act; one that does speaks for them.
    acting = [
        one for one in stack.of(_COMPOSITE) if _acts(stack, one) and stack.known(one, "actionsEnabled") is not False
    ]
    spoken_for = {alarm.urn for one in acting for alarm in stack.meant(one, "alarmRule", _ALARM)}
    for alarm in stack.of(_ALARM):
        if not _acts(stack, alarm) and alarm.urn not in spoken_for:
            yield alarm.urn, "it tells nobody: set alarmActions, or name it in a composite alarm that has them"
        elif stack.known(alarm, "actionsEnabled") is False and alarm.urn not in spoken_for:
            yield alarm.urn, "it tells nobody: its actions are switched off"
        if stack.known(alarm, "treatMissingData") in (None, "missing"):  # the provider's default, too
            told = "state treatMissingData: under the default, a metric that falls silent leaves the alarm as it was"
            yield alarm.urn, told


def _protected(args: ResourceValidationArgs) -> Iterator[str]:
    stack = args.urn.removeprefix("urn:pulumi:").split("::", 1)[0]
    is_production = re.search(args.get_config().get("productionStacks", PRODUCTION), stack, re.IGNORECASE)
    if args.resource_type in _STATEFUL and is_production and not args.opts.protect:
        yield f"it holds data of the production stack {stack}: register it with protect=True"


def _resource(
    name: str,
    description: str,
    rule: Callable[[ResourceValidationArgs], Iterator[str]],
    schema: PolicyConfigSchema | None = None,
) -> Policy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        for message in rule(args):
            report(message, None)

    return ResourceValidationPolicy(name=name, description=description, validate=validate, config_schema=schema)


def _stack(name: str, description: str, rule: Callable[[Stack], Violations]) -> Policy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        stack = Stack(args.resources)
        for urn, message in rule(stack):
            report(message, urn)
        if stack.unknown:
            raise stack.unknown  # reported as not checked, beside what was

    return StackValidationPolicy(name=name, description=description, validate=validate)


POLICIES: Sequence[Policy] = (
    _stack(
        "visibility-covers-timeout",
        "A queue's visibility timeout is at least six times the timeout of the function that reads it.",
        _visibility,
    ),
    _stack(
        "consumed-queue-has-dead-letters",
        "A queue that a function reads has a dead-letter queue, which keeps messages longer than the queue itself.",
        _dead_letters,
    ),
    _stack("dead-letters-are-watched", "An alarm watches the depth of each dead-letter queue.", _depth_alarms),
    _stack(
        "partial-batch-response",
        "A function that reads a queue reports which messages of a batch failed.",
        _partial_batch,
    ),
    _stack("tls-only", "Queues, topics and buckets refuse whoever calls them without TLS.", _tls_only),
    _stack("bucket-encryption-stated", "A bucket's encryption is stated.", _bucket_encryption),
    _stack("function-logs-are-ours", "A function's log group is part of the stack.", _function_logs),
    _resource("queue-encryption-stated", "A queue's encryption is stated.", _encryption),
    _resource("message-size-stated", "A queue's largest message is stated.", _message_size),
    _resource("no-wildcard-grants", "No grant of IAM is for all actions, or for all resources.", _wildcards),
    _resource("log-retention", "Logs are kept for a stated time.", _log_retention),
    _stack(
        "alarm-tells-somebody",
        "An alarm has an action, or a composite alarm that has one, and states what missing data means.",
        _alarms,
    ),
    _resource(
        "stateful-protected",
        "What holds data is protected in production.",
        _protected,
        PolicyConfigSchema(
            {"productionStacks": {"type": "string", "default": PRODUCTION, "description": "Pattern of stack names"}}
        ),
    ),
)
