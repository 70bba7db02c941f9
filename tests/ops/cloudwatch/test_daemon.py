"""The daemon on the emulator: sources, logs, alarms, actions."""

import urllib.error
import urllib.request

import pytest

from ops.local.cloudwatch.daemon import pause_after
from tests.ops.cloudwatch.conftest import Beside

_TWO_PERIODS = 22
_SETTLED = [("dead-letters", "OK"), ("errors", "OK"), ("stalled", "OK"), ("throttled", "OK")]


def _get(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 - our own emulator
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.mark.parametrize(("read", "pause"), [(0.01, 0.2), (0.25, 5.0), (3.0, 8.0)])
def test_logs_are_read_soon_again(read: float, pause: float) -> None:
    """A busy machine, where a read is long, has its alarms too: what comes after their evaluation is never seen."""
    assert pause_after(read) == pytest.approx(pause)


def test_alarm_fires_and_clears(beside: Beside) -> None:
    """A dead letter: ALARM and its action once a period is over, the composite with it; gone: OK, action, composite."""
    beside.until("first states", lambda: beside.state("dead-letters") == "OK")
    assert sorted(beside.heard()) == _SETTLED
    beside.send("dead", {})
    beside.later(_TWO_PERIODS)
    assert (beside.state("dead-letters"), beside.state("any")) == ("ALARM", "ALARM")
    assert sorted(beside.heard()) == [("dead-letters", "ALARM"), ("stalled", "ALARM")]
    beside.empty("dead")
    beside.later(_TWO_PERIODS)
    assert (beside.state("dead-letters"), beside.state("any")) == ("OK", "OK")
    assert sorted(beside.heard()) == [("dead-letters", "OK"), ("stalled", "OK")]


def test_state_set_by_hand(beside: Beside) -> None:
    """A state that somebody sets lasts until the next comparison, and its action runs."""
    beside.until("first states", lambda: beside.state("dead-letters") == "OK")
    beside.heard()
    beside.stack.client("cloudwatch").set_alarm_state(
        AlarmName="dead-letters", StateValue="ALARM", StateReason="a test"
    )
    assert beside.state("any") == "ALARM"
    beside.later(_TWO_PERIODS)
    assert (beside.state("dead-letters"), beside.state("any")) == ("OK", "OK")
    assert beside.heard() == [("dead-letters", "ALARM"), ("dead-letters", "OK")]


def test_queues(beside: Beside) -> None:
    """What the messages of a queue are and were, mapped ones included; none of it is lost when all went fast."""
    beside.tick()
    beside.send("dead", {}, {}, {})
    beside.send("work", {}, {"errorType": "Schema"})
    beside.until(
        "work done", lambda: beside.total("Watched", "Done", pipeline="p") == 2 and _total(beside, "Received") >= 2
    )
    beside.later(6)
    flows = {what: _total(beside, what) for what in ("Sent", "Received", "Deleted")}
    assert flows == {"Sent": 2, "Received": 2, "Deleted": 1}
    assert (_total(beside, "Sent", "dead"), _total(beside, "Deleted", "dead")) == (3, 0)
    assert _peak(beside, "ApproximateNumberOfMessagesVisible", "dead") == 3
    assert 1 <= _peak(beside, "ApproximateNumberOfMessagesNotVisible", "work") <= 2
    assert 5 < _peak(beside, "ApproximateAgeOfOldestMessage", "dead") < 60
    assert _peak(beside, "ApproximateAgeOfOldestMessage", "heard") < 60


def test_invocations(beside: Beside) -> None:
    """Each invocation counts once, whoever invoked it, though the emulator counts direct ones too; so do errors."""
    beside.invoke(mode="fine")
    beside.invoke(mode="raise")
    beside.invoke(mode="sleep")
    beside.send("work", {}, {"mode": "raise"})
    beside.until("all seen", lambda: _lambda(beside, "Invocations") >= 4)
    beside.later(6)
    assert (_lambda(beside, "Invocations"), _lambda(beside, "Errors")) in {(4, 3), (5, 3)}  # one batch or two
    for metric in ("Invocations", "Errors"):
        assert beside.total("AWS/Lambda", metric, "SampleCount", FunctionName="worker") == _lambda(
            beside, "Invocations"
        )
    assert beside.total("AWS/Lambda", "Duration", "Maximum", FunctionName="worker") >= 2000
    assert beside.state("errors") in {"OK", "ALARM"}
    beside.until("the alarm", lambda: beside.state("errors") == "ALARM")


def test_throttles(beside: Beside) -> None:
    """The one thing that only the emulator knows reaches the alarms too."""
    functions = beside.stack.client("lambda")
    functions.put_function_concurrency(FunctionName="worker", ReservedConcurrentExecutions=0)
    beside.tick()
    with pytest.raises(functions.exceptions.TooManyRequestsException):
        beside.invoke(mode="fine")
    beside.later(_TWO_PERIODS)
    assert beside.state("throttled") == "ALARM"


def test_api(beside: Beside) -> None:
    """Requests by their status, under both sets of dimensions that AWS has."""
    url = beside.outputs["api"]
    assert [_get(f"{url}/{status}") for status in (200, 404, 503)] == [200, 404, 503]
    api = beside.stack.client("apigatewayv2").get_apis()["Items"][0]["ApiId"]
    beside.until("all seen", lambda: beside.total("AWS/ApiGateway", "Count", ApiId=api) == 3)
    for dimensions in ({"ApiId": api}, {"ApiId": api, "Stage": "$default"}):
        counts = [beside.total("AWS/ApiGateway", name, **dimensions) for name in ("Count", "4xx", "5xx")]
        assert counts == [3, 1, 1]
    assert beside.total("AWS/ApiGateway", "Latency", "SampleCount", ApiId=api) == 3


def test_events_and_notifications(beside: Beside) -> None:
    """Events passed on and lost by rule; messages published and delivered by topic."""
    beside.tick()
    entries = [
        {"EventBusName": "bus", "Source": "test", "DetailType": kind, "Detail": "{}"}
        for kind in ("told", "lost", "lost")
    ]
    beside.stack.client("events").put_events(Entries=entries)

    def failed(rule: str) -> float:
        return beside.total("AWS/Events", "FailedInvocations", EventBusName="bus", RuleName=rule)

    beside.until("the lost ones", lambda: failed("lost") == 2)
    assert beside.total("AWS/Events", "Invocations", EventBusName="bus", RuleName="told") == 1
    assert beside.total("AWS/Events", "Invocations", EventBusName="bus", RuleName="lost") == 2
    assert failed("told") == 0
    assert beside.total("AWS/SNS", "NumberOfMessagesPublished", TopicName="alarms") == 1
    assert beside.total("AWS/SNS", "NumberOfNotificationsDelivered", TopicName="alarms") >= 1


def test_logs_become_metrics(beside: Beside) -> None:
    """Metric filters count by their dimension, embedded metrics by theirs."""
    for kind in ("Schema", "Schema", "Timeout"):
        beside.invoke(errorType=kind)
    beside.until("all seen", lambda: beside.total("Watched", "Done", pipeline="p") == 3)
    assert [beside.total("Watched", "Failures", errorType=kind) for kind in ("Schema", "Timeout")] == [2, 1]


def test_death(beside: Beside) -> None:
    """A new process publishes nothing twice, misses nothing of what happened in between, and knows what was before."""
    beside.invoke(mode="raise")
    beside.until("the first", lambda: _lambda(beside, "Errors") == 1)
    beside.later(6)
    beside.invoke(errorType="Schema")
    beside.ahead = 0
    beside.daemon = beside.started()
    beside.until("the second", lambda: beside.total("Watched", "Failures", errorType="Schema") == 1)
    assert (_lambda(beside, "Invocations"), _lambda(beside, "Errors")) == (2, 1)
    assert beside.total("Watched", "Done", pipeline="p") == 1
    beside.until("the alarm", lambda: beside.state("errors") == "ALARM")


def test_a_stack_that_changes(beside: Beside) -> None:
    """A new deployment is noticed: what has left it is no longer evaluated, what is changed is evaluated anew."""
    beside.until("first states", lambda: beside.state("stalled") == "OK")
    program = (beside.root / "__main__.py").read_text()
    (beside.root / "__main__.py").write_text(program.replace('"threshold": 0,', '"threshold": 2,'))
    beside.stack.deploy(beside.root)
    beside.send("dead", {}, {})
    beside.later(_TWO_PERIODS)
    assert beside.state("dead-letters") == "OK"
    beside.send("dead", {})
    beside.later(_TWO_PERIODS)
    assert beside.state("dead-letters") == "ALARM"


def _lambda(beside: Beside, metric: str) -> float:
    return beside.total("AWS/Lambda", metric, FunctionName="worker")


def _total(beside: Beside, what: str, queue: str = "work") -> float:
    return beside.total("AWS/SQS", f"NumberOfMessages{what}", QueueName=queue)


def _peak(beside: Beside, metric: str, queue: str) -> float:
    return beside.total("AWS/SQS", metric, "Maximum", QueueName=queue)
