"""Two sides in turn, in one process: what each takes of the processor and of the clock."""

import io
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Times:
    """Seconds of one piece of work in each round."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    def told(self) -> str:
        """The medians."""
        return f"{statistics.median(self.cpu) * 1000:.2f} ms CPU, {statistics.median(self.wall) * 1000:.1f} ms wall"


@contextmanager
def unheard() -> Iterator[None]:
    """What is printed and logged goes where a log would read it from: to a file descriptor, one line a write."""
    heard = sys.stdout
    with io.TextIOWrapper(io.FileIO(os.devnull, "w"), write_through=True) as sink:
        sys.stdout = sink
        try:
            yield
        finally:
            sys.stdout = heard


def in_turn(sides: Mapping[str, Callable[[], object]], *, rounds: int, times: int) -> dict[str, Times]:
    """Works each side `times` times a round, after a round that does not count."""
    found = {name: Times() for name in sides}
    for number in range(rounds + 1):
        for name, work in sides.items():
            cpu, wall = time.process_time(), time.perf_counter()
            for _ in range(times):
                work()
            if number:
                found[name].cpu.append((time.process_time() - cpu) / times)
                found[name].wall.append((time.perf_counter() - wall) / times)
    return found


def ratios(over: list[float], under: list[float]) -> list[float]:
    """Of each round."""
    return [one / other for one, other in zip(over, under, strict=True)]
