"""What the commands of `lab` have in common: their application, and how it ends."""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from ops.cli import output
from ops.local.errors import LabError

_GROUPS = ("events", "failure", "gameday", "lake", "logs", "orders", "queues", "redrive")
_PLACES = {  # of each command, within ops.cli
    **{name: name for name in ("alarms", "console", "cost", "down", "failure", "gameday", "invoke", "logs", "plan")},
    **{name: name for name in ("redrive", "rights", "runbook", "status", "up", "watch")},
    **{name: f"{name}.commands" for name in ("doctor", "events", "lake", "orders", "queues")},
    "send": "events.commands",
}
COMMANDS = frozenset(_PLACES)  # as `main` has them


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


def application() -> typer.Typer:
    """`lab` without a command."""
    return typer.Typer(
        name="lab",
        cls=_Commands,
        help="A reliable ingestion pipeline, and the lab that proves it.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # its tables are wider than a screen is high
    )


def only(name: str) -> typer.Typer:
    """`lab` for who has named this command: the others, and what they stand on, need not be loaded."""
    module = import_module(f"ops.cli.{_PLACES[name]}")
    app = application()
    if name in _GROUPS:
        app.add_typer(module.app, name=name)
    else:
        app.callback()(lambda: None)  # with one command and no callback, Typer would take its name for an argument
        app.command()(getattr(module, name))
    return app


def run(app: typer.Typer) -> None:
    """Run `lab`; a polite kill or a closed terminal ends it as Ctrl-C does, so that nothing half-made stays."""
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
