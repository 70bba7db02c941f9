"""The processes that run Lambda functions on the laptop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil

from ops.local import environments, processes

if TYPE_CHECKING:
    from ops.local.emulator import Emulator


def running(emulator: Emulator, function_name: str) -> list[psutil.Process]:
    """The warm processes of one function of this emulator."""
    try:
        children = psutil.Process(emulator.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return [process for process in children if name(emulator, process) == function_name]


def name(emulator: Emulator, process: psutil.Process) -> str:
    """The function that a child of this emulator runs, "" where it runs none."""
    own = processes.environment(process).get("AWS_LAMBDA_FUNCTION_NAME", "")
    noted = environments.functions(emulator.home) / str(
        process.pid
    )  # of those whose environment is that of their parent
    return own or (noted.read_text(encoding="utf-8") if noted.exists() else "")


def kill(emulator: Emulator, function_name: str) -> int:
    """SIGKILL every process of a function, as a crash of its host would; returns how many there were."""
    killed = 0
    for process in running(emulator, function_name):
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
        killed += 1
    return killed
