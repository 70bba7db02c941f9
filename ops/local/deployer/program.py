"""Runs a Pulumi program against mocks, to its very end."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import runpy
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.runtime import set_all_config, set_mocks, settings
from pulumi.runtime.stack import run_pulumi_func

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

_THREADS = 16  # registrations at once; more than the dependencies of a pipeline allow
_HIDDEN = "[secret]"


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a program exported."""

    values: dict[str, Any]
    secret: frozenset[str]  # keys whose value must not be written or shown

    def shown(self) -> dict[str, Any]:
        """The values, with secrets hidden."""
        return {key: _HIDDEN if key in self.secret else value for key, value in self.values.items()}


@dataclass(frozen=True, slots=True)
class Program:
    """A Pulumi project on disk and the stack to run it as."""

    root: Path
    project: str
    stack: str
    config: Mapping[str, str]
    secrets: frozenset[str] = frozenset()  # keys that are encrypted where the stack's configuration is kept

    def run(self, mocks: pulumi.runtime.Mocks, stop: Callable[[BaseException], None]) -> Outputs:
        """Run it in a thread of its own, so that its event loop and pulumi's globals touch nobody else's.

        On Ctrl-C, and when the program's own text raises, `stop` hears of it before anything else goes on; what is
        under way then ends before this returns.

        Raises:
            Exception: whatever the program or the mocks raised.
        """
        result: list[Outputs] = []
        failure: list[BaseException] = []

        def body() -> None:
            try:
                with uncollected():
                    result.append(asyncio.run(self._main(mocks, stop)))
            except BaseException as error:  # noqa: BLE001 - carried over to the calling thread
                failure.append(error)

        thread = threading.Thread(target=contextvars.copy_context().run, args=(body,), name="pulumi-program")
        thread.start()
        try:
            thread.join()
        except KeyboardInterrupt as interrupt:
            stop(interrupt)
            thread.join()
            raise
        if failure:
            raise failure[0]
        return result[0]

    async def _main(self, mocks: pulumi.runtime.Mocks, stop: Callable[[BaseException], None]) -> Outputs:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda *_: None)  # after a failure, tasks that wait for it fail too: one is reported
        settings.reset_options(root_directory=str(self.root))
        with threads_with_loops(_THREADS) as executor:
            loop.set_default_executor(executor)
            set_all_config(dict(self.config), sorted(self.secrets))
            set_mocks(mocks, project=self.project, stack=self.stack, preview=False, logger=_silent())
            await run_pulumi_func(lambda: self._execute(stop))
            return await _exports()

    async def _execute(self, stop: Callable[[BaseException], None]) -> None:
        try:
            with _importable(self.root):
                runpy.run_path(str(self.root / "__main__.py"), run_name="__main__")
        except BaseException as leaving:  # noqa: BLE001 - raised again
            # a program may have told the engine of its refusal itself, and left with an exit code
            error = leaving.__cause__ if isinstance(leaving, SystemExit) and leaving.__cause__ else leaving
            stop(error)  # pulumi would still bring about what was registered before
            raise error from None
        await settled()


@contextmanager
def uncollected() -> Iterator[None]:
    """Run the block without garbage collections.

    A program keeps nearly all that it makes, and looking for what it does not keep takes a third of its time.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


async def settled() -> None:
    """Wait for every registration and output, or the first failure.

    Pulumi's own wait, which comes after this one and then has nothing to do, looks at all that is open each time one
    thing is done: its cost grows with the square of the program.
    """
    while True:
        open_tasks = {
            task for task in (*settings.SETTINGS.rpc_manager.rpcs, *settings.SETTINGS.outputs) if not task.done()
        }
        if not open_tasks:
            return
        done, _ = await asyncio.wait(open_tasks, return_when=asyncio.FIRST_EXCEPTION)
        if any(not task.cancelled() and task.exception() for task in done):
            return


async def _exports() -> Outputs:
    root = settings.get_root_resource()
    values: dict[str, Any] = {}
    secret: set[str] = set()
    for name, value in getattr(root, "outputs", {}).items():
        output = pulumi.Output.from_input(value)
        values[name] = await output.future()
        if await output.is_secret():
            secret.add(name)
    return Outputs(values, frozenset(secret))


@contextmanager
def threads_with_loops(count: int) -> Iterator[ThreadPoolExecutor]:
    """Threads with an event loop each: pulumi serializes in them, and would leave loops of its own unclosed."""
    loops: list[asyncio.AbstractEventLoop] = []

    def prepare() -> None:
        loops.append(asyncio.new_event_loop())
        asyncio.set_event_loop(loops[-1])

    executor = ThreadPoolExecutor(count, "deploy", initializer=prepare)
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)
        for loop in loops:
            loop.close()


@contextmanager
def _importable(root: Path) -> Iterator[None]:
    """The program's own folder first on the path, as the Pulumi CLI has it."""
    sys.path.insert(0, str(root))
    try:
        yield
    finally:
        sys.path.remove(str(root))


def _silent() -> logging.Logger:
    logger = logging.getLogger("ops.local.deployer.pulumi")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger
