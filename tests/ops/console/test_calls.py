"""What it costs to leave a page open for a stack on AWS, and what becomes of pages that AWS refuses."""

from types import SimpleNamespace
from typing import Any

import pytest

from ops.cli.target import Target
from ops.console import snapshot
from ops.console.link import Link
from ops.console.load import Load
from ops.console.pages import overview
from ops.console.runner import Runner
from ops.console.snapshot import Reader
from ops.console.views import Desk
from ops.local.emulator import ROOT
from tests.ops.console.fakes import WholeStack, group
from tests.ops.console.served import found

_MINUTES = 10
_LOOKS = 30  # a page asks for them in a minute


def _stack() -> WholeStack:
    """All pipelines, with the pace of AWS; functions as those of a deployed stack."""
    queues = {"noticesUrl": "https://sqs/n", "noticesDlqUrl": "https://sqs/nd"}
    functions = {"ingestFunctionName": "i", "redriveFunctionName": "r", "apiFunctionName": "a"}
    stack = WholeStack(
        events=group("events", **functions),
        orders=group("orders", **functions, undeliveredUrl="https://sqs/u"),
        lake=group("lake", **functions, **queues, bronzeBucket="bronze", silverBucket="silver"),
        FailureResetFunctionName="f",
    )
    on_aws = Target("dev", stack.outputs, None)
    stack.look_seconds, stack.metric_seconds = on_aws.look_seconds, on_aws.metric_seconds
    stack.answers["GET", "/failure-mode"] = {"effective": "none"}
    return stack


def _asked(stack: WholeStack, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Calls in these minutes while the overview is open in two tabs."""
    now: Any = SimpleNamespace(monotonic=lambda: now.at, at=1000.0)
    monkeypatch.setattr(snapshot, "time", now)
    monkeypatch.setattr(overview, "time", now)
    desk = Desk(Link("dev", found(stack)), Reader(Link("dev", found(stack))), Runner(), Load())
    overview._values(desk)
    stack.aws.calls.clear()
    stack.asked.clear()
    for _ in range(_MINUTES * _LOOKS):
        now.at += 60 / _LOOKS
        for _tab in range(2):
            overview._values(desk)
    return {**stack.aws.calls, "API": len(stack.asked)}


def test_a_page_that_is_left_open_asks_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many tabs there are; metrics, of which each costs, once a minute. The documentation says the same."""
    stack = _stack()
    calls = _asked(stack, monkeypatch)

    metrics = 3 * sum(name.endswith("FunctionName") for name in _names(stack))
    assert calls["metrics"] == metrics * calls["cloudwatch get_metric_data"]
    assert calls["cloudwatch get_metric_data"] <= _MINUTES
    assert calls["API"] == calls["cloudwatch describe_alarms"] == 5 * _MINUTES
    told = {
        "SQS": calls["sqs get_queue_attributes"],
        "Lambda": sum(many for call, many in calls.items() if call.startswith("lambda ")),
        "DynamoDB": calls["dynamodb get_item"],
    }
    page = (ROOT / "docs" / "console.md").read_text(encoding="utf-8").replace("\n", " ")
    for service, many in told.items():
        assert f"{service} {many / _MINUTES:.0f} times" in page


def _names(stack: WholeStack) -> list[str]:
    return [key for group in (stack.outputs, *stack.pipelines.values()) for key in group]
