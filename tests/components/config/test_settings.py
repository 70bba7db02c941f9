"""The configuration: defaults, limits, and one report of everything that is wrong."""

import dataclasses
import traceback
from typing import get_args, get_type_hints

import pytest
import yaml

from components.config.alarm_limits import AlarmLimits
from components.config.reader import SettingsError, read_settings
from components.config.settings import Settings
from tests.components.config.configuring import PRODUCTION, key_of, problems, read
from tests.components.recording import ROOT, SECRETS, TO_BE_SET, Recording, main_program, run

_FORMULA = "(6 x workerTimeoutSeconds + maxBatchingWindowSeconds), or 0 for that"
_REASON = ": a dead letter keeps its first send time"
_SUBNET = "subnet-0123456789abcdef0"
_GROUP = "sg-0123456789abcdef0"
_URL = "https://sqs.eu-central-1.amazonaws.com/123456789012/theirs"
_ARN = "arn:aws:sqs:eu-central-1:123456789012:theirs"


def test_without_configuration_the_defaults_hold() -> None:
    """An empty configuration gives exactly the dataclass's defaults."""
    assert read({}) == Settings(stack="dev")


def test_pulumi_yaml_describes_every_key_with_its_default() -> None:
    """Pulumi.yaml and the program know the same keys and the same defaults, and each key has a type and a text."""
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    defaults = {key: declaration["default"] for key, declaration in declared.items()}

    assert set(defaults) == {key_of(f.name) for f in dataclasses.fields(Settings)} - {"stack"}
    assert read(defaults) == Settings(stack="dev")
    assert [key for key, declaration in declared.items() if not declaration.get("description")] == []
    # a secret's type would have the CLI refuse its default, which is in clear
    assert tuple(key for key, declaration in declared.items() if "type" not in declaration) == SECRETS
    assert tuple(key for key, declaration in declared.items() if declaration.get("secret")) == SECRETS


@pytest.mark.parametrize(
    ("key", "more"),
    [("apiKey", {"apiKey": "k" * 20, "authMode": "apiKey"}), ("webhookUrl", {"webhookUrl": "https://x/"})],
)
def test_a_secret_in_clear_is_refused_with_the_command_that_encrypts_it(key: str, more: dict[str, object]) -> None:
    """The value is not repeated; on the laptop, whose deployer can't decrypt, a secret may be in clear."""
    with pytest.raises(SettingsError) as caught:
        run(read_settings, config=more, secrets=())

    assert caught.value.problems == (
        f"ingestion-lab:{key} must be encrypted: pulumi config set --secret {key}; got it in clear",
    )
    run(read_settings, stack="local", config=more, secrets=())


def test_pulumi_yaml_types_fit_the_values() -> None:
    """Each declared type is that of its default, or the CLI would refuse the project."""
    kinds = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict, None: str}
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]

    assert [key for key, d in declared.items() if type(d["default"]) is not kinds[d.get("type")]] == []


def test_every_value_arrives() -> None:
    """Each key sets its own field and no other."""
    settings = read(
        {
            "batchSize": 20,
            "useKmsCmk": True,
            "kmsAlias": "alias/data",
            "resourceTags": {"CostCenter": "42"},
            "vpcSubnetIds": [_SUBNET],
            "vpcSecurityGroupIds": [_GROUP],
            "queueVisibilitySeconds": 200,
            "existingQueueUrl": _URL,
            "existingQueueArn": _ARN,
        }
    )

    assert settings == Settings(
        stack="dev",
        batch_size=20,
        use_kms_cmk=True,
        kms_alias="alias/data",
        resource_tags={"CostCenter": "42"},
        vpc_subnet_ids=(_SUBNET,),
        vpc_security_group_ids=(_GROUP,),
        queue_visibility_seconds=200,
        existing_queue_url=_URL,
        existing_queue_arn=_ARN,
    )


def test_three_wrong_values_are_reported_together_and_nothing_is_made() -> None:
    """One error names all three with their limits and what was received; no resource was registered before it."""
    recording = Recording()
    with pytest.raises(SettingsError) as caught:
        run(main_program, config={"batchSize": 0, "ttlDays": "week", "architecture": "riscv"}, into=recording)

    assert str(caught.value).splitlines() == [
        "3 configuration values are wrong; nothing was made:",
        "  - ingestion-lab:batchSize must be a whole number from 1 to 10000; got '0'",
        "  - ingestion-lab:ttlDays must be a whole number from 1 to 3650; got 'week'",
        "  - ingestion-lab:architecture must be one of arm64, x86_64; got 'riscv'",
    ]
    assert recording.resources == []


def test_unknown_keys_are_reported_with_the_rest() -> None:
    """A misspelt key is an error and not a value that silently does nothing; other namespaces are not ours to judge."""
    assert problems({"bachSize": 3, "maxReceiveCount": 0, "aws:region": "nowhere"}) == [
        "bachSize is not a key of this program; got '3'",
        "maxReceiveCount must be a whole number from 1 to 1000; got '0'",
    ]


def test_faults_of_every_kind_are_reported_at_once() -> None:
    """Unknown keys, values and parts out of their limits, and values that disagree make one list."""
    given = {
        "bachSize": 3,
        "stack": "prod",
        "pipelines": ["events", "events"],
        "ttlDays": 0,
        "logRetentionDays": "true",
        "tracing": "maybe",
        "resourceTags": {"aws:x": "y"},
        "vpcSubnetIds": [_SUBNET],
        "retryBackoffMaxSeconds": 1,
        "alarms": {"backlog": "none", "evaluationPeriods": 2.5, "depth": True},
        "apiKey": "short",
    }
    parts = "periodSeconds, evaluationPeriods, dlqDepth, dlqAgeSeconds, queueAgeSeconds, backlog, errorRatePercent"
    parts += ", durationPercent, attemptsPerEvent, objectivePercent, objectiveWindowSeconds"
    days = "1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653"
    keys = "one key, or two with a comma between them, each of 20 to 128 letters, digits and any of . _ ~ -"
    tags = (
        "keys of 1 to 128 letters, digits, spaces and any of _ . : / = + - @ that don't start with aws: and are not "
        "each other (or Project, Stack) in another case, text values of at most 256 such"
    )

    assert problems(given) == [
        "bachSize is not a key of this program; got '3'",
        "stack is not a key of this program; got 'prod'",
        (
            "pipelines must be a list of 1 or more different items, each one of events, orders, lake; "
            """got '["events", "events"]'"""
        ),
        "ttlDays must be a whole number from 1 to 3650; got '0'",
        f"apiKey must be {keys}, or empty for none; got [secret]",
        f"logRetentionDays must be one of {days}; got 'true'",
        "tracing must be true or false; got 'maybe'",
        f"""resourceTags must be an object of at most 40 tags: {tags}; got '{{"aws:x": "y"}}'""",
        "alarms.evaluationPeriods must be a whole number from 1 to 24; got '2.5'",
        "alarms.backlog must be a whole number from 0 to 1000000; got 'none'",
        f"alarms.depth must be left out: it is none of {parts}; got 'true'",
        "retryBackoffMaxSeconds must be at least retryBackoffBaseSeconds (2); got '1'",
        "vpcSecurityGroupIds must be set together with vpcSubnetIds; got its default",
    ]


def test_no_secret_is_shown_however_it_is_wrong() -> None:
    """A value set as a secret is told of without a character of it: neither it, nor a part, nor a limit it sets."""
    given: dict[str, object] = {
        "apiToken": "s3cret-unknown",
        "apiKey": "s3cret-short",
        "webhookUrl": "s3cret-hook",
        "jwtIssuer": "s3cret-issuer",
        "vpcSubnetIds": ["s3cret-net"],
        "kmsAlias": "alias/s3cret",
        "existingQueueUrl": _URL.replace("theirs", "s3cret"),
        "existingQueueArn": _ARN,
        "alarms": {"backlog": "s3cret-part", "periodSeconds": 30},
    }
    limit = "a list of 0 or more different items, each a subnet id"
    keys = "one key, or two with a comma between them, each of 20 to 128 letters, digits and any of . _ ~ -"
    hook = issuer = "an https URL, or an http URL on the loopback, or empty for none"

    with pytest.raises(SettingsError) as caught:
        read(given, secrets={*given} - {"existingQueueArn"})

    assert [problem.removeprefix("ingestion-lab:") for problem in caught.value.problems] == [
        "apiToken is not a key of this program; got [secret]",
        f"jwtIssuer must be {issuer}; got [secret]",
        f"apiKey must be {keys}, or empty for none; got [secret]",
        f"vpcSubnetIds must be {limit}; got [secret]",
        "alarms.backlog must be a whole number from 0 to 1000000; got [secret]",
        f"webhookUrl must be {hook}; got [secret]",
        "kmsAlias must be empty unless useKmsCmk is true; got [secret]",
        f"existingQueueArn must be that of the queue of existingQueueUrl ([secret]); got '{_ARN}'",
    ]
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))
    assert problems({"alarms": {"periodSeconds": 30}}, secrets=["alarms"]) == [
        (
            "alarms.periodSeconds must be a multiple of 60 except on the stack local: AWS measures once a minute; "
            "got [secret]"
        )
    ]


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        (
            {"queueVisibilitySeconds": 181},
            f"queueVisibilitySeconds must be at least 182 {_FORMULA}; got '181'",
        ),
        (
            {"workerTimeoutSeconds": 60, "queueVisibilitySeconds": 182},
            f"queueVisibilitySeconds must be at least 362 {_FORMULA}; got '182'",
        ),
        (
            {"messageRetentionSeconds": 1_209_600},
            f"dlqRetentionSeconds must be more than messageRetentionSeconds (1209600){_REASON}; got its default",
        ),
        (
            {"retryBackoffMaxSeconds": 1},
            "retryBackoffMaxSeconds must be at least retryBackoffBaseSeconds (2); got '1'",
        ),
        (
            {"provisionedPollers": {"minimum": 5, "maximum": 4}},
            "provisionedPollers.minimum must be 2 or more, and at most maximum (4), or both 0 for none; got '5'",
        ),
        (
            {"provisionedPollers": {"maximum": 4}},
            "provisionedPollers.minimum must be 2 or more, and at most maximum (4), or both 0 for none; got '0'",
        ),
        (
            {"provisionedPollers": {"minimum": 2, "maximum": 4}, "pipelines": ["lake"]},
            "provisionedPollers.minimum must be 0 unless pipelines has events, whose queue they poll; got '2'",
        ),
        (
            {"provisionedPollers": {"minimum": 2, "maximum": 4}, "workerReservedConcurrency": 39},
            "workerReservedConcurrency must be at least 10 x provisionedPollers.maximum (40), or 0 for none; got '39'",
        ),
        (
            {"workerMaxConcurrency": 5, "workerReservedConcurrency": 4},
            "workerReservedConcurrency must be at least workerMaxConcurrency (5), or 0 for none; got '4'",
        ),
        (
            {"batchSize": 11, "maxBatchingWindowSeconds": 0},
            "maxBatchingWindowSeconds must be at least 1 when batchSize is over 10 (11); got '0'",
        ),
        (
            {"vpcSubnetIds": [_SUBNET]},
            "vpcSecurityGroupIds must be set together with vpcSubnetIds; got its default",
        ),
        (
            {"queueType": "fifo"},
            "groupBy must be set when queueType is fifo: order is kept within a group; got its default",
        ),
        (
            {"queueType": "fifo", "groupBy": "/a", "batchSize": 11},
            "batchSize must be at most 10 when queueType is fifo; got '11'",
        ),
        (
            {"queueType": "fifo", "groupBy": "/a", "queueVisibilitySeconds": 179},
            "queueVisibilitySeconds must be at least 180 (6 x workerTimeoutSeconds), or 0 for that; got '179'",
        ),
        (
            {"queueType": "fifo", "groupBy": "/a", "existingQueueUrl": _URL, "existingQueueArn": _ARN},
            f"existingQueueArn must be that of a FIFO queue, as queueType says; got '{_ARN}'",
        ),
        (
            {"existingDlqUrl": f"{_URL}.fifo", "existingDlqArn": f"{_ARN}.fifo"},
            f"existingDlqArn must be that of a standard queue, as queueType says; got '{_ARN}.fifo'",
        ),
        ({"pipelines": ["lake"], "groupBy": "/a"}, "groupBy must be empty unless pipelines has events; got '/a'"),
        ({"lakeGroupBy": "/key"}, "lakeGroupBy must be empty unless pipelines has lake; got '/key'"),
        ({"kmsAlias": "alias/data"}, "kmsAlias must be empty unless useKmsCmk is true; got 'alias/data'"),
        (
            {"existingQueueUrl": _URL},
            f"existingQueueArn must be that of the queue of existingQueueUrl ({_URL}); got its default",
        ),
        (
            {"existingDlqUrl": _URL, "existingDlqArn": f"{_ARN}-not"},
            f"existingDlqArn must be that of the queue of existingDlqUrl ({_URL}); got '{_ARN}-not'",
        ),
    ],
)
def test_values_that_disagree_are_refused(config: dict[str, object], problem: str) -> None:
    """Values that are fine alone and wrong together are reported with the limit that the other one sets."""
    assert problems(config) == [problem]


def test_limits_of_alarms_arrive() -> None:
    """What is given of `alarms` replaces the default of its part, and of no other."""
    given = {"periodSeconds": 120, "errorRatePercent": 0.5, "backlog": "7"}

    assert read({"alarms": given}).alarms == AlarmLimits(period_seconds=120, error_rate_percent=0.5, backlog=7)
    assert read({"alarms": {}}).alarms == AlarmLimits()


def test_wrong_and_unknown_parts_are_reported_with_the_rest() -> None:
    """Every bad part of `alarms` is one line among the other keys' lines."""
    names = ", ".join(key_of(f.name) for f in dataclasses.fields(AlarmLimits))

    assert problems({"batchSize": 0, "alarms": {"backlog": -1, "depth": 3, "durationPercent": 200}}) == [
        "batchSize must be a whole number from 1 to 10000; got '0'",
        "alarms.backlog must be a whole number from 0 to 1000000; got '-1'",
        "alarms.durationPercent must be a whole number from 1 to 100; got '200'",
        f"alarms.depth must be left out: it is none of {names}; got '3'",
    ]


@pytest.mark.parametrize("period", [1, 5, 10, 20, 30])
def test_short_periods_are_for_the_laptop(period: int) -> None:
    """AWS measures once a minute: a shorter period is refused everywhere but on the stack `local`."""
    limit = "a multiple of 60 except on the stack local: AWS measures once a minute"
    assert read({"alarms": {"periodSeconds": period}}, "local").alarms.period_seconds == period
    assert read({"alarms": {"objectiveWindowSeconds": 30}}, "local").alarms.objective_window_seconds == 30
    assert problems({"alarms": {"objectiveWindowSeconds": 30}}, "prod") == [
        f"alarms.objectiveWindowSeconds must be {limit}; got '30'"
    ]
    assert problems({"alarms": {"periodSeconds": period}}, "prod") == [
        f"alarms.periodSeconds must be {limit}; got '{period}'"
    ]


def test_failure_injection_is_refused_in_production() -> None:
    """Prod refuses the failure lab and says why; every other stack may have it."""
    assert problems({"failureInjection": True}, "prod") == [
        "failureInjection must be false in production: faults are for stacks in which nobody is hurt; got 'true'"
    ]
    assert [read({"failureInjection": True}, stack).failure_injection for stack in ("local", "dev", "staging")] == [
        True,
        True,
        True,
    ]


def test_a_value_out_of_limits_is_not_also_said_to_disagree() -> None:
    """What could not be read is reported once, and not compared as if it had its default."""
    assert problems({"workerTimeoutSeconds": 5000, "queueVisibilitySeconds": 60}) == [
        "workerTimeoutSeconds must be a whole number from 1 to 900; got '5000'"
    ]


def _optional() -> list[str]:
    """The fields that may be None."""
    return [name for name, kind in get_type_hints(Settings).items() if type(None) in get_args(kind)]


@pytest.mark.parametrize("field", _optional())
def test_not_set_can_be_written(field: str) -> None:
    """Every optional key takes the mark that Pulumi.yaml's default has for "not set"."""
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]

    assert getattr(read({key_of(field): declared[key_of(field)]["default"]}), field) is None


_LIKE_PRODUCTION = ("prod", "PROD", "prod-eu", "eu-prod", "prod2", "acme_production", "prd", "live-1")


@pytest.mark.parametrize("stack", _LIKE_PRODUCTION)
def test_a_name_that_says_production_needs_the_key(stack: str) -> None:
    """Any stack can be production; one whose name says so can't be anything else."""
    set_up: dict[str, object] = {**PRODUCTION, **TO_BE_SET["prod"]}
    reason = f"production must be true, as the stack's name {stack} says: nothing is protected without it"

    assert read(set_up, stack).production
    assert problems({**set_up, "production": False}, stack) == [f"{reason}; got 'false'"]


@pytest.mark.parametrize("stack", ["local", "dev", "staging", "product", "delivery", "pre-prod", "non_prod", "alive"])
def test_other_names_say_nothing(stack: str) -> None:
    """They are not production unless the configuration says so."""
    assert not read({}, stack).production


def test_any_stack_can_be_production_except_the_laptop_s() -> None:
    """The key alone counts; what the laptop's cloud holds is in memory."""
    set_up: dict[str, object] = {**PRODUCTION, **TO_BE_SET["prod"]}

    assert read(set_up, "blue").production
    assert problems(set_up, "local") == [
        "production must be false on the stack local, whose data is gone with the laptop's cloud; got 'true'"
    ]


_KEYLESS = "true in production, or withoutCustomerKey true beside it: what a key encrypted can't be read without it"


def test_production_loses_no_key_by_one_value() -> None:
    """The program can't know whether the stack had a key; so taking it away takes a second key of the configuration."""
    assert problems({"useKmsCmk": False}, "prod") == [f"useKmsCmk must be {_KEYLESS}; got 'false'"]
    assert not read({"useKmsCmk": False, "withoutCustomerKey": True}, "prod").use_kms_cmk
    assert not read({"useKmsCmk": False, "deletionAllowed": True}, "prod").use_kms_cmk


def test_second_keys_are_for_production_only() -> None:
    """Where they would do nothing they are refused."""
    beside_a_key = "withoutCustomerKey must be false unless useKmsCmk is false in production; got 'true'"

    assert problems({"withoutCustomerKey": True}) == [beside_a_key]
    assert problems({"withoutCustomerKey": True}, "prod") == [beside_a_key]
    assert problems({"deletionAllowed": True}) == [
        "deletionAllowed must be false unless production is true: nothing else is protected; got 'true'"
    ]


@pytest.mark.parametrize("stack", ["dev.eu", "s" * 41, "eu.dev-2"])
def test_a_stack_whose_name_aws_does_not_take_is_refused(stack: str) -> None:
    """Pulumi takes a dot and 100 characters; a dashboard's name has no dot."""
    reason = "the stack's name must be 1 to 40 letters, digits, - and _, for names in AWS have it in them"

    assert problems({"batchSize": 0}, stack) == [
        "batchSize must be a whole number from 1 to 10000; got '0'",
        f"{reason}; got {stack!r}",
    ]


@pytest.mark.parametrize("tags", [{"Straße 7/b": "Süd: a+b=c@d.e_f-g"}, {"Project": "theirs"}, {"k" * 128: "v" * 256}])
def test_tags_that_iam_takes(tags: dict[str, str]) -> None:
    """Letters of any language; the program's own keys may be given another value."""
    assert read({"resourceTags": tags}).resource_tags == tags
