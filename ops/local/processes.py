"""Finding and ending processes without ever touching one that is not ours.

A pid alone says nothing: the system reuses it. A process is ours when it carries our mark in its environment, which its
children inherit, so that the functions an emulator started are found even when the emulator itself is gone.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

MARK = "INGESTION_LAB_EMULATOR_HOME"
_KILL_SECONDS = 5.0

_children: dict[int, subprocess.Popen[bytes]] = {}  # of this very interpreter
_POLL_SECONDS = 0.005


def keep(child: subprocess.Popen[bytes]) -> None:
    """Remember a child that outlives the call which started it, so that it can be reaped when it has ended."""
    _children[child.pid] = child


def reap() -> None:
    """Let the system forget the children that have ended."""
    for pid, child in list(_children.items()):
        if child.poll() is not None:
            del _children[pid]


def environment(process: psutil.Process) -> dict[str, str]:
    """Environment of `process`; empty when it is gone or belongs to somebody else."""
    try:
        return process.environ()
    except (psutil.Error, OSError):
        return {}


def marked(home: Path) -> list[psutil.Process]:
    """Every live process that carries the mark of the emulator in `home`."""
    wanted = str(home)
    return [p for p in psutil.process_iter() if _is_live(p) and environment(p).get(MARK) == wanted]


def same(pid: int, started: float) -> psutil.Process | None:
    """The process `pid` if it lives and is the one that started at `started` (seconds since the epoch), else None."""
    process = _process(pid)
    return process if process and _is_live(process) and _began(process, started) else None


def reused(pid: int, started: float) -> bool:
    """Whether `pid` now belongs to another process than the one that started at `started`."""
    process = _process(pid)
    return process is not None and not _began(process, started)


def kill(processes: list[psutil.Process]) -> list[psutil.Process]:
    """SIGKILL all and wait; returns those that are still alive. A zombie is dead, whoever may reap it."""
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    deadline = time.monotonic() + _KILL_SECONDS
    while (alive := [process for process in processes if _is_live(process)]) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return alive


def listens(process: psutil.Process, port: int) -> bool:
    """Whether `process` itself accepts connections on TCP `port`."""
    try:
        connections = process.net_connections(kind="tcp")
    except psutil.Error:
        return False
    return any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in connections)


def listener(port: int) -> str:
    """Who listens on TCP `port`, in words; processes of other users can't be named."""
    for process in psutil.process_iter():
        if listens(process, port):
            return f"{process.name()} (pid {process.pid})"
    return "another program"


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.Error:
        return None


def _began(process: psutil.Process, started: float) -> bool:
    try:
        # Two seconds: the kernel counts in ticks since boot and the clock may have been set since.
        return abs(process.create_time() - started) < 2
    except psutil.Error:
        return False


def _is_live(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
