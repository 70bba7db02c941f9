"""`lab` with a home and a port of its own."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner, Result

from ops.cli.main import app
from ops.local.emulator import ROOT

_LAB = (sys.executable, "-c", "from ops.cli.entry import main; main()")


@dataclass(frozen=True)
class Laptop:
    """A home and a port of its own for `lab`."""

    home: Path
    port: int

    def lab(self, *arguments: str, typed: str = "", **environment: str) -> Result:
        """Run in this process, with this on stdin."""
        return CliRunner().invoke(app, list(arguments), input=typed, env=self._environment | environment)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Run as people do."""
        return subprocess.Popen(
            [*_LAB, *arguments],
            cwd=ROOT,
            env=os.environ | self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def _environment(self) -> dict[str, str]:
        return {"LAB_HOME": str(self.home), "LAB_PORT": str(self.port)}
