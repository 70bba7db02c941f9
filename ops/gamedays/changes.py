"""Changes to a stack as data, each with what takes it back; taking one back twice does no harm."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from ops.gamedays.stack import StackError
from ops.local.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ops.gamedays.stack import Stack

CACHE_SECONDS = 5.0  # for so long a function may act on the failure mode that it has read (handlers/faults.py)
_REDRIVE_SECONDS = 90.0


def revert(stack: Stack, folder: Path, what: str, data: Mapping[str, Any]) -> None:
    """Take a change back.

    Raises:
        StackError: the stack did not come back to what it was.
    """
    _REVERTS[what](stack, folder, data)


def _failure_mode(stack: Stack, _: Path, __: Mapping[str, Any]) -> None:
    stack.target.ask("POST", "/failure-mode/reset", {})
    time.sleep(CACHE_SECONDS)  # until then a function may act on what it has read


def _time_limits(stack: Stack, _: Path, data: Mapping[str, Any]) -> None:
    """The function first: its time-out must not be above the queue's visibility."""
    stack.client("lambda").update_function_configuration(FunctionName=stack.worker, Timeout=data["timeout"])
    stack.updated(stack.worker)
    stack.client("sqs").set_queue_attributes(
        QueueUrl=stack.group["queueUrl"], Attributes={"VisibilityTimeout": str(data["visibility"])}
    )


def _code(stack: Stack, folder: Path, data: Mapping[str, Any]) -> None:
    stack.put_code(data["function"], (folder / data["file"]).read_bytes())


def _concurrency(stack: Stack, _: Path, data: Mapping[str, Any]) -> None:
    name, before = data["function"], data["before"]
    if before is None:
        stack.client("lambda").delete_function_concurrency(FunctionName=name)
    else:
        stack.client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=before)


def _policy(stack: Stack, _: Path, data: Mapping[str, Any]) -> None:
    stack.client("sqs").set_queue_attributes(QueueUrl=data["queue"], Attributes={"Policy": data["policy"]})


def _targets(stack: Stack, _: Path, data: Mapping[str, Any]) -> None:
    stack.client("events").put_targets(
        Rule=data["rule"], EventBusName=stack.target.outputs["EventBusName"], Targets=data["targets"]
    )


def _capture(stack: Stack, _: Path, data: Mapping[str, Any]) -> None:
    stack.release(data["name"])


def _consumer(stack: Stack, _: Path, data: Mapping[str, Any]) -> None:
    """The breaker alone resumes what it has paused: it is asked, until the consumer is as it was."""
    deadline = time.monotonic() + 60 * stack.patience
    while stack.consumer().get("State") != data["state"] or stack.breaker() not in ("", "CLOSED"):
        if time.monotonic() > deadline:
            raise StackError(f"the consumer of {stack.pipeline} is {stack.consumer().get('State')}")
        stack.client("lambda").invoke(FunctionName=stack.group["breakerFunctionName"], Payload=b"{}")
        time.sleep(0.5 * stack.patience)


def _letters(stack: Stack, _: Path, data: Mapping[str, Any]) -> None:
    """Dead letters that a run has left go back to their queue, where they are worked or known as done."""
    deadline = time.monotonic() + _REDRIVE_SECONDS * stack.patience
    role, redrive = data["role"], data["redrive"]
    while sum(stack.depth(role).values()):
        if time.monotonic() > deadline:
            raise StackError(f"dead letters are left: lab redrive preview --pipeline {redrive}")
        with contextlib.suppress(LabError, OSError):  # another run has this queue still
            started = stack.target.ask("POST", "/redrive/start", {"pipeline": redrive, "maxMessages": 1000})
            while stack.target.ask("GET", f"/redrive/{started['redriveId']}?limit=1")["state"] == "RUNNING":
                time.sleep(0.2 * stack.patience)
        time.sleep(0.5 * stack.patience)


_REVERTS: dict[str, Callable[[Any, Any, Any], None]] = {
    "failure mode": _failure_mode,
    "time-out and visibility": _time_limits,
    "code": _code,
    "reserved concurrency": _concurrency,
    "queue policy": _policy,
    "rule targets": _targets,
    "capture": _capture,
    "consumer": _consumer,
    "dead letters": _letters,
}
