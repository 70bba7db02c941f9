"""Recorded runs made false in one point each, and what a verdict must then fail for."""

import copy
from collections.abc import Callable

from ops.gamedays.journal import Line
from ops.gamedays.model import GameDay
from ops.gamedays.recording import FINAL, Recording

EVEN = "the ledger comes out even"
COUNTS = "as many were accepted as the answers say"
NO_OTHER = "no other alarm fired"


def copied(recording: Recording, change: Callable[[Line], None]) -> Recording:
    """A copy of which each line was changed."""
    lines = copy.deepcopy(list(recording.lines))
    for line in lines:
        change(line)
    return Recording(lines)


def silenced(recording: Recording, alarm: str) -> Recording:
    """An alarm was never seen."""

    def change(line: Line) -> None:
        if line["kind"] == "sample":
            line["alarms"] = [name for name in line["alarms"] if name != alarm]

    return copied(recording, change)


def stray(recording: Recording, alarm: str) -> Recording:
    """An alarm was seen once, in the middle."""
    middle = recording.samples[len(recording.samples) // 2]["t"]

    def change(line: Line) -> None:
        if line["kind"] == "sample" and line["t"] == middle:
            line["alarms"] = [*line["alarms"], alarm]

    return copied(recording, change)


def dropped(recording: Recording, one: str) -> Recording:
    """A message was lost: no record, no letter, no success of it at the end."""

    def change(line: Line) -> None:
        if line["kind"] == "facts" and line["moment"] == FINAL:
            line["records"].pop(one)
            line["letters"] = [letter for letter in line["letters"] if letter["id"] != one]
            line["told"] = [told for told in line["told"] if told["id"] != one]

    return copied(recording, change)


def twice(recording: Recording, one: str) -> Recording:
    """An event was processed twice: there is a second success of it, which is another fact."""

    def change(line: Line) -> None:
        if line["kind"] == "facts" and line["moment"] == FINAL:
            line["told"].append({"id": one, "event_id": "another"})

    return copied(recording, change)


def untold(recording: Recording, one: str) -> Recording:
    """A success event was lost."""

    def change(line: Line) -> None:
        if line["kind"] == "facts" and line["moment"] == FINAL:
            line["told"] = [told for told in line["told"] if told["id"] != one]

    return copied(recording, change)


def miscounted(recording: Recording) -> Recording:
    """One answer says that it took one more than it names."""
    first = recording.of("accepted")[0]["t"]

    def change(line: Line) -> None:
        if line["kind"] == "accepted" and line["t"] == first:
            line["count"] += 1

    return copied(recording, change)


def falsifications(gameday: GameDay, recording: Recording) -> dict[str, tuple[Recording, str]]:
    """What was made false -> the run, and the check that must fail for it."""
    final = recording.ledger()
    assert final is not None
    one = min(final.succeeded)
    found = {
        "message dropped": (dropped(recording, one), EVEN),
        "event processed twice": (twice(recording, one), EVEN),
        "success event lost": (untold(recording, one), EVEN),
        "count falsified": (miscounted(recording), COUNTS),
        "another alarm": (stray(recording, f"{gameday.pipeline}-breaker-errors"), NO_OTHER),
    }
    return found | {
        f"alarm {name} silenced": (silenced(recording, name), f"alarm {name} fired") for name in gameday.fires
    }
