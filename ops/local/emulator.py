"""The laptop's AWS: the MiniStack emulator as a supervised process.

It listens on 127.0.0.1 only, enforces IAM, sees nothing of the caller's environment, runs in a session of its own (so
that Ctrl-C in a terminal does not reach it) and is found again through a record file in its home folder.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psutil

from ops.local import environments, processes, record, venv
from ops.local.errors import LabError
from ops.local.files import locked
from ops.local.record import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[2]
_LOG = "emulator.log"
_CHANGES = "/_lab/changes"  # of `ministack_main`
_READY_SECONDS = 30.0
_POLL_SECONDS = 0.02
_SWEEPS = 5  # the emulator may start a function between our looking and its end
_TAIL_LINES = 15
_FREE_PORT_TRIES = 3  # another program may take a free port between our finding it and the emulator's binding it

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy has no way to our loopback


class EmulatorError(LabError):
    """The emulator can't be started, reached or stopped; the message says why and what to do."""


class PortInUseError(EmulatorError):
    """Another program has the port."""


@dataclass(frozen=True, slots=True)
class Emulator:
    """A running emulator; as a context manager it is stopped on leaving."""

    home: Path
    pid: int
    port: int

    @property
    def endpoint(self) -> str:
        """URL of every AWS API of this emulator."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """File with everything the emulator printed since it started."""
        return self.home / _LOG

    @property
    def scratch(self) -> Path:
        """Folder for files that are of no use once the emulator is gone, and are removed with it."""
        return environments.scratch(self.home)

    def environment(self) -> dict[str, str]:
        """What a helper process may see of this machine; it is ended with the emulator, whose mark it carries."""
        return environments.scrubbed(self.home)

    @classmethod
    def start(cls, home: Path, *, port: int | None = None) -> Emulator:
        """Start an emulator in `home` on `port` (None: any free one) and wait until it answers.

        Raises:
            EmulatorError: one runs in `home` already, or it died or did not answer; nothing is left running then.
            PortInUseError: another program has `port`.
        """
        home = home.resolve()
        with locked(home / "emulator.lock"):
            if running := cls.attach(home):
                raise EmulatorError(f"an emulator runs here already: {running.endpoint} (pid {running.pid})")
            _clear(home)  # what a killed start or a dead emulator left
            command = venv.ensure(ROOT)
            for _ in range(_FREE_PORT_TRIES - 1 if port is None else 0):
                try:
                    return _launch(command, home, _free_port())
                except PortInUseError:
                    continue
            return _launch(command, home, port or _free_port())

    @classmethod
    def attach(cls, home: Path) -> Emulator | None:
        """The emulator that runs in `home`, or None; a record of a dead or another process does not count."""
        home = home.resolve()
        found = Record.read(home)
        if found is None or found.process(home) is None:
            return None
        return cls(home, found.pid, found.port)

    def answers(self, *, within: float = 0) -> bool:
        """Whether the emulator serves requests now, or does so `within` some seconds."""
        deadline = time.monotonic() + within
        while not (healthy := _healthy(self.port)) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        return healthy

    def changes(self) -> str:
        """What stays the same while nobody but the deployer changes a resource; "" where that can't be told now."""
        told = _asked(self.port, _CHANGES)
        return "" if told is None or told.get("open") != 0 else f"{told['life']} {told['changes']}"

    def work(self) -> str:
        """What stays the same while nothing is going on; "" where something is, or that can't be told now."""
        told = _asked(self.port, _CHANGES)
        return "" if told is None or told.get("busy") != 0 else f"{told['life']} {told['work']}"

    def stop(self) -> None:
        """End the emulator and every function process it started, and wait until they are gone.

        Raises:
            EmulatorError: some process survived SIGKILL.
        """
        _clear(self.home)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def clean(home: Path) -> None:
    """End whatever an emulator that is no longer recorded left in `home`: function processes, record, scratch files."""
    _clear(home.resolve())


def stale_record(home: Path) -> str | None:
    """Why the record in `home` is of no use, in words; None when there is none or it is good."""
    home = home.resolve()
    if record.is_broken(home):
        return f"what {home} says of its emulator can't be read"
    found = Record.read(home)
    if found is None or found.process(home) is not None:
        return None
    if processes.reused(found.pid, found.started):
        return f"the emulator of {home} is gone (its pid {found.pid} is now another program)"
    return f"the emulator of {home} is gone (pid {found.pid} is dead)"


def other_listener(home: Path, port: int) -> str | None:
    """Who has `port` and is not the emulator of `home`, in words; None when it is free or that emulator's own."""
    running = Emulator.attach(home)
    return processes.listener(port) if _taken(port) and not (running and running.port == port) else None


def _launch(command: Sequence[Path | str], home: Path, port: int) -> Emulator:
    if _taken(port):
        raise PortInUseError(
            f"port {port} is in use by {processes.listener(port)}; "
            f"stop it, or choose another port: LAB_PORT={port + 1} make up"
        )
    (home / _LOG).write_bytes(b"")
    with (home / _LOG).open("ab") as log:  # appended to, so that it can be cut while the emulator runs
        child = subprocess.Popen(
            command,
            cwd=home,
            env=environments.of_emulator(home, port),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    processes.keep(child)
    try:
        process = psutil.Process(child.pid)
        Record(child.pid, process.create_time(), port, str(ROOT)).write(home)
        _await_ready(child, home, port)
    except BaseException:  # Ctrl-C too: what did not come up must not stay
        _clear(home)
        raise
    return Emulator(home, child.pid, port)


def _await_ready(child: subprocess.Popen[bytes], home: Path, port: int) -> None:
    process = psutil.Process(child.pid)
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        if child.poll() is not None:
            error = PortInUseError if _taken(port) else EmulatorError
            raise error(f"the emulator died on start (exit code {child.returncode}):\n{_tail(home)}")
        if _healthy(port) and processes.listens(process, port):  # else it is somebody else who answers there
            return
        time.sleep(_POLL_SECONDS)
    raise EmulatorError(f"the emulator did not answer within {_READY_SECONDS:.0f} s:\n{_tail(home)}")


def _clear(home: Path) -> None:
    """Kill all that carries the mark of `home`: there is nothing to save, and an orderly exit takes seconds."""
    for _ in range(_SWEEPS):
        found = processes.marked(home)
        if not found:
            break
        alive = processes.kill(found)
        processes.reap()
        if alive:
            raise EmulatorError(f"these processes do not end: {', '.join(str(process.pid) for process in alive)}")
    record.remove(home)
    shutil.rmtree(environments.scratch(home), ignore_errors=True)


def _healthy(port: int) -> bool:
    return _asked(port, "/_ministack/health") is not None


def _asked(port: int, path: str) -> dict[str, Any] | None:
    """What the emulator answers; None where it does not, or with anything but an object."""
    try:
        with _DIRECT.open(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
            told = json.load(answer) if answer.status == 200 else None
    except (urllib.error.URLError, OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _tail(home: Path) -> str:
    lines = (home / _LOG).read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-_TAIL_LINES:]) or "(it printed nothing)"
