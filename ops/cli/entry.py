"""What the command `lab` starts: loading the rest takes a moment, and Ctrl-C is heard from the first on."""

from __future__ import annotations

import gc
import os
import signal
import sys

_GC_THRESHOLD = 100_000  # modules and the Pulumi SDK make a million objects that stay: looking for garbage is slow
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> None:
    """Run `lab`; until it has been loaded there is nothing that an interruption would leave half-made."""
    for number in _SIGNALS:
        signal.signal(number, _leave)
    gc.set_threshold(_GC_THRESHOLD)
    from ops.cli import commands  # noqa: PLC0415 - see above

    name = "".join(sys.argv[1:2])
    if name in commands.COMMANDS:  # most of a short command's time would go into loading the others
        app = commands.only(name)
    else:
        from ops.cli.main import app  # noqa: PLC0415 - see above

    commands.run(app)


def _leave(*_: object) -> None:
    sys.stderr.write("error: interrupted\n")
    sys.stderr.flush()
    os._exit(130)  # an exception could come up in the middle of an import
