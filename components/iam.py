"""Policy documents as functions of data. ARNs may be strings or Pulumi outputs; the caller serializes."""

from collections.abc import Mapping, Sequence

Arn = object
Statement = Mapping[str, object]
Document = Mapping[str, object]

_SEND = ("kms:Decrypt", "kms:GenerateDataKey*")
_ENCRYPT_AND_DECRYPT = ("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*")
_EVENTBRIDGE = {"Service": "events.amazonaws.com"}

# AWS defines no resource for these actions, so they alone are granted on "*".
TRACING: Statement = {
    "Sid": "Tracing",
    "Effect": "Allow",
    "Action": ["xray:PutTelemetryRecords", "xray:PutTraceSegments"],
    "Resource": "*",
}
_INTERFACE_ACTIONS = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
]
NETWORK: Sequence[Statement] = (
    {"Sid": "Network", "Effect": "Allow", "Action": _INTERFACE_ACTIONS, "Resource": "*"},
    {
        # the grant is for the Lambda service; this key is only there when the function's own code calls
        "Sid": "NetworkNotFromCode",
        "Effect": "Deny",
        "Action": _INTERFACE_ACTIONS,
        "Resource": "*",
        "Condition": {"Null": {"lambda:SourceFunctionArn": "false"}},
    },
)


def document(statements: Sequence[Statement]) -> Document:
    """A policy of these statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(sid: str, actions: Sequence[str], resources: Arn | Sequence[Arn]) -> Statement:
    """Permission for these actions on this resource, or on these."""
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resources}


def assumed_by_lambda() -> Document:
    """The trust policy of a function's role."""
    principal = {"Service": "lambda.amazonaws.com"}
    return document([{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}])


def use_key_of_queues(key_arn: Arn) -> Statement:
    """Permission to use the customer key, but only through the queues that it encrypts."""
    return {**allow("QueueKey", _SEND, key_arn), "Condition": {"StringLike": {"kms:ViaService": "sqs.*"}}}


def use_key_of_tables(key_arn: Arn) -> Statement:
    """Permission to use the customer key, but only through the tables that it encrypts."""
    through = {"StringLike": {"kms:ViaService": "dynamodb.*"}}
    return {**allow("TableKey", _ENCRYPT_AND_DECRYPT, key_arn), "Condition": through}


def use_key_of_parameters(key_arn: Arn) -> Statement:
    """Permission to use the customer key, but only through the secret parameters that it encrypts."""
    return {
        **allow("ParameterKey", ("kms:Decrypt",), key_arn),
        "Condition": {"StringLike": {"kms:ViaService": "ssm.*"}},
    }


def tls_only(action: str, resource: Arn) -> Statement:
    """A refusal of plain HTTP, for a resource policy."""
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": resource,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def queue_policy(queue_arn: Arn, producer_arns: Sequence[Arn]) -> Document:
    """A queue that is reached over TLS only, and written to by the named principals only.

    Both are denials: an Allow here would not keep out a principal whose own policy allows `sqs:SendMessage`. SQS's
    redrive to a dead-letter queue is governed by the redrive-allow policy and not by this one.
    """
    return document(
        [
            tls_only("sqs:*", queue_arn),
            {
                "Sid": "NamedProducersOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sqs:SendMessage",
                "Resource": queue_arn,
                "Condition": {"ArnNotEquals": {"aws:PrincipalArn": list(producer_arns)}},
            },
        ]
    )


def topic_policy(topic_arn: Arn, rule_arn: Arn, account_id: object) -> Document:
    """A topic to which one EventBridge rule of this account publishes.

    AWS documents that an Allow for EventBridge on a topic can't have a condition. So the Allow has none, and what
    tells that another rule or account is behind the call is denied wherever EventBridge does tell.
    """
    return document(
        [
            {
                "Sid": "EventBridgePublishes",
                "Effect": "Allow",
                "Principal": _EVENTBRIDGE,
                "Action": "sns:Publish",
                "Resource": topic_arn,
            },
            _deny_other_source("OtherRules", topic_arn, "ArnNotEquals", "aws:SourceArn", rule_arn),
            _deny_other_source("OtherAccounts", topic_arn, "StringNotEquals", "aws:SourceAccount", account_id),
            tls_only("sns:Publish", topic_arn),
        ]
    )


def alarm_topic_policy(topic_arn: Arn, alarm_arns: object, account_id: object) -> Document:
    """A topic to which the alarms of this account (a pattern of their ARNs) publish."""
    return document(
        [
            {
                "Sid": "AlarmsPublish",
                "Effect": "Allow",
                "Principal": {"Service": "cloudwatch.amazonaws.com"},
                "Action": "sns:Publish",
                "Resource": topic_arn,
                "Condition": {
                    "ArnLike": {"aws:SourceArn": alarm_arns},
                    "StringEquals": {"aws:SourceAccount": account_id},
                },
            },
            tls_only("sns:Publish", topic_arn),
        ]
    )


def key_policy(partition: str, region: str, account_id: str, log_groups: Sequence[str]) -> Document:
    """A customer key for the account's principals and for the services that use it on nobody's behalf.

    SQS and DynamoDB come with the caller's own permission (see above; DynamoDB's grants are made by whoever deploys),
    so they have no statement of their own. In a key policy the resource "*" is the key that carries it.
    """
    groups = [f"arn:{partition}:logs:{region}:{account_id}:log-group:{group}" for group in log_groups]
    topics = [f"arn:{partition}:sns:{region}:{account_id}:*"]
    publishers = ["cloudwatch.amazonaws.com", "events.amazonaws.com"]
    return document(
        [
            {
                "Sid": "AccountDecidesByIam",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:{partition}:iam::{account_id}:root"},
                "Action": "kms:*",
                "Resource": "*",
            },
            # EventBridge tells a topic's key no aws:SourceAccount or aws:SourceArn: asking for one stops its events
            _service_use("AlarmsAndRulesToTopics", publishers, _SEND, "aws:sns:topicArn", topics),
            _service_use("LogGroups", [f"logs.{region}.amazonaws.com"], _ENCRYPT_AND_DECRYPT, "aws:logs:arn", groups),
        ]
    )


def _service_use(
    sid: str, services: Sequence[str], actions: Sequence[str], context: str, arns: Sequence[str]
) -> Statement:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Service": list(services)},
        "Action": list(actions),
        "Resource": "*",
        "Condition": {"ArnLike": {f"kms:EncryptionContext:{context}": list(arns)}},
    }


def _deny_other_source(sid: str, topic_arn: Arn, differs: str, key: str, ours: object) -> Statement:
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": _EVENTBRIDGE,
        "Action": "sns:Publish",
        "Resource": topic_arn,
        "Condition": {"Null": {key: "false"}, differs: {key: ours}},  # a negated test alone also matches no key at all
    }
