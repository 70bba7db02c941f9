"""What every queue of a stack has in common: encryption at rest, and room for what SQS can hold."""

import pulumi
from pulumi_aws import sqs

from components.config import aws_limits


def encrypted_queue(
    name: str, args: sqs.QueueArgs, *, kms_key_arn: pulumi.Input[str] | None, parent: pulumi.Resource
) -> sqs.Queue:
    """Make a queue that the customer key encrypts, or SQS itself where there is none."""
    args.sqs_managed_sse_enabled = True if kms_key_arn is None else None  # SQS refuses both at once
    args.kms_master_key_id = kms_key_arn
    args.max_message_size = aws_limits.MAX_MESSAGE_BYTES  # left out, the provider sends SQS's former limit of 256 KiB
    return sqs.Queue(name, args, pulumi.ResourceOptions(parent=parent))


def failure_queue(name: str, *, kms_key_arn: pulumi.Input[str] | None, parent: pulumi.Resource) -> sqs.Queue:
    """Make an encrypted queue that keeps what AWS could not deliver or process as long as SQS can."""
    args = sqs.QueueArgs(message_retention_seconds=aws_limits.MAX_RETENTION)
    return encrypted_queue(name, args, kms_key_arn=kms_key_arn, parent=parent)
