"""A GameDay in a process of its own, for a page that shows it: python -m ops.gamedays STACK NAME RUN.

It is stopped, rolled back and judged as soon as its stdin ends: whoever has started it asks for that, or is gone.
"""

from __future__ import annotations

import os
import sys
import threading

from ops.cli import target
from ops.gamedays import catalogue, engine, report, runs
from ops.gamedays.journal import Journal
from ops.local.errors import LabError


def perform(stack: str, name: str, run: str, interrupted: threading.Event) -> None:
    """Run it under this id, and write its report.

    Raises:
        LabError: the stack is not there, or a safety rule refuses.
    """
    home, found, gameday = target.home(), target.find(stack), catalogue.named(name)
    runs.permit(found)
    with runs.alone(home, found):
        runs.recover(home, found)
        journal = Journal(runs.folder(home) / run)
        outcome = engine.perform(gameday, found, journal, is_interrupted=interrupted.is_set)
        report.write(outcome, journal.folder)


def main() -> None:
    """Run what the arguments say until its end, or that of stdin."""
    stack, name, run = sys.argv[1:]
    interrupted = threading.Event()

    def listen() -> None:
        os.read(0, 1)
        interrupted.set()

    threading.Thread(target=listen, daemon=True).start()
    try:
        perform(stack, name, run, interrupted)
    except LabError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
