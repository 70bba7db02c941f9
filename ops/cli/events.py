"""`lab events`: what became of an event."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from ops.cli import output, target
from ops.cli.http import ask

app = typer.Typer(help="Look at single events.", no_args_is_help=True)


@app.command()
def show(
    key: Annotated[str, typer.Argument(help="The idempotency key, as the API answered it.")],
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Show the state record of an event.

    Example: lab events show order-7
    """
    record = ask(target.find(stack), "GET", f"/events/{quote(key, safe='')}")
    if as_json:
        output.as_json(record)
    else:
        output.table(key, ["attribute", "value"], sorted(record.items()))
