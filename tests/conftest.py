"""What holds for every test: what a process of tests keeps and leaves out, and which tests need the emulator."""

import gc
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import botocore.session
import pytest
from hypothesis import settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

from tests import distribution


class _WithoutNumpy:
    """As in Lambda: Arrow takes NumPy where it is, and begins a second later. Only a GameDay's plots need it."""

    @staticmethod
    def find_spec(name: str, *_: object) -> None:
        """Refuse NumPy until somebody plots, and leave the rest to others."""
        if name == "numpy" and "matplotlib" not in sys.modules:
            raise ModuleNotFoundError(name)


sys.meta_path.insert(0, cast("Any", _WithoutNumpy))
_ON_THE_EMULATOR = (
    "tests/pipelines/",
    "tests/live/",
    "tests/contract/test_readme.py",
    "tests/ops/cloudwatch/test_service.py",
    "tests/ops/console/test_browser.py",
    "tests/ops/test_cli_orders.py",
    "tests/ops/test_cli_stack.py",
    "tests/ops/test_emulator",
    "tests/ops/test_runbooks.py",
)
_STARTS_ONE = {"emulator", "laptop"}  # fixtures of tests/ops
_OPS = "tests/ops/"


def pytest_configure(config: pytest.Config) -> None:
    """One copy of the services' descriptions for all sessions of the process, one folder for recordings of the run.

    They are large, and each `lab`, deployment and function that a test runs in its process makes a session of its own.
    """
    botocore.session.create_loader = cache(botocore.session.create_loader)
    if not hasattr(config, "workerinput"):
        folder = tempfile.TemporaryDirectory(prefix="recordings-")
        config.add_cleanup(folder.cleanup)
        os.environ["TEST_RECORDINGS"] = folder.name
    # A busy machine fails no test, nor do dice: whoever makes a change sees the examples that everybody sees.
    settings.register_profile("repeatable", deadline=None, derandomize=True)
    settings.register_profile("random", deadline=None, print_blob=True)
    settings.load_profile("repeatable")
    if config.getoption("--hypothesis-profile", None) != "random":
        # Hypothesis draws numbers and texts that stand in the modules imported so far: others in each process.
        providers._get_local_constants = Constants


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> distribution.Distribution:
    """Who takes which tests (`-n`)."""
    return distribution.Distribution(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Looking for garbage among modules that are imported takes a tenth of the time to begin."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Without the tests on the emulator, their files need not be read, nor the others where those alone are to run.

    Reading is most of a process's time to begin, and of its memory.
    """
    place = collection_path.relative_to(config.rootpath).as_posix() + ("/" if collection_path.is_dir() else "")
    if config.option.markexpr == "not emulator":
        return place.startswith(_ON_THE_EMULATOR) or None
    if config.option.markexpr == "emulator":
        wanted = place.startswith((*_ON_THE_EMULATOR, _OPS)) or any(one.startswith(place) for one in _ON_THE_EMULATOR)
        return None if wanted else True
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In the order in which processes are given them. What starts an emulator is marked so."""
    distribution.sort(items)
    for item in items:
        starts_one = _STARTS_ONE & set(getattr(item, "fixturenames", ()))
        if starts_one and not item.nodeid.startswith((*_ON_THE_EMULATOR, _OPS)):
            raise pytest.UsageError(f"{item.nodeid} starts an emulator: name its file in _ON_THE_EMULATOR")
        if starts_one or item.nodeid.startswith(_ON_THE_EMULATOR):
            item.add_marker(pytest.mark.emulator)


def pytest_collection_finish() -> None:
    """Keeps the modules and tests out of every later garbage collection: walking them costs more than most tests.

    Programs take half the time from here on, and `lab` makes its hundred commands once, not at each use; what runs none
    need not import Pulumi or Typer.
    """
    if "pulumi" in sys.modules:
        import_module("tests.components.quick_pulumi").install()
    if "typer.testing" in sys.modules:
        main, testing = import_module("typer.main"), import_module("typer.testing")
        main.get_command = testing._get_command = cache(main.get_command)  # type: ignore[attr-defined]
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


def pytest_sessionfinish() -> None:
    """Gives everything back, so that nothing counts as leaked when the process ends."""
    gc.unfreeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What a check walked (`record_property`), all its cases together: one that walks nothing would pass as well."""
    walked: dict[str, Counter[str]] = {}
    for report in terminalreporter.getreports("passed"):
        test = report.nodeid.partition("[")[0].rpartition("/")[2]
        for name, number in report.user_properties:
            walked.setdefault(test, Counter())[name] += cast("int", number)
    for test, numbers in sorted(walked.items()):
        terminalreporter.write_line(f"{test}: {', '.join(f'{number} {name}' for name, number in numbers.items())}")
