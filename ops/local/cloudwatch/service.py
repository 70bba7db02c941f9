"""The process beside the emulator that is the laptop's CloudWatch: started by `lab up`, gone with the emulator.

It carries the emulator's mark in its environment, so whatever ends the emulator's processes ends it too; and it ends by
itself when the emulator was killed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil

from ops.local import processes
from ops.local.emulator import ROOT
from ops.local.files import locked, write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from ops.local.emulator import Emulator

_POLL_SECONDS = 0.002


def ensure(emulator: Emulator, state_file: Path) -> psutil.Process:
    """Start it unless it runs. Returns at once; its work begins half a second later, with what has happened by then."""
    with locked(emulator.home / "cloudwatch.lock"):
        return attach(emulator) or _start(emulator, state_file)


def attach(emulator: Emulator) -> psutil.Process | None:
    """The process that is this emulator's CloudWatch, or None; a record of a dead or another one does not count."""
    processes.reap()
    try:
        record = json.loads(_record(emulator).read_text(encoding="utf-8"))
        process = processes.same(record["pid"], record["started"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return process if process and _marked(process, emulator) else None


def log(emulator: Emulator) -> Path:
    """File with everything that it had to say."""
    return emulator.home / "cloudwatch.log"


def _start(emulator: Emulator, state_file: Path) -> psutil.Process:
    with log(emulator).open("ab") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "ops.local.cloudwatch", str(emulator.home), str(state_file.resolve())],
            cwd=ROOT,
            env=emulator.environment(),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in a terminal does not reach it
        )
    processes.keep(child)
    process = psutil.Process(child.pid)
    while not _marked(process, emulator) and child.poll() is None:  # the system shows its environment a moment later
        time.sleep(_POLL_SECONDS)
    write_atomically(_record(emulator), json.dumps({"pid": child.pid, "started": process.create_time()}))
    return process


def _marked(process: psutil.Process, emulator: Emulator) -> bool:
    return processes.environment(process).get(processes.MARK) == str(emulator.home)


def _record(emulator: Emulator) -> Path:
    return emulator.scratch / "cloudwatch.json"
