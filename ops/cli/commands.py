"""What the commands of `lab` have in common: their application, and how it ends."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from ops.cli import output
from ops.local.errors import LabError


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


def only_up() -> typer.Typer:
    """`lab` for who has named the command `up`: the others need not be loaded."""
    from ops.cli.up import up  # noqa: PLC0415 - the other commands do without it

    app = application()
    app.callback()(lambda: None)  # with one command and no callback, Typer would take its name for an argument
    app.command()(up)
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
