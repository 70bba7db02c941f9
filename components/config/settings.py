"""Every configuration key: its default, its limit, and the one place that reads it.

`Pulumi.yaml` describes the same keys to people and to the Pulumi CLI; a test keeps the two equal.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pulumi
from pulumi.runtime import config as pulumi_config

from components.config import aws_limits
from components.config.access import AUDIENCE, AUTH_MODES, ISSUER, KEYS, SECRET_ARN, AuthMode
from components.config.checks import Agreement, agreements
from components.config.parts import Parts, PartsError, camel
from components.config.values import Choice, Flag, Items, Maybe, Rule, Tags, Text, Whole, WholeIn
from components.observability.alarms.model import AlarmLimits

T = TypeVar("T")

PRODUCTION_STACK = "prod"
LAPTOP_STACK = "local"
NO_LAYER = "none"

_LOG_RETENTION_DAYS = (  # CloudWatch Logs takes no other numbers
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
_CONCURRENCY = Whole(aws_limits.MIN_CONCURRENCY, aws_limits.MAX_CONCURRENCY)
_ALIAS = Text(r"alias/(?!aws/)[A-Za-z0-9/_-]{1,250}", "a name that starts with alias/ but not with alias/aws/")
_QUEUE_URL = Text(r"https?://[^/\s]+/[0-9]{12}/[A-Za-z0-9_-]{1,80}", "the URL of a standard SQS queue")
_QUEUE_ARN = Text(r"arn:aws[a-z-]*:sqs:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,80}", "the ARN of a standard SQS queue")
_OPERATOR = Text(
    r"arn:aws[a-z-]*:iam::[0-9]{12}:((role|user)/[A-Za-z0-9+=,.@_/-]{1,576}|root)", "the ARN of an IAM role or user"
)
_ORIGIN = Text(
    r"https?://[^/\s*,]+",
    "one origin, scheme and host, such as https://shop.example, and not *, by which every site's pages could call",
)
_LAYER = Text(
    rf"|{NO_LAYER}|arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{{12}}:layer:[A-Za-z0-9_-]+:[0-9]+",
    f"the ARN of a version of a Lambda layer, {NO_LAYER}, or empty for the program's own",
)
_PARAMETER = Text(  # SSM keeps names that begin with aws or ssm to itself
    r"(?!/(?i:aws|ssm))(/[A-Za-z0-9_.-]+){1,15}", "the full name of an SSM parameter, such as /team/failure_mode"
)

_WEBHOOK = Text(
    r"https://\S+|http://(127\.0\.0\.1|localhost)(:[0-9]+)?(/\S*)?", "an https URL, or an http URL on the loopback"
)


class SettingsError(pulumi.RunError):
    """The configuration can't be used; the message lists every fault with its limit and the value received."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        noun = "value is" if len(problems) == 1 else "values are"
        super().__init__("\n  - ".join([f"{len(problems)} configuration {noun} wrong; nothing was made:", *problems]))


def _key(default: T, rule: Rule[T], *, secret: bool = False) -> T:
    return field(default=default, repr=not secret, metadata={"rule": rule, "secret": secret})


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The configuration of one stack, typed and within its limits. Times in seconds unless the name says otherwise."""

    stack: str
    pipelines: tuple[str, ...] = _key(("events",), Items(Choice(("events", "orders", "lake")), at_least=1))
    max_receive_count: int = _key(5, Whole(1, aws_limits.MAX_RECEIVE_COUNT))
    batch_size: int = _key(10, Whole(1, aws_limits.MAX_BATCH))
    max_batching_window_seconds: int = _key(2, Whole(0, aws_limits.MAX_WINDOW))
    worker_timeout_seconds: int = _key(30, Whole(1, aws_limits.MAX_TIMEOUT))
    orders_batch_size: int = _key(5, Whole(1, aws_limits.MAX_BATCH))
    orders_worker_timeout_seconds: int = _key(30, Whole(1, aws_limits.MAX_TIMEOUT))
    archive_retention_days: int = _key(14, Whole(0, 3650))
    queue_visibility_seconds: int | None = _key(None, Maybe(Whole(1, aws_limits.MAX_VISIBILITY), unset="0"))
    worker_max_concurrency: int = _key(5, _CONCURRENCY)
    worker_reserved_concurrency: int | None = _key(None, Maybe(_CONCURRENCY, unset="0"))
    message_retention_seconds: int = _key(4 * aws_limits.DAY, Whole(60, aws_limits.MAX_RETENTION))
    dlq_retention_seconds: int = _key(aws_limits.MAX_RETENTION, Whole(60, aws_limits.MAX_RETENTION))
    ttl_days: int = _key(7, Whole(1, 3650))
    use_kms_cmk: bool = _key(default=False, rule=Flag())
    kms_alias: str | None = _key(None, Maybe(_ALIAS))
    auth_mode: AuthMode = field(default="iam", metadata={"rule": Choice(AUTH_MODES), "secret": False})
    jwt_issuer: str | None = _key(None, Maybe(ISSUER))
    jwt_audience: tuple[str, ...] = _key((), Items(AUDIENCE))
    api_key: str | None = _key(None, Maybe(KEYS), secret=True)
    api_key_secret_arn: str | None = _key(None, Maybe(SECRET_ARN))
    cors_origin: str | None = _key(None, Maybe(_ORIGIN))
    throttle_rate: int = _key(100, Whole(1, 10_000))
    throttle_burst: int = _key(200, Whole(1, 5_000))
    log_level: str = _key("INFO", Choice(("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")))
    log_retention_days: int = _key(14, WholeIn(_LOG_RETENTION_DAYS))
    tracing: bool = _key(default=True, rule=Flag())
    retry_backoff_base_seconds: int = _key(2, Whole(1, 900))
    retry_backoff_max_seconds: int = _key(300, Whole(1, aws_limits.MAX_VISIBILITY))
    max_redrives: int = _key(3, Whole(1, aws_limits.MAX_REDRIVES))
    breaker_hold_seconds: int = _key(60, Whole(0, 900))
    failure_injection: bool = _key(default=False, rule=Flag())
    failure_mode_parameter: str = _key("/ingestion/failure_mode", _PARAMETER)
    vpc_subnet_ids: tuple[str, ...] = _key((), Items(Text(r"subnet-[0-9a-f]{8,17}", "a subnet id")))
    vpc_security_group_ids: tuple[str, ...] = _key((), Items(Text(r"sg-[0-9a-f]{8,17}", "a security group id")))
    iam_name_prefix: str = _key("", Text(r"[A-Za-z0-9+=,.@_-]{0,20}", "at most 20 characters that IAM allows in names"))
    permissions_boundary_arn: str | None = _key(
        None, Maybe(Text(r"arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/\S+", "the ARN of an IAM policy"))
    )
    resource_tags: Mapping[str, str] = field(default_factory=dict, metadata={"rule": Tags(), "secret": False})
    tag_restricted: bool = _key(default=False, rule=Flag())
    operator_role_arns: tuple[str, ...] = _key((), Items(_OPERATOR))
    existing_queue_url: str | None = _key(None, Maybe(_QUEUE_URL))
    existing_queue_arn: str | None = _key(None, Maybe(_QUEUE_ARN))
    existing_dlq_url: str | None = _key(None, Maybe(_QUEUE_URL))
    existing_dlq_arn: str | None = _key(None, Maybe(_QUEUE_ARN))
    ingest_memory_mb: int = _key(256, Whole(128, 10_240))
    worker_memory_mb: int = _key(256, Whole(128, 10_240))
    architecture: str = _key("arm64", Choice(("arm64", "x86_64")))
    lake_chunk_mebibytes: int = _key(16, Whole(1, 64))
    lake_ingest_timeout_seconds: int = _key(aws_limits.MAX_TIMEOUT, Whole(1, aws_limits.MAX_TIMEOUT))
    lake_transform_timeout_seconds: int = _key(300, Whole(1, aws_limits.MAX_TIMEOUT))
    lake_ingest_memory_mb: int = _key(512, Whole(128, 10_240))
    lake_transform_memory_mb: int = _key(1024, Whole(512, 10_240))
    lake_layer_arn: str = _key("", _LAYER)
    glue_database: str | None = _key(None, Maybe(Text(r"[a-z0-9_]{1,200}", "small letters, digits and underscores")))
    observability_enabled: bool = _key(default=True, rule=Flag())
    alarms: AlarmLimits = field(default_factory=AlarmLimits, metadata={"rule": Parts(AlarmLimits), "secret": False})
    alarm_email: str | None = _key(None, Maybe(Text(r"[^@\s]+@[^@\s]+\.[^@\s.]+", "an e-mail address")))
    webhook_url: str | None = _key(None, Maybe(_WEBHOOK), secret=True)
    runbook_base_url: str = _key("", Text(r"(https://\S+/)?", "an https URL that ends in a slash, or empty"))

    @property
    def is_production(self) -> bool:
        """Whether data is protected from deletion."""
        return self.stack == PRODUCTION_STACK

    @property
    def is_laptop(self) -> bool:
        """Whether the stack is on the laptop, where metrics come every second."""
        return self.stack == LAPTOP_STACK

    @property
    def has_breaker(self) -> bool:
        """Whether each pipeline has a circuit breaker."""
        return self.breaker_hold_seconds > 0

    @property
    def least_visibility_seconds(self) -> int:
        """The shortest visibility timeout that the main queue may have."""
        return aws_limits.least_visibility(self.worker_timeout_seconds, self.max_batching_window_seconds)


def read_settings() -> Settings:
    """The stack's configuration.

    Raises:
        SettingsError: for all wrong and unknown keys together.
    """
    config = pulumi.Config()
    keys = {camel(f.name): f for f in dataclasses.fields(Settings) if "rule" in f.metadata}
    problems = [_unknown(config, key) for key in sorted(_keys_given(config.name) - set(keys))]
    values: dict[str, Any] = {}
    wrong: set[str] = set()
    for key, setting in keys.items():
        raw = config.get(key)
        try:
            values |= {} if raw is None else {setting.name: setting.metadata["rule"].parse(raw)}
        except ValueError as exc:
            wrong.add(setting.name)
            problems += _problems(config, setting, exc)
    settings = Settings(stack=pulumi.get_stack(), **values)
    problems += _disagreements(config, settings, wrong)
    if problems:
        raise SettingsError(problems)
    return settings


def _disagreements(config: pulumi.Config, settings: Settings, wrong: set[str]) -> Iterator[str]:
    for agreement in agreements(settings):
        # a value that could not be read says nothing about how the others fit it
        if not agreement.kept and not wrong.intersection(agreement.fields):
            yield _disagreement(config, settings, agreement)


def _disagreement(config: pulumi.Config, settings: Settings, agreement: Agreement) -> str:
    name = agreement.fields[0]
    if agreement.part:
        whole = getattr(settings, name)
        return _told(
            config, f"{camel(name)}.{camel(agreement.part)}", agreement.limit, repr(str(getattr(whole, agreement.part)))
        )
    (key,) = [f for f in dataclasses.fields(Settings) if f.name == name]
    return _problem(config, key, agreement.limit)


def _problems(config: pulumi.Config, setting: "dataclasses.Field[Any]", error: ValueError) -> list[str]:
    if isinstance(error, PartsError):
        key = camel(setting.name)
        return [_told(config, f"{key}.{part}", limit, repr(received)) for part, limit, received in error.parts]
    return [_problem(config, setting, setting.metadata["rule"].limit)]


def _problem(config: pulumi.Config, setting: "dataclasses.Field[Any]", limit: str) -> str:
    received = config.get(camel(setting.name))
    if received is None:
        return _told(config, camel(setting.name), limit, "its default")
    return _told(config, camel(setting.name), limit, "[secret]" if setting.metadata["secret"] else repr(received))


def _told(config: pulumi.Config, key: str, limit: str, received: str) -> str:
    return f"{config.full_key(key)} must be {limit}; got {received}"


def _unknown(config: pulumi.Config, key: str) -> str:
    full_key = config.full_key(key)
    received = "[secret]" if pulumi_config.is_config_secret(full_key) else repr(config.get(key))
    return f"{full_key} is not a key of this program; got {received}"


def _keys_given(namespace: str) -> set[str]:
    full_keys = {*pulumi_config.CONFIG.get(), *pulumi_config.get_config_env()}
    return {key.partition(":")[2] for key in full_keys if key.startswith(f"{namespace}:")}
