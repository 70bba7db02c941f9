"""`lab console`: a web page for those who would rather look than read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ops.cli import output, target

if TYPE_CHECKING:
    from ops.console.guard import Session

DEFAULT_PORT = 4600

PortOption = Annotated[int, typer.Option("--port", min=1, max=65535, help="Where to listen; taken: the next free one.")]


def console(
    stack: target.StackOption = target.LOCAL,
    port: PortOption = DEFAULT_PORT,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Serve the control room of a stack on this machine, until Ctrl-C; open the URL that it prints.

    On 127.0.0.1 only, and only for who has the URL. With --json it prints {"url": ...}.

    Example: lab console
    """
    from ops.console.app import serve  # noqa: PLC0415 - takes half a second; only this command needs it
    from ops.console.link import Link  # noqa: PLC0415

    def opened(session: Session) -> None:
        if as_json:
            output.as_json({"url": session.url})
        else:
            output.result([session.url])
            output.say("open this in a browser on this machine; Ctrl-C ends it")

    serve(Link(stack), port, opened)
