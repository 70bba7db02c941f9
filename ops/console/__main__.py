"""The process that `make up` starts: the control room of the laptop's stack, at a socket that it inherits."""

import os
import socket
import sys

from ops.cli.target import LOCAL
from ops.console.app import serve
from ops.console.link import Link
from ops.console.session import Session


def main() -> None:
    """Serve until a signal ends it."""
    token, secret = os.environ.pop("LAB_CONSOLE_TOKEN"), os.environ.pop("LAB_CONSOLE_SECRET")
    with socket.socket(fileno=int(sys.argv[1])) as listener:
        serve(Link(LOCAL), listener, Session(listener.getsockname()[1], token, secret))


if __name__ == "__main__":
    main()
