"""Entry point of `lab`: the same commands on the laptop and on AWS (--stack)."""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from ops.cli import failure, gameday, logs, output, redrive
from ops.cli.alarms import alarms
from ops.cli.console import console
from ops.cli.cost import cost
from ops.cli.doctor.commands import doctor
from ops.cli.down import down
from ops.cli.events import commands as events
from ops.cli.invoke import invoke
from ops.cli.lake import commands as lake
from ops.cli.orders import commands as orders
from ops.cli.plan import plan
from ops.cli.queues import commands as queues
from ops.cli.runbook import runbook
from ops.cli.status import status
from ops.cli.up import up
from ops.cli.watch import watch
from ops.local.errors import LabError

_GC_THRESHOLD = 100_000  # the Pulumi SDK makes a million objects that stay: looking for garbage among them is slow


class _Commands(TyperGroup):
    """Turns what is expected to go wrong into one clear line and an exit code; anything else keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - typer carries a click of its own
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            output.fail("interrupted", output.INTERRUPTED)
        except LabError as error:
            output.fail(str(error), output.REFUSED if error.is_refusal else output.FAILED)
        except OSError as error:
            output.fail(str(error))
        except Exception as error:
            if not type(error).__module__.startswith("botocore."):  # not imported here: most commands do without it
                raise
            output.fail(str(error))


app = typer.Typer(
    name="lab",
    cls=_Commands,
    help="A reliable ingestion pipeline, and the lab that proves it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # its tables are wider than a screen is high
)
for _command in (up, down, status, watch, alarms, runbook, doctor, cost, plan, console, events.send, invoke):
    app.command()(_command)
_GROUPS = {
    "events": events.app,
    "orders": orders.app,
    "logs": logs.app,
    "failure": failure.app,
    "gameday": gameday.app,
    "redrive": redrive.app,
    "lake": lake.app,
    "queues": queues.app,
}
for _name, _group in _GROUPS.items():
    app.add_typer(_group, name=_name)


def main() -> None:
    """Run `lab`; a polite kill or a closed terminal ends it as Ctrl-C does, so that nothing half-made stays."""
    gc.set_threshold(_GC_THRESHOLD)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        app()
    except SystemExit as leaving:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(
            leaving.code if isinstance(leaving.code, int) else 0
        )  # taking the Pulumi SDK apart takes half a second


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
