"""What the configuration may say of who is let in, and what production refuses."""

from typing import Any

import pytest

from components.config.reader import SettingsError
from tests.components.config.configuring import PRODUCTION, problems, read
from tests.components.recording import Recording, main_program, run

_KEY = "k3y-" + "a" * 16
_OTHER = "k3y-" + "b" * 124
_ISSUER = "https://login.example/tenant"
_SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:team/keys-a1B2c3"
_PARAMETER = "arn:aws-cn:ssm:cn-north-1:123456789012:parameter/team/keys"
_PAIR = {"jwtIssuer": _ISSUER, "jwtAudience": ["lab"]}


def test_an_api_is_closed_unless_configured() -> None:
    """Without a word in the configuration callers sign with AWS credentials, on whichever stack."""
    assert {read({}, stack).auth_mode for stack in ("local", "dev", "prod")} == {"iam"}


@pytest.mark.parametrize(
    ("config", "field", "value"),
    [
        ({"authMode": "none"}, "auth_mode", "none"),
        ({"authMode": "jwt", **_PAIR}, "jwt_audience", ("lab",)),
        ({"authMode": "jwt", **_PAIR}, "jwt_issuer", _ISSUER),
        ({"authMode": "apiKey", "apiKey": _KEY}, "api_key", _KEY),
        ({"authMode": "apiKey", "apiKey": f"{_KEY},{_OTHER}"}, "api_key", f"{_KEY},{_OTHER}"),
        ({"authMode": "apiKey", "apiKeySecretArn": _SECRET}, "api_key_secret_arn", _SECRET),
        ({"authMode": "apiKey", "apiKeySecretArn": _PARAMETER}, "api_key_secret_arn", _PARAMETER),
    ],
)
def test_what_each_mode_takes(config: dict[str, Any], field: str, value: object) -> None:
    """Each mode with what it needs and nothing else."""
    assert getattr(read(config), field) == value


@pytest.mark.parametrize(
    "keys",
    [
        "k" * 19,
        "k" * 129,
        "with space" * 3,
        "k" * 20 + ",",
        f"{_KEY},short",
        f"{_KEY},{_OTHER},{_KEY}",
        f"{_KEY};{_OTHER}",
    ],
)
def test_keys_that_are_none(keys: str) -> None:
    """A short or odd key is refused with its limit, and the report shows nothing of it."""
    limit = "one key, or two with a comma between them, each of 20 to 128 letters, digits and any of . _ ~ -"

    assert problems({"authMode": "apiKey", "apiKey": keys}) == [
        f"apiKey must be {limit}, or empty for none; got [secret]"
    ]


def test_settings_never_show_a_key() -> None:
    """Neither the settings' text nor a report of keys where they should not be holds any of it."""
    assert _KEY not in repr(read({"authMode": "apiKey", "apiKey": _KEY}))
    assert problems({"apiKey": _KEY}) == [
        "apiKey must be empty unless authMode is apiKey and apiKeySecretArn is empty; got [secret]"
    ]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            {"authMode": "jwt"},
            [
                "jwtIssuer must be set when authMode is jwt; got its default",
                "jwtAudience must be set when authMode is jwt; got its default",
            ],
        ),
        ({"authMode": "jwt", "jwtIssuer": _ISSUER}, ["jwtAudience must be set when authMode is jwt; got its default"]),
        (
            _PAIR,
            [
                f"jwtIssuer must be empty unless authMode is jwt; got '{_ISSUER}'",
                "jwtAudience must be empty unless authMode is jwt; got '[\"lab\"]'",
            ],
        ),
        (
            {"authMode": "apiKey"},
            ["apiKey must be set when authMode is apiKey, or apiKeySecretArn in its place; got its default"],
        ),
        (
            {"authMode": "apiKey", "apiKey": _KEY, "apiKeySecretArn": _SECRET},
            ["apiKey must be empty unless authMode is apiKey and apiKeySecretArn is empty; got [secret]"],
        ),
        (
            {"authMode": "iam", "apiKeySecretArn": _SECRET},
            [f"apiKeySecretArn must be empty unless authMode is apiKey; got '{_SECRET}'"],
        ),
    ],
)
def test_what_a_mode_lacks_or_has_no_use_for(config: dict[str, Any], expected: list[str]) -> None:
    """Everything that is missing, and everything that would do nothing, is reported at once."""
    assert problems(config) == expected


_PLAIN_ISSUER = "jwtIssuer must be an https URL except on the stack local: who stands between could sign tokens"
_PLAIN_ORIGIN = (
    "corsOrigin must be an https origin in production: who stands between could change a page that comes by http"
)


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:9000/", "http://localhost:1/tenant"])
def test_plain_issuers_are_for_the_laptop(issuer: str) -> None:
    """Whose keys come by plain http is trusted on the laptop's loopback only."""
    given: dict[str, object] = {"authMode": "jwt", "jwtIssuer": issuer, "jwtAudience": ["lab"]}

    assert read(given, "local").jwt_issuer == issuer
    assert problems(given, "dev") == [
        f"{_PLAIN_ISSUER}; got '{issuer}'",
    ]


_ORIGIN = "one origin, scheme and host, such as https://shop.example, and not *, by which every site's pages could call"
_UNSAFE: list[tuple[dict[str, object], str]] = [
    (
        {"authMode": "none"},
        "authMode must be apiKey, jwt or iam in production: none lets everybody submit and read; got 'none'",
    ),
    (
        {"corsOrigin": "http://shop.example"},
        f"{_PLAIN_ORIGIN}; got 'http://shop.example'",
    ),
    ({"corsOrigin": "*"}, f"corsOrigin must be {_ORIGIN}, or empty for none; got '*'"),
    (
        {"alarmEmail": ""},
        "alarmEmail must be set in production, or webhookUrl in its place: nobody would hear of an alarm; got ''",
    ),
    (
        {"observabilityEnabled": False},
        "observabilityEnabled must be true in production: nobody would see it fail; got 'false'",
    ),
    (
        {"failureInjection": True},
        "failureInjection must be false in production: faults are for stacks in which nobody is hurt; got 'true'",
    ),
    (
        {"webhookUrl": "http://127.0.0.1:8099/hook"},
        "webhookUrl must be an https URL in production: alarms tell what is weak; got [secret]",
    ),
    (
        {"authMode": "jwt", "jwtIssuer": "http://localhost:9000/", "jwtAudience": ["lab"]},
        f"{_PLAIN_ISSUER}; got 'http://localhost:9000/'",
    ),
]


@pytest.mark.parametrize(("config", "reason"), _UNSAFE)
def test_production_refuses_each_unsafe_value(config: dict[str, object], reason: str) -> None:
    """Each alone, beside a configuration that is otherwise good, with its reason and nothing else."""
    assert problems(config, "prod") == [reason]


def test_production_refuses_all_unsafe_values_at_once() -> None:
    """One configuration with everything that is unsafe: one error with every reason, and nothing was made."""
    unsafe = {
        **PRODUCTION,
        "authMode": "none",
        "corsOrigin": "http://shop.example",
        "observabilityEnabled": False,
        "failureInjection": True,
        "alarmEmail": "",
        "webhookUrl": "http://127.0.0.1:8099/hook",
        "jwtIssuer": "http://localhost:9000/",
    }
    every_site = {"corsOrigin": "*"}
    recording = Recording()
    with pytest.raises(SettingsError) as caught:
        run(main_program, stack="prod", config=unsafe, into=recording)
    told = [problem.removeprefix("ingestion-lab:") for problem in caught.value.problems]

    assert sorted(told) == sorted(
        [
            "jwtIssuer must be empty unless authMode is jwt; got 'http://localhost:9000/'",
            *(reason for config, reason in _UNSAFE if config != every_site),
        ]
    )
    assert recording.resources == []


def test_other_stacks_may_try_what_production_refuses() -> None:
    """On a stack for trying things all of it is allowed, where it is allowed at all."""
    config: dict[str, object] = {
        "authMode": "none",
        "corsOrigin": "http://localhost:3000",
        "webhookUrl": "http://127.0.0.1:1/",
    }

    assert read(config, "dev").auth_mode == "none"
    assert read({"observabilityEnabled": False}, "dev").observability_enabled is False


def test_a_webhook_is_an_alarm_target_too() -> None:
    """Production wants somebody to be told, by either way."""
    assert read({"webhookUrl": "https://hooks.example/T0", "alarmEmail": ""}, "prod").alarm_email is None
