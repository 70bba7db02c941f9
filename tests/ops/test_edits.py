"""The edit loop, look by look, with files, functions and logs that are made up."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ops.cli import edits, loglines, output, samples
from ops.cli.edits import Edits
from ops.local.cloudwatch.logs import LogEvent
from ops.local.deployer.errors import DeployError
from ops.local.emulator import ROOT, Emulator
from ops.local.errors import LabError

_STEP = ROOT / "handlers/events/step.py"
_FAILED = (
    '{"level":"ERROR","message":"record failed","idempotencyKey":"k-1","attempts":2,"outcome":"retried",'
    '"errorType":"KeyError","errorMessage":"KeyError: \'id\'","errorPlace":"handlers/errors.py:1",'
    '"errorTrace":["handlers/events/gone.py:7 in process","handlers/errors.py:1 in find"]}'
)


class Desk:
    """What the loop looks at, and what it does."""

    def __init__(self) -> None:
        self.files: dict[Path, tuple[int, int]] = {_STEP: (1, 1)}
        self.sources = SimpleNamespace(versions=lambda: dict(self.files))
        self.updates: list[set[Path]] = []
        self.refusal = ""
        self.names = ["events-worker"]
        self.lines: list[tuple[str, LogEvent]] = []
        self.standing = "404"
        self.said: list[str] = []

    def update(self, changed: set[Path]) -> list[str]:
        self.updates.append(set(changed))
        if self.refusal:
            raise DeployError(self.refusal)
        return self.names

    def new(self) -> list[tuple[str, LogEvent]]:
        lines, self.lines = self.lines, []
        return lines


def _interrupt(_: float) -> None:
    raise KeyboardInterrupt


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    """At noon."""
    desk = Desk()
    monkeypatch.setattr(edits, "_now", lambda: "12:00")
    monkeypatch.setattr(output, "say", desk.said.append)
    monkeypatch.setattr(loglines, "groups", lambda _: {})
    monkeypatch.setattr(loglines, "Tail", lambda *_: desk)
    monkeypatch.setattr(samples, "unwanted", lambda _: "")
    monkeypatch.setattr(samples, "send", lambda *_: ["sample"])
    monkeypatch.setattr(samples, "standing", lambda *_: desk.standing)
    monkeypatch.setattr(Emulator, "attach", lambda home: Emulator(home, 1, 4566))
    monkeypatch.setattr(edits, "time", SimpleNamespace(time=lambda: 7.0, monotonic=lambda: 7.0, sleep=_interrupt))
    return desk


def _loop(desk: Desk) -> Edits:
    found: Any = SimpleNamespace(emulator=Emulator(Path("/home"), 1, 4566))
    return Edits(found, desk)  # type: ignore[arg-type]


def test_a_saved_file_goes_to_its_functions_once(desk: Desk) -> None:
    """When it is at rest, with an event through the worker that is followed to its end."""
    loop = _loop(desk)
    loop.step()
    assert (desk.updates, desk.said) == ([], [])

    desk.files[_STEP] = (2, 1)
    loop.step()
    desk.files[_STEP] = (2, 9)  # the editor was still at it
    loop.step()
    assert desk.updates == []
    loop.step()
    desk.standing = "SUCCEEDED"
    loop.step()
    loop.step()

    assert desk.updates == [{_STEP}]
    assert desk.said == [
        "12:00 changed: handlers/events/step.py",
        "12:00 updated in 0.0 s: events-worker",
        "12:00 sample event SUCCEEDED after 0.0 s",
    ]


def test_broken_code_is_said_and_the_next_edit_brings_all(desk: Desk) -> None:
    """What was refused is not forgotten: the edit that mends it may be of another file."""
    loop = _loop(desk)
    other = ROOT / "handlers/events/model.py"
    desk.refusal = "handlers/events/step.py:3: SyntaxError: invalid syntax"
    desk.files[_STEP] = (2, 2)
    loop.step()
    loop.step()
    loop.step()
    desk.refusal, desk.names = "", []
    desk.files[other] = (1, 1)
    loop.step()
    loop.step()
    assert desk.updates == [{_STEP}, {_STEP, other}]

    del desk.files[other]
    loop.step()
    loop.step()
    assert desk.updates[2:] == [{other}]
    assert desk.said == [
        "12:00 changed: handlers/events/step.py",
        "12:00 not updated: handlers/events/step.py:3: SyntaxError: invalid syntax",
        "12:00 changed: handlers/events/model.py",
        "12:00 updated in 0.0 s: nothing, no function imports it",
        "12:00 changed: handlers/events/model.py",
        "12:00 updated in 0.0 s: nothing, no function imports it",
    ]


def test_what_goes_wrong_comes_to_the_screen(desk: Desk) -> None:
    """File and line and the record first, then the calls with their lines; good outcomes and metrics do not."""
    desk.lines = [
        ("events-worker", LogEvent("", "", 4_000_000_000_000, _FAILED)),
        ("events-worker", LogEvent("", "", 1, '{"level":"INFO","message":"record done"}')),
        ("events-worker", LogEvent("", "", 1, '{"_aws":{},"Succeeded":1}')),
        ("events-worker", LogEvent("", "", 1, "START RequestId: 1")),
        ("lake-worker", LogEvent("", "", 0, "Task timed out after 5.00 seconds\n")),
    ]
    _loop(desk).step()

    assert desk.said == [
        "07:06:40.000 events-worker handlers/errors.py:1: KeyError: 'id' (record k-1, attempt 2, retried)",
        "    handlers/events/gone.py:7 in process",
        "    handlers/errors.py:1 in find",
        f"        {(ROOT / 'handlers/errors.py').read_text().splitlines()[0]}",
        "00:00:00.000 lake-worker Task timed out after 5.00 seconds",
    ]


def test_the_page_shows_what_is_printed(desk: Desk) -> None:
    """docs/edit-loop.md has the beginning, an edit, and an exception at work, but for times and the code's line."""
    page = (ROOT / "docs" / "edit-loop.md").read_text(encoding="utf-8").partition("```text\n")[2].partition("```")[0]
    place = "handlers/events/step.py:15"
    failed = {"level": "ERROR", "message": "record failed", "idempotencyKey": "6eead2e3" + "0" * 56, "attempts": 1}
    failed |= {"outcome": "retried", "errorType": "KeyError", "errorMessage": "KeyError: 'sku'", "errorPlace": place}
    loop = _loop(desk)
    loop.run()
    desk.files[_STEP] = (2, 1)
    loop.step()
    desk.lines = [("events-worker", LogEvent("", "", 0, json.dumps({**failed, "errorTrace": [f"{place} in process"]})))]
    loop.step()

    def shape(line: str) -> str:
        return re.sub(r"^[\d:.]+ |(?<=updated in )[\d.]+", "", line)

    said = [shape(line).replace("0" * 56, "…") for line in desk.said if not line.startswith("no longer")]
    assert [shape(line) for line in page.splitlines()][:-1] == said


def test_lines_of_a_file_that_has_changed_since_are_not_quoted(desk: Desk) -> None:
    """They would be the wrong ones."""
    desk.lines = [("events-worker", LogEvent("", "", 0, _FAILED))]
    _loop(desk).step()
    assert desk.said[1:] == ["    handlers/events/gone.py:7 in process", "    handlers/errors.py:1 in find"]


def test_a_cloud_that_is_gone_ends_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do."""
    loop = _loop(desk)
    monkeypatch.setattr(Emulator, "attach", lambda _: None)
    with pytest.raises(LabError, match=r"^the local cloud is gone; start it again with: lab up --watch$"):
        loop.step()


def test_ctrl_c_ends_it(desk: Desk) -> None:
    """And only it."""
    _loop(desk).run()
    assert desk.said[-1] == "no longer watching; the local cloud stays up, lab down stops it"
