"""Policy documents as functions of data. ARNs may be strings or Pulumi outputs; the caller serializes."""

from collections.abc import Mapping, Sequence

Arn = object
Statement = Mapping[str, object]
Document = Mapping[str, object]

# kms:GenerateDataKey* and kms:ReEncrypt* of AWS's documentation, as far as symmetric keys have them.
ENCRYPT_AND_DECRYPT = (
    *("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext"),
    *("kms:ReEncryptFrom", "kms:ReEncryptTo"),
)
# What a consumer needs of its queue, partly for its event source mapping.
RECEIVE = ("sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage")
_EVENTBRIDGE = {"Service": "events.amazonaws.com"}
_S3 = {"Service": "s3.amazonaws.com"}

# Only these two are granted on "*". AWS defines no resource for X-Ray's actions. Some of EC2's have one, but the ids of
# the interfaces that Lambda will make are not known, and AWS's own policy for functions in a VPC has "*" as well.
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
        # the grant is for the Lambda service; this key is set only for calls of the function's own code
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
    """The trust policy of a function's role.

    AWS documents no key that would tell which function Lambda assumes it for: that is decided by who may pass the role.
    """
    principal = {"Service": "lambda.amazonaws.com"}
    return document([{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}])


def assumed_by_states(account_id: Arn) -> Document:
    """The trust policy of a state machine's role: Step Functions, for the machines of this account only."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "states.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": account_id}},
    }
    return document([statement])


def list_under(sid: str, bucket_arn: Arn, prefix: str) -> Statement:
    """Permission to list the objects of a bucket whose keys begin with a prefix."""
    return {**allow(sid, ["s3:ListBucket"], bucket_arn), "Condition": {"StringLike": {"s3:prefix": f"{prefix}*"}}}


def use_key_of_queues(key_arn: Arn, *, sends: bool = True) -> Statement:
    """Permission to use the customer key, but only through the queues that it encrypts, to receive or also to send."""
    actions = ("kms:Decrypt", "kms:GenerateDataKey") if sends else ("kms:Decrypt",)
    return {**allow("QueueKey", actions, key_arn), "Condition": {"StringLike": {"kms:ViaService": "sqs.*"}}}


def use_key_of_tables(key_arn: Arn) -> Statement:
    """Permission to use the customer key, but only through the tables that it encrypts."""
    through = {"StringLike": {"kms:ViaService": "dynamodb.*"}}
    return {**allow("TableKey", ENCRYPT_AND_DECRYPT, key_arn), "Condition": through}


def use_key_of_parameters(key_arn: Arn) -> Statement:
    """Permission to use the customer key, but only through the secret parameters that it encrypts."""
    return {
        **allow("ParameterKey", ("kms:Decrypt",), key_arn),
        "Condition": {"StringLike": {"kms:ViaService": "ssm.*"}},
    }


def use_key_of_secret(secret_arn: str) -> Statement:
    """Permission to decrypt one secret or SSM parameter of another owner, with any key of its account."""
    _, partition, service, region, account, *_ = secret_arn.split(":")
    context = {"ssm": "PARAMETER_ARN", "secretsmanager": "SecretARN"}[service]
    return {
        **allow("SecretKey", ("kms:Decrypt",), f"arn:{partition}:kms:{region}:{account}:key/*"),
        "Condition": {
            "StringEquals": {f"kms:EncryptionContext:{context}": secret_arn},
            "StringLike": {"kms:ViaService": f"{service}.*"},
        },
    }


def use_key_of_buckets(key_arn: Arn, *, writes: bool = False) -> Statement:
    """Permission to use the customer key, but only through the buckets that it encrypts, to read or to write."""
    through = {"StringLike": {"kms:ViaService": "s3.*"}}
    sid, action = ("WriteBucketKey", "kms:GenerateDataKey") if writes else ("ReadBucketKey", "kms:Decrypt")
    return {**allow(sid, (action,), key_arn), "Condition": through}


def use_key_of_table_bucket(key_arn: Arn, tables: Arn) -> Statement:
    """Permission to use the customer key, but only for what is in these tables of S3 Tables, to read and to write."""
    of_tables = {"StringLike": {"kms:EncryptionContext:aws:s3:arn": tables}}
    return {**allow("TablesKey", ("kms:Decrypt", "kms:GenerateDataKey"), key_arn), "Condition": of_tables}


def tls_only(action: str, resource: Arn | Sequence[Arn]) -> Statement:
    """Denial of plain HTTP, for a resource policy."""
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": resource,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def queue_policy(
    queue_arn: Arn, sender_arns: Sequence[Arn], rule_arns: Sequence[Arn] = (), notices: Sequence[Statement] = ()
) -> Document:
    """The policy of a queue that accepts TLS only, and messages of named senders, EventBridge rules and buckets only.

    `notices` are the statements of `bucket_notifies`. Denials exclude other principals, since an Allow does not exclude
    one whose own policy allows `sqs:SendMessage`. An AWS service has no policy of its own, so it is out without an
    Allow, which names the rule or the bucket. No denial names services:
    SQS's own move to a dead-letter queue is governed by the redrive-allow policy, and a denial would stop it should SQS
    ever ask this one too.
    """
    others: dict[str, object] = {"BoolIfExists": {"aws:PrincipalIsAWSService": "false"}}
    if sender_arns:
        others["ArnNotEquals"] = {"aws:PrincipalArn": list(sender_arns)}
    denied = {
        "Sid": "NamedProducersOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": others,
    }
    return document([tls_only("sqs:*", queue_arn), denied, *_deliveries(queue_arn, rule_arns), *notices])


def bucket_notifies(queue_arn: Arn, bucket_arn: Arn, account_id: object) -> Statement:
    """Permission for S3 to tell a queue of a bucket's objects.

    A bucket's ARN names no account, and its name is free for others once it is deleted, so the account is named too.
    """
    return {
        **allow("BucketNotifies", ["sqs:SendMessage"], queue_arn),
        "Principal": _S3,
        "Condition": {
            "ArnEquals": {"aws:SourceArn": bucket_arn},
            "StringEquals": {"aws:SourceAccount": account_id},
        },
    }


def _deliveries(queue_arn: Arn, rule_arns: Sequence[Arn]) -> Sequence[Statement]:
    if not rule_arns:
        return ()
    statement = {**allow("RulesDeliver", ["sqs:SendMessage"], queue_arn), "Principal": _EVENTBRIDGE}
    return [{**statement, "Condition": {"ArnEquals": {"aws:SourceArn": list(rule_arns)}}}]


def topic_policy(topic_arn: Arn, rule_arn: Arn, account_id: object) -> Document:
    """The policy of a topic to which one EventBridge rule of this account publishes and only this account subscribes.

    AWS documents that an Allow for EventBridge on a topic can't have a condition. So the Allow has none, and denials
    exclude other rules and accounts wherever EventBridge sets the source.
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
            *_topic_of_account(topic_arn, account_id),
        ]
    )


def alarm_topic_policy(topic_arn: Arn, alarm_arns: object, account_id: object) -> Document:
    """The policy of a topic to which alarms (a pattern of ARNs) of this account publish, and only it subscribes."""
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
            *_topic_of_account(topic_arn, account_id),
        ]
    )


def _topic_of_account(topic_arn: Arn, account_id: object) -> Sequence[Statement]:
    """Denials that hold whatever a later policy allows: plain HTTP, and subscribers of other accounts."""
    return [
        tls_only("sns:Publish", topic_arn),
        _deny_subscribing("OtherSubscribers", topic_arn, {"StringNotEquals": {"aws:PrincipalAccount": account_id}}),
        _deny_subscribing("PlainHttp", topic_arn, {"StringEquals": {"sns:Protocol": "http"}}),
    ]


def _deny_subscribing(sid: str, topic_arn: Arn, condition: Mapping[str, object]) -> Statement:
    denied = {"Sid": sid, "Effect": "Deny", "Principal": "*", "Action": "sns:Subscribe", "Resource": topic_arn}
    return {**denied, "Condition": condition}


def _deny_other_source(sid: str, topic_arn: Arn, differs: str, key: str, ours: object) -> Statement:
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": _EVENTBRIDGE,
        "Action": "sns:Publish",
        "Resource": topic_arn,
        "Condition": {
            "Null": {key: "false"},
            differs: {key: ours},
        },  # a negated test also matches an absent key
    }
