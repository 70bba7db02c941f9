"""`lab down`: stops what `lab up` started."""

from __future__ import annotations

import typer

from ops.cli import output, target
from ops.local import standing
from ops.local.emulator import Emulator, clean, stale_record


def down(
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Stop a stack and delete its data. Succeeds when nothing runs, too.

    On the laptop: ends the local cloud and every process it started. Other stacks: pulumi destroy.

    Example: lab down
    """
    if stack != target.LOCAL:
        raise typer.Exit(target.pulumi("destroy", stack=stack))
    home = target.home()
    emulator = Emulator.attach(home)
    reason = stale_record(home)
    with output.busy("stopping the local cloud"):
        clean(home)  # also what a crash may have left without a record
    target.state_file().unlink(missing_ok=True)
    standing.forget(target.state_file())
    if emulator is not None:
        output.say(f"stopped: {emulator.endpoint} (pid {emulator.pid})")
    else:
        output.say(f"{reason}; cleaned up" if reason else "nothing runs")
    if as_json:
        output.as_json({"stopped": emulator.endpoint if emulator else None})
