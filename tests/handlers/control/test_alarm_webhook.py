"""The webhook forwarder against a real HTTP server on loopback."""

import io
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest

from handlers.control.alarm_webhook import ATTEMPTS, Env, Forwarder, WebhookError
from tests.handlers.fakes import FakeContext, client_error
from tests.receiver import HANG_UP, Receiver, receiving

ALARM = {
    "AlarmName": "IngestionLab-dev-events-dlq-not-empty",
    "AlarmDescription": "Messages are on the <dead-letter> queue. Runbook: https://runbooks/dlq-not-empty.md",
    "AWSAccountId": "123456789012",
    "NewStateValue": "ALARM",
    "OldStateValue": "OK",
    "NewStateReason": "Threshold Crossed: 5 datapoints were greater than the threshold (0.0) & more.",
    "StateChangeTime": "2026-06-03T17:43:27.123+0000",
    "Region": "EU (Ireland)",
    "Trigger": {"MetricName": "ApproximateNumberOfMessagesVisible"},
}


class FakeSsm:
    """A parameter store that holds one SecureString."""

    def __init__(self, value: str) -> None:
        self.value = value
        self.refuse = ""

    def get_parameter(self, *, Name: str, WithDecryption: bool) -> dict[str, Any]:
        assert (Name, WithDecryption) == ("/lab/webhook", True)
        if self.refuse:
            raise client_error(self.refuse)
        return {"Parameter": {"Value": self.value}}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A webhook that takes everything until told otherwise."""
    with receiving() as listening:
        yield listening


@pytest.fixture
def ssm(receiver: Receiver) -> FakeSsm:
    """Knows where the webhook is."""
    return FakeSsm(receiver.url)


@pytest.fixture
def forwarder(ssm: FakeSsm) -> Forwarder:
    """The real forwarder."""
    return Forwarder(Env("dev", "/lab/webhook"), cast("Any", ssm))


def event(
    message: Any = ALARM, *, topic: str = "alarms-critical-1a2b3c4", subject: str | None = None
) -> dict[str, Any]:
    """What SNS invokes the function with."""
    text = message if isinstance(message, str) else json.dumps(message)
    arn = f"arn:aws:sns:eu-west-1:123456789012:{topic}"
    return {"Records": [{"Sns": {"MessageId": "n-1", "TopicArn": arn, "Subject": subject, "Message": text}}]}


def test_an_alarm_arrives_for_people_and_for_programs(forwarder: Forwarder, receiver: Receiver) -> None:
    """One POST: Slack's text, escaped as Slack wants it, and every field by itself."""
    forwarder.handle(event(), FakeContext())

    assert receiver.calls == [("POST", "/services/T0/s3cret?v=1")]
    assert receiver.bodies == [
        {
            "text": ":red_circle: *ALARM critical IngestionLab-dev-events-dlq-not-empty* (dev)\n"
            "Messages are on the &lt;dead-letter&gt; queue. Runbook: https://runbooks/dlq-not-empty.md\n"
            "Threshold Crossed: 5 datapoints were greater than the threshold (0.0) &amp; more.",
            "alarm": {
                "name": "IngestionLab-dev-events-dlq-not-empty",
                "state": "ALARM",
                "previousState": "OK",
                "severity": "critical",
                "environment": "dev",
                "reason": "Threshold Crossed: 5 datapoints were greater than the threshold (0.0) & more.",
                "changedAt": "2026-06-03T17:43:27.123+0000",
                "description": "Messages are on the <dead-letter> queue. Runbook: https://runbooks/dlq-not-empty.md",
                "runbook": "https://runbooks/dlq-not-empty.md",
                "account": "123456789012",
                "region": "EU (Ireland)",
                "notificationId": "n-1",
            },
        }
    ]


@pytest.mark.parametrize(
    ("state", "topic", "head"),
    [
        ("OK", "alarms-critical", ":large_green_circle: *OK IngestionLab-dev-events-dlq-not-empty* (dev)"),
        (
            "ALARM",
            "alarms-warning",
            ":large_yellow_circle: *ALARM warning IngestionLab-dev-events-dlq-not-empty* (dev)",
        ),
        ("ALARM", "others", ":red_circle: *ALARM IngestionLab-dev-events-dlq-not-empty* (dev)"),
        (
            "INSUFFICIENT_DATA",
            "alarms-critical",
            ":white_circle: *INSUFFICIENT_DATA IngestionLab-dev-events-dlq-not-empty* (dev)",
        ),
    ],
)
def test_each_state_shows_at_a_glance(
    forwarder: Forwarder, receiver: Receiver, state: str, topic: str, head: str
) -> None:
    """The severity matters while it lasts."""
    forwarder.handle(event(ALARM | {"NewStateValue": state}, topic=topic), FakeContext())

    assert receiver.bodies[0]["text"].splitlines()[0] == head


@pytest.mark.parametrize(
    ("before", "after", "posts"),
    [
        ("INSUFFICIENT_DATA", "OK", 0),
        ("INSUFFICIENT_DATA", "ALARM", 1),
        ("ALARM", "OK", 1),
        ("ALARM", "INSUFFICIENT_DATA", 1),
    ],
)
def test_the_first_good_data_of_an_alarm_is_no_news(
    forwarder: Forwarder, receiver: Receiver, before: str, after: str, posts: int
) -> None:
    """Every alarm is born without data, so a deployment would tell of each."""
    forwarder.handle(event(ALARM | {"OldStateValue": before, "NewStateValue": after}), FakeContext())

    assert len(receiver.bodies) == posts


def test_what_is_left_out_leaves_the_others(forwarder: Forwarder, receiver: Receiver) -> None:
    """Of one event's notifications each is judged by itself."""
    born = event(ALARM | {"OldStateValue": "INSUFFICIENT_DATA", "NewStateValue": "OK"})

    forwarder.handle({"Records": [*born["Records"], *event()["Records"]]}, FakeContext())

    assert [alarm["state"] for alarm in receiver.alarms] == ["ALARM"]


@pytest.mark.parametrize("message", ["the water is rising", '"quoted"', "[1]", '{"other": 1}'])
def test_a_notification_that_is_no_alarm_is_passed_on_as_text(
    forwarder: Forwarder, receiver: Receiver, message: str
) -> None:
    """Somebody publishes to the topic by hand."""
    forwarder.handle(event(message, subject="Flood"), FakeContext())

    (alarm,) = receiver.alarms
    assert {name: value for name, value in alarm.items() if value is not None} == {
        "name": "Flood",
        "reason": message,
        "environment": "dev",
        "severity": "critical",
        "notificationId": "n-1",
    }
    assert receiver.bodies[0]["text"] == f":white_circle: *Flood* (dev)\n{message}"


def test_a_composite_alarm_has_the_same_fields(forwarder: Forwarder, receiver: Receiver) -> None:
    """Its notification has no trigger; a description may be null."""
    composite = {name: value for name, value in ALARM.items() if name != "Trigger"} | {"AlarmDescription": None}

    forwarder.handle(event(composite), FakeContext())

    assert (receiver.alarms[0]["state"], receiver.alarms[0]["runbook"]) == ("ALARM", None)


@pytest.mark.parametrize("trouble", [HANG_UP, 408, 425, 429, 500, 503])
def test_what_may_pass_is_tried_again(forwarder: Forwarder, receiver: Receiver, trouble: int) -> None:
    """Until it is taken, with the same body."""
    receiver.answers = [trouble] * (ATTEMPTS - 1)

    forwarder.handle(event(), FakeContext())

    assert receiver.bodies == [receiver.bodies[0]] * ATTEMPTS


@pytest.mark.parametrize("trouble", [HANG_UP, 500])
def test_what_does_not_pass_fails_the_invocation(forwarder: Forwarder, receiver: Receiver, trouble: int) -> None:
    """So that Lambda tries again and keeps it in the end."""
    receiver.answers = [trouble] * (ATTEMPTS + 1)

    with pytest.raises(WebhookError, match=f"the webhook failed {ATTEMPTS} times; the last: "):
        forwarder.handle(event(), FakeContext())

    assert len(receiver.bodies) == ATTEMPTS


@pytest.mark.parametrize("refusal", [301, 307, 400, 403, 404, 410])
def test_a_refusal_is_not_repeated(forwarder: Forwarder, receiver: Receiver, refusal: int) -> None:
    """It would be the same again; a redirect is not followed, for it could lead anywhere."""
    receiver.answers = [refusal]

    with pytest.raises(WebhookError, match=f"the webhook refused: HTTP {refusal}"):
        forwarder.handle(event(), FakeContext())

    assert len(receiver.calls) == 1


def test_nobody_listens(forwarder: Forwarder, ssm: FakeSsm, receiver: Receiver) -> None:
    """A connection that is refused is an answer too."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        ssm.value = receiver.url.replace(str(receiver.port), str(silent.getsockname()[1]))

        with pytest.raises(WebhookError, match="ConnectionRefusedError"):
            forwarder.handle(event(), FakeContext())


def test_a_webhook_that_never_answers_is_left_in_time(forwarder: Forwarder, ssm: FakeSsm, receiver: Receiver) -> None:
    """The invocation's own end comes after ours: a call gets no more time than is left, and no call begins without."""
    context = FakeContext(remaining_ms=1050)
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        ssm.value = receiver.url.replace(str(receiver.port), str(mute.getsockname()[1]))
        threads = threading.active_count()

        with pytest.raises(WebhookError, match=f"the webhook failed {ATTEMPTS} times; the last: TimeoutError"):
            forwarder.handle(event(), context)
        context.remaining_ms = 1000
        with pytest.raises(WebhookError, match="the time was up after 0 calls; the last: none"):
            forwarder.handle(event(), context)

    assert threading.active_count() == threads


@pytest.mark.parametrize(
    "value",
    ["", "hooks.example.com/T0", "ftp://h/T0", "http:///T0", "http://h:0/", "http://h:x/s3cret", "http://h/\xe9"],
)
def test_a_url_that_is_none(forwarder: Forwarder, ssm: FakeSsm, value: str) -> None:
    """The parameter holds something else: told without showing it."""
    ssm.value = value

    with pytest.raises(WebhookError, match=r"^the webhook's URL is not one of http or https$"):
        forwarder.handle(event(), FakeContext())


def test_a_parameter_that_is_not_to_be_had(forwarder: Forwarder, ssm: FakeSsm) -> None:
    """AWS's own code says why."""
    ssm.refuse = "AccessDeniedException"

    with pytest.raises(WebhookError, match=r"^the webhook's URL was not read: AccessDeniedException$"):
        forwarder.handle(event(), FakeContext())


@pytest.mark.parametrize(
    ("answers", "lines"), [([], 1), ([500] * ATTEMPTS, ATTEMPTS), ([HANG_UP] * ATTEMPTS, ATTEMPTS), ([403], 0)]
)
def test_the_url_is_in_no_line_and_no_error(
    forwarder: Forwarder, receiver: Receiver, log_stream: io.StringIO, answers: list[int], lines: int
) -> None:
    """Whoever reads the logs cannot write to the channel."""
    receiver.answers = list(answers)
    error = ""
    try:
        forwarder.handle(event(), FakeContext())
    except WebhookError as exc:
        error = f"{exc!r} {exc.__cause__!r} {exc.__context__!r}"

    assert bool(error) == bool(answers)
    assert log_stream.getvalue().count("\n") == lines
    assert "s3cret" not in error + log_stream.getvalue()
    assert str(receiver.port) not in error + log_stream.getvalue()
