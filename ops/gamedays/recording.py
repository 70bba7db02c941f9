"""A run as it was laid down, for those who judge and show it: pure, so that a falsified one can be judged as well."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ops.gamedays.ledger import Facts, Ledger, Letter, Record, Told

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ops.gamedays.journal import Line

FINAL = "final"
BEGUN = "begun"
DONE = "done"


@dataclass(frozen=True, slots=True)
class Recording:
    """The lines of a run."""

    lines: Sequence[Line]

    def of(self, kind: str) -> list[Line]:
        """The lines of a kind, oldest first."""
        return [line for line in self.lines if line["kind"] == kind]

    @property
    def head(self) -> Line:
        """What was run: `name`, `stack`, `run`, `alarms` that count, and those that a neighbour may cause."""
        return self.of("run")[0]

    @property
    def began(self) -> float:
        """Seconds since the epoch."""
        return float(self.lines[0]["t"])

    @property
    def ended(self) -> float:
        """Seconds since the epoch of the last thing that happened before the verdict."""
        return float([line for line in self.lines if line["kind"] not in ("series", "verdict")][-1]["t"])

    @property
    def seconds(self) -> float:
        """How long it has taken."""
        return self.ended - self.began

    @property
    def accepted(self) -> dict[str, Line]:
        """Accepted id -> the call that was answered with 202 first."""
        found: dict[str, Line] = {}
        for line in self.of("accepted"):
            for one in line["ids"]:
                found.setdefault(one, line)
        return found

    def group(self, name: str) -> frozenset[str]:
        """The ids that were sent under a name."""
        return frozenset(one for line in self.of("accepted") if line["group"] == name for one in line["ids"])

    def ledger(self, moment: str = FINAL) -> Ledger | None:
        """The ledger at a moment that the run has named; None where it did not get there. The latest counts."""
        looks = [line for line in self.of("facts") if line["moment"] == moment]
        if not looks:
            return None
        sent = frozenset(one for line in self.of("accepted") if line["t"] <= looks[-1]["t"] for one in line["ids"])
        return Ledger(sent, facts_from(looks[-1]))

    @property
    def moments(self) -> list[str]:
        """The names of the moments at which it has looked."""
        return list(dict.fromkeys(line["moment"] for line in self.of("facts")))

    @property
    def samples(self) -> list[Line]:
        """The looks at the stack since it was in a steady state."""
        steady = self.of("steady")
        return [line for line in self.of("sample") if steady and line["t"] >= steady[0]["t"]]

    @property
    def alarms(self) -> dict[str, list[tuple[float, float]]]:
        """Alarm of the run's own -> the times in which it was seen in ALARM, each up to the last look that saw it."""
        spans: dict[str, list[tuple[float, float]]] = {}
        before: set[str] = set()
        own = set(self.head["alarms"])
        for line in self.samples:
            now = own & set(line["alarms"])
            for name in now:
                if name in before:
                    spans[name][-1] = (spans[name][-1][0], line["t"])
                else:
                    spans.setdefault(name, []).append((line["t"], line["t"]))
            before = now
        return spans

    @property
    def injected(self) -> float | None:
        """When the first fault was being made; None where none was."""
        times = [line["t"] for line in self.of("step") if line["step"] == "inject" and line["state"] == BEGUN]
        return min(times, default=None)

    @property
    def repaired(self) -> float | None:
        """When the first repair was done; None where none was."""
        times = [line["t"] for line in self.of("step") if line["step"] == "repair" and line["state"] == BEGUN]
        return min(times, default=None)


def facts_to(facts: Facts) -> Mapping[str, Any]:
    """Facts as a line holds them."""
    return {
        "records": {one: asdict(record) for one, record in facts.records.items()},
        "letters": [asdict(letter) for letter in facts.letters],
        "told": [asdict(told) for told in facts.told],
        "waiting": facts.waiting,
    }


def facts_from(line: Mapping[str, Any]) -> Facts:
    """Facts as a line holds them."""
    return Facts(
        {one: Record(**record) for one, record in line["records"].items()},
        tuple(Letter(**letter) for letter in line["letters"]),
        tuple(Told(**told) for told in line["told"]),
        line["waiting"],
    )
