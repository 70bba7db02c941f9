"""What a GameDay is, apart from how it is run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ops.gamedays.context import Context
    from ops.gamedays.recording import Recording

Kind = Literal["steady", "load", "inject", "observe", "repair", "verify"]


@dataclass(frozen=True, slots=True)
class Check:
    """Something that had to hold, whether it did, and what shows it."""

    name: str
    ok: bool
    evidence: str


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is done, so that doing it again does no harm; `by_hand` are the commands for people."""

    kind: Kind
    title: str
    act: Callable[[Context], None]
    by_hand: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GameDay:
    """A fault and what is claimed of it.

    Alarms are named without what all names of the stack begin with. Those in `fires` must, those in `may_fire` may,
    any other of the pipeline or of the stack must not. `claims` are what nobody else may disturb meanwhile.
    """

    name: str
    title: str
    pipeline: str
    hypothesis: str
    lesson: str
    steps: tuple[Step, ...]
    fires: tuple[str, ...] = ()
    may_fire: tuple[str, ...] = ()
    claims: frozenset[str] = field(default_factory=frozenset)
    checks: Callable[[Recording], Iterable[Check]] = lambda _: ()
    blast_radius: str = "only events that carry the run's own mark"
    on_laptop: str = ""  # what stands for AWS's own behaviour there, where something does
    limit_seconds: int = 180  # on the laptop, where the periods of alarms are seconds

    @property
    def expected(self) -> frozenset[str]:
        """Alarms that are no reason to stop.

        Whatever costs a message a receive has it wait for its visibility time-out, which may look old and stalled, and
        adds to what an event costs in receives.
        """
        waiting = {f"{self.pipeline}-{name}" for name in ("queue-age", "queue-stalled", "retry-storm")}
        return frozenset({*self.fires, *self.may_fire, *waiting})


def curl(path: str, body: str, *headers: str) -> str:
    """A POST by hand."""
    shown = "".join(f" -H '{one}'" for one in ("Content-Type: application/json", *headers))
    return f"curl -fsS \"$API_URL{path}\"{shown} -d '{body}'"


def is_of(alarm: str, pipeline: str, pipelines: Iterable[str]) -> bool:
    """Whether an alarm is a pipeline's own, or the stack's."""
    owners = [name for name in pipelines if alarm.startswith(f"{name}-")]
    return not owners or pipeline in owners
