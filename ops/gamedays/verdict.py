"""The verdict: what a recorded run proves, check by check. By data alone, so that a falsified run fails it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ops.gamedays.model import Check
from ops.gamedays.recording import DONE, FINAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.gamedays.model import GameDay
    from ops.gamedays.recording import Recording


def judge(gameday: GameDay, recording: Recording) -> list[Check]:
    """Every check of a run. It has passed where all are ok."""
    return [
        *_course(gameday, recording),
        *_alarms(gameday, recording),
        *_books(recording),
        *gameday.checks(recording),
    ]


def passed(checks: list[Check]) -> bool:
    """Whether a run has proved its hypothesis: nothing to check with is no pass."""
    return bool(checks) and all(one.ok for one in checks)


def document(gameday: GameDay, recording: Recording, checks: list[Check]) -> dict[str, Any]:
    """The verdict for programs."""
    ledger = recording.ledger()
    return {
        "run": recording.head["run"],
        "gameday": gameday.name,
        "stack": recording.head["stack"],
        "passed": passed(checks),
        "seconds": round(recording.seconds, 1),
        "ledger": ledger.columns() if ledger else None,
        "checks": [{"name": one.name, "ok": one.ok, "evidence": one.evidence} for one in checks],
    }


def _course(gameday: GameDay, recording: Recording) -> Iterator[Check]:
    """It was run to its end, nobody stopped it, and what it changed has been taken back."""
    went_on = max((line["t"] for line in recording.of("resumed")), default=0.0)
    stopped = [line["why"] for line in recording.of("stopped") if line["t"] >= went_on]
    done = {line["number"] for line in recording.of("step") if line["state"] == DONE}
    missing = [step.title for number, step in enumerate(gameday.steps) if number not in done]
    evidence = f"{len(done)} of {len(gameday.steps)} steps"
    if missing:
        evidence += f"; not done: {missing[0]}"
    if stopped:
        evidence += f"; stopped: {stopped[-1]}"
    yield Check("every step was done", not missing, evidence)
    undone = {line["id"] for line in recording.of("undone")}
    left = [line["what"] for line in recording.of("undo") if line["id"] not in undone]
    why = [line["why"] for line in recording.of("left") if line["what"] in left]
    yield Check("every change was taken back", not left, "; ".join([*left, *why]) or f"{len(undone)} changes")


def _alarms(gameday: GameDay, recording: Recording) -> Iterator[Check]:
    """Those that must fire did, after the injection, and are over; no other did."""
    spans, since = recording.alarms, recording.injected or recording.began
    ends = recording.samples[-1:]
    last = set(ends[0]["alarms"]) if ends else set()
    for name in gameday.fires:
        fired = [begin for begin, _ in spans.get(name, ()) if begin >= since]
        when = f"fired {fired[0] - since:.0f} s after the injection" if fired else "never seen in ALARM"
        yield Check(f"alarm {name} fired", bool(fired), when)
        spent = sum(end - begin for begin, end in spans.get(name, ()))
        yield Check(f"alarm {name} is over", bool(ends) and name not in last, f"was in ALARM for {spent:.0f} s")
    foreign = set(recording.head.get("foreign", ()))
    counted = set(recording.head["alarms"]) - foreign
    unexpected = sorted(name for name in spans.keys() & counted if name not in gameday.expected)
    looked = f"{len(counted)} alarms in {len(recording.samples)} looks"
    evidence = f"fired: {', '.join(unexpected)}" if unexpected else looked
    yield Check("no other alarm fired", bool(ends) and not unexpected, evidence)


def _books(recording: Recording) -> Iterator[Check]:
    """The ledger comes out even, nothing is in flight at the end, and the answers' own counts agree with it."""
    calls = recording.of("accepted")
    wrong = [line for line in calls if line["count"] != len(line["ids"])]
    told = sum(line["count"] for line in calls)
    yield Check(
        "as many were accepted as the answers say",
        bool(calls) and not wrong,
        f"the answers count {told}, and name {sum(len(line['ids']) for line in calls)}",
    )
    ledger = recording.ledger()
    if ledger is None:
        yield Check("the ledger comes out even", ok=False, evidence=f"nobody looked at the moment {FINAL!r}")
        return
    faults, columns = ledger.faults(), ledger.columns()
    figures = f"accepted {columns['accepted']} = succeeded {columns['succeeded']} + dead-lettered"
    figures += f" {columns['deadLettered']} + in flight {columns['inFlight']}"
    figures += f" + lost {columns['lost']}" if columns["lost"] else ""
    yield Check("the ledger comes out even", bool(ledger.accepted) and not faults, "; ".join([figures, *faults]))
    yield Check("nothing is in flight at the end", columns["inFlight"] == 0, f"{columns['inFlight']} in flight")
