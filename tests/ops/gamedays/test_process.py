"""A GameDay in a process of its own, as the control room runs it."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ops.gamedays import __main__ as process
from ops.gamedays import catalogue, report, runs
from ops.gamedays.context import Context, RefusedError
from ops.gamedays.model import Step
from ops.local.emulator import ROOT
from ops.local.files import locked
from tests.ops.gamedays.fake_stack import FakeStack, FakeTarget, replace_stack
from tests.ops.gamedays.test_engine import gameday

_RUN = "20260102-030405-made"


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeStack:
    """A quiet one, which is found; reports are not written."""
    made = replace_stack(monkeypatch)
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    monkeypatch.setattr("ops.cli.target.find", lambda stack: FakeTarget(stack=stack))
    monkeypatch.setattr(report, "write", lambda outcome, folder: (folder / report.HTML).write_text(str(outcome.passed)))
    return made


def _offer(monkeypatch: pytest.MonkeyPatch, *steps: Step) -> None:
    monkeypatch.setattr(catalogue, "ALL", (gameday(*steps),))


def test_it_runs_under_the_id_that_it_is_given(
    stack: FakeStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To its verdict and its report."""
    _offer(monkeypatch, Step("load", "t", lambda _: stack.log.append("step")))
    process.perform("local", "made", _RUN, threading.Event())

    assert "step" in stack.log
    assert runs.find(tmp_path, _RUN)[1].is_over
    assert (runs.folder(tmp_path) / _RUN / "report.html").read_text() == "False"  # it has sent nothing


def test_it_is_stopped_while_it_waits(stack: FakeStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next look of a step ends it; it is rolled back and judged."""
    interrupted = threading.Event()

    def act(context: Context) -> None:
        interrupted.set()
        context.until("the sky falls", lambda: False, seconds=6000)

    _offer(monkeypatch, Step("load", "t", act))
    process.perform("local", "made", _RUN, interrupted)

    assert stack.log[-1] == "undo capture"
    journal = runs.find(tmp_path, _RUN)[1]
    assert [line["why"] for line in journal.of("stopped")] == ["interrupted"]
    assert (journal.outstanding(), journal.is_over) == ([], True)


def test_it_is_stopped_before_it_begins(stack: FakeStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack that does not become quiet keeps nobody waiting; nothing was changed."""
    stack.mode = "hang"
    _offer(monkeypatch, Step("load", "t", lambda _: stack.log.append("step")))
    interrupted = threading.Event()
    interrupted.set()
    process.perform("local", "made", _RUN, interrupted)

    assert stack.log == []
    assert runs.find(tmp_path, _RUN)[1].is_over


def test_what_may_not_be_broken_is_not(stack: FakeStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack without the failure lab, and one on which somebody else runs a GameDay."""
    _offer(monkeypatch, Step("load", "t", lambda _: stack.log.append("step")))
    with (
        locked(runs.folder(tmp_path) / "local.lock"),
        pytest.raises(RefusedError, match="another GameDay runs on stack local"),
    ):
        process.perform("local", "made", _RUN, threading.Event())
    monkeypatch.setattr("ops.cli.target.find", lambda stack: FakeTarget(stack=stack, outputs={}))
    with pytest.raises(RefusedError, match="failureInjection off"):
        process.perform("prod", "made", _RUN, threading.Event())
    assert stack.log == []


def test_a_run_that_was_killed_is_rolled_back_first(
    stack: FakeStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As before `lab gameday run`."""
    _offer(monkeypatch, Step("load", "t", lambda _: stack.log.append("step")))
    monkeypatch.setattr(runs, "Stack", lambda _target, _pipeline: stack)
    killed = runs.begin(tmp_path, catalogue.ALL[0])
    killed.add("run", name="made", stack="local", life=1)
    killed.add("undo", id=0, what="code", data={}, step=0)
    process.perform("local", "made", _RUN, threading.Event())

    assert stack.log[0] == "undo code"


def test_what_it_can_not_do_it_says(tmp_path: Path) -> None:
    """In words on stderr, to be shown; it leaves with 1."""
    done = subprocess.run(
        [sys.executable, "-m", "ops.gamedays", "local", "duplicates", _RUN],
        cwd=ROOT,
        env=os.environ | {"LAB_HOME": str(tmp_path)},
        stdin=subprocess.PIPE,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "the laptop's stack is down; start it with: lab up\n"
