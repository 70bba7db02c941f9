"""`lab up`: from nothing to events that are SUCCEEDED."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import uuid
from typing import TYPE_CHECKING, Annotated

import typer

from ops.cli import output, records, target
from ops.cli.api import KEY_VARIABLE, TOKEN_VARIABLE, Answer, ApiClient, CredentialsError
from ops.local import venv
from ops.local.cloudwatch import service
from ops.local.emulator import ROOT, Emulator, EmulatorError, stale_record
from ops.local.errors import LabError
from ops.local.files import locked_within

if TYPE_CHECKING:
    from ops.local.deployer import Deployment

PROGRAM = ROOT  # the folder of __main__.py and Pulumi.yaml
_CURL = {  # what curl has to show, by authMode
    "apiKey": f' -H "x-api-key: ${KEY_VARIABLE}"',
    "jwt": f' -H "Authorization: Bearer ${TOKEN_VARIABLE}"',
    "iam": " --user test:test --aws-sigv4 aws:amz:us-east-1:execute-api",
}
_ANSWER_SECONDS = 5.0  # one whose start was cut short may be coming up still
_SETTLE_SECONDS = 30.0
_WAIT_SECONDS = 600.0  # for another one: it may have to fetch packages first
_POLL_SECONDS = 0.05
_EmptyOption = Annotated[
    bool, typer.Option("--empty", help="Start the local cloud alone, for others to deploy to; lab down stops it.")
]
_YesOption = Annotated[
    bool, typer.Option("--yes", "-y", help="Delete what has left the program without asking, with the data it holds.")
]


_RefreshOption = Annotated[
    bool,
    typer.Option("--refresh", help="Set everything anew, so that what was changed by hand is as the program says."),
]


class _SamplesError(LabError):
    """The stack is deployed, but the sample events did not come through it."""


def up(
    stack: target.StackOption = target.LOCAL,
    empty: _EmptyOption = False,  # noqa: FBT002 - an option
    yes: _YesOption = False,  # noqa: FBT002 - an option
    refresh: _RefreshOption = False,  # noqa: FBT002 - an option
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Start or update a stack, and send sample events through it.

    On the laptop: starts the local cloud (LAB_PORT, default 4566), deploys the program to it and waits until the
    sample events are SUCCEEDED. Updates a running stack in place, and asks before it deletes what has left the
    program and holds data. With --empty it starts the local cloud alone, to which pulumi up --stack local can
    deploy. Other stacks: pulumi up.

    Example: lab up
    """
    if stack != target.LOCAL:
        if empty:
            output.misuse(f"--empty is for the laptop; stack {stack!r} is on AWS")
        raise typer.Exit(target.pulumi("up", *(["--refresh"] if refresh else []), stack=stack))
    if empty:
        with locked_within(target.home() / "up.lock", _WAIT_SECONDS, _wait):
            emulator, _ = _emulator()
        output.as_json({"endpoint": emulator.endpoint}) if as_json else output.result([emulator.endpoint])
        return
    with locked_within(target.home() / "up.lock", _WAIT_SECONDS, _wait):
        _up(yes=yes, refresh=refresh, as_json=as_json)


def _wait() -> None:
    output.say("another lab up is at work; this one goes on when it is done ...")


def _up(*, yes: bool, refresh: bool, as_json: bool) -> None:
    started = time.monotonic()
    threading.Thread(target=_import_deployer, daemon=True).start()  # meanwhile the emulator starts
    emulator, is_new = _emulator()
    try:
        deployment = _update(emulator, yes=yes, refresh=refresh)
        found = target.Target(target.LOCAL, deployment.outputs, emulator)
        keys = _samples(found)
        service.ensure(emulator, target.state_file())  # last: its start would slow the cold starts before it
    except _SamplesError:
        output.say("the local cloud stays up; inspect it with: lab status; stop it with: lab down")
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
        output.say(f"local cloud: already running at {running.endpoint}")
        if (wanted := target.wanted_port()) not in (None, running.port):
            output.say(f"LAB_PORT={wanted} is not used: to move there, lab down first")
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


def _update(emulator: Emulator, *, yes: bool, refresh: bool) -> Deployment:
    from ops.local.deployer import DataLossError  # noqa: PLC0415 - takes a second; only this command needs it

    try:
        return _deploy(emulator, lose_data=yes, refresh=refresh)
    except DataLossError as error:
        output.say("what has left the program holds data:")
        for line in error.lost:
            output.say(f"  {line}")
        if not output.agreed("Delete it with its data?"):
            raise
    return _deploy(emulator, lose_data=True, refresh=refresh)


def _deploy(emulator: Emulator, *, lose_data: bool, refresh: bool) -> Deployment:
    from ops.local.deployer import Runtime, deploy  # noqa: PLC0415 - takes a second; only this command needs it

    with output.busy("deploying"):
        deployment = deploy(
            PROGRAM,
            target.LOCAL,
            endpoint=emulator.endpoint,
            state_file=target.state_file(),
            notify=output.say,
            lose_data=lose_data,
            refresh=refresh,
            runtime=Runtime(venv.python(ROOT), emulator.environment()),
        )
    done = deployment.changes
    parts = {"created": done.created, "updated": done.updated, "replaced": done.replaced, "deleted": done.deleted}
    words = [f"{len(names)} {word}" for word, names in parts.items() if names]
    output.say(f"deployed: {', '.join([*words, f'{len(done.unchanged)} unchanged'])}")
    for name in [*(done.updated if not refresh else []), *done.replaced, *done.deleted]:
        output.say(f"  {name.partition('::')[2]}")
    return deployment


def _samples(found: target.Target) -> list[str]:
    """Sends sample events and waits for them; returns their keys: none where they could not come through."""
    if "events" not in found.pipelines:
        output.say("no sample events: the configuration key pipelines does not include events")
        return []
    if (mode := _failure_mode(found)) != "none":
        output.say(f"no sample events: failure mode {mode} is on; switch it off with: lab failure reset")
        return []
    _warm(found)
    keys = _send_samples(found)
    _await_success(found, keys)
    return keys


def _failure_mode(found: target.Target) -> str:
    if "FailureResetFunctionName" not in found.outputs:
        return "none"
    try:
        return str(found.ask("GET", "/failure-mode")["effective"])
    except (LabError, OSError):  # then the sample events tell what is wrong
        return "none"


def _send_samples(found: target.Target) -> list[str]:
    client = ApiClient(found.api, found.identity)
    orders = [{"orderId": f"sample-{uuid.uuid4().hex[:8]}", "amount": 42.5 + i, "currency": "EUR"} for i in range(4)]
    try:
        batch = client.post("/events/batch", orders)
    except OSError as error:
        raise _SamplesError(f"the API does not answer: {error}") from error
    except CredentialsError as error:
        raise _SamplesError(f"no sample events were sent: {error}") from error
    finally:
        client.close()
    if batch.status != 202:
        raise _SamplesError(f"the API refused the sample events: {batch.status} {batch.body}")
    return [item["idempotencyKey"] for item in batch.body["results"]]


def _warm(found: target.Target) -> None:
    """Starts API and worker side by side: on a laptop each cold start is felt. What fails here fails the samples."""
    worker = threading.Thread(target=_start_worker, args=[found], daemon=True)
    worker.start()
    client = ApiClient(found.api)
    with contextlib.suppress(OSError):
        client.get("/health")
    client.close()
    worker.join(_SETTLE_SECONDS)


def _start_worker(found: target.Target) -> None:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - loaded by the deployment already

    with contextlib.suppress(BotoCoreError, ClientError):
        name = found.pipelines["events"]["workerFunctionName"]
        found.client("lambda").invoke(FunctionName=name, Payload=b'{"Records": []}')


def _await_success(found: target.Target, keys: list[str]) -> None:
    client = ApiClient(found.api, found.identity)
    deadline = time.monotonic() + _SETTLE_SECONDS
    statuses = dict.fromkeys(keys, "")
    try:
        with output.progress("sample events", len(keys)) as advance:
            while waiting := [key for key, status in statuses.items() if status != "SUCCEEDED"]:
                answer = client.get(f"/events/{waiting[0]}")
                statuses[waiting[0]] = _standing(answer)
                if statuses[waiting[0]] == "SUCCEEDED":
                    advance(1)
                    continue
                if time.monotonic() > deadline:
                    shown = ", ".join(f"{key[:12]}… {status}" for key, status in statuses.items())
                    raise _SamplesError(
                        f"the sample events are not SUCCEEDED after {_SETTLE_SECONDS:.0f} s: {shown};"
                        f" what the functions say: lab logs tail"
                    )
                time.sleep(_POLL_SECONDS)
    except OSError as error:
        raise _SamplesError(f"the API does not answer: {error}") from error
    finally:
        client.close()
    output.say(f"sample events: {len(keys)} of {len(keys)} SUCCEEDED")


def _standing(answer: Answer) -> str:
    if answer.status != 200:
        return str(answer.status)
    return records.standing(answer.body["status"], final=answer.body["final"])


def _show(emulator: Emulator, deployment: Deployment, keys: list[str], *, as_json: bool) -> None:
    outputs = deployment.outputs
    url = str(outputs["ApiEndpoint"])
    if as_json:
        output.as_json({"apiUrl": url, "endpoint": emulator.endpoint, "sampleKeys": keys, "outputs": outputs})
        return
    body = json.dumps({"orderId": "123", "amount": 42.5})
    table = outputs["DynamoTableName"]
    curl = f"curl{_CURL.get(outputs['AuthMode'], '')}"
    credentials = "AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1"
    lines = [f"{curl} '{url}/events/{key}'" for key in keys[:1]]
    if "events" in outputs:
        lines.insert(0, f"{curl} -X POST '{url}/events' -H 'Content-Type: application/json' -d '{body}'")
    if "orders" in outputs:
        order = json.dumps({"items": [{"sku": "ABC-1", "qty": 2}]})
        lines.append(f"{curl} -X POST '{url}/orders' -H 'Content-Type: application/json' -d '{order}'")
    output.result(
        [
            f"API URL: {url}",
            "",
            *lines,
            f"{credentials} aws --endpoint-url {emulator.endpoint} dynamodb scan --table-name {table}",
        ]
    )
