"""`lab up`: from nothing to events that are SUCCEEDED."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import uuid
from typing import TYPE_CHECKING

import typer

from ops.cli import output, target
from ops.cli.http import ApiClient
from ops.local import venv
from ops.local.cloudwatch import service
from ops.local.emulator import ROOT, Emulator, EmulatorError, stale_record
from ops.local.errors import LabError

if TYPE_CHECKING:
    from ops.local.deployer import Deployment

PROGRAM = ROOT  # the folder of __main__.py and Pulumi.yaml
_ANSWER_SECONDS = 5.0  # one whose start was cut short may be coming up still
_SETTLE_SECONDS = 30.0
_POLL_SECONDS = 0.05


class _SamplesError(LabError):
    """The stack is deployed, but the sample events did not come through it."""


def up(stack: target.StackOption = target.LOCAL, as_json: target.JsonOption = False) -> None:  # noqa: FBT002 - an option
    """Start or tune a stack, and send sample events through it.

    On the laptop: starts the local cloud (LAB_PORT, default 4566), deploys the program to it and waits until the
    sample events are SUCCEEDED. Again on a running stack: tunes it in place. Other stacks: pulumi up.

    Example: lab up
    """
    if stack != target.LOCAL:
        raise typer.Exit(target.pulumi("up", stack=stack))
    started = time.monotonic()
    threading.Thread(target=_import_deployer, daemon=True).start()  # meanwhile the emulator starts
    emulator, is_new = _emulator()
    try:
        deployment = _deploy(emulator)
        _warm(target.Target(target.LOCAL, deployment.outputs, emulator))
        keys = _send_samples(deployment)
        _await_success(deployment, keys)
        service.ensure(emulator, target.state_file())  # last: its start would slow the cold starts before it
    except _SamplesError:
        output.say("the local cloud stays up for you to look: lab status; stop it with: lab down")
        raise
    except BaseException:
        if is_new:  # what this command began and could not finish must not stay
            output.say("stopping the local cloud again")
            emulator.stop()
        raise
    output.say(f"up in {time.monotonic() - started:.1f} s")
    _show(emulator, deployment, keys, as_json=as_json)


def _import_deployer() -> None:
    import ops.local.deployer  # noqa: F401, PLC0415 - takes a second; only this command needs it


def _emulator() -> tuple[Emulator, bool]:
    home = target.home()
    running = Emulator.attach(home)
    if running is not None:
        if not running.answers(within=_ANSWER_SECONDS):
            raise EmulatorError(f"the local cloud (pid {running.pid}) does not answer; restart it: lab down, lab up")
        output.say(f"local cloud: runs already at {running.endpoint}")
        return running, False
    if reason := stale_record(home):
        output.say(f"{reason}; starting anew")
    if not venv.is_built(ROOT):
        with output.busy("setting up the local cloud's environment (once)"):
            venv.ensure(ROOT)
    with output.busy("starting the local cloud"):
        emulator = Emulator.start(home, port=target.port())
    output.say(f"local cloud: {emulator.endpoint}")
    return emulator, True


def _deploy(emulator: Emulator) -> Deployment:
    from ops.local.deployer import deploy  # noqa: PLC0415 - takes a second; only this command needs it

    with output.busy("deploying"):
        deployment = deploy(
            PROGRAM, target.LOCAL, endpoint=emulator.endpoint, state_file=target.state_file(), notify=output.say
        )
    done = deployment.changes
    parts = {"created": done.created, "updated": done.updated, "replaced": done.replaced, "deleted": done.deleted}
    words = [f"{len(names)} {word}" for word, names in parts.items() if names]
    output.say(f"deployed: {', '.join([*words, f'{len(done.unchanged)} unchanged'])}")
    for name in [*done.updated, *done.replaced, *done.deleted]:
        output.say(f"  {name.partition('::')[2]}")
    return deployment


def _send_samples(deployment: Deployment) -> list[str]:
    client = ApiClient(str(deployment.outputs["ApiEndpoint"]))
    orders = [{"orderId": f"sample-{uuid.uuid4().hex[:8]}", "amount": 42.5 + i, "currency": "EUR"} for i in range(4)]
    try:
        batch = client.post("/events/batch", orders)
    except OSError as error:
        raise _SamplesError(f"the API does not answer: {error}") from error
    finally:
        client.close()
    if batch.status != 202:
        raise _SamplesError(f"the API refused the sample events: {batch.status} {batch.body}")
    return [item["idempotencyKey"] for item in batch.body["results"]]


def _warm(found: target.Target) -> None:
    """Starts API and workers side by side: on a laptop each cold start is felt. What fails here fails the samples."""
    workers = threading.Thread(target=_start_workers, args=[found], daemon=True)
    workers.start()
    client = ApiClient(found.api)
    with contextlib.suppress(OSError):
        client.get("/health")
    client.close()
    workers.join(_SETTLE_SECONDS)


def _start_workers(found: target.Target) -> None:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - loaded by the deployment already

    with contextlib.suppress(BotoCoreError, ClientError):
        for group in found.pipelines.values():
            found.client("lambda").invoke(FunctionName=group["workerFunctionName"], Payload=b'{"Records": []}')


def _await_success(deployment: Deployment, keys: list[str]) -> None:
    client = ApiClient(str(deployment.outputs["ApiEndpoint"]))
    deadline = time.monotonic() + _SETTLE_SECONDS
    statuses = dict.fromkeys(keys, "")
    try:
        with output.progress("sample events", len(keys)) as advance:
            while waiting := [key for key, status in statuses.items() if status != "SUCCEEDED"]:
                answer = client.get(f"/events/{waiting[0]}")
                statuses[waiting[0]] = answer.body["status"] if answer.status == 200 else str(answer.status)
                if statuses[waiting[0]] == "SUCCEEDED":
                    advance(1)
                    continue
                if time.monotonic() > deadline:
                    shown = ", ".join(f"{key[:12]}… {status}" for key, status in statuses.items())
                    raise _SamplesError(f"the sample events are not SUCCEEDED after {_SETTLE_SECONDS:.0f} s: {shown}")
                time.sleep(_POLL_SECONDS)
    except OSError as error:
        raise _SamplesError(f"the API does not answer: {error}") from error
    finally:
        client.close()
    output.say(f"sample events: {len(keys)} of {len(keys)} SUCCEEDED")


def _show(emulator: Emulator, deployment: Deployment, keys: list[str], *, as_json: bool) -> None:
    outputs = deployment.outputs
    url = str(outputs["ApiEndpoint"])
    if as_json:
        output.as_json({"apiUrl": url, "endpoint": emulator.endpoint, "sampleKeys": keys, "outputs": outputs})
        return
    body = json.dumps({"orderId": "123", "amount": 42.5})
    table = outputs["DynamoTableName"]
    credentials = "AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1"
    output.result(
        [
            f"API URL: {url}",
            "",
            f"curl -X POST '{url}/events' -H 'Content-Type: application/json' -d '{body}'",
            f"curl '{url}/events/{keys[0]}'",
            f"{credentials} aws --endpoint-url {emulator.endpoint} dynamodb scan --table-name {table}",
        ]
    )
