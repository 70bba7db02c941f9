"""`lab failure`: when it returns, and when it is refused."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from handlers import faults
from ops.cli.main import app
from ops.gamedays import runs
from ops.local.files import locked


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the runs of GameDays lie."""
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("command", [("set", "poison_payload"), ("reset",)], ids=" ".join)
def test_wait_outlasts_what_the_functions_remember(command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """--wait returns when the mode that any function has read before is too old to be acted on; without it, at once."""
    done: list[object] = []

    class Stack:
        def ask(self, method: str, _path: str, _body: object) -> dict[str, Any]:
            done.append(method)
            return {"mode": "none", "effective": "none"}

    monkeypatch.setattr("ops.cli.target.find", lambda _stack: Stack())
    monkeypatch.setattr("time.sleep", done.append)

    assert CliRunner().invoke(app, ["failure", *command]).exit_code == 0
    assert done == ["POST"]
    assert CliRunner().invoke(app, ["failure", *command, "--wait"]).exit_code == 0
    assert done == ["POST", "POST", faults._CACHE_SECONDS]


def test_no_fault_is_switched_on_while_a_gameday_runs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts on its own. Another stack's GameDay is in nobody's way, and switching off never is refused."""
    asked: list[str] = []

    class Stack:
        def ask(self, _method: str, path: str, _body: object) -> dict[str, Any]:
            asked.append(path)
            return {"mode": "none", "effective": "none"}

    monkeypatch.setattr("ops.cli.target.find", lambda _stack: Stack())
    with locked(runs.folder(home) / "local.lock"):
        refused = CliRunner().invoke(app, ["failure", "set", "hang"])
        assert refused.exit_code == 1
        assert (
            "a GameDay runs on stack local and counts on its own fault: wait for its end, or stop it" in refused.stderr
        )
        assert asked == []
        assert CliRunner().invoke(app, ["failure", "reset"]).exit_code == 0
        assert CliRunner().invoke(app, ["failure", "set", "hang", "--stack", "dev"]).exit_code == 0
    assert asked == ["/failure-mode/reset", "/failure-mode"]
