"""A GameDay's process: it ends when the console lets go of it, or is gone."""

import os
import subprocess
import sys
from pathlib import Path

from ops.local.emulator import ROOT
from tests.ops.stack import wait_for

# Says that it has begun, and what it does when its stdin ends.
_STUB = """
import os, pathlib
place = pathlib.Path(os.environ["LAB_HOME"])
(place / "begun").touch()
os.read(0, 1)
(place / "rolled back").touch()
"""
_CONSOLE = """
import sys, time
from ops.console.runner import Runner
from ops.gamedays import catalogue
Runner((sys.executable, "-S", "-c", sys.argv[1])).start("local", catalogue.named("duplicates"))
time.sleep(600)
"""


def test_a_console_that_is_killed_leaves_nothing_broken(tmp_path: Path) -> None:
    """Not even kill -9 keeps the run from being rolled back: the end of the pipe tells it."""
    console = subprocess.Popen(
        [sys.executable, "-c", _CONSOLE, _STUB], cwd=ROOT, env=os.environ | {"LAB_HOME": str(tmp_path)}
    )
    try:
        wait_for((tmp_path / "begun").exists, "the run")
        assert not (tmp_path / "rolled back").exists()
    finally:
        console.kill()
        console.wait(60)

    wait_for((tmp_path / "rolled back").exists, "the rollback")
