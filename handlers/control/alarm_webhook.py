"""Lambda entry point: forwards alarm notifications to a webhook, in a form that Slack shows and programs can read.

Body: `{"text": …, "alarm": {name, state, …}}`; Slack reads `text`. A call that fails is repeated for as long as the
invocation allows, then the invocation fails: Lambda invokes it again, and in the end keeps it in the failures queue.
So a receiver may get a notification twice, never half of it; `alarm.notificationId` identifies it. That a new alarm has
found its first data good is no news and is not forwarded. The webhook's URL is a secret: no log line and no error holds
any of it.
"""

import http.client
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from handlers import alarm_text, deadline, env, jsontext
from handlers.aws import clients, retry
from handlers.aws.clients import AWS_ERRORS, error_code
from handlers.errors import SchemaValidationError
from handlers.observability import LambdaContext, logger, start_invocation

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

ATTEMPTS = 4
_SCHEMES = ("https", "http")  # http is for the laptop
_CALL_SECONDS = 5.0
_BACKOFF_BASE_SECONDS = 0.5
_BACKOFF_CAP_SECONDS = 4.0
_TRY_AGAIN = (408, 425, 429)  # and every 5xx; other refusals would be repeated word for word
_SIGNS = {"ALARM": {"critical": ":red_circle:", "warning": ":large_yellow_circle:"}, "OK": ":large_green_circle:"}
_LINE_CHARACTERS = 3000  # people read no more, and Slack takes 40,000 in all
_FIELDS = {
    "name": "AlarmName",
    "state": "NewStateValue",
    "previousState": "OldStateValue",
    "reason": "NewStateReason",
    "changedAt": "StateChangeTime",
    "description": "AlarmDescription",
    "account": "AWSAccountId",
    "region": "Region",
}


@dataclass(frozen=True, slots=True)
class Env:
    """What the function's environment must say. The parameter is a SecureString with the webhook's URL."""

    environment: str
    webhook_url_parameter: str


class WebhookError(Exception):
    """The webhook has not taken a notification; the message says what it answered, never where it is."""


class Forwarder:
    """Forwards notifications."""

    def __init__(self, config: Env, ssm: "SSMClient") -> None:
        self._config = config
        self._ssm = ssm

    def handle(self, event: Mapping[str, Any], context: LambdaContext) -> None:
        """Forwards every notification of an SNS event.

        Raises:
            WebhookError: the webhook, or the parameter that names it, is not available.
        """
        url: SplitResult | None = None
        for record in event["Records"]:
            alarm = _alarm(record["Sns"], self._config.environment)
            if _is_first_good(alarm):
                logger.info("notification left out", extra={"alarm": alarm["name"], "state": alarm["state"]})
                continue
            url = url or self._url()
            body = jsontext.compact({"text": _text(alarm), "alarm": alarm}).encode()
            tries = _post(url, body, context)
            logger.info(
                "notification forwarded", extra={"alarm": alarm["name"], "state": alarm["state"], "attempts": tries}
            )

    def _url(self) -> SplitResult:
        """Read for each invocation: alarms are rare, and a URL that was replaced counts at once."""
        try:
            answer = self._ssm.get_parameter(Name=self._config.webhook_url_parameter, WithDecryption=True)
        except AWS_ERRORS as exc:
            raise WebhookError(f"the webhook's URL was not read: {error_code(exc)}") from exc
        try:
            url = urlsplit(answer["Parameter"]["Value"].strip())
            good = url.scheme in _SCHEMES and bool(url.hostname) and url.port != 0 and url.geturl().isascii()
        except ValueError:
            good = False
        if not good:
            raise WebhookError("the webhook's URL is not one of http or https")
        return url


def _alarm(notification: Mapping[str, Any], environment: str) -> jsontext.JsonObject:
    """The fields of a notification; one that CloudWatch did not write has its text as the reason."""
    fields = _notified(notification["Message"])
    topic = notification["TopicArn"].rpartition(":")[2]
    alarm: jsontext.JsonObject = {field: fields.get(name) for field, name in _FIELDS.items()}
    return alarm | {
        "name": alarm["name"] or notification.get("Subject") or topic,
        "environment": environment,
        "severity": alarm_text.severity(topic),
        "runbook": alarm_text.runbook(str(fields.get("AlarmDescription") or "")),
        "notificationId": notification["MessageId"],
    }


def _is_first_good(alarm: jsontext.JsonObject) -> bool:
    """Whether it tells that an alarm has left the state in which it was made, as every alarm does after a deployment.

    No alarm of the program goes back to that state, because none leaves open what missing data means.
    """
    return (alarm["previousState"], alarm["state"]) == ("INSUFFICIENT_DATA", "OK")


def _notified(message: str) -> Mapping[str, Any]:
    try:
        fields = jsontext.parse(message)
    except SchemaValidationError:
        fields = None
    return fields if isinstance(fields, dict) and "AlarmName" in fields else {"NewStateReason": message}


def _text(alarm: jsontext.JsonObject) -> str:
    """What people read, in Slack's markup."""
    sign = _SIGNS.get(str(alarm["state"]), ":white_circle:")
    if isinstance(sign, dict):
        sign = sign.get(str(alarm["severity"]), ":red_circle:")
    words = [alarm["state"], alarm["severity"] if alarm["state"] == "ALARM" else None, alarm["name"]]
    head = " ".join(str(word) for word in words if word)
    lines = [f"{sign} *{_escaped(head)}* ({_escaped(str(alarm['environment']))})"]
    lines += [_escaped(str(alarm[name])[:_LINE_CHARACTERS]) for name in ("description", "reason") if alarm[name]]
    return "\n".join(lines)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _post(url: SplitResult, body: bytes, context: LambdaContext) -> int:
    """Posts until it is taken; returns how many calls that took.

    Raises:
        WebhookError: it was refused, or the attempts or the time are used up.
    """
    outcome = ""
    for attempt in retry.attempts(ATTEMPTS, base=_BACKOFF_BASE_SECONDS, cap=_BACKOFF_CAP_SECONDS):
        seconds = min(_CALL_SECONDS, context.get_remaining_time_in_millis() / 1000 - deadline.REPORT_SECONDS)
        if seconds <= 0:
            raise WebhookError(f"the time was up after {attempt} calls; the last: {outcome or 'none'}")
        try:
            status = _call(url, body, seconds)
        except (OSError, http.client.HTTPException) as exc:
            outcome = type(exc).__name__  # its message may hold the URL
        else:
            if 200 <= status < 300:
                return attempt + 1
            outcome = f"HTTP {status}"
            if status < 500 and status not in _TRY_AGAIN:
                raise WebhookError(f"the webhook refused: {outcome}")
        logger.warning("webhook call failed", extra={"errorType": outcome, "attempt": attempt + 1})
    raise WebhookError(f"the webhook failed {ATTEMPTS} times; the last: {outcome}")


def _call(url: SplitResult, body: bytes, seconds: float) -> int:
    """One POST, whose status is returned; a redirect is not followed, for it would turn into a GET."""
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.hostname or "", url.port, timeout=seconds)
    try:
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()


@cache
def forwarder() -> Forwarder:
    """The forwarder of this execution environment, made once."""
    return Forwarder(env.load(Env, os.environ), clients.client("ssm"))


def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Forwards notifications."""
    start_invocation(context.aws_request_id)
    forwarder().handle(event, context)


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:  # make the client in Lambda's init phase, not at the first alarm
    forwarder()
