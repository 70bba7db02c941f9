"""Breaker, failure switch, webhook and redrive runner against events and parameters that nobody should have sent."""

import json
from typing import Any, cast
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from handlers import faults
from handlers.control import alarm_webhook
from handlers.control.alarm_webhook import Forwarder, WebhookError
from handlers.control.failure_mode import Switch
from handlers.errors import IngestionError, SchemaValidationError
from handlers.faults import FaultSwitch
from tests.handlers.conftest import NOW_MS, FakeClock
from tests.handlers.control.redrive.conftest import make_lab, text
from tests.handlers.control.redrive.fake_dynamodb import FakeDynamoDB
from tests.handlers.control.redrive.fake_sqs import FakeSqs
from tests.handlers.control.test_breaker import QUEUE, TICK, FakeCloud, make_breaker
from tests.handlers.control.test_failure_mode import PARAMETER, FakeSsm
from tests.handlers.fakes import FakeContext
from tests.handlers.fuzz.hostile import FUZZ, JSON, ODD, TEXT, logged, objects

pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")  # inputs may be large
_URL_SECRET = "T0s3cr3t"


class _Cloud(FakeCloud):
    """Takes the keys that DynamoDB takes."""

    def get_item(self, *, TableName: str, Key: dict[str, Any], ConsistentRead: bool) -> dict[str, Any]:
        if TableName != "state":
            return super().get_item(TableName=TableName, Key=Key, ConsistentRead=ConsistentRead)
        assert 1 <= len(Key["idempotencyKey"]["S"].encode()) <= 2048
        return super().get_item(TableName=TableName, Key=Key, ConsistentRead=ConsistentRead)


_TRIP = objects(
    {
        "detail-type": st.just("CircuitTripped"),
        "detail": objects({"idempotencyKey": st.just("k1"), "trippedAt": st.integers(NOW_MS, NOW_MS + 9)}),
    }
)


@FUZZ
@given(_TRIP)
@example({"detail-type": "CircuitTripped", "detail": {"idempotencyKey": "", "trippedAt": NOW_MS}})
@example({"detail-type": "CircuitTripped", "detail": {"idempotencyKey": "k" * 2049, "trippedAt": NOW_MS}})
@example({"detail-type": "CircuitTripped", "detail": {"idempotencyKey": "k", "trippedAt": True}})
@example({"detail-type": "CircuitTripped", "detail": None})
def test_a_trip(event: dict[str, Any]) -> None:
    """Opens, or is refused and changes nothing; never does it leave a breaker that no tick could close."""
    cloud = _Cloud(healthy=True)
    sqs = FakeSqs(FakeClock(), {QUEUE: []})
    sqs.put(QUEUE, "{}", {"idempotencyKey": text("k2")})
    breaker = make_breaker(cloud, sqs)
    with logged():
        try:
            breaker.handle(event, FakeContext())
        except SchemaValidationError:
            assert (cloud.state, cloud.enabled) == ({}, True)
        assert breaker.handle(TICK, FakeContext())["state"] == "CLOSED"
    assert cloud.enabled


@FUZZ
@given(st.one_of(TEXT, JSON.map(json.dumps), objects({"mode": st.just("none"), "expiresAt": TEXT}).map(json.dumps)))
@example('{"mode": "poison_payload", "expiresAt": "0001-01-01T00:00:00+23:59"}')
@example('{"mode": "poison_payload", "expiresAt": "9999-12-31T23:59:59-23:59"}')
@example('{"mode": "poison_payload", "expiresAt": "9999-12-31T23:59:59.999999"}')
@example('{"mode": "poison_payload", "expiresAt": "1969-07-20T20:17:40Z"}')
@example("random_fail_p٣")
@example("{" * 100_000)
def test_any_parameter(value: str) -> None:
    """Understood or taken for `none` by those who read it, by the API and by the tick alike; nothing raises."""
    ssm = FakeSsm()
    ssm.value = value
    control = Switch(cast("Any", ssm), PARAMETER)
    with logged():
        try:
            understood = faults.parse(value)
        except SchemaValidationError:
            understood = faults.Fault()
        assert FaultSwitch(cast("Any", ssm), PARAMETER).current().mode == understood.effective(NOW_MS)
        shown = control.show(cast("Any", None))
        assert json.loads(shown["body"])["effective"] == understood.effective(NOW_MS)
        assert control.handle({"onlyIfExpired": True})["reset"] == (understood.effective(NOW_MS) != understood.mode)


@FUZZ
@given(ODD | JSON)
@example({"onlyIfExpired": 1})
def test_any_invocation_resets(payload: Any) -> None:
    """`aws lambda invoke` ends a drill whatever it was given."""
    ssm = FakeSsm()
    ssm.value = "poison_payload"

    assert Switch(cast("Any", ssm), PARAMETER).handle(payload) == {"mode": "none", "reset": True}
    assert ssm.value == "none"


@FUZZ
@given(
    st.one_of(TEXT, JSON.map(json.dumps), objects(dict.fromkeys(alarm_webhook._FIELDS.values(), TEXT)).map(json.dumps)),
    TEXT | st.none(),
)
@example('{"AlarmName":' * 10_000, None)
@example('{"AlarmName": "a", "Trigger": {"Threshold": NaN}}', None)
@example(json.dumps({"AlarmName": "a", "NewStateReason": "x" * 200_000}), None)
def test_any_notification_is_passed_on(message: str, subject: str | None) -> None:
    """Once, as JSON with a text that people can read; nothing that somebody publishes stops the alarms behind it."""
    posted: list[dict[str, Any]] = []
    ssm = mock.Mock(get_parameter=lambda **_: {"Parameter": {"Value": "https://hooks/x"}})
    event = {"Records": [{"Sns": {"MessageId": "n", "TopicArn": "a:b:t", "Subject": subject, "Message": message}}]}

    def call(_url: object, body: bytes, _seconds: float) -> int:
        posted.append(json.loads(body))
        return 200

    with logged(), mock.patch.object(alarm_webhook, "_call", call):
        Forwarder(alarm_webhook.Env("t", "/lab/webhook"), ssm).handle(event, FakeContext())
    assert [body.keys() for body in posted] == [{"text", "alarm"}]
    assert 1 <= len(posted[0]["text"]) < 50_000


@FUZZ
@given(TEXT.map(lambda text: f"{text}{_URL_SECRET}") | TEXT.map(lambda text: f"https://hooks:{text}/{_URL_SECRET}"))
def test_a_url_that_is_none_is_not_told(url: str) -> None:
    """Refused without a word of it, or called; in no log either way."""
    ssm = mock.Mock(get_parameter=lambda **_: {"Parameter": {"Value": url}})
    event = {"Records": [{"Sns": {"MessageId": "n", "TopicArn": "t", "Message": "m"}}]}
    told = ""
    with logged() as lines, mock.patch.object(alarm_webhook, "_call", return_value=200):
        try:
            Forwarder(alarm_webhook.Env("t", "/lab/webhook"), ssm).handle(event, FakeContext())
        except WebhookError as exc:
            told = str(exc)
        told += json.dumps(lines())
    assert _URL_SECRET not in told


@FUZZ
@given(objects({"redriveId": st.just("rd-20270115080000-00000000")}))
def test_any_call_of_the_runner(event: dict[str, Any]) -> None:
    """It works on a run that there is, or refuses; a letter without a run stays where it is."""
    lab = make_lab(FakeClock(), FakeDynamoDB())
    lab.letter("a")
    with logged():
        if event.get("redriveId") is None or (isinstance(event["redriveId"], str) and len(event["redriveId"]) <= 64):
            assert lab.runner.handle(event, lambda: 900.0) == {"runs": []}
        else:
            with pytest.raises(IngestionError, match="/redriveId must be the id of a redrive"):
                lab.runner.handle(event, lambda: 900.0)
    assert lab.on("https://dlq") == ["a"]
