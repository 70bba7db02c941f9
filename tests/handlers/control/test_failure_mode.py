"""The switch's function: set, show, reset, expire; every bad request with its reason."""

import json
from typing import Any, cast

import pytest

from handlers.control.failure_mode import Switch
from handlers.http.errors import HttpError
from tests.gateway import http_event
from tests.handlers.conftest import FakeClock
from tests.handlers.fakes import client_error

PARAMETER = "/ingestion/failure_mode"


class FakeSsm:
    """SSM with one parameter that can be away."""

    def __init__(self) -> None:
        self.value = "none"
        self.away = False

    def get_parameter(self, *, Name: str) -> dict[str, Any]:
        assert Name == PARAMETER
        if self.away:
            raise client_error("ThrottlingException")
        return {"Parameter": {"Value": self.value}}

    def put_parameter(self, *, Name: str, Value: str, Type: str, Overwrite: bool) -> None:
        assert (Name, Type, Overwrite) == (PARAMETER, "String", True)
        if self.away:
            raise client_error("ThrottlingException")
        self.value = Value


@pytest.fixture
def ssm() -> FakeSsm:
    """The parameter, at none."""
    return FakeSsm()


@pytest.fixture
def control(ssm: FakeSsm) -> Switch:
    """The real control on it."""
    return Switch(cast("Any", ssm), PARAMETER)


def call(control: Switch, route: str, body: Any = None) -> tuple[int, Any]:
    """One request."""
    answer = control.handle(http_event(route, None if route.startswith("GET ") else json.dumps(body)))
    return answer["statusCode"], json.loads(answer["body"])


def test_set_show_and_reset(control: Switch, ssm: FakeSsm) -> None:
    """A mode without more is written plain, as the aws CLI would write it."""
    assert call(control, "POST /failure-mode", {"mode": "poison_payload"}) == (
        200,
        {"mode": "poison_payload", "effective": "poison_payload"},
    )
    assert ssm.value == "poison_payload"
    assert call(control, "GET /failure-mode")[1]["mode"] == "poison_payload"
    assert call(control, "POST /failure-mode/reset") == (200, {"mode": "none", "effective": "none"})
    assert ssm.value == "none"


def test_a_mode_with_an_end_and_a_match(control: Switch, ssm: FakeSsm, fake_clock: FakeClock) -> None:
    """TtlSeconds becomes expiresAt; past it the mode shows as set, and none as effective."""
    wanted = {"mode": "random_fail_p30", "ttlSeconds": 60, "match": {"orderId": "1"}}
    shown = {"mode": "random_fail_p30", "expiresAt": "2027-01-15T08:01:00.000Z", "match": {"orderId": "1"}}

    assert call(control, "POST /failure-mode", wanted) == (200, shown | {"effective": "random_fail_p30"})
    assert json.loads(ssm.value) == shown
    fake_clock.advance(60_000)
    assert call(control, "GET /failure-mode") == (200, shown | {"effective": "none"})


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ([], [""]),
        ({}, ["/mode"]),
        ({"mode": "poison"}, ["/mode"]),
        ({"mode": ["none"]}, ["/mode"]),
        ({"mode": "none", "ttlSeconds": 0}, ["/ttlSeconds"]),
        ({"mode": "none", "ttlSeconds": 86_401}, ["/ttlSeconds"]),
        ({"mode": "none", "ttlSeconds": True}, ["/ttlSeconds"]),
        ({"mode": "none", "ttlSeconds": 1.5}, ["/ttlSeconds"]),
        ({"mode": "none", "match": {"a": "x" * 4096}}, ["/match"]),
        ({"mode": "none", "a/b": 1}, ["/a~1b"]),
        ({"mode": 7, "ttlSeconds": "x", "match": 1, "ttl": 1}, ["/ttl", "/mode", "/ttlSeconds", "/match"]),
    ],
)
def test_bad_requests(control: Switch, ssm: FakeSsm, body: Any, pointers: list[str]) -> None:
    """400 with every fault; the switch stays as it is."""
    ssm.value = "duplicate_submit"
    status, refusal = call(control, "POST /failure-mode", body)

    assert (status, [detail["pointer"] for detail in refusal["details"]]) == (400, pointers)
    assert ssm.value == "duplicate_submit"


def test_a_direct_call_resets(control: Switch, ssm: FakeSsm) -> None:
    """`aws lambda invoke` with any payload."""
    ssm.value = "poison_payload"

    assert control.handle({}) == {"mode": "none", "reset": True}
    assert ssm.value == "none"


def test_the_schedule_resets_only_what_has_expired(control: Switch, ssm: FakeSsm, fake_clock: FakeClock) -> None:
    """A running drill goes on; one that has ended is cleared away; a value nobody understands is left to people."""
    call(control, "POST /failure-mode", {"mode": "poison_payload", "ttlSeconds": 60})
    tick = {"onlyIfExpired": True}

    assert control.handle(tick) == {"mode": "poison_payload", "reset": False}
    fake_clock.advance(60_000)
    assert control.handle(tick) == {"mode": "none", "reset": True}
    assert ssm.value == "none"
    ssm.value = "nonsense"
    assert control.handle(tick) == {"mode": "none", "reset": False}


def test_a_parameter_store_that_is_away(control: Switch, ssm: FakeSsm) -> None:
    """503 for callers; the schedule's invocation fails, so that Lambda tries it again."""
    ssm.away = True

    assert call(control, "GET /failure-mode")[0] == 503
    assert call(control, "POST /failure-mode", {"mode": "none"})[0] == 503
    with pytest.raises(HttpError):
        control.handle({})


def test_what_ssm_would_take_for_a_reference_is_escaped(control: Switch, ssm: FakeSsm) -> None:
    """`{{…}}` names another parameter, and SSM would refuse it: JSON has another way to write a brace."""
    wanted = {"mode": "none", "match": {"{{a}}": [{"b": "{{{ssm:c}}"}]}}

    assert call(control, "POST /failure-mode", wanted) == (200, wanted | {"effective": "none"})
    assert "{{" not in ssm.value
    assert json.loads(ssm.value) == wanted
