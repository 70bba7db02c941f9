"""A good run of the GameDay schema-break, made by hand: as short as it may be."""

from typing import Any

from ops.gamedays.recording import Recording
from ops.gamedays.schema_break import GAMEDAY

RUN = "20260102-030405-schema-break"
BEFORE, GOOD, BROKEN = (
    [f"{RUN}-{group}-{number:03}" for number in range(count)]
    for group, count in (("before", 1), ("good", 2), ("broken", 3))
)
_ALARMS = [*GAMEDAY.fires, "events-error-rate", "events-breaker-errors", "api-5xx"]
_HEAD = {
    "run": RUN,
    "name": GAMEDAY.name,
    "stack": "local",
    "life": 1,
    "endpoint": "http://127.0.0.1:1",
    "alarms": _ALARMS,
    "foreign": [],
}


def good_run() -> Recording:
    """What the journal of a run holds that has proved its hypothesis."""

    def step(number: int, begun: float, done: float) -> list[tuple[float, str, dict[str, Any]]]:
        fields = {"number": number, "step": GAMEDAY.steps[number].kind, "title": GAMEDAY.steps[number].title}
        return [(begun, "step", {"state": "begun", **fields}), (done, "step", {"state": "done", **fields})]

    events: list[tuple[float, str, dict[str, Any]]] = [
        (0, "run", _HEAD),
        (0.1, "steady", {}),
        (1, "undo", {"id": 0, "what": "capture", "data": {}, "step": -1}),
        *(moment for number in range(7) for moment in step(number, 2 + 4 * number, 5 + 4 * number)),
        (3, "accepted", _accepted("before", BEFORE)),
        (6, "undo", {"id": 1, "what": "failure mode", "data": {}, "step": 1}),
        (11, "accepted", _accepted("good", GOOD)),
        (11.5, "accepted", _accepted("broken", BROKEN)),
        (12, "facts", {"moment": "broken", **_facts({*BEFORE, *GOOD}, set(BROKEN))}),
        (19, "undone", {"id": 1, "what": "failure mode", "by": "repair"}),
        (24, "redrive", {"pipeline": "events", "asked": {}, "state": "SUCCEEDED", "reason": "done",
                         "counts": {"examined": 3, "moved": 3}}),
        (27, "facts", {"moment": "final", **_facts({*BEFORE, *GOOD, *BROKEN}, set())}),
        (30, "undone", {"id": 0, "what": "capture", "by": "rollback"}),
        *((at + 0.25, "sample", _sample(at)) for at in range(30)),
    ]  # fmt: skip
    lines: list[dict[str, Any]] = [{"t": 1000.0 + at, "kind": kind, **fields} for at, kind, fields in events]
    return Recording(sorted(lines, key=lambda line: float(line["t"])))


def _accepted(group: str, ids: list[str]) -> dict[str, Any]:
    return {"group": group, "at": 1003.0, "ms": 12.5, "count": len(ids), "ids": ids}


def _facts(succeeded: set[str], dead: set[str]) -> dict[str, Any]:
    def record(one: str) -> dict[str, Any]:
        done = one in succeeded
        return {
            "status": "SUCCEEDED" if done else "FAILED",
            "attempts": 1,
            "processed_at": 1005.0,
            "error_type": "" if done else "SchemaValidationError",
        }

    return {
        "records": {one: record(one) for one in sorted(succeeded | dead)},
        "letters": [{"id": one, "cause": "SchemaValidationError"} for one in sorted(dead)],
        "told": [{"id": one, "event_id": f"success of {one}"} for one in sorted(succeeded)],
        "waiting": 0,
    }


def _sample(at: int) -> dict[str, Any]:
    dead = 3 if 12 <= at < 24 else 0
    empty = {"hidden": 0, "delayed": 0}
    return {
        "queues": {"main": {"visible": 0, **empty}, "dlq": {"visible": dead, **empty}},
        "alarms": list(GAMEDAY.fires) if 15 <= at < 27 else [],
        "consumer": "Enabled",
    }
