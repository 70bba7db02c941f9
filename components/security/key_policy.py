"""Who may use the customer key, as a function of data: the account by IAM, and the services that come by themselves.

Most services come in the name of a caller who needs the permission himself, and so have no statement here: SQS,
DynamoDB, S3, Parameter Store and Secrets Manager (`iam.use_key_of_…`). Lambda decrypts a function's environment, and
DynamoDB keeps a table, by grants that whoever deploys gives them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from components.security import policies

_EVENTBRIDGE = "events.amazonaws.com"
_SEND = ("kms:Decrypt", "kms:GenerateDataKey")
_LOGS = tuple(a for a in policies.ENCRYPT_AND_DECRYPT if a != "kms:DescribeKey")  # which never comes with a context
_ARCHIVE = ("kms:Decrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo")


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyOwner:
    """Where the key is, and the log groups that it encrypts (patterns of their names)."""

    partition: str
    region: str
    account_id: str
    log_groups: Sequence[str]

    def arns(self, service: str, resource: str) -> str:
        """A pattern of the ARNs of this account's resources in this region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{resource}"


def key_policy(owner: KeyOwner) -> policies.Document:
    """A policy in which the resource "*" is the key that carries it.

    Every service is held to resources of this account by the encryption context, which names what is encrypted. When
    EventBridge uses a topic's key there is no aws:SourceArn or aws:SourceAccount: asking for one stops its events.
    """
    groups = [owner.arns("logs", f"log-group:{group}") for group in owner.log_groups]
    logs = f"logs.{owner.region}.amazonaws.com"
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
            _use("RulesToQueues", [_EVENTBRIDGE], _SEND, {"aws:sqs:arn": [owner.arns("sqs", "*")]}),
            _use(
                "BusesAndArchives",
                [_EVENTBRIDGE],
                _ARCHIVE,
                {"aws:events:event-bus:arn": [owner.arns("events", "event-bus/*")]},
            ),
            # asked before there is anything to encrypt, and so without a context; it tells what the key is, no data
            _service("BusesLookAtTheKey", [_EVENTBRIDGE], ("kms:DescribeKey",)),
            _use("LogGroups", [logs], _LOGS, {"aws:logs:arn": groups}),
        ]
    )


def _use(
    sid: str, services: Sequence[str], actions: Sequence[str], context: Mapping[str, Sequence[str]]
) -> policies.Statement:
    patterns = {f"kms:EncryptionContext:{key}": list(arns) for key, arns in context.items()}
    return {**_service(sid, services, actions), "Condition": {"StringLike": patterns}}  # a context is text to KMS


def _service(sid: str, services: Sequence[str], actions: Sequence[str]) -> policies.Statement:
    return {**policies.allow(sid, actions, "*"), "Principal": {"Service": list(services)}}
