"""Sample events: sent through a stack on the laptop, and followed until they are SUCCEEDED or it is clear why not."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

from ops.cli import loglines, output, records
from ops.cli.api import ApiClient, CredentialsError
from ops.local.emulator import ROOT
from ops.local.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ops.cli.target import Target

FUNCTIONS = frozenset({"events-ingest", "events-worker"})  # through which they pass
_COUNT = 4
_SETTLE_SECONDS = 30.0
_POLL_SECONDS = 0.05
_LOG_SECONDS = 1.0  # between two looks at the functions' logs, the first after as long
_FAILED = frozenset({"FAILED", records.RETRYING})


class SamplesError(LabError):
    """The stack is deployed, but the sample events did not come through it."""


def unwanted(found: Target) -> str:
    """Why sample events can't come through, "" where they can."""
    if "events" not in found.pipelines:
        return "the configuration key pipelines does not include events"
    if (mode := _failure_mode(found)) != "none":
        return f"failure mode {mode} is on; switch it off with: lab failure reset"
    return ""


def send(found: Target, count: int = _COUNT) -> list[str]:
    """Send some; returns their keys.

    Raises:
        SamplesError: the API does not take them.
    """
    client = ApiClient(found.api, found.identity)
    orders = [
        {"orderId": f"sample-{uuid.uuid4().hex[:8]}", "amount": 42.5 + i, "currency": "EUR"} for i in range(count)
    ]
    try:
        batch = client.post("/events/batch", orders)
    except OSError as error:
        raise SamplesError(f"the API does not answer: {error}") from error
    except CredentialsError as error:
        raise SamplesError(f"no sample events were sent: {error}") from error
    finally:
        client.close()
    if batch.status != 202:
        raise SamplesError(f"the API refused the sample events: {batch.status} {batch.body}")
    return [item["idempotencyKey"] for item in batch.body["results"]]


def await_success(found: Target, keys: list[str], mishaps: Callable[[], list[str]]) -> None:
    """Wait until all are SUCCEEDED, and say at once what goes wrong: `mishaps` returns what the logs have that is new.

    Raises:
        SamplesError: they are not in time, or all that are not have failed, for a reason that was said.
    """
    client = ApiClient(found.api, found.identity)
    deadline = time.monotonic() + _SETTLE_SECONDS
    look, was_told = time.monotonic() + _LOG_SECONDS, False
    statuses = dict.fromkeys(keys, "")
    try:
        with output.progress("sample events", len(keys)) as advance:
            while waiting := [key for key, status in statuses.items() if status != "SUCCEEDED"]:
                for key in waiting:
                    statuses[key] = _standing(client, key)
                    advance(statuses[key] == "SUCCEEDED")
                if (now := time.monotonic()) >= look:
                    look = now + _LOG_SECONDS
                    for line in mishaps():
                        output.say(line)
                        was_told = True
                if now > deadline or (was_told and all(statuses[key] in _FAILED for key in waiting)):
                    raise SamplesError(_words(statuses))
                time.sleep(_POLL_SECONDS)
    except OSError as error:
        raise SamplesError(f"the API does not answer: {error}") from error
    finally:
        client.close()
    output.say(f"sample events: {len(keys)} of {len(keys)} SUCCEEDED")


def mishaps(found: Target) -> Callable[[], list[str]]:
    """What goes wrong from now on in the functions that sample events pass through, as their logs say it."""
    groups = {name: group for name, group in loglines.groups(found).items() if name in FUNCTIONS}
    tail = loglines.Tail(found, groups, int(time.time() * 1000))
    return lambda: [line for name, event in tail.new() for line in loglines.mishap(name, event, ROOT)]


def warm(found: Target) -> None:
    """Start API and worker side by side: on a laptop each cold start is felt. What fails here fails the samples."""
    worker = threading.Thread(target=_start_worker, args=[found], daemon=True)
    worker.start()
    client = ApiClient(found.api)
    with contextlib.suppress(OSError):
        client.get("/health")
    client.close()
    worker.join(_SETTLE_SECONDS)


def _start_worker(found: Target) -> None:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - loaded by the deployment already

    with contextlib.suppress(BotoCoreError, ClientError):
        name = found.pipelines["events"]["workerFunctionName"]
        found.client("lambda").invoke(FunctionName=name, Payload=b'{"Records": []}')


def _failure_mode(found: Target) -> str:
    if "FailureResetFunctionName" not in found.outputs:
        return "none"
    try:
        return str(found.ask("GET", "/failure-mode")["effective"])
    except (LabError, OSError):  # then the sample events tell what is wrong
        return "none"


def standing(found: Target, key: str) -> str:
    """How a sample's record stands, or the status of the answer where there is none.

    Raises:
        OSError: no answer.
    """
    client = ApiClient(found.api, found.identity)
    try:
        return _standing(client, key)
    finally:
        client.close()


def _standing(client: ApiClient, key: str) -> str:
    answer = client.get(f"/events/{key}")
    if answer.status != 200:
        return str(answer.status)
    body: dict[str, Any] = answer.body
    return records.standing(body["status"], final=body["final"])


def _words(statuses: dict[str, str]) -> str:
    shown = ", ".join(f"{key[:12]}… {status}" for key, status in statuses.items())
    return f"the sample events are not SUCCEEDED: {shown}; what the functions say: lab logs tail"
