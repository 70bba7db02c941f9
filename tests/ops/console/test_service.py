"""The control room that `make up` starts."""

import http.client
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ops.console import service
from ops.console.session import Session
from ops.local.emulator import Emulator, clean


@pytest.fixture
def emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """A home as one has it; nothing runs there. Its control room has a port that nobody else takes meanwhile."""
    monkeypatch.setattr(service, "DEFAULT_PORT", 20_000 + os.getpid() % 10_000)
    yield Emulator(tmp_path, 1, 1)
    clean(tmp_path)


def _status(session: Session) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", session.port, timeout=60)
    connection.request("GET", "/", headers={"Cookie": f"{session.cookie}={session.secret}"})
    status = connection.getresponse().status
    connection.close()
    return status


def test_it_outlives_the_command_and_ends_with_the_emulator(emulator: Emulator) -> None:
    """Started once; started again after its end it is the same to the pages that are open. Its secrets are its own."""
    assert service.attach(emulator) is None
    session = service.ensure(emulator)
    assert _status(session) == 503  # it knows the cookie, and that the stack is down
    assert service.ensure(emulator) == service.attach(emulator) == session
    record = emulator.home / "console.json"
    assert stat.S_IMODE(record.stat().st_mode) == 0o600

    process = psutil.Process(json.loads(record.read_text())["pid"])
    assert session.token not in " ".join(process.cmdline())
    clean(emulator.home)
    assert service.attach(emulator) is None
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE

    assert service.ensure(emulator) == session
    assert _status(session) == 503
