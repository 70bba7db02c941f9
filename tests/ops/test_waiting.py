"""Tests that wait look ever less often, and lose little by it."""

from types import SimpleNamespace

import pytest

from tests import waiting


class _Time:
    """Passes while somebody sleeps, and at no other time."""

    def __init__(self) -> None:
        self.now = 1000.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> _Time:
    """What `waiting` takes for the time."""
    made = _Time()
    monkeypatch.setattr(waiting, "time", SimpleNamespace(monotonic=lambda: made.now, sleep=made.sleep))
    return made


@pytest.mark.parametrize("happens", [0.0, 0.05, 3.0, 40.0, 200.0])
def test_what_happens_is_seen_soon(time: _Time, happens: float) -> None:
    """Within a twentieth of the time that it took, and half a second at most."""
    assert waiting.until(lambda: time.now - 1000 >= happens and "done", 300) == "done"
    assert time.now - 1000 <= happens + min(max(0.02, happens / 20), 0.5) + 1e-6


def test_what_does_not_happen_is_given_up(time: _Time) -> None:
    """After the time that it had, with the last answer; in a minute it is looked for 300 times at most."""
    answers: list[str] = []

    def look() -> str:
        answers.append("")
        return ""

    assert waiting.until(look, 60) == ""
    assert 60 < time.now - 1000 <= 60.5
    assert len(answers) < 300
