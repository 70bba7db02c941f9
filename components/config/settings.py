"""Every configuration key of the program: its default and its limit. `reader` reads them.

`Pulumi.yaml` describes the same keys to people and to the Pulumi CLI; a test keeps the two equal.
"""

import re
from dataclasses import dataclass, field
from typing import Annotated, Literal, get_args

from components.config import aws_limits
from components.config.access import AUDIENCE, AUTH_MODES, ISSUER, KEYS, SECRET_ARN, AuthMode
from components.config.alarm_limits import PARTS, AlarmLimits
from components.config.pollers import NO_POLLERS, Pollers
from components.config.pollers import PARTS as POLLERS
from components.config.values import Flag, Tags, items, one_of, or_none, parts, past_day, text, whole

LAPTOP_STACK = "local"
NO_LAYER = "none"

PipelineName = Literal["events", "orders", "lake"]
Architecture = Literal["arm64", "x86_64"]
QueueType = Literal["standard", "fifo"]
LakeFormat = Literal["parquet", "iceberg"]
LakeCatalog = Literal["glue", "s3tables"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
_LogRetention = Literal[  # CloudWatch Logs takes no other numbers of days
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]
_Batch = Annotated[int, whole(1, aws_limits.MAX_BATCH)]
_Timeout = Annotated[int, whole(1, aws_limits.MAX_TIMEOUT)]
_Retention = Annotated[int, whole(60, aws_limits.MAX_RETENTION)]
_Memory = Annotated[int, whole(128, 10_240)]
_CONCURRENCY = whole(aws_limits.MIN_CONCURRENCY, aws_limits.MAX_CONCURRENCY)
_ALIAS = text(r"alias/(?!aws/)[A-Za-z0-9/_-]{1,250}", "a name that starts with alias/ but not with alias/aws/")
_QUEUE_NAME = r"[0-9]{12}%s(?=[A-Za-z0-9_.-]{1,80}\Z)[A-Za-z0-9_-]+(\.fifo)?"
_QUEUE_URL = text(r"https?://[^/\s]+/" + _QUEUE_NAME % "/", "the URL of an SQS queue")
_QUEUE_ARN = text(r"arn:aws[a-z-]*:sqs:[a-z0-9-]+:" + _QUEUE_NAME % ":", "the ARN of an SQS queue")
_POINTER = text(  # RFC 6901; the root is no text, and so no group
    r"|(/([^~/\s]|~[01])+){1,8}", "a JSON pointer of at most 8 names, such as /customerId, or empty for no groups"
)
_OPERATOR = text(
    r"arn:aws[a-z-]*:iam::[0-9]{12}:((role|user)/[A-Za-z0-9+=,.@_/-]{1,576}|root)", "the ARN of an IAM role or user"
)
_ORIGIN = text(
    r"https?://[^/\s*,]+",
    "one origin, scheme and host, such as https://shop.example, and not *, by which every site's pages could call",
)
_LAYER = text(
    rf"|{NO_LAYER}|arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{{12}}:layer:[A-Za-z0-9_-]+:[0-9]+",
    f"the ARN of a version of a Lambda layer, {NO_LAYER}, or empty for the program's own",
)
_PARAMETER = text(  # SSM keeps names that begin with aws or ssm to itself
    r"(?!/(?i:aws|ssm))(/[A-Za-z0-9_.-]+){1,15}", "the full name of an SSM parameter, such as /team/failure_mode"
)

_PRODUCTION = re.compile(
    r"(?<![a-z])(?<!pre[-_])(?<!non[-_])(?<!not[-_])(prod|production|prd|live)(?![a-z])", re.IGNORECASE
)
_WEBHOOK = text(
    r"https://\S+|http://(127\.0\.0\.1|localhost)(:[0-9]+)?(/\S*)?", "an https URL, or an http URL on the loopback"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The configuration of one stack, typed and within its limits. Times in seconds unless the name says otherwise.

    What its text (`repr`) leaves out is a secret.
    """

    stack: str
    production: Flag = False
    deletion_allowed: Flag = False
    pipelines: Annotated[tuple[PipelineName, ...], items(one_of(get_args(PipelineName)), at_least=1)] = ("events",)
    max_receive_count: Annotated[int, whole(1, aws_limits.MAX_RECEIVE_COUNT)] = 5
    batch_size: _Batch = 10
    max_batching_window_seconds: Annotated[int, whole(0, aws_limits.MAX_WINDOW)] = 2
    worker_timeout_seconds: _Timeout = 30
    orders_batch_size: _Batch = 5
    orders_worker_timeout_seconds: _Timeout = 30
    archive_retention_days: Annotated[int, whole(0, 3650)] = 14
    queue_type: Annotated[QueueType, one_of(get_args(QueueType))] = "standard"
    group_by: Annotated[str, _POINTER] = ""
    lake_group_by: Annotated[str, _POINTER] = ""
    queue_visibility_seconds: Annotated[int | None, or_none(whole(1, aws_limits.MAX_VISIBILITY), "0")] = None
    worker_max_concurrency: Annotated[int, _CONCURRENCY] = aws_limits.MIN_CONCURRENCY
    worker_reserved_concurrency: Annotated[int | None, or_none(_CONCURRENCY, "0")] = None
    provisioned_pollers: Annotated[Pollers, parts(POLLERS)] = NO_POLLERS
    message_retention_seconds: _Retention = 4 * aws_limits.DAY
    dlq_retention_seconds: _Retention = aws_limits.MAX_RETENTION
    ttl_days: Annotated[int, whole(1, 3650)] = 7
    publish_successes: Flag = False
    use_kms_cmk: Flag = False
    without_customer_key: Flag = False
    kms_alias: Annotated[str | None, or_none(_ALIAS)] = None
    auth_mode: Annotated[AuthMode, one_of(AUTH_MODES)] = "iam"
    jwt_issuer: Annotated[str | None, or_none(ISSUER)] = None
    jwt_audience: Annotated[tuple[str, ...], items(AUDIENCE)] = ()
    api_key: Annotated[str | None, or_none(KEYS)] = field(default=None, repr=False)
    api_key_secret_arn: Annotated[str | None, or_none(SECRET_ARN)] = None
    cors_origin: Annotated[str | None, or_none(_ORIGIN)] = None
    throttle_rate: Annotated[int, whole(1, 10_000)] = 100
    throttle_burst: Annotated[int, whole(1, 5_000)] = 200
    log_level: Annotated[LogLevel, one_of(get_args(LogLevel))] = "INFO"
    log_retention_days: Annotated[_LogRetention, one_of(get_args(_LogRetention))] = 14
    tracing: Flag = True
    objective_seconds: Annotated[int, whole(1, aws_limits.MAX_RETENTION)] = 60
    lake_objective_seconds: Annotated[int, whole(1, aws_limits.MAX_RETENTION)] = 900
    retry_backoff_base_seconds: Annotated[int, whole(1, 900)] = 2
    retry_backoff_max_seconds: Annotated[int, whole(1, aws_limits.MAX_VISIBILITY)] = 300
    max_redrives: Annotated[int, whole(1, aws_limits.MAX_REDRIVES)] = 3
    breaker_hold_seconds: Annotated[int, whole(0, 900)] = 60
    failure_injection: Flag = False
    failure_mode_parameter: Annotated[str | None, or_none(_PARAMETER)] = None
    vpc_subnet_ids: Annotated[tuple[str, ...], items(text(r"subnet-[0-9a-f]{8,17}", "a subnet id"))] = ()
    vpc_security_group_ids: Annotated[tuple[str, ...], items(text(r"sg-[0-9a-f]{8,17}", "a security group id"))] = ()
    iam_name_prefix: Annotated[
        str, text(r"[A-Za-z0-9+=,.@_-]{0,20}", "at most 20 characters that IAM allows in names")
    ] = ""
    permissions_boundary_arn: Annotated[
        str | None, or_none(text(r"arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/\S+", "the ARN of an IAM policy"))
    ] = None
    resource_tags: Tags = field(default_factory=dict)
    tag_restricted: Flag = False
    operator_role_arns: Annotated[tuple[str, ...], items(_OPERATOR)] = ()
    existing_queue_url: Annotated[str | None, or_none(_QUEUE_URL)] = None
    existing_queue_arn: Annotated[str | None, or_none(_QUEUE_ARN)] = None
    existing_dlq_url: Annotated[str | None, or_none(_QUEUE_URL)] = None
    existing_dlq_arn: Annotated[str | None, or_none(_QUEUE_ARN)] = None
    ingest_memory_mb: _Memory = 256
    worker_memory_mb: _Memory = 256
    architecture: Annotated[Architecture, one_of(get_args(Architecture))] = "arm64"
    lake_chunk_mebibytes: Annotated[int, whole(1, 64)] = 16
    lake_ingest_timeout_seconds: _Timeout = aws_limits.MAX_TIMEOUT
    lake_transform_timeout_seconds: _Timeout = 300
    lake_ingest_memory_mb: _Memory = 512
    lake_ingest_max_concurrency: Annotated[int, _CONCURRENCY] = 2
    lake_transform_memory_mb: Annotated[int, whole(512, 10_240)] = 1024
    lake_quality_gate: Flag = False
    lake_backfill: Flag = False
    lake_layer_arn: Annotated[str, _LAYER] = ""
    lake_start_date: Annotated[str, past_day()] = "2020-01-01"
    lake_format: Annotated[LakeFormat, one_of(get_args(LakeFormat))] = "parquet"
    lake_catalog: Annotated[LakeCatalog, one_of(get_args(LakeCatalog))] = "glue"
    glue_database: Annotated[
        str | None, or_none(text(r"[a-z0-9_]{1,200}", "small letters, digits and underscores"))
    ] = None
    observability_enabled: Flag = True
    alarms: Annotated[AlarmLimits, parts(PARTS)] = field(default_factory=AlarmLimits)
    alarm_email: Annotated[str | None, or_none(text(r"[^@\s]+@[^@\s]+\.[^@\s.]+", "an e-mail address"))] = None
    webhook_url: Annotated[str | None, or_none(_WEBHOOK)] = field(default=None, repr=False)
    runbook_base_url: Annotated[str, text(r"(https://\S+/)?", "an https URL that ends in a slash, or empty")] = ""

    @property
    def is_nameable(self) -> bool:
        """Whether names in AWS can have the stack's name in them: a dashboard's takes no dot."""
        return re.fullmatch(r"[A-Za-z0-9_-]{1,40}", self.stack) is not None

    @property
    def has_table_bucket(self) -> bool:
        """Whether silver's tables are in a table bucket of S3 Tables."""
        return self.lake_format == "iceberg" and self.lake_catalog == "s3tables"

    @property
    def keeps_data(self) -> bool:
        """Whether what holds data is protected from deletion."""
        return self.production and not self.deletion_allowed

    @property
    def sounds_like_production(self) -> bool:
        """Whether the stack's name says that it is production: `prod`, `prod-eu`, `live_2`; not `pre-prod`."""
        return _PRODUCTION.search(self.stack) is not None

    @property
    def is_laptop(self) -> bool:
        """Whether the stack is on the laptop, where metrics come every second."""
        return self.stack == LAPTOP_STACK

    @property
    def has_breaker(self) -> bool:
        """Whether each pipeline has a circuit breaker."""
        return self.breaker_hold_seconds > 0

    @property
    def is_fifo(self) -> bool:
        """Whether the events queue keeps the order of each group."""
        return self.queue_type == "fifo"

    @property
    def batching_window_seconds(self) -> int:
        """How long Lambda waits for a batch of events: FIFO queues have no such setting."""
        return 0 if self.is_fifo else self.max_batching_window_seconds

    @property
    def least_visibility_seconds(self) -> int:
        """The shortest visibility timeout that the main queue may have."""
        return aws_limits.least_visibility(self.worker_timeout_seconds, self.batching_window_seconds)
