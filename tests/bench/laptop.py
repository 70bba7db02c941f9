"""A copy of this tree with a local cloud of its own, and what its processes take: for benches of the laptop."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from ops.local import processes

ROOT = Path(__file__).parents[2]
_PROGRAM = ("__main__.py", "Pulumi.yaml", "Pulumi.local.yaml", "pyproject.toml", "uv.lock")
_FOLDERS = ("components", "handlers", "ops")


@dataclass(frozen=True, slots=True)
class Taken:
    """What a command took. `cpu` is its own and its children's, `cloud` that of the local cloud meanwhile; seconds."""

    wall: float
    cpu: float
    cloud: float
    said: str


@dataclass(frozen=True, slots=True)
class Laptop:
    """A tree in which files may be edited, and the home of its local cloud."""

    tree: Path
    home: Path
    port: int

    def up(self) -> Taken:
        """`make up` but for make."""
        return self._lab("up", "--console")

    def down(self) -> None:
        """Stop all of it."""
        self._lab("down")

    def edit(self, path: str, text: str) -> None:
        """Append to a file."""
        with (self.tree / path).open("a", encoding="utf-8") as file:
            file.write(text)

    def processes(self) -> list[psutil.Process]:
        """All of the local cloud: emulator, functions, CloudWatch, control room."""
        return processes.marked(self.home)

    def cpu(self) -> float:
        """Seconds of CPU that they have taken, those that have ended included where their parent lives."""
        return sum(sum(one.cpu_times()[:4]) for one in self.processes())

    def _lab(self, *arguments: str) -> Taken:
        before = self.cpu()
        started = time.perf_counter()
        environment = os.environ | {"LAB_HOME": str(self.home), "LAB_PORT": str(self.port)}
        child = subprocess.Popen(
            [sys.executable, "-c", "from ops.cli.entry import main; main()", *arguments],
            cwd=self.tree,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said = child.stdout.read() if child.stdout else ""
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise RuntimeError(f"lab {' '.join(arguments)} failed:\n{said}")
        return Taken(wall, usage.ru_utime + usage.ru_stime, max(0.0, self.cpu() - before), said)


@contextmanager
def laptop() -> Iterator[Laptop]:
    """One on which nothing runs; what runs at the end is stopped."""
    with TemporaryDirectory() as scratch:
        tree = Path(scratch) / "tree"
        tree.mkdir()
        for name in _PROGRAM:
            shutil.copy(ROOT / name, tree)
        for name in _FOLDERS:
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        (tree / ".build").mkdir()
        for layer in (ROOT / ".build").glob("dependencies-*.zip"):
            shutil.copy(layer, tree / ".build")
        found = Laptop(tree, Path(scratch) / "home", _free_port())
        try:
            yield found
        finally:
            found.down()


def memory(running: list[psutil.Process]) -> tuple[float, float]:
    """MB resident in all of them, and MB without counting twice what they share."""
    resident = shared = 0.0
    for one in running:
        told: Any = one.memory_full_info()
        resident += told.rss / 1e6
        shared += getattr(told, "pss", told.uss) / 1e6
    return resident, shared


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
