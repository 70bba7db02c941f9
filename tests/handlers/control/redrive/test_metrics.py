"""What a redrive tells CloudWatch when it ends."""

import pytest

from tests.handlers.control.redrive.conftest import Lab
from tests.handlers.emf import embedded


def test_a_run_that_ends_well(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    """How many it moved, and a 0 that ends the alarm."""
    for i in range(3):
        lab.letter(f"k{i}")
    lab.go()

    assert embedded(capsys) == [{"pipeline": "events", "RedriveMoved": 3, "RedriveStopped": 0}]


def test_a_run_whose_canaries_fail_again(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    """It has stopped, and one letter is back in the queue."""
    for i in range(3):
        lab.letter(f"k{i}")
    lab.on_pause = lambda: lab.work(fail="k0")
    run = lab.go(canary=1)

    assert run.state == "STOPPED"
    told = embedded(capsys, now_ms=lab.clock.ms)
    assert told == [{"pipeline": "events", "RedriveMoved": 1, "RedriveStopped": 1}]


def test_a_run_whose_pipeline_is_gone(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    """It has failed."""
    lab.start()
    lab.targets = {"events": lab.targets["ordered"]}
    lab.tick()

    assert embedded(capsys) == [{"pipeline": "events", "RedriveMoved": 0, "RedriveStopped": 1}]


def test_a_run_that_is_laid_down_tells_nothing(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    """It has not ended."""
    lab.letter("k")
    lab.seconds_left = lambda: 0.0
    run = lab.go()

    assert run.state == "RUNNING"
    assert embedded(capsys) == []
