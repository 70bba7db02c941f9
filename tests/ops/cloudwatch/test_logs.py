"""Log events as the laptop reads them."""

from types import SimpleNamespace
from typing import Any

import pytest

from ops.local.cloudwatch import logs


class _Emulator:
    """FilterLogEvents as the emulator answers it: the first events of the span, and no token for the rest."""

    exceptions = SimpleNamespace(ResourceNotFoundException=KeyError)

    def __init__(self, *moments: int) -> None:
        self._events: list[dict[str, Any]] = [
            {"logStreamName": "s", "timestamp": moment, "message": f"line {n}", "eventId": f"e-{n}"}
            for n, moment in enumerate(moments)
        ]

    def filter_log_events(self, *, logGroupName: str, startTime: int, limit: int) -> dict[str, Any]:
        assert logGroupName == "g"
        return {"events": [event for event in self._events if event["timestamp"] >= startTime][:limit]}


@pytest.mark.parametrize("moments", [(1, 2, 3), (1, 2, 3, 4, 5, 6, 7), (1, 2, 2, 2, 3), (1, 1, 2, 3, 3, 3, 4)], ids=str)
def test_a_group_of_more_than_a_page(monkeypatch: pytest.MonkeyPatch, moments: tuple[int, ...]) -> None:
    """Every event comes once and in order, where a page ends within a moment too."""
    monkeypatch.setattr(logs, "_PAGE", 4)

    found = list(logs.read(_Emulator(*moments), ["g"], 0))

    assert [(event.timestamp, event.message) for event in found] == [
        (moment, f"line {n}") for n, moment in enumerate(moments)
    ]
