"""AWS's list prices of us-east-1, each with AWS's page and the day and place where its number was read.

AWS's own pages fill their tables by script, so that most numbers come from sites that quote them. What holds is AWS's
page: whoever updates a number writes where it was read, and when.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

REGION = "us-east-1"
_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars for one `unit`. `page` is AWS's own, `read` a date (ISO 8601, to the month) and where it was read."""

    unit: str
    dollars: Decimal
    page: str
    read: str


def _per_million(dollars: str) -> Decimal:
    return Decimal(dollars) / _MILLION


_CLOUDWATCH = "https://aws.amazon.com/cloudwatch/pricing/"
_DYNAMODB = "https://aws.amazon.com/dynamodb/pricing/on-demand/"
_EVENTBRIDGE = "https://aws.amazon.com/eventbridge/pricing/"
_KMS = "https://aws.amazon.com/kms/pricing/"
_LAMBDA = "https://aws.amazon.com/lambda/pricing/"
_S3 = "https://aws.amazon.com/s3/pricing/"
_SQS = "https://aws.amazon.com/sqs/pricing/"

_FROM_MEMORY = "on no page that could be read"
_OF_ALARMS = "2026-05 quoting sites, undated c3x.dev"
_OF_DYNAMODB = "2025-07 airbyte.com"
_OF_EVENTBRIDGE = "2026-03 cloudburn.io"
_OF_LAMBDA = "2026-05 git.mcrn.ar/mariano/lambda_local_runner"
_OF_S3 = "undated devnotes.tech"
_OF_SQS = "2026-06 factualminds.com, 2026-03 cloudburn.io"

ALARM_METRIC = Price("alarm metric, standard resolution", Decimal("0.10"), _CLOUDWATCH, _OF_ALARMS)
COMPOSITE_ALARM = Price("composite alarm", Decimal("0.50"), _CLOUDWATCH, _OF_ALARMS)
DASHBOARD = Price("dashboard", Decimal(3), _CLOUDWATCH, "2026-06 factualminds.com")
CUSTOM_METRIC = Price("custom metric, of the first 10,000", Decimal("0.30"), _CLOUDWATCH, "2026-02 signoz.io")
LOG_INGESTION = Price("GB of logs, ingested", Decimal("0.50"), _CLOUDWATCH, "2026-06 factualminds.com")
LOG_STORAGE = Price("GB of logs, kept for a month", Decimal("0.03"), _CLOUDWATCH, _FROM_MEMORY)
TRACE = Price("trace, recorded", _per_million("5"), "https://aws.amazon.com/xray/pricing/", "undated page of AWS")
CUSTOMER_KEY = Price("customer key", Decimal(1), _KMS, "2026-03 cloudburn.io, undated page of AWS")
LAMBDA_REQUEST = Price("invocation", _per_million("0.20"), _LAMBDA, _OF_LAMBDA)
GB_SECOND = {
    "arm64": Price("GB-second of arm64", Decimal("0.0000133334"), _LAMBDA, _OF_LAMBDA),
    "x86_64": Price("GB-second of x86_64", Decimal("0.0000166667"), _LAMBDA, _OF_LAMBDA),
}
POLLER_HOUR = Price(
    "hour of a provisioned poller", Decimal("0.00925"), _LAMBDA, "a copy of AWS's page, 2026-09 by AWS's Price List API"
)
API_REQUEST = Price(
    "request of an HTTP API, of the first 300 million, by 512 KB",
    _per_million("1.00"),
    "https://aws.amazon.com/api-gateway/pricing/",
    "2026 go-cloud.io, apigatewaycost.com",
)
SQS_REQUEST = {
    False: Price("request of a standard queue, by 64 KB", _per_million("0.40"), _SQS, _OF_SQS),
    True: Price("request of a FIFO queue, by 64 KB", _per_million("0.50"), _SQS, _OF_SQS),
}
FAIR_REQUEST = Price(
    "the same with a group on a standard queue, added", _per_million("0.10"), _SQS, "2026-03 cloudburn.io"
)
WRITE_UNIT = Price("write unit, by 1 KB", _per_million("0.625"), _DYNAMODB, _OF_DYNAMODB)
ITEM_STORAGE = Price("GB of items, kept for a month", Decimal("0.25"), _DYNAMODB, "undated page of AWS, an old one")
ITEM_BACKUP = Price("the same for point-in-time recovery", Decimal("0.20"), _DYNAMODB, _FROM_MEMORY)
CUSTOM_EVENT = Price("event on a bus, by 64 KB", _per_million("1.00"), _EVENTBRIDGE, _OF_EVENTBRIDGE)
ARCHIVED = Price("GB of events, archived", Decimal("0.10"), _EVENTBRIDGE, _OF_EVENTBRIDGE)
ARCHIVE_STORAGE = Price("GB of an archive, kept for a month", Decimal("0.023"), _EVENTBRIDGE, _OF_EVENTBRIDGE)
PUBLISH = Price(
    "publish to a topic, by 64 KB",
    _per_million("0.50"),
    "https://aws.amazon.com/sns/pricing/",
    "2026-06 factualminds.com",
)
S3_PUT = Price("PUT", Decimal("0.000005"), _S3, _OF_S3)
S3_GET = Price("GET", Decimal("0.0000004"), _S3, _OF_S3)

ALL = (
    ALARM_METRIC,
    COMPOSITE_ALARM,
    DASHBOARD,
    CUSTOM_METRIC,
    LOG_INGESTION,
    LOG_STORAGE,
    TRACE,
    CUSTOMER_KEY,
    LAMBDA_REQUEST,
    *GB_SECOND.values(),
    POLLER_HOUR,
    API_REQUEST,
    *SQS_REQUEST.values(),
    FAIR_REQUEST,
    WRITE_UNIT,
    ITEM_STORAGE,
    ITEM_BACKUP,
    CUSTOM_EVENT,
    ARCHIVED,
    ARCHIVE_STORAGE,
    PUBLISH,
    S3_PUT,
    S3_GET,
)
