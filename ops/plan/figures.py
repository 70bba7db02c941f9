"""AWS's published figures that a plan stands on, each with its source and the day it was looked up.

AWS's pages were read as stored copies.
"""

from __future__ import annotations

from dataclasses import dataclass

_DAY = "2026-11-28"
_SCALING = "https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html"
_POLLERS = "https://docs.aws.amazon.com/lambda/latest/api/API_ProvisionedPollerConfig.html"
_FAIR = "https://docs.amazonaws.cn/en_us/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues-detailed.html"
_BUS = "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html"
_TABLE = "https://repost.aws/knowledge-center/on-demand-table-throttling-dynamodb"
_SQS = "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/"


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of AWS's, in `unit`; where no page of AWS's own was seen to say so, `note` says "as stated"."""

    what: str
    value: int
    unit: str
    source: str
    note: str = ""
    looked_up: str = _DAY


MAPPING_START = Figure("a mapping begins with", 5, "concurrent invocations", _SCALING, "standard queues")
MAPPING_RAMP = Figure("and adds, while messages wait", 300, "invocations a minute", _SCALING)
MAPPING_MOST = Figure("up to", 1250, "concurrent invocations", _SCALING, "AWS support can raise it")
MAX_CONCURRENCY_LEAST = Figure("MaximumConcurrency, least", 2, "concurrent invocations", _SCALING)
MAX_CONCURRENCY_MOST = Figure("MaximumConcurrency, most", 1000, "concurrent invocations", _SCALING)
POLLER_INVOKES = Figure("a provisioned poller has", 10, "concurrent invocations", _SCALING)
POLLER_POLLS = Figure("or", 10, "receive calls a second", _SCALING, "each of 10 messages at most")
POLLER_BYTES = Figure("or", 1_000_000, "bytes a second", _SCALING, "AWS says 1 MB")
POLLER_RAMP = Figure("pollers are added by", 1000, "invocations a minute", _SCALING)
POLLERS_LEAST = Figure("minimum of pollers, least", 2, "pollers", _POLLERS)
POLLERS_LEAST_MOST = Figure("minimum of pollers, most", 200, "pollers", _POLLERS)
POLLERS_MOST = Figure(
    "maximum of pollers, most", 10_000, "pollers", _POLLERS, "200 by default; the Pulumi provider's page says 2,000"
)
PROVIDER_POLLERS = 2000  # what the Pulumi provider takes of these, and so the configuration
FUNCTION_RAMP = Figure(
    "a function gets new environments by",
    1000,
    "every 10 seconds",
    "https://docs.aws.amazon.com/lambda/latest/dg/scaling-behavior.html",
    "6,000 a minute: more than either mode asks for",
)
ACCOUNT_CONCURRENCY = Figure(
    "all functions of an account and region",
    1000,
    "concurrent invocations",
    "https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html",
    "can be raised; a new account's can be 10",
)
IN_FLIGHT = Figure(
    "messages in flight on a queue",
    120_000,
    "messages",
    f"{_SQS}quotas-queues.html",
    "about; FIFO queues, too; those that wait for a retry count",
)
INVOCATION_BYTES = Figure(
    "Lambda invokes with the messages of up to",
    6_000_000,
    "bytes",
    "https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventsourcemapping.html",
    "AWS says 6 MB, and that it can't be raised",
)
RECEIVE_BATCH = Figure("a receive call returns up to", 10, "messages", f"{_SQS}quotas-messages.html")
FAIR_SHARE = Figure(
    "a group is noisy from", 10, "percent of the messages in flight", _FAIR, "or of recent processing time"
)
FAIR_LEAST = Figure("and with at least", 30, "messages of its own in flight", _FAIR)
FAIR_QUIET = Figure("until it has sent nothing for", 5, "minutes", _FAIR, "or its backlog is gone")
PUT_EVENTS = Figure("PutEvents", 10_000, "calls a second", _BUS, "us-east-1; 2,400 in us-east-2; each of 10 events")
BUS_INVOCATIONS = Figure(
    "targets of rules", 18_750, "invocations a second", _BUS, "us-east-1; eu-central-1 4,500; over it they are delayed"
)
API_REQUESTS = Figure(
    "all APIs of an account and region",
    10_000,
    "requests a second",
    "https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html",
    "can be raised; 2,500 in newer regions",
)
TABLE_START = Figure("a new on-demand table takes", 4000, "write units a second", _TABLE, "doubles within 30 minutes")
TABLE_MOST = Figure(
    "an on-demand table takes up to",
    40_000,
    "write units a second",
    "https://docs.amazonaws.cn/en_us/amazondynamodb/latest/developerguide/Limits.html",
    "can be raised",
)
PARTITION_WRITES = Figure("a partition of a table takes", 1000, "write units a second", _TABLE)
IDLE_POLLS = Figure(
    "an idle mapping polls",
    15,
    "times a minute",
    "https://aws.amazon.com/blogs/compute/understanding-how-aws-lambda-scales-when-subscribed-to-amazon-sqs-queues/",
    "as stated: five long polls of 20 seconds",
)

FIGURES: tuple[Figure, ...] = (
    MAPPING_START,
    MAPPING_RAMP,
    MAPPING_MOST,
    MAX_CONCURRENCY_LEAST,
    MAX_CONCURRENCY_MOST,
    POLLER_INVOKES,
    POLLER_POLLS,
    POLLER_BYTES,
    POLLER_RAMP,
    POLLERS_LEAST,
    POLLERS_LEAST_MOST,
    POLLERS_MOST,
    FUNCTION_RAMP,
    ACCOUNT_CONCURRENCY,
    INVOCATION_BYTES,
    IN_FLIGHT,
    RECEIVE_BATCH,
    FAIR_SHARE,
    FAIR_LEAST,
    FAIR_QUIET,
    IDLE_POLLS,
    API_REQUESTS,
    PUT_EVENTS,
    BUS_INVOCATIONS,
    TABLE_START,
    TABLE_MOST,
    PARTITION_WRITES,
)
