"""`lab failure`: switch faults on and off."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from ops.cli import output, target
from ops.gamedays import runs

app = typer.Typer(help="Switch faults on and off (stacks with failureInjection).", no_args_is_help=True)

_CACHE_SECONDS = 5.0  # for so long a function may act on the mode that it has read (handlers/faults.py)

ModeArgument = Annotated[
    str,
    typer.Argument(
        help="none, poison_payload, slow_downstream, random_fail_p30 (any pNN), duplicate_submit, downstream_outage, "
        "crash, hang."
    ),
]
TtlOption = Annotated[int | None, typer.Option("--ttl", help="Seconds after which the mode ends by itself.")]
MatchOption = Annotated[
    list[str] | None,
    typer.Option("--match", metavar="FIELD=TEXT", help="Only events whose field has this text; repeatable."),
]
WaitOption = Annotated[bool, typer.Option("--wait", help="Return once every function has seen it: 5 s later.")]


@app.command("set")
def set_(  # noqa: PLR0913, PLR0917 - one option each
    mode: ModeArgument,
    ttl: TtlOption = None,
    match: MatchOption = None,
    wait: WaitOption = False,  # noqa: FBT002 - an option
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Switch a fault on; the functions see it within 5 s. Refused while a GameDay runs on the stack from this machine.

    Example: lab failure set poison_payload --ttl 300 --wait
    """
    runs.spare(target.home(), stack)
    body: dict[str, Any] = {"mode": mode}
    body |= {"ttlSeconds": ttl} if ttl is not None else {}
    body |= {"match": dict(_pair(text) for text in match)} if match else {}
    _show(_switch(stack, "/failure-mode", body, wait=wait), as_json=as_json)


@app.command()
def show(stack: target.StackOption = target.LOCAL, as_json: target.JsonOption = False) -> None:  # noqa: FBT002 - an option
    """Show which fault is on.

    Example: lab failure show
    """
    _show(target.find(stack).ask("GET", "/failure-mode"), as_json=as_json)


@app.command()
def reset(
    wait: WaitOption = False,  # noqa: FBT002 - an option
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Switch every fault off; the functions see it within 5 s.

    Example: lab failure reset --wait
    """
    _show(_switch(stack, "/failure-mode/reset", {}, wait=wait), as_json=as_json)


def _switch(stack: str, path: str, body: dict[str, Any], *, wait: bool) -> dict[str, Any]:
    fault = target.find(stack).ask("POST", path, body)
    if wait:
        time.sleep(_CACHE_SECONDS)
    return fault


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        output.misuse(f"--match must be FIELD=TEXT, got {text!r}")
    return name, value


def _show(fault: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.as_json(fault)
        return
    until = f", until {fault['expiresAt']}" if "expiresAt" in fault else ""
    whom = f", only {fault['match']}" if "match" in fault else ""
    over = "" if fault["effective"] == fault["mode"] else " (expired)"
    output.result([f"failure mode: {fault['mode']}{over}{until}{whom}"])
