"""Too much to work is told from too long a wait."""

import time

import pytest

from handlers.errors import DeadlineExceededError, PermanentError
from handlers.lake.errors import TooMuchWorkError
from handlers.lake.workload import refuse_too_much


@pytest.mark.parametrize(("busy", "error"), [(99.0, DeadlineExceededError), (101.0, TooMuchWorkError)])
def test_a_busy_step_that_did_not_end_is_refused_for_good(
    monkeypatch: pytest.MonkeyPatch, busy: float, error: type[Exception]
) -> None:
    """From a third of the time on, as a small function has no more of a processor; less was a wait, and is repeated."""
    spent = {"wall": 0.0, "busy": 0.0}
    monkeypatch.setattr(time, "monotonic", lambda: spent["wall"])
    monkeypatch.setattr(time, "process_time", lambda: spent["busy"])

    @refuse_too_much
    def step() -> None:
        spent["wall"] += 300
        spent["busy"] += busy
        raise DeadlineExceededError

    with pytest.raises(error) as refusal:
        step()
    assert isinstance(refusal.value, PermanentError) == (error is TooMuchWorkError)
    assert ("the 300 s that there were, 101 of them busy" in str(refusal.value)) == (error is TooMuchWorkError)
