"""`lab console`: a web page for those who would rather look than read."""

from __future__ import annotations

from typing import Annotated

import typer

from ops.cli import output, target
from ops.console import service
from ops.console.session import Session

PortOption = Annotated[
    int | None,
    typer.Option(
        "--port",
        min=1,
        max=65535,
        help=f"Where to listen, or the next free one. Default: {service.DEFAULT_PORT}.",
        show_default=False,
    ),
]


def console(
    stack: target.StackOption = target.LOCAL,
    port: PortOption = None,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Serve the control room of a stack on this machine, until Ctrl-C; open the URL that it prints.

    On 127.0.0.1 only, and only for who has the URL. Where `make up` has started one for the laptop's stack, this prints
    its URL, unless --port asks for another. With --json it prints {"url": ...}.

    Example: lab console
    """
    if stack == target.LOCAL and port is None and (running := _running()):
        _tell(running, as_json=as_json)
        return
    from ops.console.app import serve  # noqa: PLC0415 - takes half a second; only this command needs it
    from ops.console.link import Link  # noqa: PLC0415

    with service.listen(port or service.DEFAULT_PORT) as listener:
        session = Session(listener.getsockname()[1])
        _tell(session, as_json=as_json)
        output.say("open this in a browser on this machine; Ctrl-C ends it")
        try:
            serve(Link(stack), listener, session)
        except KeyboardInterrupt:
            return  # Ctrl-C is the way out


def _running() -> Session | None:
    try:
        emulator = target.reach(target.LOCAL).emulator
    except target.NotRunningError:
        return None
    return service.attach(emulator) if emulator else None


def _tell(session: Session, *, as_json: bool) -> None:
    output.as_json({"url": session.url}) if as_json else output.result([session.url])
