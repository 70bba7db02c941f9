"""`lab failure`: when it returns."""

from typing import Any

import pytest
from typer.testing import CliRunner

from handlers import faults
from ops.cli.main import app


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
