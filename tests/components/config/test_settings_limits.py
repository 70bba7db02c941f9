"""The limit of every configuration key."""

import dataclasses
import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from components.config.alarm_limits import AlarmLimits
from components.config.settings import Settings
from tests.components.config.configuring import key_of, problems, read

_ARN = "arn:aws:sqs:eu-central-1:123456789012:theirs"

_OUT_OF_LIMITS: list[tuple[str, object]] = [
    ("pipelines", []),
    ("pipelines", ["events", "events"]),
    ("pipelines", ["cooking"]),
    ("pipelines", "events"),
    ("maxReceiveCount", 1001),
    ("batchSize", 10_001),
    ("batchSize", 2.5),
    ("maxBatchingWindowSeconds", -1),
    ("maxBatchingWindowSeconds", 301),
    ("workerTimeoutSeconds", 0),
    ("workerTimeoutSeconds", 901),
    ("queueVisibilitySeconds", 43_201),
    ("workerMaxConcurrency", 1),
    ("workerReservedConcurrency", 1),
    ("provisionedPollers", 2),
    ("messageRetentionSeconds", 59),
    ("dlqRetentionSeconds", 1_209_601),
    ("ttlDays", 3651),
    ("production", "yes"),
    ("deletionAllowed", "yes"),
    ("useKmsCmk", "yes"),
    ("withoutCustomerKey", "yes"),
    ("kmsAlias", "alias/aws/sqs"),
    ("authMode", "basic"),
    ("jwtIssuer", "issuer.example"),
    ("jwtIssuer", "http://issuer.example/"),
    ("jwtIssuer", "http://127.0.0.1.example/"),
    ("jwtIssuer", "https://issuer.example/?tenant=1"),
    ("jwtAudience", "lab"),
    ("jwtAudience", ["lab", "lab"]),
    ("jwtAudience", ["a b"]),
    ("jwtAudience", [""]),
    ("apiKeySecretArn", "keys"),
    ("apiKeySecretArn", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:keys"),
    ("apiKeySecretArn", "arn:aws:sqs:eu-central-1:123456789012:keys"),
    ("apiKeySecretArn", "arn:aws:ssm:eu-central-1:123456789012:document/keys"),
    ("corsOrigin", "*"),
    ("corsOrigin", "https://shop.example/"),
    ("throttleRate", 0),
    ("throttleBurst", 5001),
    ("logLevel", "LOUD"),
    ("logRetentionDays", 8),
    ("tracing", 1),
    ("publishSuccesses", "no"),
    ("objectiveSeconds", 0),
    ("lakeObjectiveSeconds", 1_209_601),
    ("retryBackoffBaseSeconds", 0),
    ("retryBackoffMaxSeconds", 43_201),
    ("maxRedrives", 0),
    ("maxRedrives", 11),
    ("breakerHoldSeconds", -1),
    ("breakerHoldSeconds", 901),
    ("failureInjection", "on"),
    ("failureModeParameter", "failure_mode"),
    ("failureModeParameter", "/team/failure mode"),
    ("failureModeParameter", "/aws/failure_mode"),
    ("failureModeParameter", "/SSM-failure_mode"),
    ("failureModeParameter", "/a" * 16),
    ("vpcSubnetIds", ["net"]),
    ("vpcSecurityGroupIds", [7]),
    ("iamNamePrefix", "a" * 21),
    ("permissionsBoundaryArn", "edge"),
    ("resourceTags", ["CostCenter"]),
    ("resourceTags", {"CostCenter": 42}),
    ("resourceTags", {"aws:x": "y"}),
    ("resourceTags", {"Team": "a", "team": "b"}),
    ("resourceTags", {"project": "mine"}),
    ("resourceTags", {"STACK": "mine"}),
    ("resourceTags", {"a*b": "c"}),
    ("resourceTags", {"a": "b;c"}),
    ("resourceTags", {"a": "b\tc"}),
    ("resourceTags", {"": "b"}),
    ("resourceTags", {"k" * 129: "b"}),
    ("resourceTags", {"a": "v" * 257}),
    ("tagRestricted", "maybe"),
    ("ordersBatchSize", 0),
    ("ordersWorkerTimeoutSeconds", 901),
    ("archiveRetentionDays", 3651),
    ("operatorRoleArns", ["admin"]),
    ("operatorRoleArns", ["arn:aws:sts::123456789012:assumed-role/admin/me"]),
    ("existingQueueUrl", "theirs"),
    ("existingQueueArn", f"{_ARN}.lifo"),
    ("existingQueueArn", _ARN + "x" * 80),
    ("queueType", "FIFO"),
    ("groupBy", "customerId"),
    ("groupBy", "/"),
    ("groupBy", "/a~2"),
    ("groupBy", "/a" * 9),
    ("lakeGroupBy", "key"),
    ("existingDlqUrl", "theirs"),
    ("existingDlqArn", "theirs"),
    ("ingestMemoryMb", 127),
    ("workerMemoryMb", 10_241),
    ("architecture", "riscv"),
    ("lakeChunkMebibytes", 65),
    ("lakeIngestTimeoutSeconds", 901),
    ("lakeTransformTimeoutSeconds", 0),
    ("lakeIngestMemoryMb", 127),
    ("lakeIngestMaxConcurrency", 1),
    ("lakeTransformMemoryMb", 511),
    ("lakeQualityGate", "yes"),
    ("lakeBackfill", "yes"),
    ("lakeLayerArn", "pyarrow"),
    ("lakeStartDate", "2026-02-30"),
    ("lakeStartDate", "20260131"),
    ("lakeStartDate", "1969-12-31"),
    ("lakeStartDate", ""),
    ("lakeStartDate", "2099-12-31"),
    ("lakeLayerArn", "arn:aws:lambda:eu-central-1:123456789012:layer:pyarrow"),
    ("lakeFormat", "delta"),
    ("lakeCatalog", "hive"),
    ("glueDatabase", "my-lake"),
    ("observabilityEnabled", "partly"),
    ("alarms", [60]),
    ("alarms", "soon"),
    ("alarmEmail", "oncall"),
    ("runbookBaseUrl", "https://git.example/lab"),
]


@pytest.mark.parametrize(("key", "value"), _OUT_OF_LIMITS)
def test_values_out_of_limits_are_refused(key: str, value: object) -> None:
    """The report is one line: the key, its limit, and the value as received."""
    received = value if isinstance(value, str) else json.dumps(value)
    (problem,) = problems({key: value})

    assert re.fullmatch(rf"{key} must be .+; got {re.escape(repr(received))}", problem)


def test_every_key_has_a_case_out_of_its_limits() -> None:
    """No key's limit goes untested; the list above is complete, but for secrets, whose value no report may show."""
    assert {key for key, _ in _OUT_OF_LIMITS} | {"apiKey", "webhookUrl"} == {
        key_of(f.name) for f in dataclasses.fields(Settings)
    } - {"stack"}


@pytest.mark.parametrize(("part", "most"), [("minimum", 200), ("maximum", 2000)])
def test_pollers_out_of_limits_are_refused(part: str, most: int) -> None:
    """One line, with the part."""
    pollers = {"minimum": 2, "maximum": 20, part: most + 1}
    (problem,) = problems({"provisionedPollers": pollers})

    assert problem == f"provisionedPollers.{part} must be a whole number from 0 to {most}; got '{most + 1}'"


@pytest.mark.parametrize("name", ["/x", "/team/aws/ssm", "/a" * 15, "/team-a/lab_1/failure.mode"])
def test_parameter_names_that_ssm_takes_are_taken(name: str) -> None:
    """The failure mode's parameter may have any name that is not SSM's own."""
    assert read({"failureModeParameter": name}).failure_mode_parameter == name


def test_a_lake_starts_today_at_the_latest() -> None:
    """With a start ahead of the times that rows may have, every row would go to quarantine."""
    today = datetime.now(UTC).date()
    tomorrow = (today + timedelta(days=1)).isoformat()

    assert read({"lakeStartDate": today.isoformat()}).lake_start_date == today.isoformat()
    assert problems({"lakeStartDate": tomorrow}) == [
        f"lakeStartDate must be a day from 1970-01-01 to today, {today} (UTC), such as 2026-01-31; got '{tomorrow}'"
    ]


_PARTS_OUT_OF_LIMITS: list[tuple[str, object]] = [
    ("periodSeconds", 0),
    ("periodSeconds", 45),
    ("periodSeconds", 3660),
    ("evaluationPeriods", 0),
    ("evaluationPeriods", 25),
    ("dlqDepth", -1),
    ("dlqAgeSeconds", 0),
    ("queueAgeSeconds", 1_209_601),
    ("backlog", 1_000_001),
    ("errorRatePercent", 100.5),
    ("errorRatePercent", 0.125),
    ("durationPercent", 0),
    ("durationPercent", 101),
    ("attemptsPerEvent", 0.9),
    ("objectivePercent", 93.99),
    ("objectivePercent", 99.999),
    ("objectiveWindowSeconds", 60),
    ("objectiveWindowSeconds", 3000),
    ("objectiveWindowSeconds", 15_120),
]


@pytest.mark.parametrize(("part", "value"), _PARTS_OUT_OF_LIMITS)
def test_parts_out_of_limits_are_refused(part: str, value: object) -> None:
    """A value within `alarms` is reported under its own name."""
    (problem,) = problems({"alarms": {part: value}})

    assert re.fullmatch(rf"alarms\.{part} must be .+; got '{re.escape(json.dumps(value))}'", problem)


def test_every_part_has_a_case_out_of_its_limits() -> None:
    """No limit within `alarms` goes untested; the list above is complete."""
    assert {part for part, _ in _PARTS_OUT_OF_LIMITS} == {key_of(f.name) for f in dataclasses.fields(AlarmLimits)}


@pytest.mark.parametrize(
    "url", ["https://hooks.example/T0/B1", "http://127.0.0.1:8099/hook", "http://localhost", "http://localhost:1/"]
)
def test_webhooks_that_may_be(url: str) -> None:
    """Plain http stays on the machine; everything else is https."""
    assert read({"webhookUrl": url}).webhook_url == url


@pytest.mark.parametrize("url", ["http://hooks.example/", "http://127.0.0.1.example/", "hooks.example", "https://"])
def test_webhooks_that_may_not_be(url: str) -> None:
    """What would carry alarms in clear, or nowhere, is refused."""
    (problem,) = problems({"webhookUrl": url})

    assert problem.endswith("; got [secret]")
