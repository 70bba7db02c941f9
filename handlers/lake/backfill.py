"""Lambda entry point: the replay function of a backfill. A batch of listed objects becomes notices, as S3 gives them.

Step Functions lists bronze and invokes this for each batch. Ingest works the notices as any other, so they wait in its
queue and take no more concurrency than it has. While it, or the worker behind it, has much to do already, a batch is
not announced but comes again later: notices that wait would expire in the end.
"""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypedDict

from handlers import env
from handlers.aws import clients
from handlers.aws.clients import AWS_ERRORS, error_code
from handlers.aws.sqs import Outgoing, send_messages
from handlers.deadline import seconds_to_work, time_limit
from handlers.errors import DownstreamError
from handlers.lake import notice
from handlers.lake.message import kind_of
from handlers.observability import LambdaContext, logger, start_invocation

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType

_COUNTS: "Sequence[QueueAttributeNameType]" = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
_ARCHIVED = frozenset({"GLACIER", "DEEP_ARCHIVE"})  # S3 gives them after a restore only


@dataclass(frozen=True, slots=True, kw_only=True)
class Env:
    """What the function's environment must say."""

    environment: str
    pipeline: str
    bronze_bucket: str
    notices_queue_url: str
    queue_url: str
    backlog: int


class Listed(TypedDict):
    """An object as Step Functions lists it; `LastModified` in seconds since the epoch."""

    Key: str
    LastModified: float
    StorageClass: str


class Asked(TypedDict):
    """What is wanted of a backfill: objects last modified from `start` until before `end`, in seconds.

    `replay` is an id by which objects are worked again; with "" those that the lake knows are left alone.
    """

    replay: str
    start: float
    end: float


class Announcer:
    """Announces objects of bronze to ingest, while fewer than `backlog` messages are in either of the lake's queues."""

    def __init__(self, sqs: "SQSClient", *, bucket: str, notices_url: str, queue_url: str, backlog: int) -> None:
        self._sqs = sqs
        self._bucket = bucket
        self._notices = notices_url
        self._queue = queue_url
        self._backlog = backlog

    def take(self, objects: Sequence[Listed], asked: Asked) -> dict[str, Any]:
        """Announces a batch: `{waiting}`, whether it has to come again because too much is waiting.

        Raises:
            DownstreamError: SQS did not answer, or did not take all of them. Those that it took are known when they
                come again.
        """
        if any(self._waiting(url) >= self._backlog for url in (self._notices, self._queue)):
            logger.info("backfill waits", extra={"objects": len(objects)})
            return {"waiting": True}
        left = Counter[str]()
        wanted = []
        for one in objects:
            if reason := _left(one, asked):
                left[reason] += 1
            else:
                wanted.append(one["Key"])
        messages = [
            Outgoing(str(i), notice.announcement(self._bucket, key, asked["replay"])) for i, key in enumerate(wanted)
        ]
        if failed := send_messages(self._sqs, self._notices, messages).failed:
            raise DownstreamError(f"SQS did not take {len(failed)} notices: {min(failed.values())}")
        numbers = {"objects": len(messages), "left": dict(left)}
        logger.info("objects announced", extra=numbers | {"replay": asked["replay"]})
        return {"waiting": False}

    def _waiting(self, url: str) -> int:
        try:
            found = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=_COUNTS)["Attributes"]
        except AWS_ERRORS as exc:
            raise DownstreamError(f"SQS did not say how much waits: {error_code(exc)}") from exc
        return sum(int(found[name]) for name in _COUNTS)


def _left(one: Listed, asked: Asked) -> str:
    """Why an object is left alone; "" where it is announced."""
    if not asked["start"] <= one["LastModified"] < asked["end"]:
        return "of another time"
    if kind_of(one["Key"]) is None:
        return "nothing for the lake"
    return "archived" if one["StorageClass"] in _ARCHIVED else ""


@cache
def announcer() -> Announcer:
    """What this execution environment announces with, made once."""
    config = env.load(Env, os.environ)
    return Announcer(
        clients.client("sqs"),
        bucket=config.bronze_bucket,
        notices_url=config.notices_queue_url,
        queue_url=config.queue_url,
        backlog=config.backlog,
    )


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Works one batch: `{Items: [{Key, LastModified, StorageClass}], BatchInput: {replay, start, end}}`."""
    start_invocation(context.aws_request_id)
    with time_limit(seconds_to_work(context.get_remaining_time_in_millis())):
        return announcer().take(event["Items"], event["BatchInput"])


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:  # make the client in Lambda's init phase, not in the first batch
    announcer()
