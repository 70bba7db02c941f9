"""The life of the CloudWatch process: started, found again, ended with its emulator."""

from pathlib import Path

import psutil
import pytest

from ops.local import processes
from ops.local.cloudwatch import service
from ops.local.emulator import Emulator
from tests.ops.stack import client, wait_for


def _ticks(emulator: Emulator) -> bool:
    """Whether its first work is done: it leaves a mark of how far it has come."""
    return (emulator.scratch / "cloudwatch-cursor.json").exists()


def test_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Started once, seeing nothing of the caller's environment; dead, it is started anew; it ends with the emulator."""
    monkeypatch.setenv("SECRET_OF_THE_CALLER", "1")
    with Emulator.start(tmp_path / "home") as emulator:
        assert service.attach(emulator) is None
        first = service.ensure(emulator, tmp_path / "local.json")
        assert (service.ensure(emulator, tmp_path / "local.json"), service.attach(emulator)) == (first, first)
        assert {"PATH", "HOME", processes.MARK} <= set(first.environ()) <= {*emulator.environment(), "LC_CTYPE"}
        assert first.cwd() != str(tmp_path)
        wait_for(lambda: _ticks(emulator), "its first work")
        first.kill()
        wait_for(lambda: service.attach(emulator) is None, "its end")
        second = service.ensure(emulator, tmp_path / "local.json")
        assert second.pid != first.pid
    assert (service.attach(emulator), processes.marked(tmp_path / "home")) == (None, [])
    assert service.log(emulator).read_text() == ""


def test_killed_emulator(tmp_path: Path) -> None:
    """When the emulator was killed it ends by itself."""
    with Emulator.start(tmp_path / "home") as emulator:
        beside = service.ensure(emulator, tmp_path / "local.json")
        wait_for(lambda: _ticks(emulator), "its first work")
        psutil.Process(emulator.pid).kill()
        wait_for(lambda: not beside.is_running() or beside.status() == psutil.STATUS_ZOMBIE, "its end")
        assert service.attach(emulator) is None


def test_restarted_emulator(tmp_path: Path) -> None:
    """Its record is of no use to the next emulator of the same home, which begins without one."""
    with Emulator.start(tmp_path / "home") as emulator:
        service.ensure(emulator, tmp_path / "local.json")
        wait_for(lambda: _ticks(emulator), "its first work")
    with Emulator.start(tmp_path / "home") as emulator:
        assert (service.attach(emulator), _ticks(emulator)) == (None, False)
        assert client(emulator, "cloudwatch").describe_alarms()["MetricAlarms"] == []
