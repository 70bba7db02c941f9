"""Fixtures of the operator's side."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.local.emulator import Emulator
from tests.ops.laptop import Laptop
from tests.ops.stack import Stack, free_port, wipe


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
def laptop(tmp_path: Path) -> Laptop:
    """One on which nothing runs yet."""
    return Laptop(tmp_path / "home", free_port())
