"""What the laptop's stack takes while nobody uses it: ``python -m tests.bench.idle [SECONDS]``.

`lab up --console`, its sample events, then a pause until the minute's ticks of the schedules have been, and then CPU of
all its processes over two minutes unless told otherwise, by process. Memory is what they take at the end: a page that
several share counts once (the kernel's proportional set size); what is resident stands beside it.
"""

import sys
import time
from collections.abc import Iterator, Mapping

import psutil

from ops.local import lambdas
from ops.local.emulator import Emulator
from tests.bench.laptop import Laptop, laptop, memory
from tests.bench.report import Row, conclude, json_file, row

_SECONDS = 120
_PAUSE_SECONDS = 75
_WINDOWS = 4
_BAR_CPU, _BAR_MEMORY = "≤ 5 %", "≤ 350 MB"


_KINDS = {"cloudwatch": "CloudWatch", "console": "control room", "function_fork": "forks", "ministack": "emulator"}


def _name(one: Laptop, process: psutil.Process) -> str:
    emulator = Emulator.attach(one.home)
    assert emulator is not None
    if name := lambdas.name(emulator, process):
        return f"function {name}"
    line = " ".join(process.cmdline())
    return next((kind for word, kind in _KINDS.items() if word in line), line)


def _cpu(one: Laptop) -> dict[int, tuple[str, float]]:
    return {p.pid: (_name(one, p), sum(p.cpu_times()[:4])) for p in one.processes()}


def _between(before: Mapping[int, tuple[str, float]], after: Mapping[int, tuple[str, float]]) -> dict[str, float]:
    """CPU seconds by name. Of a process that has ended its parent tells."""
    taken: dict[str, float] = {}
    for pid, (name, seconds) in after.items():
        kind = "functions" if name.startswith("function ") else name
        taken[kind] = taken.get(kind, 0.0) + seconds - before.get(pid, ("", 0.0))[1]
    return taken


def _measure(one: Laptop, seconds: float) -> Iterator[Row]:
    one.up()
    time.sleep(_PAUSE_SECONDS)
    shares, sums = [], dict[str, float]()
    for _ in range(_WINDOWS):
        before, began = _cpu(one), time.monotonic()
        time.sleep(seconds / _WINDOWS)
        taken, lasted = _between(before, _cpu(one)), time.monotonic() - began
        shares.append(100 * sum(taken.values()) / lasted)
        sums |= {name: sums.get(name, 0.0) + value / lasted / _WINDOWS * 100 for name, value in taken.items()}
    told = ", ".join(f"{name} {share:.1f} %" for name, share in sorted(sums.items()))
    # The ticks of a minute fall into one window or the other: the mean is what it costs.
    yield row("idle stack, share of one core", [sum(shares) / len(shares)], _BAR_CPU, told)
    running = one.processes()
    resident, own = memory(running)
    parts = sorted((_name(one, p), memory([p])[1]) for p in running)
    told = f"resident, with shared pages counted each time, {resident:.0f} MB; "
    yield row("idle stack, memory", [own], _BAR_MEMORY, told + ", ".join(f"{name} {size:.0f}" for name, size in parts))


def main(arguments: list[str]) -> int:
    """Prints the figures; see the module."""
    rest, file = json_file(arguments)
    with laptop() as one:
        rows = list(_measure(one, float(rest[0]) if rest else _SECONDS))
    return conclude("idle", rows, file, note=_NOTE)


_NOTE = """
On Linux functions' processes are forked from one that has the SDK loaded, and end after two minutes without a call;
those that remain have a tick of a schedule each minute.
"""

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
