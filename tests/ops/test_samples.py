"""Following sample events: what is said, and when the wait is over."""

from types import SimpleNamespace
from typing import Any

import pytest

from ops.cli import output, samples

_FOUND: Any = SimpleNamespace(api="http://127.0.0.1:9", identity=None)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was said; each look at the clock finds that a second has passed."""
    said: list[str] = []
    seconds = iter(range(10_000))
    clock = SimpleNamespace(monotonic=lambda: float(next(seconds)), sleep=lambda _: None)
    monkeypatch.setattr(samples, "time", clock)
    monkeypatch.setattr(output, "say", said.append)
    return said


def _standing(monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
    left = list(answers)
    monkeypatch.setattr(samples, "_standing", lambda *_: left.pop(0) if len(left) > 1 else left[0])


def test_all_succeed(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure on the way is said, and does not end the wait for one that is still at work."""
    _standing(monkeypatch, "RETRYING", "404", "RETRYING", "INFLIGHT", "SUCCEEDED")
    lines = [["step.py:7: KeyError"]]
    samples.await_success(_FOUND, ["a", "b"], lambda: lines.pop() if lines else [])
    assert said == ["sample events: 0 of 2 ...", "step.py:7: KeyError", "sample events: 2 of 2 SUCCEEDED"]


def test_all_have_failed_and_it_is_known_why(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Then there is nothing to wait for; before the logs have told why there is."""
    _standing(monkeypatch, "RETRYING")
    looks = [["step.py:7: KeyError"], [], []]
    with pytest.raises(samples.SamplesError, match=r"^the sample events are not SUCCEEDED: a… RETRYING; what the fun"):
        samples.await_success(_FOUND, ["a"], looks.pop)
    assert (said[1:], looks) == (["step.py:7: KeyError"], [])


def test_none_comes_through(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does anything say why: the wait has an end."""
    _standing(monkeypatch, "404")
    with pytest.raises(samples.SamplesError, match=r"^the sample events are not SUCCEEDED: a… 404, b… 404; "):
        samples.await_success(_FOUND, ["a", "b"], list)
    assert said == ["sample events: 0 of 2 ..."]
