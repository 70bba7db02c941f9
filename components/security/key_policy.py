"""Who may use the customer key, as a function of data: the account by IAM, and AWS services on their own behalf.

Most services use a key on behalf of a caller, who needs the permission, and so have no statement here: SQS, DynamoDB,
S3 for objects, Parameter Store and Secrets Manager (`policies.use_key_of_…`). Lambda decrypts a function's environment,
and DynamoDB encrypts a table, by grants of the principal that deploys.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from components.security import policies

_EVENTBRIDGE = "events.amazonaws.com"
_S3 = "s3.amazonaws.com"
_SEND = ("kms:Decrypt", "kms:GenerateDataKey")
_LOGS = tuple(a for a in policies.ENCRYPT_AND_DECRYPT if a != "kms:DescribeKey")  # which is never called with a context
_ARCHIVE = ("kms:Decrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo")


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyOwner:
    """Where the key is, the log groups that it encrypts (patterns of their names), and whether table buckets use it.

    S3 Tables is not in all regions; a principal that a region does not know might be refused.
    """

    partition: str
    region: str
    account_id: str
    log_groups: Sequence[str]
    table_buckets: bool = False

    def arns(self, service: str, resource: str) -> str:
        """A pattern of the ARNs of this account's resources in this region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{resource}"


def key_policy(owner: KeyOwner) -> policies.Document:
    """The key's policy; in a key policy the resource "*" is the key itself.

    The encryption context, which names what is encrypted, limits every service to resources of this account.
    EventBridge sets neither aws:SourceArn nor aws:SourceAccount when it uses a topic's key: a condition on them would
    stop its events.
    """
    groups = [owner.arns("logs", f"log-group:{group}") for group in owner.log_groups]
    suffix = "amazonaws.com.cn" if owner.partition == "aws-cn" else "amazonaws.com"
    logs = f"logs.{owner.region}.{suffix}"  # a principal of the region, which in China has the suffix of its endpoints
    alarms_and_rules = ["cloudwatch.amazonaws.com", _EVENTBRIDGE]
    return policies.document(
        [
            {
                "Sid": "AccountDecidesByIam",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:{owner.partition}:iam::{owner.account_id}:root"},
                "Action": "kms:*",
                "Resource": "*",
            },
            _use("AlarmsAndRulesToTopics", alarms_and_rules, _SEND, {"aws:sns:topicArn": [owner.arns("sns", "*")]}),
            _use("RulesAndBucketsToQueues", [_EVENTBRIDGE, _S3], _SEND, {"aws:sqs:arn": [owner.arns("sqs", "*")]}),
            _use(
                "BusesAndArchives",
                [_EVENTBRIDGE],
                _ARCHIVE,
                {"aws:events:event-bus:arn": [owner.arns("events", "event-bus/*")]},
            ),
            # called without a context, before there is anything to encrypt; it returns metadata of the key only
            _service("BusesLookAtTheKey", [_EVENTBRIDGE], ("kms:DescribeKey",)),
            _use("LogGroups", [logs], _LOGS, {"aws:logs:arn": groups}),
            *_maintenance(owner),
        ]
    )


def _maintenance(owner: KeyOwner) -> Sequence[policies.Statement]:
    """S3 Tables compacts tables and expires their snapshots on its own behalf, and wants to be named for it."""
    if not owner.table_buckets:
        return ()
    context = {"aws:s3:arn": [owner.arns("s3tables", "bucket/*")]}
    return [_use("MaintenanceOfTables", ["maintenance.s3tables.amazonaws.com"], _SEND, context)]


def _use(
    sid: str, services: Sequence[str], actions: Sequence[str], context: Mapping[str, Sequence[str]]
) -> policies.Statement:
    patterns = {f"kms:EncryptionContext:{key}": list(arns) for key, arns in context.items()}
    return {**_service(sid, services, actions), "Condition": {"StringLike": patterns}}  # KMS compares contexts as text


def _service(sid: str, services: Sequence[str], actions: Sequence[str]) -> policies.Statement:
    return {**policies.allow(sid, actions, "*"), "Principal": {"Service": list(services)}}
