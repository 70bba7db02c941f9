"""A run's course: steady state, steps, abort, rollback, resume; whatever happens, the stack is as it was."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ops.gamedays import catalogue, engine, runs
from ops.gamedays.context import Context, RefusedError
from ops.gamedays.journal import FILE, Journal, JournalError
from ops.gamedays.lanes import Lanes
from ops.gamedays.ledger import Told
from ops.gamedays.model import GameDay, Step
from tests.ops.gamedays.fake_stack import FakeStack, replace_stack

_ROLLBACK = ["undo consumer", "undo dead letters", "undo capture"]


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> FakeStack:
    """A quiet one."""
    return replace_stack(monkeypatch)


def gameday(*steps: Step, **more: Any) -> GameDay:
    """One of so many steps."""
    told = {"name": "made", "title": "t", "pipeline": "events", "hypothesis": "h", "lesson": "l", **more}
    return GameDay(steps=steps, **told)


def acting(stack: FakeStack, name: str, *, error: BaseException | None = None, what: str = "") -> Step:
    """A step that notes that it was done, may change something, and may fail."""

    def act(context: Context) -> None:
        if what:
            context.change(what, lambda: stack.log.append(f"do {what}"))
        stack.log.append(name)
        if error:
            raise error

    return Step("inject" if what else "load", name, act)


def target_of(stack: FakeStack) -> Any:
    """For the engine."""
    return stack.target


def test_steps_then_rollback_then_verdict(stack: FakeStack, tmp_path: Path) -> None:
    """In this order; everything is laid down, and each line was told to whoever listens."""
    told: list[str] = []
    journal = Journal(tmp_path / "run", lambda line: told.append(line["kind"]))

    outcome = engine.perform(
        gameday(acting(stack, "one"), acting(stack, "two", what="code")), target_of(stack), journal
    )

    assert stack.log == ["capture", "one", "do code", "two", "undo code", *_ROLLBACK]
    assert [line["kind"] for line in Journal(tmp_path / "run").lines] == told
    assert (told[0], told[-1], journal.is_over) == ("run", "verdict", True)
    assert "sample" in told[len(told) - told[::-1].index("undone") :]  # a look when everything is done
    assert {check.name: check.ok for check in outcome.checks} == {
        "every step was done": True,
        "every change was taken back": True,
        "no other alarm fired": True,
        "as many were accepted as the answers say": False,  # nothing was sent
        "the ledger comes out even": False,
    }


def test_a_change_is_on_the_disk_before_it_is_made(stack: FakeStack, tmp_path: Path) -> None:
    """Killed at any moment, its taking back is known."""
    seen: list[str] = []

    def act(context: Context) -> None:
        context.change("code", lambda: seen.extend((tmp_path / "run" / FILE).read_text().splitlines()))

    engine.perform(gameday(Step("inject", "t", act)), target_of(stack), Journal(tmp_path / "run"))

    undo = [line for line in map(json.loads, seen) if line["kind"] == "undo"]  # among looks, which a thread takes
    assert undo[-1] | {"t": 0} == {"t": 0, "kind": "undo", "id": 3, "what": "code", "data": {}, "step": 0}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("a bug")])
def test_an_interruption_rolls_back_and_can_be_resumed(stack: FakeStack, tmp_path: Path, error: BaseException) -> None:
    """Ctrl-C and bugs alike; then it goes on at the step whose change was taken back, not before."""
    steps = [acting(stack, "one"), acting(stack, "two", what="code"), acting(stack, "three", error=error)]
    with pytest.raises(type(error)):
        engine.perform(gameday(*steps), target_of(stack), Journal(tmp_path / "run"))
    assert stack.log[-4:] == ["undo code", *_ROLLBACK]
    assert not Journal(tmp_path / "run").is_over

    stack.log.clear()

    def three(context: Context) -> None:
        stack.log.append("three")
        context.look()

    steps[2] = Step("verify", "t", three)
    outcome = engine.perform(gameday(*steps), target_of(stack), Journal(tmp_path / "run"))

    assert stack.log == ["capture", "do code", "two", "three", "undo code", *_ROLLBACK]
    assert outcome.checks[0].evidence.startswith("3 of 3 steps")


def test_what_was_told_before_its_answer_came_is_known(stack: FakeStack, tmp_path: Path) -> None:
    """An event may succeed whose 202 was lost with an interruption; sent again, it is accepted and told no more."""
    stack.told = [Told("e-1", "x"), Told("somebody else's", "y")]

    def act(context: Context) -> None:
        context.look("before its answer")
        context.journal.add("accepted", group="g", at=1.0, ms=1.0, count=1, ids=["e-1"])
        context.look("after it")

    engine.perform(gameday(Step("load", "t", act)), target_of(stack), Journal(tmp_path / "run"))

    assert stack.looked == [[], [Told("e-1", "x")]]


def test_a_killed_run_goes_on_where_it_was(stack: FakeStack, tmp_path: Path) -> None:
    """Its changes are still in force: the step that was cut short is done again, nothing before it."""
    steps = [acting(stack, "one", what="code"), acting(stack, "two", error=KeyboardInterrupt())]
    with pytest.raises(KeyboardInterrupt):
        engine.perform(gameday(*steps), target_of(stack), Journal(tmp_path / "run"))
    file = tmp_path / "run" / FILE
    lines = file.read_text().splitlines(keepends=True)
    killed = [line for line in lines if json.loads(line)["kind"] not in ("undone", "stopped")]
    file.write_text("".join(killed) + '{"t": 1, "ki')  # as a kill in the middle of a write leaves it

    stack.log.clear()
    stack.open = {line["url"] for line in Journal(tmp_path / "run").of("capturing")}
    engine.perform(gameday(steps[0], acting(stack, "two")), target_of(stack), Journal(tmp_path / "run"))

    assert stack.log == ["two", "undo code", *_ROLLBACK]


def test_an_alarm_that_nobody_expects_aborts(stack: FakeStack, tmp_path: Path) -> None:
    """The next wait ends, everything is rolled back, and the verdict says why."""

    def act(context: Context) -> None:
        stack.firing = {"events-worker-errors"}
        context.until("something that never comes", lambda: False, seconds=1000)

    outcome = engine.perform(gameday(Step("inject", "t", act)), target_of(stack), Journal(tmp_path / "run"))

    assert stack.log == ["capture", *_ROLLBACK]
    assert "alarm events-worker-errors fired, which nobody expects" in outcome.checks[0].evidence


def test_an_alarm_that_is_expected_does_not_abort(stack: FakeStack, tmp_path: Path) -> None:
    """What must fire is waited for, and seen."""

    def act(context: Context) -> None:
        stack.firing = {"events-worker-errors"}
        context.alarms("events-worker-errors")
        stack.firing = set()
        context.quiet()

    made = gameday(Step("inject", "t", act), fires=("events-worker-errors",))
    outcome = engine.perform(made, target_of(stack), Journal(tmp_path / "run"))

    shown = {check.name: check.ok for check in outcome.checks}
    assert (shown["alarm events-worker-errors fired"], shown["alarm events-worker-errors is over"]) == (True, True)


def test_a_change_that_can_not_be_taken_back_keeps_no_other(
    stack: FakeStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All others are; the verdict names it, and the next run tries again."""

    def revert(_stack: object, _folder: Path, what: str, data: dict[str, Any]) -> None:
        if what == "code":
            raise OSError("no answer")
        stack.revert(what, data)

    monkeypatch.setattr("ops.gamedays.changes.revert", revert)
    journal = Journal(tmp_path / "run")
    steps = [acting(stack, "one", what="queue policy"), acting(stack, "two", what="code")]
    outcome = engine.perform(gameday(*steps), target_of(stack), journal)

    assert stack.log[-4:] == ["undo queue policy", *_ROLLBACK]
    assert [line["what"] for line in journal.outstanding()] == ["code"]
    assert outcome.checks[1].evidence == "code; OSError: no answer"


def test_a_look_that_fails_is_taken_again(stack: FakeStack, tmp_path: Path) -> None:
    """AWS may refuse a call now and then; a wait ends by its deadline, with the last reason."""
    looks: list[int] = []

    def look() -> bool:
        looks.append(1)
        if len(looks) == 1:
            raise OSError("no answer")
        return True

    def act(context: Context) -> None:
        context.until("an answer", look, seconds=1000)
        context.until("none", _fail, seconds=1)

    outcome = engine.perform(gameday(Step("load", "t", act)), target_of(stack), Journal(tmp_path / "run"))

    assert len(looks) == 2
    assert "not seen within 0 s: none (OSError: gone)" in outcome.checks[0].evidence


def _fail() -> bool:
    raise OSError("gone")


def test_what_does_not_come_fails_in_words(stack: FakeStack, tmp_path: Path) -> None:
    """A wait without its answer ends the steps, not the rollback or the verdict."""

    def act(context: Context) -> None:
        context.until("the sky falls", lambda: False, seconds=1)

    outcome = engine.perform(gameday(Step("load", "t", act)), target_of(stack), Journal(tmp_path / "run"))

    assert not outcome.passed
    assert "not seen within 0 s: the sky falls" in outcome.checks[0].evidence
    assert stack.log == ["capture", *_ROLLBACK]


def test_what_is_not_steady_is_not_broken(stack: FakeStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a fault on already, nothing would be proved: it is refused, and nothing was changed."""
    monkeypatch.setattr(engine, "_STEADY_SECONDS", 0.0)
    stack.mode = "poison_payload"

    journal = Journal(tmp_path / "run")
    with pytest.raises(RefusedError, match="failure mode poison_payload is on"):
        engine.perform(gameday(acting(stack, "one")), target_of(stack), journal)
    assert stack.log == []
    (told,) = [line["text"] for line in journal.of("note")]
    assert told.startswith("waiting up to 0 s for a steady state: failure mode poison_payload is on")


@pytest.mark.parametrize(("fires", "waited"), [((), []), (("events-breaker-open",), ["waiting for 300 s"])])
def test_a_breaker_that_would_not_open_is_waited_for(
    stack: FakeStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fires: tuple[str, ...], waited: list[str]
) -> None:
    """After an outage that only some events met, for longer than for all else; not where nobody wants it to open."""
    monkeypatch.setattr(engine, "_STEADY_SECONDS", 0.0)
    now = [1_800_000_000.0]
    stack.deaf_until = now[0] + 300

    def sleep(seconds: float) -> None:
        now[0] += 100 if seconds == stack.target.look_seconds else seconds

    monkeypatch.setattr(engine, "time", SimpleNamespace(time=lambda: now[0], monotonic=lambda: now[0], sleep=sleep))
    journal = Journal(tmp_path / "run")
    engine.perform(gameday(acting(stack, "one"), fires=fires), target_of(stack), journal)

    assert [line["text"].partition(":")[0] for line in journal.of("note")] == waited
    assert now[0] == 1_800_000_000 + (300 if waited else 0)
    assert "one" in stack.log


def test_a_killed_run_is_rolled_back_by_the_next(
    stack: FakeStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, in the reverse order; not where the laptop's stack is another one meanwhile."""
    monkeypatch.setattr(runs, "Stack", lambda _target, _pipeline: stack)
    for name, life in (("20260101-a", 1), ("20260102-b", 2)):
        journal = Journal(runs.folder(tmp_path) / name)
        journal.add("run", run=name, name=catalogue.ALL[0].name, stack="local", life=life)
        journal.add("undo", id=0, what="queue policy", data={}, step=-1)
        journal.add("undo", id=1, what="code", data={}, step=0)

    assert runs.recover(tmp_path, target_of(stack)) == ["20260101-a", "20260102-b"]
    assert stack.log == ["undo code", "undo queue policy"]
    assert runs.recover(tmp_path, target_of(stack)) == []


def test_one_at_a_time(stack: FakeStack, tmp_path: Path) -> None:
    """Two people can't break the same stack from here."""
    with (
        runs.alone(tmp_path, target_of(stack)),
        pytest.raises(RefusedError, match="another GameDay runs"),
        runs.alone(tmp_path, target_of(stack)),
    ):
        pass


def test_a_run_that_is_not_there(tmp_path: Path) -> None:
    """Is refused with those that are."""
    Journal(runs.folder(tmp_path) / "20260101-a").add("run")

    with pytest.raises(JournalError, match="there is no run 'x'; the latest are: 20260101-a"):
        runs.find(tmp_path, "x")


def test_a_journal_that_is_broken_in_its_middle_is_refused(tmp_path: Path) -> None:
    """Only the last line may have been cut short."""
    (tmp_path / FILE).write_text('{"t": 1, "kind": "run"}\n{"t"\n{"t": 2, "kind": "note"}\n')

    with pytest.raises(JournalError, match="line 2"):
        Journal(tmp_path)


def test_lanes_keep_apart_what_claims_the_same() -> None:
    """All are run, never two of one claim at a time."""
    running: set[str] = set()
    done: list[str] = []

    def perform(one: GameDay) -> None:
        assert not running & one.claims
        running.update(one.claims)
        done.append(one.name)
        running.difference_update(one.claims)

    made = [gameday(name=f"{number}", claims=frozenset({f"{number % 2}"})) for number in range(6)]
    Lanes(made, perform).run()

    assert sorted(done) == [str(number) for number in range(6)]


def test_lanes_end_with_the_first_error() -> None:
    """What was not begun is left, and the error is told."""

    def perform(one: GameDay) -> None:
        raise RefusedError(one.name)

    with pytest.raises(RefusedError, match="only"):
        Lanes([gameday(name="only", claims=frozenset("a")), gameday(name="next", claims=frozenset("a"))], perform).run()


def test_every_gameday_is_complete() -> None:
    """Has an injection and a repair, can be done by hand, and claims its pipeline; names are unique."""
    assert len({one.name for one in catalogue.ALL}) == len(catalogue.ALL) == 10
    for one in catalogue.ALL:
        kinds = [step.kind for step in one.steps]
        assert "inject" in kinds, one.name
        assert "repair" in kinds, one.name
        assert one.pipeline in one.claims, one.name
        assert all(step.by_hand for step in one.steps), one.name
