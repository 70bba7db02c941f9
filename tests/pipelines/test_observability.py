"""Observability end to end: alarms that ring and stop, their webhook, live metrics, the dashboard, the saved queries.

The stack is the laptop's as Pulumi.local.yaml has it, with a webhook that listens on loopback.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from ops.cli.main import app
from ops.local import processes
from ops.local.cloudwatch import service
from ops.local.deployer import deploy
from ops.local.emulator import Emulator
from tests.ops import desk
from tests.pipelines.lab import ROOT, Lab, wait_for
from tests.receiver import Receiver, receiving

_DLQ_ALARMS = ("IngestionLab-local-events-dlq-not-empty", "IngestionLab-local-events-dlq-oldest-age")
_BURN = "IngestionLab-local-events-objective-fast-burn"
_WINDOWS = ("fast-burn-long", "fast-burn-short", "slow-burn-long", "slow-burn-short")
_WINDOW = re.compile(r"-burn-(long|short)$")
_RING_SECONDS = 90.0


@dataclass
class Watched:
    """A stack, and who hears of its alarms."""

    lab: Lab
    receiver: Receiver

    def aws(self, *words: str) -> Any:
        """What the aws CLI answers."""
        environment = {
            "AWS_ENDPOINT_URL": self.lab.emulator.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        return json.loads(desk.aws([*words, "--output", "json"], environment))

    def lab_text(self, *words: str) -> str:
        """What `lab` answers."""
        shown = CliRunner().invoke(app, words, env={"LAB_HOME": str(self.lab.home)})
        assert shown.exit_code == 0, shown.output
        return shown.stdout

    def lab_json(self, *words: str) -> Any:
        """The same for programs."""
        return json.loads(self.lab_text(*words, "--json"))

    def states(self) -> dict[str, str]:
        """Every alarm's state."""
        found = self.lab.client("cloudwatch").describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        alarms = [*found["MetricAlarms"], *found.get("CompositeAlarms", [])]
        return {alarm["AlarmName"]: alarm["StateValue"] for alarm in alarms}

    def told(self, name: str) -> list[str | None]:
        """The states of an alarm that the webhook heard of, in order."""
        return [alarm["state"] for alarm in self.receiver.alarms if alarm["name"] == name]

    def rests_at(self, state: str, *names: str) -> None:
        """Waits until these alarms have a state, and until the webhook has been told so."""
        wait_for(f"{names} {state}", lambda: {self.states()[name] for name in names} == {state}, seconds=_RING_SECONDS)
        wait_for(
            f"the webhook's {state} of {names}",
            lambda: [self.told(name)[-1:] for name in names] == [[state]] * len(names),
        )

    def redrive(self) -> None:
        """Moves every dead letter back, and waits until that is done."""
        redrive_id = self.lab.call("POST", "/redrive/start", {})[1]["redriveId"]
        state = wait_for(
            "the end of the redrive",
            lambda: (found := self.lab.call("GET", f"/redrive/{redrive_id}")[1]["state"]) != "RUNNING" and found,
            seconds=60,
        )
        assert state == "SUCCEEDED"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """The stack with its CloudWatch; on leaving nothing of either may be left."""
    home = tmp_path_factory.mktemp("lab")
    with receiving() as receiver, Emulator.start(home) as emulator:
        config = {"webhookUrl": receiver.url, "pipelines": ["events"]}
        deployment = deploy(ROOT, "local", endpoint=emulator.endpoint, state_file=home / "local.json", config=config)
        service.ensure(emulator, home / "local.json")
        yield Watched(Lab(emulator, home, deployment), receiver)
    assert (processes.marked(home.resolve()), service.attach(emulator)) == ([], None)


def _settle(lab: Lab, count: int, status: str) -> list[str]:
    """Posts so many events and waits until they have that status; their keys."""
    _, body = lab.call("POST", "/events/batch", [{"orderId": str(uuid4()), "amount": 1} for _ in range(count)])
    keys = [result["idempotencyKey"] for result in body["results"]]
    for key in keys:
        lab.settled(key, status=status)
    return keys


@pytest.fixture(scope="module")
def drill(watched: Watched) -> dict[str, list[str]]:
    """Good events, poison, dead letters, a redrive: the keys of both, and the alarms that rang."""
    lab = watched.lab
    keys: dict[str, list[str]] = {}
    lab.invoke("events-breaker")  # its schedule takes a minute to begin
    keys["good"] = [*_settle(lab, 3, "SUCCEEDED"), *_settle(lab, 2, "SUCCEEDED")]  # in a new process, in a warm one
    lab.switch("poison_payload")
    keys["bad"] = _settle(lab, 10, "FAILED")
    watched.rests_at("ALARM", *_DLQ_ALARMS)
    rings = watched.lab_json("alarms")["alarms"]
    watched.lab.switch("none")
    watched.redrive()
    for key in keys["bad"]:
        lab.settled(key)
    watched.rests_at("OK", *_DLQ_ALARMS)
    wait_for("the end of the fast burn", lambda: watched.told(_BURN)[-2:] == ["ALARM", "OK"], seconds=_RING_SECONDS)
    return keys | {"rang": [alarm["name"] for alarm in rings if alarm["state"] == "ALARM"]}


def test_dlq_alarms_ring_and_stop(watched: Watched, drill: dict[str, list[str]]) -> None:
    """Poison makes them ring and a redrive ends it; the webhook hears of both, with severity, reason and runbook."""
    heard = [
        (alarm["name"], alarm["state"], alarm["severity"], alarm["runbook"])
        for alarm in watched.receiver.alarms
        if alarm["name"] in _DLQ_ALARMS and alarm["previousState"] != "INSUFFICIENT_DATA"
    ]

    assert set(drill["rang"]) >= {*_DLQ_ALARMS, "IngestionLab-local-critical", "IngestionLab-local-warning"}
    for name, severity in zip(_DLQ_ALARMS, ("critical", "warning"), strict=True):
        runbook = f"ops/runbooks/{name.removeprefix('IngestionLab-local-events-')}.md"
        assert (ROOT / runbook).is_file()
        assert [one for one in heard if one[0] == name] == [
            (name, state, severity, runbook) for state in ("ALARM", "OK")
        ]
    texts = [body["text"] for body in watched.receiver.bodies]
    assert any(
        text.startswith(":red_circle: *ALARM critical IngestionLab-local-events-dlq-not-empty* (local)\n")
        for text in texts
    )


def test_the_composite_alarms_follow(watched: Watched, drill: dict[str, list[str]]) -> None:
    """When nothing rings any more, the sums do not either; nobody was told of them twice."""
    assert drill["rang"]
    wait_for(
        "the end of all alarms",
        lambda: (
            {watched.states()[name] for name in ("IngestionLab-local-critical", "IngestionLab-local-warning")} == {"OK"}
        ),
        seconds=_RING_SECONDS,
    )

    assert watched.told("IngestionLab-local-critical") == []
    assert watched.told("IngestionLab-local-warning") == []


def test_a_burn_is_told_once(watched: Watched, drill: dict[str, list[str]]) -> None:
    """Ten dead events use up the budget: the alarm fires and clears by its two windows, of which nobody is told."""
    heard = [(one["state"], one["severity"]) for one in watched.receiver.alarms if one["name"] == _BURN]

    assert drill["bad"]
    assert heard[-2:] == [("ALARM", "critical"), ("OK", "critical")]
    assert [one["name"] for one in watched.receiver.alarms if _WINDOW.search(one["name"])] == []


def test_alarms_as_the_aws_cli_shows_them(watched: Watched, drill: dict[str, list[str]]) -> None:
    """Live states and reasons of every alarm that the program makes, those of metric math too."""
    assert drill["good"]
    found = watched.aws("cloudwatch", "describe-alarms", "--alarm-types", "MetricAlarm", "CompositeAlarm")
    alarms = {alarm["AlarmName"]: alarm for kind in ("MetricAlarms", "CompositeAlarms") for alarm in found[kind]}

    shown = {alarm["name"]: alarm for alarm in watched.lab_json("alarms")["alarms"]}
    windows = {name for name in alarms if _WINDOW.search(name)}
    assert set(shown) == set(alarms) - windows
    assert "IngestionLab-local-events-error-rate" in alarms
    assert alarms["IngestionLab-local-events-dlq-not-empty"]["StateReason"].startswith("Threshold Crossed: ")
    silent = {alarm["AlarmName"] for alarm in found["MetricAlarms"] if not alarm["AlarmActions"]}
    assert silent == windows == {f"IngestionLab-local-events-objective-{one}" for one in _WINDOWS}
    assert all(alarm["OKActions"] == alarm["AlarmActions"] for alarm in found["MetricAlarms"])


@pytest.mark.parametrize(
    ("namespace", "metric", "dimension", "statistic", "least"),
    [
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName=events-dlq", "Maximum", 10),
        ("AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName=events-dlq", "Maximum", 10),
        ("AWS/SQS", "NumberOfMessagesSent", "QueueName=events-queue", "Sum", 15),
        ("AWS/SQS", "NumberOfMessagesReceived", "QueueName=events-queue", "Sum", 15),
        ("AWS/SQS", "NumberOfMessagesDeleted", "QueueName=events-queue", "Sum", 15),
        ("AWS/Lambda", "Invocations", "FunctionName=events-worker", "Sum", 3),
        ("AWS/Lambda", "Duration", "FunctionName=events-ingest", "Maximum", 1),
        ("IngestionLab/local", "DeadLettered", "pipeline=events", "Sum", 10),
        ("IngestionLab/local", "Succeeded", "pipeline=events", "Sum", 15),
        ("IngestionLab/local", "Missed", "pipeline=events", "Sum", 10),
        ("IngestionLab/local", "RedriveMoved", "pipeline=events", "Sum", 10),
        ("IngestionLab/local", "RecordErrors", "errorType=SchemaValidationError", "Sum", 10),
    ],
)
def test_metrics_as_the_aws_cli_shows_them(  # noqa: PLR0917
    watched: Watched,
    drill: dict[str, list[str]],
    namespace: str,
    metric: str,
    dimension: str,
    statistic: str,
    least: int,
) -> None:
    """What AWS's services and our own code send has the values that the drill implies."""
    name, _, value = dimension.partition("=")

    def values() -> list[float]:
        now = datetime.now(UTC)
        words = ["cloudwatch", "get-metric-statistics", "--namespace", namespace, "--metric-name", metric]
        words += ["--dimensions", f"Name={name},Value={value}", "--statistics", statistic, "--period", "3600"]
        words += ["--start-time", (now - timedelta(hours=1)).isoformat(), "--end-time", now.isoformat()]
        points = watched.aws(*words)["Datapoints"]
        total = sum(point[statistic] for point in points) if statistic == "Sum" else 0
        found = [total or max((point[statistic] for point in points), default=0)]
        return found if found[0] >= least else []

    assert drill["bad"]
    assert wait_for(f"{metric} of {dimension}", values)


# Nothing throttles on the laptop: the emulator serves whatever DynamoDB is asked.
_EMPTY_WIDGETS = {"DynamoDB throttles"}


def test_every_widget_of_the_dashboard_has_data(watched: Watched, drill: dict[str, list[str]]) -> None:
    """The dashboard is the deployed one; after a drill each of its graphs has a line, but the one named above."""
    assert drill["good"]
    body = json.loads(
        watched.aws("cloudwatch", "get-dashboard", "--dashboard-name", "IngestionLab-local")["DashboardBody"]
    )
    graphs = [widget["properties"] for widget in body["widgets"] if widget["type"] == "metric"]

    def empty() -> set[str]:
        known = {_metric(one) for one in watched.aws("cloudwatch", "list-metrics")["Metrics"]}
        return {graph["title"] for graph in graphs if not any(map(known.__contains__, _lines(graph, known)))}

    # the breaker reports once a minute, which a drill may be over before
    wait_for("data in every graph", lambda: empty() <= _EMPTY_WIDGETS, seconds=_RING_SECONDS)
    assert empty() == _EMPTY_WIDGETS
    assert {widget["type"] for widget in body["widgets"]} == {"alarm", "metric", "log"}


def _metric(described: Any) -> tuple[str, str, frozenset[tuple[str, str]]]:
    dimensions = frozenset((one["Name"], one["Value"]) for one in described["Dimensions"])
    return described["Namespace"], described["MetricName"], dimensions


def _lines(graph: Any, known: set[tuple[str, str, frozenset[tuple[str, str]]]]) -> Iterator[Any]:
    """The metrics of a graph; a search stands for all that it finds."""
    for line in graph["metrics"]:
        parts = [part for part in line if not isinstance(part, dict)]
        if parts:
            yield parts[0], parts[1], frozenset(zip(parts[2::2], parts[3::2], strict=True))
            continue
        for namespace, dimension, name in re.findall(
            r"\{\"([^\"]+)\",(\w+)\} MetricName=\"(\w+)\"", line[0]["expression"]
        ):
            yield from (one for one in known if one[:2] == (namespace, name) and dimension in dict(one[2]))


def test_saved_queries_answer(watched: Watched, drill: dict[str, list[str]]) -> None:
    """Each gives what the drill implies."""
    good, bad = drill["good"], drill["bad"]
    rows = {
        name: watched.lab_json("logs", "query", name)["rows"]
        for name in ("failures-by-type", "duplicates", "latency", "slowest", "redrive-audit")
    }
    story = watched.lab_json("logs", "query", "one-event", "--key", bad[0])["rows"]

    assert rows["failures-by-type"] == [
        {"errorType": "SchemaValidationError", "outcome": "dead_lettered", "failures": "10"}
    ]
    assert rows["duplicates"] == []
    assert sum(int(row["events"]) for row in rows["latency"]) == 15
    assert {row["idempotencyKey"] for row in rows["slowest"]} <= {*good, *bad}
    assert [(row["message"], row.get("state"), row.get("counts.moved")) for row in rows["redrive-audit"]] == [
        ("request", None, None),
        ("redrive finished", "SUCCEEDED", "10"),
    ]
    assert [(row["message"], row.get("outcome")) for row in story] == [
        ("record failed", "dead_lettered"),
        ("record done", "succeeded"),
    ]


def _look_with_work(watched: Watched) -> Any:
    found = watched.lab_json("watch", "--times", "1")
    return found if found["functions"]["events-worker"]["invocations"] >= 1 else {}


def test_tail_and_watch(watched: Watched, drill: dict[str, list[str]]) -> None:
    """The functions' lines as they are, and the whole stack in one look."""
    tail = watched.lab_text("logs", "tail", "--since", "1h")
    _settle(watched.lab, 1, "SUCCEEDED")  # it shows the last five minutes, and the drill may be longer ago
    look = wait_for("an invocation of the worker", lambda: _look_with_work(watched))

    assert [key for key in (*drill["good"], *drill["bad"]) if f"idempotencyKey={key}" not in tail] == []
    assert look["queues"]["events"]["dlq"] == {"visible": 0, "inFlight": 0, "delayed": 0}
    assert {alarm["name"] for alarm in look["alarms"]} == {
        name for name in watched.states() if not _WINDOW.search(name)
    }


def test_the_webhooks_url_is_nowhere_in_clear(watched: Watched) -> None:
    """Neither in the function's environment nor in what the deployer remembers; the functions' logs don't have it."""
    variables = watched.lab.client("lambda").get_function_configuration(FunctionName="alarm-webhook")["Environment"]
    tail = watched.lab_text("logs", "tail", "--since", "1h", "--json")
    texts = {
        "environment": json.dumps(variables),
        "state": (watched.lab.home / "local.json").read_text(encoding="utf-8"),
        "logs": tail,
    }

    assert "WEBHOOK_URL_PARAMETER" in texts["environment"]
    assert [place for place, text in texts.items() if "s3cret" in text] == []


def test_a_notification_that_nobody_takes_is_kept(watched: Watched) -> None:
    """Refused at every attempt of Lambda's, it is in the control plane's failures queue."""
    sqs, receiver = watched.lab.client("sqs"), watched.receiver
    url = sqs.get_queue_url(QueueName="control-failures")["QueueUrl"]
    topic = "arn:aws:sns:us-east-1:000000000000:alarms-critical"
    message = {"MessageId": "n-1", "TopicArn": topic, "Subject": "Flood", "Message": "the water is rising"}
    receiver.answers = [403] * 100
    try:
        watched.lab.client("lambda").invoke(
            FunctionName="alarm-webhook",
            InvocationType="Event",
            Payload=json.dumps({"Records": [{"Sns": message}]}).encode(),
        )
        (kept,) = wait_for("the kept notification", lambda: sqs.receive_message(QueueUrl=url).get("Messages"))
    finally:
        receiver.answers = []

    assert json.loads(kept["Body"])["requestPayload"]["Records"] == [{"Sns": message}]
    assert watched.told("Flood") == [None] * 3
