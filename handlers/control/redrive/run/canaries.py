"""The first letters of a run: what becomes of them decides whether the others follow."""

from collections.abc import Sequence

from handlers import clock
from handlers.control.redrive.ledger.states import States
from handlers.control.redrive.ledger.waves import Entry, EntryState
from handlers.control.redrive.run import plan
from handlers.control.redrive.run.record import Run

DEADLINE_SECONDS = 120
NO_OUTCOME = f"no outcome within {DEADLINE_SECONDS} s"


class Canaries:
    """Those that have gone out, until each has an outcome or the deadline passes."""

    def __init__(self, run: Run, states: States) -> None:
        self._run = run
        self._states = states
        self._out: list[Entry] = []
        self._since = 0
        self._complete = False
        self.failed: dict[str, str] = {}

    @property
    def wanted(self) -> int:
        """How many are still to go out."""
        if self._run.canaries_passed or self._run.request.dry_run:
            return 0
        return max(0, self._run.request.canary - len(self._out))

    @property
    def are_out(self) -> bool:
        """Whether all have gone out and their outcomes are awaited."""
        return bool(self._out) and not self._run.canaries_passed and (self._complete or not self.wanted)

    def add(self, entries: Sequence[Entry]) -> None:
        """Takes note of entries; those that were moved before the canaries have passed are canaries."""
        if self._run.request.canary and not self._run.canaries_passed:
            self._out += [one for one in entries if one.state is EntryState.MOVED]
            self._since = clock.now_ms()

    def end(self) -> bool:
        """There are no more letters, so those that have gone out are all; whether their outcomes are awaited."""
        self._complete = True
        return self.are_out

    def look(self) -> None:
        """Looks at their outcomes; sets ``failed``, or the run's ``canaries_passed`` once all have done well."""
        verdict = plan.judge_canaries(self._out, self._states.lookup(one.key for one in self._out))
        self.failed = verdict.failed
        if clock.now_ms() - self._since > DEADLINE_SECONDS * 1000:
            self.failed |= dict.fromkeys(verdict.waiting, NO_OUTCOME)
        self._run.canaries_passed = not verdict.waiting and not verdict.failed
