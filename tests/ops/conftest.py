"""Fixtures of the operator's side."""

import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.cli.lake.quarantine import Retry
from ops.local.emulator import Emulator
from tests.ops import lake_work
from tests.ops.laptop import Laptop
from tests.ops.stack import Stack, free_port, wait_for, wipe


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """One for the tests of a file."""
    with Emulator.start(tmp_path_factory.mktemp("lab")) as running:
        yield running


@pytest.fixture
def stack(emulator: Emulator, tmp_path: Path) -> Stack:
    """A place to deploy to, on which there is nothing."""
    wipe(emulator)
    return Stack(emulator, tmp_path / "local.json")


@pytest.fixture
def lake(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> lake_work.Lake:
    """An empty lake whose functions work in this process."""
    monkeypatch.setenv("ENVIRONMENT", "local")
    return lake_work.start(emulator)


@pytest.fixture
def at_once(lake: lake_work.Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a retry sends is worked before it begins to wait."""
    send: Callable[..., Any] = Retry.send

    def sent(self: Retry, *given: Any) -> Any:
        done = send(self, *given)
        lake.work()
        return done

    monkeypatch.setattr(Retry, "send", sent)


@pytest.fixture
def laptop(tmp_path: Path) -> Laptop:
    """One on which nothing runs yet."""
    return Laptop(tmp_path / "home", free_port())


@pytest.fixture(scope="session")
def moto_process() -> Iterator[str]:
    """URL of a moto server of its own process: what it loads (200 MB) is no load of the tests that follow."""
    port = free_port()
    command = (sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port))
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            wait_for(lambda: _answers(f"http://127.0.0.1:{port}"), "moto")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


@pytest.fixture
def moto_url(moto_process: str) -> str:
    """A moto server with nothing in it."""
    with urllib.request.urlopen(f"{moto_process}/moto-api/reset", data=b"", timeout=20) as answer:  # noqa: S310
        assert answer.status == 200
    return moto_process


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/moto-api/data.json", timeout=20) as answer:  # noqa: S310 - loopback
            return bool(answer.status == 200)
    except OSError:
        return False
