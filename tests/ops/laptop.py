"""`lab` with a home and a port of its own."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from typer.testing import CliRunner, Result

from ops.cli.main import app
from ops.local.emulator import ROOT

_LAB = (sys.executable, "-c", "from ops.cli.entry import main; main()")
_PATIENCE_SECONDS = 120.0  # many times what any command takes here


class Run(subprocess.Popen[str]):
    """A command at work. One that hangs fails its test, and does not outlive it."""

    def communicate(self, input: str | None = None, timeout: float | None = _PATIENCE_SECONDS) -> tuple[str, str]:  # noqa: A002 - the name is the library's
        """All that it prints until its end."""
        return super().communicate(input, timeout)

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends it where the test has failed."""
        if raised is not None:
            self.kill()
        super().__exit__(kind, raised, trace)


@dataclass(frozen=True)
class Laptop:
    """A home and a port of its own for `lab`."""

    home: Path
    port: int

    def lab(self, *arguments: str, typed: str = "", **environment: str) -> Result:
        """Run in this process, with this on stdin."""
        return CliRunner().invoke(app, list(arguments), input=typed, env=self._environment | environment)

    def start(self, *arguments: str) -> Run:
        """Run as people do."""
        return Run(
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
