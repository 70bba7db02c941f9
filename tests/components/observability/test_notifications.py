"""Who hears of alarms: topics, e-mail, webhook."""

import json
from typing import Any

import pytest

from tests.components.config.configuring import problems, read
from tests.components.recording import ACCOUNT, REGION, Recording, grants, run_main, variables
from tests.components.security.test_policies import subscriptions_denied

_TAGS = {"Project": "ingestion-lab", "Stack": "dev"}
_URL = "https://hooks.example/T0/secret-part"
_SEVERITIES = ("critical", "warning")


@pytest.mark.parametrize("severity", _SEVERITIES)
def test_only_alarms_of_this_account_publish(dev: Recording, severity: str) -> None:
    """CloudWatch may publish for this account's alarms in this region; nobody may without TLS, others not subscribe."""
    topic = f"alarms-{severity}"

    assert dev.inputs("Topic", topic) == {"tags": _TAGS}
    assert dev.inputs("TopicPolicy", f"{topic}-policy")["arn"] == f"arn:{topic}"
    assert json.loads(dev.inputs("TopicPolicy", f"{topic}-policy")["policy"]) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "AlarmsPublish",
                "Effect": "Allow",
                "Principal": {"Service": "cloudwatch.amazonaws.com"},
                "Action": "sns:Publish",
                "Resource": f"arn:{topic}",
                "Condition": {
                    "ArnLike": {"aws:SourceArn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:*"},
                    "StringEquals": {"aws:SourceAccount": ACCOUNT},
                },
            },
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sns:Publish",
                "Resource": f"arn:{topic}",
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
            *subscriptions_denied(f"arn:{topic}"),
        ],
    }


@pytest.mark.parametrize("stack", ["local", "dev"])
def test_nobody_is_told_unasked(stack: str) -> None:
    """Without address and URL there is no subscription, no secret and no function for it."""
    recording = run_main(stack)

    assert recording.of("TopicSubscription") == []
    assert [r.name for r in recording.resources if "webhook" in r.name] == []


def test_email_gets_both_severities() -> None:
    """The configured address is subscribed to each topic."""
    recording = run_main("dev", {"alarmEmail": "oncall@team.example"})

    assert {made.name: made.inputs for made in recording.of("TopicSubscription")} == {
        f"alarms-{severity}-email": {
            "topic": f"arn:alarms-{severity}",
            "protocol": "email",
            "endpoint": "oncall@team.example",
        }
        for severity in _SEVERITIES
    }


def test_webhook_gets_both_severities(everything: Recording) -> None:
    """The forwarder is subscribed to each topic, which may invoke it, and is subscribed only once it may."""
    for severity in _SEVERITIES:
        name, topic = f"alarms-{severity}-webhook", f"arn:alarms-{severity}"
        assert everything.inputs("TopicSubscription", name) == {
            "topic": topic,
            "protocol": "lambda",
            "endpoint": "arn:alarm-webhook",
        }
        assert everything.inputs("Permission", f"{name}-invocation") == {
            "action": "lambda:InvokeFunction",
            "function": "alarm-webhook",
            "principal": "sns.amazonaws.com",
            "sourceArn": topic,
        }
        assert f"{name}-invocation" in everything.one("TopicSubscription", name).depends_on
    assert len(everything.of("TopicSubscription")) == len(_SEVERITIES)


def test_forwarder_function(everything: Recording) -> None:
    """The forwarder is told where the URL is kept, and what fails for good is kept with the other failures."""
    function = everything.inputs("Function", "alarm-webhook")

    assert (function["handler"], function["timeout"]) == ("handlers.control.alarm_webhook.handler", 30)
    assert variables(everything, "alarm-webhook") == {
        "ENVIRONMENT": "dev",
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "POWERTOOLS_SERVICE_NAME": "ingestion-lab",
        "WEBHOOK_URL_PARAMETER": "alarm-webhook-url",
    }
    assert everything.inputs("FunctionEventInvokeConfig", "alarm-webhook-async") == {
        "functionName": "alarm-webhook",
        "destinationConfig": {"onFailure": {"destination": "arn:control-failures"}},
    }


def test_forwarder_grants(everything: Recording) -> None:
    """It reads the one parameter and keeps its failures, by the customer key where there is one."""
    found = grants(everything, "alarm-webhook")

    assert {sid: found[sid] for sid in ("WebhookUrl", "ParameterKey", "QueueKey", "FailedInvocations")} == {
        "WebhookUrl": ({"ssm:GetParameter"}, "arn:alarm-webhook-url"),
        "ParameterKey": ({"kms:Decrypt"}, "arn:ingestion-key"),
        "QueueKey": ({"kms:Decrypt", "kms:GenerateDataKey"}, "arn:ingestion-key"),
        "FailedInvocations": ({"sqs:SendMessage"}, "arn:control-failures"),
    }
    assert set(found) - {"WebhookUrl", "ParameterKey", "QueueKey", "FailedInvocations"} == {
        *("OwnLogs", "Tracing", "Network"),
    }


def test_the_url_is_kept_as_a_secret_and_nowhere_else(everything: Recording) -> None:
    """Only the encrypted parameter holds the URL, and Pulumi is told that it is a secret."""
    holders = [r.name for r in everything.resources if "secret-part" in json.dumps(r.inputs)]
    parameter = everything.one("Parameter", "alarm-webhook-url")

    assert holders == ["alarm-webhook-url"]
    assert "secret-part" not in json.dumps(everything.outputs)
    assert parameter.inputs == {"type": "SecureString", "value": _URL, "keyId": "arn:ingestion-key", "tags": _TAGS}
    assert parameter.secrets == ("value",)


def test_without_a_customer_key_the_url_is_under_that_of_ssm() -> None:
    """The account's own key for SSM encrypts the parameter, and no role mentions a key."""
    recording = run_main("dev", {"webhookUrl": _URL})

    assert "keyId" not in recording.inputs("Parameter", "alarm-webhook-url")
    assert "ParameterKey" not in grants(recording, "alarm-webhook")


def test_settings_never_show_the_url() -> None:
    """Neither the settings' text nor a report of a bad URL holds any of it."""
    assert "secret-part" not in repr(read({"webhookUrl": _URL}))
    assert problems({"webhookUrl": "ftp://hooks.example/secret-part"}) == [
        "webhookUrl must be an https URL, or an http URL on the loopback, or empty for none; got [secret]"
    ]


@pytest.mark.parametrize("key", ["alarmEmail", "webhookUrl"])
def test_subscribers_need_alarms(key: str) -> None:
    """Whoever asks to be told and switches alarms off is told that this can't be both."""
    given: dict[str, Any] = {"alarmEmail": "oncall@team.example", "webhookUrl": _URL}
    shown = {"alarmEmail": "'oncall@team.example'", "webhookUrl": "[secret]"}

    assert problems({key: given[key], "observabilityEnabled": False}) == [
        f"{key} must be empty unless observabilityEnabled is true; got {shown[key]}"
    ]
