"""Time as the records write it, there and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers import clock


@given(st.integers(0, 253_402_300_799_999))
def test_a_time_comes_back(milliseconds: int) -> None:
    """Every millisecond from 1970 to 9999."""
    assert clock.from_iso(clock.iso(milliseconds)) == milliseconds


@pytest.mark.parametrize(
    "text",
    [
        "2026-99-99T99:99:99.999Z",
        "2026-02-30T00:00:00.000Z",
        "2026-01-31T25:00:00.000Z",
        "2026-01-31T12:00:60.000Z",
        "0000-01-01T00:00:00.000Z",
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00.000+00:00",
        "2026-01-31 12:00:00.000Z",
        "2026-01-31",
        "",
    ],
)
def test_what_is_no_time_of_that_form(text: str) -> None:
    """The form is looked at, and what it says."""
    assert clock.from_iso(text) is None
