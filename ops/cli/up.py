"""`lab up`: from nothing to events that are SUCCEEDED."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.cli import output, samples, target
from ops.cli.api import KEY_VARIABLE, TOKEN_VARIABLE
from ops.cli.edits import Edits
from ops.console import service as control_room
from ops.local import standing, venv
from ops.local.cloudwatch import service
from ops.local.emulator import ROOT, Emulator, EmulatorError, stale_record
from ops.local.files import locked_within

if TYPE_CHECKING:
    from collections.abc import Collection

    from ops.local.deployer import Deployment, Runtime
    from ops.local.standing import Standing

PROGRAM = ROOT  # the folder of __main__.py and Pulumi.yaml
_CURL = {  # what curl has to show, by authMode
    "apiKey": f' -H "x-api-key: ${KEY_VARIABLE}"',
    "jwt": f' -H "Authorization: Bearer ${TOKEN_VARIABLE}"',
    "iam": " --user test:test --aws-sigv4 aws:amz:us-east-1:execute-api",
}
_ANSWER_SECONDS = 5.0  # one whose start was cut short may be coming up still
_WAIT_SECONDS = 600.0  # for another one: it may have to fetch packages first
_EmptyOption = Annotated[
    bool, typer.Option("--empty", help="Start the local cloud alone, for others to deploy to; lab down stops it.")
]
_ConsoleOption = Annotated[
    bool, typer.Option("--console", help="Serve the control room too, and print its URL; lab down stops it.")
]
_YesOption = Annotated[
    bool, typer.Option("--yes", "-y", help="Delete what has left the program without asking, with the data it holds.")
]


_RefreshOption = Annotated[
    bool,
    typer.Option("--refresh", help="Set everything anew, so that what was changed by hand is as the program says."),
]
_WatchOption = Annotated[
    bool, typer.Option("--watch", help="Then update functions at every change of their code, until Ctrl-C.")
]


def up(  # noqa: PLR0913, PLR0917 - one option each
    stack: target.StackOption = target.LOCAL,
    empty: _EmptyOption = False,  # noqa: FBT002 - an option
    yes: _YesOption = False,  # noqa: FBT002 - an option
    refresh: _RefreshOption = False,  # noqa: FBT002 - an option
    watch: _WatchOption = False,  # noqa: FBT002 - an option
    console: _ConsoleOption = False,  # noqa: FBT002 - an option
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Start or update a stack, and send sample events through it.

    On the laptop: starts the local cloud (LAB_PORT, default 4566), deploys the program to it and waits until the
    sample events are SUCCEEDED. Updates a running stack in place, and asks before it deletes what has left the
    program and holds data. With --empty it starts the local cloud alone, to which pulumi up --stack local can
    deploy. With --watch it goes on: each saved change of handlers/ goes to the functions that import it, with a
    sample event through the worker, and what goes wrong is shown with file and line. Other stacks: pulumi up.

    Example: lab up --watch
    """
    if empty and watch:
        output.misuse("--empty deploys nothing that --watch could update: give one of them")
    if stack != target.LOCAL:
        if empty or watch:
            output.misuse(f"{'--empty' if empty else '--watch'} is for the laptop; stack {stack!r} is on AWS")
        raise typer.Exit(target.pulumi("up", *(["--refresh"] if refresh else []), stack=stack))
    if empty:
        with locked_within(target.home() / "up.lock", _WAIT_SECONDS, _wait):
            emulator, _ = _emulator()
        output.as_json({"endpoint": emulator.endpoint}) if as_json else output.result([emulator.endpoint])
        return
    with locked_within(target.home() / "up.lock", _WAIT_SECONDS, _wait):
        edits = _up(yes=yes, refresh=refresh, watch=watch, console=console, as_json=as_json)
    if edits:
        edits.run()


def _edits(emulator: Emulator, deployment: Deployment) -> Edits:
    """What watches the code of this deployment."""
    from ops.local.deployer import Code  # noqa: PLC0415 - takes a second; only this command needs it

    found = target.Target(target.LOCAL, deployment.outputs, emulator)
    code = Code(
        PROGRAM, emulator.endpoint, deployment.region, target.state_file(), _runtime(emulator), deployment.layers
    )
    return Edits(found, code)


def _wait() -> None:
    output.say("another lab up is at work; this one goes on when it is done ...")


def _up(*, yes: bool, refresh: bool, watch: bool, console: bool, as_json: bool) -> Edits | None:
    """Bring the stack about; returns what to go on with, where that is wanted."""
    started = time.monotonic()
    importing = threading.Thread(target=_import_deployer, daemon=True)
    if Emulator.attach(target.home()) is None:
        importing.start()  # meanwhile the emulator starts
    emulator, is_new = _emulator()
    edits: Edits | None = None
    try:
        if importing.ident:
            importing.join()  # an import that waits for another thread's may keep its lock when Ctrl-C comes, and hang
        outputs = None if refresh or watch else _brought_up_to_date(emulator)
        if outputs is None:
            deployment = _update(emulator, yes=yes, refresh=refresh)
            outputs = deployment.outputs
            edits = _edits(emulator, deployment) if watch else None
        found = target.Target(target.LOCAL, outputs, emulator)
        keys = _samples(found, watch=watch)
        service.ensure(emulator, target.state_file())  # last: its start would slow the cold starts before it
    except samples.SamplesError:
        output.say("the local cloud stays up; inspect it with: lab status; stop it with: lab down")
        raise
    except BaseException:
        if is_new:  # what this command began and could not finish must not stay
            output.say("stopping the local cloud again")
            emulator.stop()
        raise
    output.say(f"up in {time.monotonic() - started:.1f} s")
    url = control_room.ensure(emulator).url if console else ""
    _show(emulator, outputs, keys, url, as_json=as_json)
    return edits


def _import_deployer() -> None:
    import ops.local.deployer.deployment  # noqa: F401, PLC0415 - takes a second; only this command needs it


def _brought_up_to_date(emulator: Emulator) -> dict[str, Any] | None:
    """The outputs of a deployment that stands as it is wanted, but for functions' code, which is brought to it.

    None where more than that has changed since, or where that can't be told.
    """
    now = standing.look(PROGRAM, emulator, target.state_file())
    before = standing.read(target.state_file())
    edited = now.edited(before) if now and before else None
    if now is None or edited is None or not all(map(standing.is_code, edited)):
        return None
    if edited and not _edit(emulator, now, edited):
        return None
    found = json.loads(target.state_file().read_text(encoding="utf-8"))
    if not edited:
        output.say(f"deployed: {len(found['resources'])} unchanged")
    return dict(found["outputs"])


def _edit(emulator: Emulator, now: Standing, edited: Collection[str]) -> bool:
    """Bring edited code to the functions that import it; whether all is there that this takes."""
    from ops.local.deployer import Code  # noqa: PLC0415 - brings the SDK; without edits none is needed

    code = Code.deployed(PROGRAM, emulator.endpoint, target.state_file(), _runtime(emulator))
    if code is None:
        return False
    with output.busy("updating functions"):
        updated = code.update([PROGRAM / path for path in edited])
    standing.note(PROGRAM, emulator, target.state_file(), now)
    output.say(f"deployed: {len(updated)} updated, whose code imports what was edited")
    for name in updated:
        output.say(f"  {name}")
    return True


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

    before = standing.look(PROGRAM, emulator, target.state_file())
    try:
        deployment = _deploy(emulator, lose_data=yes, refresh=refresh)
    except DataLossError as error:
        output.say("what has left the program holds data:")
        for line in error.lost:
            output.say(f"  {line}")
        if not output.agreed("Delete it with its data?"):
            raise
        deployment = _deploy(emulator, lose_data=True, refresh=refresh)
    standing.note(PROGRAM, emulator, target.state_file(), before)
    return deployment


def _deploy(emulator: Emulator, *, lose_data: bool, refresh: bool) -> Deployment:
    from ops.local.deployer import deploy  # noqa: PLC0415 - takes a second; only this command needs it

    with output.busy("deploying"):
        deployment = deploy(
            PROGRAM,
            target.LOCAL,
            endpoint=emulator.endpoint,
            state_file=target.state_file(),
            notify=output.say,
            lose_data=lose_data,
            refresh=refresh,
            runtime=_runtime(emulator),
        )
    done = deployment.changes
    parts = {"created": done.created, "updated": done.updated, "replaced": done.replaced, "deleted": done.deleted}
    words = [f"{len(names)} {word}" for word, names in parts.items() if names]
    output.say(f"deployed: {', '.join([*words, f'{len(done.unchanged)} unchanged'])}")
    touched = done.created if refresh else done.updated  # a refresh sets everything, and makes what was not there
    for name in [*touched, *done.replaced, *done.deleted]:
        output.say(f"  {name.partition('::')[2]}")
    if refresh:
        output.say("was not as the program says:" if done.drifted else "nothing that it looks at was changed by hand")
        for drift in done.drifted:
            output.say(f"  {drift}")
    return deployment


def _runtime(emulator: Emulator) -> Runtime:
    from ops.local.deployer import Runtime  # noqa: PLC0415 - takes a second; only this command needs it

    return Runtime(venv.python(ROOT), emulator.environment())


def _samples(found: target.Target, *, watch: bool) -> list[str]:
    """Sends sample events and waits for them; returns their keys: none where they could not come through.

    Raises:
        SamplesError: they did not come through; who watches may mend that, and goes on.
    """
    if reason := samples.unwanted(found):
        output.say(f"no sample events: {reason}")
        return []
    mishaps = samples.mishaps(found)
    samples.warm(found)
    try:
        keys = samples.send(found)
        samples.await_success(found, keys, mishaps)
    except samples.SamplesError as error:
        if not watch:
            raise
        output.say(str(error))
        return []
    return keys


def _show(emulator: Emulator, outputs: dict[str, Any], keys: list[str], console: str, *, as_json: bool) -> None:
    url = str(outputs["ApiEndpoint"])
    if as_json:
        made = {"apiUrl": url, "endpoint": emulator.endpoint, "sampleKeys": keys, "outputs": outputs}
        output.as_json(made | ({"consoleUrl": console} if console else {}))
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
            *([f"control room: {console}"] if console else []),
            "",
            *lines,
            f"{credentials} aws --endpoint-url {emulator.endpoint} dynamodb scan --table-name {table}",
        ]
    )
