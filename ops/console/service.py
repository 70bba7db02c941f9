"""The control room beside the laptop's stack: started by `make up`, gone with the emulator.

It carries the emulator's mark in its environment, so whatever ends the emulator's processes ends it too. Its address
and its secrets outlive it, so that pages which are open when the stack is started again go on with it.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import psutil

from ops.cli.api import KEY_VARIABLE, TOKEN_VARIABLE
from ops.console.session import Session
from ops.local import processes
from ops.local.emulator import ROOT
from ops.local.files import locked

if TYPE_CHECKING:
    from pathlib import Path

    from ops.local.emulator import Emulator

HOST = "127.0.0.1"
DEFAULT_PORT = 4600
_TRIES = 20  # ports, one after the other


def listen(wanted: int) -> socket.socket:
    """A socket on loopback: at this port, or at the first free one after it.

    Raises:
        OSError: none of them is free.
    """
    for port in range(wanted, wanted + _TRIES):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
            listener.listen()
        except OSError:
            listener.close()
            continue
        return listener
    raise OSError(f"none of the ports {wanted} to {wanted + _TRIES - 1} is free")


def ensure(emulator: Emulator) -> Session:
    """Start it unless it runs; who calls at once waits a moment for the first answer."""
    with locked(emulator.home / "console.lock"):
        found = _Record.read(emulator.home)
        if found and found.is_running(emulator):
            return found.session
        return _start(emulator, found.session if found else None)


def attach(emulator: Emulator) -> Session | None:
    """The session of the one that runs beside this emulator."""
    found = _Record.read(emulator.home)
    return found.session if found and found.is_running(emulator) else None


@dataclass(frozen=True, slots=True)
class _Record:
    """Who it is, and how it is reached."""

    pid: int
    started: float  # seconds since the epoch; tells this process from a later one with the same pid
    session: Session

    @classmethod
    def read(cls, home: Path) -> _Record | None:
        processes.reap()
        try:
            text = json.loads(_file(home).read_text(encoding="utf-8"))
            session = Session(text["port"], text["token"], text["secret"])
            return cls(text["pid"], text["started"], session)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def is_running(self, emulator: Emulator) -> bool:
        process = processes.same(self.pid, self.started)
        return process is not None and processes.environment(process).get(processes.MARK) == str(emulator.home)

    def write(self, home: Path) -> None:
        """For the owner's eyes alone: it has the secrets."""
        made = {"pid": self.pid, "started": self.started, **asdict(self.session)}
        temporary = _file(home).with_name(f".console.json.{os.getpid()}")
        with os.fdopen(os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
            json.dump(made, file)
        temporary.replace(_file(home))


def _start(emulator: Emulator, before: Session | None) -> Session:
    with listen(before.port if before else DEFAULT_PORT) as listener:
        port = listener.getsockname()[1]
        session = Session(port, before.token, before.secret) if before else Session(port)
        environment = emulator.environment() | {"LAB_HOME": str(emulator.home)}
        environment |= {name: os.environ[name] for name in (KEY_VARIABLE, TOKEN_VARIABLE) if name in os.environ}
        with (emulator.home / "console.log").open("ab") as out:
            child = subprocess.Popen(
                [sys.executable, "-m", "ops.console", str(listener.fileno())],
                cwd=ROOT,
                env=environment | {"LAB_CONSOLE_TOKEN": session.token, "LAB_CONSOLE_SECRET": session.secret},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                pass_fds=[listener.fileno()],
                start_new_session=True,  # Ctrl-C in a terminal does not reach it
            )
    processes.keep(child)
    _Record(child.pid, psutil.Process(child.pid).create_time(), session).write(emulator.home)
    return session


def _file(home: Path) -> Path:
    return home / "console.json"
