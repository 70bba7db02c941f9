"""Which tests run one after the other in one process, and which process takes which.

Files are the unit: what a file shares, it makes once. Files that share a stack are one unit, too. Some units wait most
of their time, for leases, visibility time-outs and processes; the others keep a core busy. As many processes as there
are cores begin with the busy ones, the rest with those that wait, so that the cores have work from the beginning to the
end; who has none left of his own helps the others.
"""

import os
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

Units = tuple[tuple[str, ...], ...]

# Each unit in its order, the longest first. A process is given its next unit before its last test begins, so a test
# that takes long is not the last one.
_WAIT: Units = (
    ("tests/contract/test_readme.py",),
    ("tests/ops/console/test_browser.py",),
    ("tests/ops/test_runbooks.py",),
    ("tests/pipelines/test_gamedays_more.py",),
    ("tests/pipelines/test_outage.py", "tests/pipelines/test_events.py"),
    ("tests/pipelines/test_gamedays.py",),
    ("tests/pipelines/test_redrive_many.py", "tests/pipelines/test_redrive.py"),
    ("tests/ops/test_cli_stack.py",),
    ("tests/pipelines/test_failures.py",),
    ("tests/pipelines/test_fifo.py", "tests/pipelines/test_lake_tools.py", "tests/pipelines/test_lake.py"),
    ("tests/pipelines/test_soak.py",),
    ("tests/pipelines/",),
    ("tests/ops/cloudwatch/test_daemon.py",),
    ("tests/ops/test_emulator_guards.py",),
    ("tests/ops/test_deployer_moto.py", "tests/ops/test_emulator.py"),
)
_COMPUTE: Units = (
    ("tests/live/test_faults_redrive.py", "tests/live/test_faults.py"),
    ("tests/live/test_faults_lake.py", "tests/live/test_faults_orders.py", "tests/live/test_stage.py"),
    ("tests/live/",),
    ("tests/examples/",),
    ("tests/contract/",),
    ("tests/components/",),
    ("tests/ops/",),
)
_UNITS = (*_WAIT, *_COMPUTE)
_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def sort(items: list[pytest.Item]) -> None:
    """Bring the tests into the order in which they are given out; that within a file stays."""
    items.sort(key=lambda item: _place(item.nodeid))


def _place(nodeid: str) -> tuple[int, int]:
    places = (
        (number, position)
        for number, unit in enumerate(_UNITS)
        for position, start in enumerate(unit)
        if nodeid.startswith(start)
    )
    return next(places, (len(_UNITS), 0))


class Distribution(LoadScopeScheduling):  # type: ignore[misc]  # mypy skips xdist
    """Gives processes the units."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        """The unit of a test: its file, or the first file of several."""
        file = nodeid.partition("::")[0]
        unit = next((unit for unit in _UNITS if file in unit), (file,))
        return unit[0]

    def _assign_work_unit(self, node: Any) -> None:
        """The next unit of the sort that this process is for, else of the other."""
        busy = list(self.assigned_work).index(node) < _CORES
        liked = (unit for unit in self.workqueue if (_place(f"{unit}::")[0] >= len(_WAIT)) is busy)
        self.workqueue.move_to_end(next(liked, next(iter(self.workqueue))), last=False)
        super()._assign_work_unit(node)

    def _reschedule(self, node: Any) -> None:
        """A unit more for a process that begins its last test: it must know what comes after it, not more."""
        if self.workqueue and not node.shutting_down and self._pending_of(self.assigned_work[node]) > 1:
            return
        super()._reschedule(node)
