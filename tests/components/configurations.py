"""Configurations that the settings accept: those that somebody is known to want, and drawn ones.

Checks that are to hold for every configuration walk `CONFIGURATIONS`; recordings are shared by those in one process.
Checks of settings alone, which cost little, may draw as many as they like from `configurations()`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.components.recording import ACCOUNT, EVERY_PIPELINE, REGION, TO_BE_SET, Recording, run_main, stack_config

_DRAWN = 4  # a recording costs one to three seconds
_MONTHS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
_NETWORK = {"vpcSubnetIds": ["subnet-0123456789abcdef0"], "vpcSecurityGroupIds": ["sg-0123456789abcdef0"]}
_WEBHOOK = "https://hooks.example/T0/secret-part"
_KEY = "one-good-key-of-letters"
_SECRET_ARN = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:ingestion/key-AbCdEf"

Config = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Configuration:
    """A stack with these keys on top of its YAML."""

    name: str
    stack: str
    config: Mapping[str, Any]

    def __str__(self) -> str:
        """What pytest shows."""
        return self.name

    @property
    def whole(self) -> Config:
        """All keys, the YAML's included."""
        return {**stack_config(self.stack), **TO_BE_SET.get(self.stack, {}), **self.config}

    def recording(self) -> Recording:
        """What the program registers; it runs once per process."""
        return run_main(self.stack, self.config)


_ALL_ON: Mapping[str, Any] = {
    "pipelines": list(EVERY_PIPELINE),
    "useKmsCmk": True,
    "tracing": True,
    "glueDatabase": "lake",
    "lakeQualityGate": True,
    "lakeBackfill": True,
    "publishSuccesses": True,
    "workerReservedConcurrency": 20,
    "alarmEmail": "oncall@team.example",
    "webhookUrl": _WEBHOOK,
    "corsOrigin": "https://shop.example",
    "permissionsBoundaryArn": f"arn:aws:iam::{ACCOUNT}:policy/boundary",
    "operatorRoleArns": [f"arn:aws:iam::{ACCOUNT}:role/operator"],
    "resourceTags": {"Team": "ingestion"},
    "groupBy": "/customerId",
    "lakeGroupBy": "/key",
    **_NETWORK,
}

_IN_BUCKET: Mapping[str, Any] = {"lakeFormat": "iceberg", "lakeCatalog": "s3tables", "glueDatabase": ""}

FIXED: tuple[Configuration, ...] = (
    Configuration("dev", "dev", {}),
    Configuration("prod", "prod", {}),
    Configuration("everything on dev", "dev", {**_ALL_ON, "authMode": "apiKey", "apiKey": _KEY}),
    Configuration("everything on prod", "prod", {**_ALL_ON, **_IN_BUCKET}),
    Configuration("FIFO on prod", "prod", {"queueType": "fifo", "groupBy": "/customerId", "useKmsCmk": True}),
)


def _alone(**strategies: st.SearchStrategy[Any]) -> Mapping[str, st.SearchStrategy[Any]]:
    return strategies


_TIMEOUT = st.integers(1, 900)
_MEMORY = st.integers(128, 10_240)
_TAG_TEXT = st.text("abcXYZ019 _.:/=+-@", min_size=1, max_size=20)

ALARMS = _alone(
    periodSeconds=st.integers(1, 60).map(lambda minutes: 60 * minutes),
    evaluationPeriods=st.integers(1, 24),
    dlqDepth=st.integers(0, 1_000_000),
    dlqAgeSeconds=st.integers(1, 432_000),
    queueAgeSeconds=st.integers(1, 432_000),
    backlog=st.integers(0, 1_000_000),
    errorRatePercent=st.integers(0, 100),
    durationPercent=st.integers(1, 100),
    attemptsPerEvent=st.integers(1, 100),
    objectivePercent=st.integers(94, 100),
    objectiveWindowSeconds=st.integers(1, 20).map(lambda twelves: 720 * twelves),
)

# Keys that agree with whatever the others are.
ALONE = _alone(
    maxReceiveCount=st.integers(1, 1000),
    workerTimeoutSeconds=_TIMEOUT,
    ordersWorkerTimeoutSeconds=_TIMEOUT,
    archiveRetentionDays=st.integers(0, 3650),
    ttlDays=st.integers(1, 3650),
    useKmsCmk=st.booleans(),
    publishSuccesses=st.booleans(),
    throttleRate=st.integers(1, 10_000),
    throttleBurst=st.integers(1, 5_000),
    corsOrigin=st.just("https://shop.example"),
    logLevel=st.sampled_from(("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")),
    logRetentionDays=st.sampled_from(_MONTHS),
    tracing=st.booleans(),
    maxRedrives=st.integers(1, 10),
    objectiveSeconds=st.integers(1, 1_209_600),
    lakeObjectiveSeconds=st.integers(1, 1_209_600),
    breakerHoldSeconds=st.integers(0, 900),
    failureModeParameter=st.sampled_from(("", "/team/failure_mode")),
    iamNamePrefix=st.sampled_from(("", "team-", "organization-x-team-")),
    permissionsBoundaryArn=st.just(f"arn:aws:iam::{ACCOUNT}:policy/boundary"),
    resourceTags=st.dictionaries(_TAG_TEXT.map("team-{}".format), _TAG_TEXT, max_size=4).filter(
        lambda tags: len({key.lower() for key in tags}) == len(tags)
    ),
    tagRestricted=st.booleans(),
    operatorRoleArns=st.just([f"arn:aws:iam::{ACCOUNT}:role/operator", f"arn:aws:iam::{ACCOUNT}:root"]),
    ingestMemoryMb=_MEMORY,
    workerMemoryMb=_MEMORY,
    architecture=st.sampled_from(("arm64", "x86_64")),
    lakeChunkMebibytes=st.integers(1, 64),
    lakeIngestTimeoutSeconds=_TIMEOUT,
    lakeTransformTimeoutSeconds=_TIMEOUT,
    lakeIngestMemoryMb=_MEMORY,
    lakeIngestMaxConcurrency=st.integers(2, 1000),
    lakeTransformMemoryMb=st.integers(512, 10_240),
    lakeLayerArn=st.just(f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:lake:7"),
    lakeStartDate=st.dates(date(1970, 1, 1), date(2026, 1, 1)).map(date.isoformat),
    runbookBaseUrl=st.just("https://git.example/ingestion-lab/"),
    alarms=st.fixed_dictionaries({}, optional=dict(ALARMS)),
)

# Never left to its default: the other two pipelines would hardly be drawn.
_PIPELINES = st.lists(st.sampled_from(EVERY_PIPELINE), min_size=1, unique=True)

Draw = Callable[[st.SearchStrategy[Any]], Any]


def _production(draw: Draw, config: Config) -> Config:
    production = config["stack"] == "prod"
    bare = production and not config.get("useKmsCmk", True)
    return {
        "production": production,
        "deletionAllowed": production and draw(st.booleans()),
        "withoutCustomerKey": bare,
    }


def _order(draw: Draw, config: Config) -> Config:
    events, lake = "events" in config["pipelines"], "lake" in config["pipelines"]
    kind = draw(st.sampled_from(("standard", "standard", "fifo"))) if events else "standard"
    groups = ("/customerId", "/payload/tenant~1id")
    return {
        "queueType": kind,
        "groupBy": draw(st.sampled_from((*groups, *(() if kind == "fifo" else ("",))))) if events else "",
        "lakeGroupBy": draw(st.sampled_from(("", "/key"))) if lake else "",
    }


def _batches(draw: Draw, config: Config) -> Config:
    window = draw(st.integers(0, 300))
    size = st.integers(1, 10_000 if window else 10)
    batch = st.integers(1, 10) if config["queueType"] == "fifo" else size
    return {"maxBatchingWindowSeconds": window, "batchSize": draw(batch), "ordersBatchSize": draw(size)}


def _visibility(draw: Draw, config: Config) -> Config:
    least = 6 * config.get("workerTimeoutSeconds", 30) + config["maxBatchingWindowSeconds"]
    return {"queueVisibilitySeconds": draw(st.just(0) | st.integers(least, 43_200))}


def _retention(draw: Draw, _: Config) -> Config:
    kept = draw(st.integers(60, 1_209_599))
    return {"messageRetentionSeconds": kept, "dlqRetentionSeconds": draw(st.integers(kept + 1, 1_209_600))}


def _backoff(draw: Draw, _: Config) -> Config:
    base = draw(st.integers(1, 900))
    return {"retryBackoffBaseSeconds": base, "retryBackoffMaxSeconds": draw(st.integers(base, 43_200))}


def _concurrency(draw: Draw, config: Config) -> Config:
    most = draw(st.integers(2, 1000))
    reserved = st.integers(most, 299) if most < 300 else st.nothing()  # three workers, and a gate, in the usual 1,000
    workers = {"workerMaxConcurrency": most, "workerReservedConcurrency": draw(st.just(0) | reserved)}
    if "events" not in config["pipelines"] or workers["workerReservedConcurrency"]:
        return workers
    least = draw(st.integers(2, 200))
    pollers = {"minimum": least, "maximum": draw(st.integers(least, 2000))}
    return {**workers, "provisionedPollers": draw(st.sampled_from(({}, pollers)))}


def _network(draw: Draw, _: Config) -> Config:
    return draw(st.sampled_from(({}, _NETWORK)))  # type: ignore[no-any-return]  # what hypothesis draws is untyped


def _safety(draw: Draw, config: Config) -> Config:
    if config["stack"] != "prod":
        return {"production": False}
    keyless = not config.get("useKmsCmk", True)
    return {"production": True, "withoutCustomerKey": keyless, "deletionAllowed": draw(st.booleans())}


def _alias(draw: Draw, config: Config) -> Config:
    return {"kmsAlias": draw(st.sampled_from(("", "alias/team/lab")))} if config.get("useKmsCmk") else {"kmsAlias": ""}


def _existing(draw: Draw, config: Config) -> Config:
    if "events" not in config["pipelines"]:
        return {}
    found = {}
    suffix = ".fifo" if config["queueType"] == "fifo" else ""
    for key, queue in (("existingQueue", f"theirs{suffix}"), ("existingDlq", f"theirs-dlq{suffix}")):
        if draw(st.integers(0, 3)) == 0:
            found[f"{key}Url"] = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{queue}"
            found[f"{key}Arn"] = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"
    return found


def _access(draw: Draw, config: Config) -> Config:
    mode = draw(st.sampled_from(("iam", "jwt", "apiKey", *(() if config["stack"] == "prod" else ("none",)))))
    jwt = {"jwtIssuer": "https://idp.example/pool", "jwtAudience": draw(st.sampled_from((["web"], ["web", "app"])))}
    keys = draw(st.sampled_from(({"apiKey": _KEY}, {"apiKey": f"{_KEY},{_KEY}-2"}, {"apiKeySecretArn": _SECRET_ARN})))
    return {"authMode": mode, **({"jwt": jwt, "apiKey": keys}.get(mode, {}))}


def _faults(draw: Draw, config: Config) -> Config:
    return {"failureInjection": config["stack"] != "prod" and draw(st.booleans())}


def _catalog(draw: Draw, config: Config) -> Config:
    lake = "lake" in config["pipelines"]
    database = draw(st.sampled_from(("", "lake_of_the_team"))) if lake else ""
    return {
        "glueDatabase": database,
        **_tables(draw, has_lake=lake, has_database=bool(database)),
        "lakeQualityGate": lake and draw(st.booleans()),
        "lakeBackfill": lake and draw(st.booleans()),
    }


def _tables(draw: Draw, *, has_lake: bool, has_database: bool) -> Config:
    if has_database:
        return {"lakeFormat": draw(st.sampled_from(("parquet", "iceberg")))}
    return draw(st.sampled_from(({}, {"lakeFormat": "iceberg", "lakeCatalog": "s3tables"}))) if has_lake else {}


def _hearers(draw: Draw, config: Config) -> Config:
    if config["stack"] != "prod" and draw(st.integers(0, 3)) == 0:
        return {"observabilityEnabled": False}
    email, webhook = draw(
        st.sampled_from((("oncall@team.example", _WEBHOOK), ("oncall@team.example", ""), ("", _WEBHOOK)))
    )
    return {"observabilityEnabled": True, "alarmEmail": email, "webhookUrl": webhook}


_TOGETHER = (
    _production,
    _order,
    _batches,
    _visibility,
    _retention,
    _backoff,
    _concurrency,
    _network,
    _safety,
    _alias,
    _existing,
    _access,
    _faults,
    _catalog,
    _hearers,
)


@st.composite
def configurations(draw: Draw, stacks: tuple[str, ...] = ("dev", "prod")) -> Configuration:
    """Any configuration that the settings accept."""
    stack = draw(st.sampled_from(stacks))
    config: Config = {"stack": stack, **draw(st.fixed_dictionaries({"pipelines": _PIPELINES}, optional=ALONE))}
    for group in _TOGETHER:
        config |= group(draw, config)
    del config["stack"]
    return Configuration("drawn", stack, config)


def _drawn(count: int) -> tuple[Configuration, ...]:
    """The same ones at every call."""
    found: list[Configuration] = []

    @settings(
        max_examples=count + 1,  # the first is the simplest: every key at its default or least
        database=None,
        derandomize=True,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(configurations())
    def collect(drawn: Configuration) -> None:
        found.append(Configuration(f"drawn {len(found)} on {drawn.stack}", drawn.stack, drawn.config))

    collect()
    return tuple(found[1:])


CONFIGURATIONS: tuple[Configuration, ...] = (*FIXED, *_drawn(_DRAWN))
