"""Lambda entry point: the quality gate. For each file that comes into silver, its day is checked by its type.

Lambda runs one of these at a time. Whatever came while a day was checked is checked by the next of them, and those
after it find a verdict on these very files: what a check costs does not grow with the number of events.
"""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from handlers import clock, env
from handlers.aws import clients
from handlers.aws.clients import AWS_ERRORS, error_code
from handlers.deadline import seconds_to_work, time_limit
from handlers.errors import DownstreamError
from handlers.lake import partition, schemas
from handlers.lake.quality import Gate, Limits, Place
from handlers.observability import LambdaContext, count, logger, start_invocation

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_READ_TIMEOUT_SECONDS = 20
_MAX_FILES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Env:
    """What the function's environment must say."""

    environment: str
    pipeline: str
    silver_bucket: str
    table_name: str
    event_bus_name: str
    held_mebibytes: int


class Keeper:
    """Checks the days that events tell of."""

    def __init__(self, s3: "S3Client", gate: Gate, *, pipeline: str, bucket: str) -> None:
        self._s3 = s3
        self._gate = gate
        self._pipeline = pipeline
        self._bucket = bucket

    def take(self, event: dict[str, Any]) -> str:
        """Checks the day of a `SilverPartitionReady`, and returns what became of it.

        Raises:
            IngestionError: it was not checked, or its verdict not told; Lambda tries again.
        """
        record_type, dt = event["detail"]["type"], event["detail"]["dt"]
        wanted = schemas.expectations(record_type)
        if wanted is None:
            return "without expectations"
        try:
            day = next(partition.partitions(self._s3, self._bucket, record_type, dt), None)
            is_last = wanted.fresh_hours is not None and dt == partition.last_day(self._s3, self._bucket, record_type)
        except AWS_ERRORS as exc:
            raise DownstreamError(f"silver was not listed: {error_code(exc)}") from exc
        if day is None:
            return "gone"
        if self._gate.verdict(day) is not None:
            return "checked before"
        verdict = self._gate.check(day, wanted, datetime.fromtimestamp(clock.now_ms() / 1000, UTC), is_last=is_last)
        fields = {"recordType": day.type, "dt": day.dt, "rows": verdict.rows, "findings": list(verdict.findings)}
        if not verdict.passed:
            logger.warning("day not as expected", extra=fields)
            count(self._pipeline, {"QualityFailed": 1})  # before it is told: rather twice than never
        self._gate.tell(day, verdict)
        logger.info("day checked", extra=fields)
        return "passed" if verdict.passed else "failed"


@cache
def keeper() -> Keeper:
    """What this execution environment checks with, made once."""
    config = env.load(Env, os.environ)
    s3 = clients.client("s3", read_timeout=_READ_TIMEOUT_SECONDS)
    gate = Gate(
        s3,
        clients.client("dynamodb", read_timeout=_READ_TIMEOUT_SECONDS),
        clients.client("events"),
        Place(config.silver_bucket, config.table_name, config.event_bus_name),
        Limits(_MAX_FILES, config.held_mebibytes * 1024**2),
    )
    return Keeper(s3, gate, pipeline=config.pipeline, bucket=config.silver_bucket)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    """Works one event."""
    start_invocation(context.aws_request_id)
    with time_limit(seconds_to_work(context.get_remaining_time_in_millis())):
        return {"outcome": keeper().take(event)}


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:  # make the clients in Lambda's init phase, not in the first event
    keeper()
