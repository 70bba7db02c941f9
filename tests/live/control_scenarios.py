"""What the control plane's small functions do: the failure switch, the alarm webhook, the authorizer."""

import json
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import uuid4

from handlers import jsontext
from handlers.control.authorizer import BETWEEN_READS_MS, KeysError
from tests.live.failing import Fault
from tests.live.matrix import Asynchronous, Scenario
from tests.live.stage import API_KEY

PARAMETER = "/ingestion/failure_mode"


@dataclass
class Switching(Scenario):
    """An operator uses the failure switch, and again after a 503."""

    function: ClassVar[str] = "failure-mode"
    statuses: list[int] = field(default_factory=list)
    before: ClassVar[str] = "poison_payload"
    after: ClassVar[str] = "poison_payload"
    request: ClassVar[tuple[str, Any]] = ("GET /failure-mode", None)

    def prepare(self) -> None:
        """The parameter as it is."""
        self.stage.root("ssm").put_parameter(Name=PARAMETER, Value=self.before, Type="String", Overwrite=True)

    def act(self) -> None:
        """The first try."""
        status, answer = self.stage.call(self.function, *self.request)
        assert status in (200, 503), answer
        self.statuses.append(status)

    def recover(self) -> None:
        """The second."""
        if self.statuses == [503]:
            self.act()

    def check(self, fault: Fault | None) -> None:  # noqa: ARG002 - the same after every fault
        """It was answered, and the parameter says what was asked for."""
        assert self.statuses[-1] == 200
        assert self.value() == self.after
        self.stage.root("ssm").put_parameter(Name=PARAMETER, Value="none", Type="String", Overwrite=True)

    def value(self) -> str:
        """What the parameter says."""
        return str(self.stage.root("ssm").get_parameter(Name=PARAMETER)["Parameter"]["Value"])


class Showing(Switching):
    """What is on."""

    name = "show"


class Setting(Switching):
    """Another mode."""

    name, before, after = "set", "none", "random_fail_p30"
    request = ("POST /failure-mode", {"mode": "random_fail_p30"})


class Resetting(Switching):
    """None."""

    name, after = "reset", "none"
    request = ("POST /failure-mode/reset", None)


class Expiring(Asynchronous):
    """The schedule finds a mode that has expired."""

    function, name = "failure-mode", "expiry"

    def prepare(self) -> None:
        """A mode of yesterday."""
        value = json.dumps({"mode": "poison_payload", "expiresAt": "2026-01-01T00:00:00Z"})
        self.stage.root("ssm").put_parameter(Name=PARAMETER, Value=value, Type="String", Overwrite=True)

    def event(self) -> jsontext.JsonObject:
        """The schedule's."""
        return {"onlyIfExpired": True}

    def check(self, fault: Fault | None) -> None:  # noqa: ARG002 - the same after every fault
        """It is none."""
        assert self.stage.root("ssm").get_parameter(Name=PARAMETER)["Parameter"]["Value"] == "none"


class Notifying(Asynchronous):
    """An alarm is passed on to the webhook."""

    function, name = "alarm-webhook", "a notification"

    def prepare(self) -> None:
        """A new alarm."""
        self.id = str(uuid4())

    def event(self) -> jsontext.JsonObject:
        """SNS's."""
        message = json.dumps({"AlarmName": "dlq-not-empty", "NewStateValue": "ALARM", "OldStateValue": "OK"})
        topic = "arn:aws:sns:us-east-1:000000000000:alarms-critical"
        notification: jsontext.JsonObject = {"Message": message, "TopicArn": topic, "MessageId": self.id}
        return {"Records": [{"Sns": notification}]}

    def check(self, fault: Fault | None) -> None:  # noqa: ARG002 - the same after every fault
        """The webhook has it."""
        assert [alarm["name"] for alarm in self.stage.webhook.alarms if alarm["notificationId"] == self.id] == [
            "dlq-not-empty"
        ]


@dataclass
class Admitting(Scenario):
    """Callers show a key. An invocation that raises is a 500 of API Gateway's, after which a caller comes again."""

    function: ClassVar[str] = "authorizer"
    name: ClassVar[str] = "a good key and a wrong one"
    admitted: list[bool] = field(default_factory=list)

    def act(self) -> None:
        """The good key is let through or nobody is told anything; a wrong one never is."""
        for key in (API_KEY, f"not-{API_KEY}"):
            event = {"routeKey": "POST /events", "identitySource": [key]}
            try:
                answer = self.stage.function(self.function).invoke(event)
            except KeysError:
                continue
            assert answer["isAuthorized"] is (key == API_KEY)
            self.admitted.append(key == API_KEY)

    def recover(self) -> None:
        """They come again."""
        self.stage.clock.advance(BETWEEN_READS_MS / 1000)
        self.admitted.clear()
        self.act()

    def check(self, fault: Fault | None) -> None:  # noqa: ARG002 - the same after every fault
        """Each has his answer."""
        assert self.admitted == [True, False]


CONTROL_SCENARIOS: list[type[Scenario]] = [
    Showing,
    Setting,
    Resetting,
    Expiring,
    Notifying,
    Admitting,
]
