"""What values of the configuration that are fine alone must be to each other."""

from collections.abc import Iterator
from dataclasses import dataclass

from components.config import aws_limits
from components.config.settings import Settings


@dataclass(frozen=True, slots=True)
class Agreement:
    """One such thing; `fields` starts with the one to report, `part` is its part that is meant, where it has some."""

    fields: tuple[str, ...]
    kept: bool
    limit: str
    part: str = ""


def agreements(settings: Settings) -> Iterator[Agreement]:
    """All of them, kept or not."""
    for group in (_timing, _capacity, _order, _pairs, _access, _safety, _lake, _alarms):
        yield from group(settings)


def _timing(s: Settings) -> Iterator[Agreement]:
    yield Agreement(
        ("queue_visibility_seconds", "worker_timeout_seconds", "max_batching_window_seconds"),
        s.queue_visibility_seconds is None or s.queue_visibility_seconds >= s.least_visibility_seconds,
        f"at least {s.least_visibility_seconds} (6 x workerTimeoutSeconds"
        f"{'' if s.is_fifo else ' + maxBatchingWindowSeconds'}), or 0 for that",
    )
    yield Agreement(
        ("dlq_retention_seconds", "message_retention_seconds"),
        s.dlq_retention_seconds > s.message_retention_seconds,
        f"more than messageRetentionSeconds ({s.message_retention_seconds}): a dead letter keeps its first send time",
    )
    yield Agreement(
        ("retry_backoff_max_seconds", "retry_backoff_base_seconds"),
        s.retry_backoff_max_seconds >= s.retry_backoff_base_seconds,
        f"at least retryBackoffBaseSeconds ({s.retry_backoff_base_seconds})",
    )


def _capacity(s: Settings) -> Iterator[Agreement]:
    yield Agreement(
        ("worker_reserved_concurrency", "worker_max_concurrency"),
        s.worker_reserved_concurrency is None or s.worker_reserved_concurrency >= s.worker_max_concurrency,
        f"at least workerMaxConcurrency ({s.worker_max_concurrency}), or 0 for none",
    )
    pollers = s.provisioned_pollers
    yield Agreement(
        ("provisioned_pollers",),
        not pollers or pollers.is_whole,
        f"{aws_limits.MIN_POLLERS} or more, and at most maximum ({pollers.maximum}), or both 0 for none",
        part="minimum",
    )
    yield Agreement(
        ("provisioned_pollers", "pipelines"),
        not pollers or "events" in s.pipelines,
        "0 unless pipelines has events, whose queue they poll",
        part="minimum",
    )
    yield Agreement(
        ("worker_reserved_concurrency", "provisioned_pollers"),
        s.worker_reserved_concurrency is None or s.worker_reserved_concurrency >= pollers.concurrency,
        f"at least {aws_limits.POLLER_CONCURRENCY} x provisionedPollers.maximum ({pollers.concurrency}), or 0 for none",
    )
    yield Agreement(
        ("max_batching_window_seconds", "orders_batch_size"),
        s.max_batching_window_seconds >= 1 or s.orders_batch_size <= aws_limits.MAX_BATCH_WITHOUT_WINDOW,
        f"at least 1 when ordersBatchSize is over {aws_limits.MAX_BATCH_WITHOUT_WINDOW} ({s.orders_batch_size})",
    )
    yield Agreement(
        ("max_batching_window_seconds", "batch_size"),
        s.is_fifo or s.max_batching_window_seconds >= 1 or s.batch_size <= aws_limits.MAX_BATCH_WITHOUT_WINDOW,
        f"at least 1 when batchSize is over {aws_limits.MAX_BATCH_WITHOUT_WINDOW} ({s.batch_size})",
    )


def _order(s: Settings) -> Iterator[Agreement]:
    yield Agreement(
        ("queue_type", "pipelines"), not s.is_fifo or "events" in s.pipelines, "standard unless pipelines has events"
    )
    yield Agreement(
        ("group_by", "queue_type"),
        bool(s.group_by) or not s.is_fifo,
        "set when queueType is fifo: order is kept within a group",
    )
    yield Agreement(
        ("group_by", "pipelines"), not s.group_by or "events" in s.pipelines, "empty unless pipelines has events"
    )
    yield Agreement(
        ("lake_group_by", "pipelines"), not s.lake_group_by or "lake" in s.pipelines, "empty unless pipelines has lake"
    )
    yield Agreement(
        ("batch_size", "queue_type"),
        not s.is_fifo or s.batch_size <= aws_limits.MAX_BATCH_WITHOUT_WINDOW,
        f"at most {aws_limits.MAX_BATCH_WITHOUT_WINDOW} when queueType is fifo",
    )
    for field, arn in (("existing_queue_arn", s.existing_queue_arn), ("existing_dlq_arn", s.existing_dlq_arn)):
        yield Agreement(
            (field, "queue_type"),
            arn is None or arn.endswith(".fifo") == s.is_fifo,
            f"that of a {'FIFO' if s.is_fifo else 'standard'} queue, as queueType says",
        )


def _pairs(s: Settings) -> Iterator[Agreement]:
    yield Agreement(
        ("vpc_security_group_ids", "vpc_subnet_ids"),
        bool(s.vpc_security_group_ids) == bool(s.vpc_subnet_ids),
        "set together with vpcSubnetIds",
    )
    yield Agreement(
        ("kms_alias", "use_kms_cmk"), s.kms_alias is None or s.use_kms_cmk, "empty unless useKmsCmk is true"
    )
    yield Agreement(
        ("existing_queue_url", "pipelines"),
        s.existing_queue_url is None or "events" in s.pipelines,
        "empty unless pipelines has events, whose queue it is",
    )
    yield Agreement(
        ("existing_dlq_url", "pipelines"),
        s.existing_dlq_url is None or "events" in s.pipelines,
        "empty unless pipelines has events, whose dead-letter queue it is",
    )
    yield Agreement(
        ("existing_queue_arn", "existing_queue_url"),
        _same_queue(s.existing_queue_url, s.existing_queue_arn),
        f"that of the queue of existingQueueUrl ({s.existing_queue_url})",
    )
    yield Agreement(
        ("existing_dlq_arn", "existing_dlq_url"),
        _same_queue(s.existing_dlq_url, s.existing_dlq_arn),
        f"that of the queue of existingDlqUrl ({s.existing_dlq_url})",
    )


def _access(s: Settings) -> Iterator[Agreement]:
    for field, given in (("jwt_issuer", s.jwt_issuer), ("jwt_audience", s.jwt_audience)):
        yield Agreement(
            (field, "auth_mode"),
            bool(given) == (s.auth_mode == "jwt"),
            "empty unless authMode is jwt" if given else "set when authMode is jwt",
        )
    by_key = s.auth_mode == "apiKey"
    yield Agreement(
        ("api_key", "auth_mode", "api_key_secret_arn"),
        (s.api_key is not None) == (by_key and s.api_key_secret_arn is None),
        "empty unless authMode is apiKey and apiKeySecretArn is empty"
        if s.api_key
        else "set when authMode is apiKey, or apiKeySecretArn in its place",
    )
    yield Agreement(
        ("api_key_secret_arn", "auth_mode"), s.api_key_secret_arn is None or by_key, "empty unless authMode is apiKey"
    )
    yield Agreement(
        ("jwt_issuer",),
        s.is_laptop or _is_encrypted(s.jwt_issuer),
        "an https URL except on the stack local: who stands between could sign tokens",
    )


def _safety(s: Settings) -> Iterator[Agreement]:
    prod = s.production
    yield Agreement(
        ("production",),
        prod or not s.sounds_like_production,
        f"true, as the stack's name {s.stack} says: nothing is protected without it",
    )
    yield Agreement(
        ("production",),
        not (prod and s.is_laptop),
        "false on the stack local, whose data is gone with the laptop's cloud",
    )
    yield Agreement(
        ("deletion_allowed", "production"),
        prod or not s.deletion_allowed,
        "false unless production is true: nothing else is protected",
    )
    yield Agreement(
        ("use_kms_cmk", "without_customer_key", "production", "deletion_allowed"),
        s.use_kms_cmk or s.without_customer_key or not s.keeps_data,
        "true in production, or withoutCustomerKey true beside it: what a key encrypted can't be read without it",
    )
    yield Agreement(
        ("without_customer_key", "use_kms_cmk", "production"),
        not s.without_customer_key or (prod and not s.use_kms_cmk),
        "false unless useKmsCmk is false in production",
    )
    yield Agreement(
        ("failure_injection",),
        not (s.failure_injection and prod),
        "false in production: faults are for stacks in which nobody is hurt",
    )
    yield Agreement(
        ("auth_mode",),
        not (s.auth_mode == "none" and prod),
        "apiKey, jwt or iam in production: none lets everybody submit and read",
    )
    yield Agreement(
        ("cors_origin",),
        not prod or _is_encrypted(s.cors_origin),
        "an https origin in production: who stands between could change a page that comes by http",
    )
    yield Agreement(
        ("observability_enabled",), s.observability_enabled or not prod, "true in production: nobody would see it fail"
    )
    yield Agreement(
        ("alarm_email", "webhook_url"),
        not prod or s.alarm_email is not None or (s.webhook_url is not None and _is_encrypted(s.webhook_url)),
        "set in production, or webhookUrl in its place: nobody would hear of an alarm",
    )
    yield Agreement(
        ("webhook_url",),
        not prod or _is_encrypted(s.webhook_url),
        "an https URL in production: alarms tell what is weak",
    )


def _lake(s: Settings) -> Iterator[Agreement]:
    yield Agreement(
        ("lake_layer_arn",),
        s.is_laptop or s.lake_layer_arn != "none",
        "an ARN or empty except on the stack local: Lambda's Python has no pyarrow",
    )
    yield Agreement(
        ("glue_database", "pipelines"),
        s.glue_database is None or "lake" in s.pipelines,
        "empty unless pipelines has lake, whose tables it holds",
    )
    yield Agreement(
        ("lake_format", "pipelines"),
        s.lake_format == "parquet" or "lake" in s.pipelines,
        "parquet unless pipelines has lake, whose silver it is of",
    )
    yield Agreement(
        ("lake_format", "glue_database"),
        s.lake_format == "parquet" or s.lake_catalog == "s3tables" or s.glue_database is not None,
        "parquet unless lakeCatalog is s3tables or glueDatabase names a database",
    )
    yield Agreement(
        ("lake_catalog", "lake_format"),
        s.lake_catalog == "glue" or s.lake_format == "iceberg",
        "glue unless lakeFormat is iceberg",
    )
    yield Agreement(
        ("glue_database", "lake_catalog"),
        s.lake_catalog == "glue" or s.glue_database is None,
        "empty where lakeCatalog is s3tables, whose tables are in no database",
    )
    yield Agreement(
        ("lake_quality_gate", "pipelines"),
        not s.lake_quality_gate or "lake" in s.pipelines,
        "false unless pipelines has lake, whose days it checks",
    )
    yield Agreement(
        ("lake_backfill", "pipelines"),
        not s.lake_backfill or "lake" in s.pipelines,
        "false unless pipelines has lake, whose objects it announces",
    )


def _alarms(s: Settings) -> Iterator[Agreement]:
    for part in ("period_seconds", "objective_window_seconds"):
        yield Agreement(
            ("alarms",),
            getattr(s.alarms, part) % 60 == 0 or s.is_laptop,
            "a multiple of 60 except on the stack local: AWS measures once a minute",
            part=part,
        )
    yield Agreement(
        ("alarm_email", "observability_enabled"),
        s.alarm_email is None or s.observability_enabled or s.production,  # where it has to be true
        "empty unless observabilityEnabled is true",
    )
    yield Agreement(
        ("webhook_url", "observability_enabled"),
        s.webhook_url is None or s.observability_enabled or s.production,
        "empty unless observabilityEnabled is true",
    )


def _is_encrypted(url: str | None) -> bool:
    return url is None or url.startswith("https://")


def _same_queue(url: str | None, arn: str | None) -> bool:
    if url is None or arn is None:
        return url is arn
    return url.endswith("/" + "/".join(arn.split(":")[4:]))
