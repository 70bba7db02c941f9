"""GameDays: start one, see its phases, alarms and ledger while it runs, stop it, open its report."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.responses import FileResponse, Response

from ops.cli import target
from ops.console.guard import SEALED
from ops.console.link import trouble
from ops.console.views import Desk, FieldError, Form, act, fragment, live, page, show
from ops.gamedays import catalogue, journal, report, runs, verdict
from ops.gamedays.catalogue import UnknownGameDayError
from ops.gamedays.context import RefusedError
from ops.gamedays.journal import FILE, JournalError
from ops.gamedays.recording import BEGUN, DONE, Recording
from ops.gamedays.sampler import INTERRUPTED
from ops.gamedays.stack import AWS_PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from starlette.requests import Request

    from ops.cli.target import Target
    from ops.gamedays.journal import Line
    from ops.gamedays.ledger import Ledger
    from ops.gamedays.model import Check, GameDay

_LONG = ("sample", "series", "facts")
_SILENT_SECONDS = 60.0  # whoever is at work on a run writes a line every second, on AWS every ten
_SHOWN = 20  # runs of the list, the latest ones
_LIVE = ("STARTING", "RUNNING", "ROLLING BACK")
_PILLS = {"PASSED": "ok", "FAILED": "bad", "REFUSED": "bad"} | dict.fromkeys(_LIVE, "busy")


@dataclass(frozen=True, slots=True)
class Phase:
    """A step, or what comes before and after the steps. `state` is one of "", now, done, missed."""

    kind: str
    title: str
    state: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm of a run. `state` is one of ok, bad, busy, "", for what `word` says."""

    name: str
    word: str
    state: str


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it is shown."""

    id: str
    gameday: GameDay
    state: str
    why: str
    began: str
    seconds: float
    phases: Sequence[Phase]
    alarms: Sequence[Alarm]
    queues: Mapping[str, int]
    accepted: int
    ledgers: Sequence[tuple[str, Ledger]]
    checks: Sequence[Check]
    told: Sequence[tuple[float, str]]

    @property
    def pill(self) -> str:
        """Its state's colour."""
        return _PILLS.get(self.state, "warn")

    @property
    def is_live(self) -> bool:
        """Whether somebody is at work on it."""
        return self.state in _LIVE


@dataclass(frozen=True, slots=True)
class _Entry:
    """A run of the list."""

    id: str
    name: str
    state: str
    pill: str
    began: str
    seconds: float
    ledger: Ledger | None


class _Shelf:
    """The journals on the disk: each is read again only when it has grown."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read: dict[Path, tuple[int, Recording]] = {}

    def latest(self, home: Path, stack: str) -> list[tuple[str, Recording]]:
        """Those of a stack, the latest first, with their runs."""
        found: list[tuple[str, Recording]] = []
        with self._lock:
            before, self._read = self._read, {}
            for folder in reversed(list(journal.runs(runs.folder(home)))):
                size = (folder / FILE).stat().st_size
                kept = before.get(folder)
                recording = kept[1] if kept and kept[0] == size else _brief(Recording(journal.read(folder)))
                self._read[folder] = size, recording
                if recording.lines and recording.lines[0].get("stack") == stack:
                    found.append((folder.name, recording))
                if len(found) == _SHOWN:
                    break
        return found


_SHELF = _Shelf()


def _brief(recording: Recording) -> Recording:
    """Without what the list does not tell, which is most of it."""
    last = [*recording.of("facts")[-1:], *recording.lines[-1:]]
    kept = [line for line in recording.lines if line["kind"] not in _LONG or any(line is one for one in last)]
    return Recording(kept)


def _show(desk: Desk, _: Request) -> Response:
    return page(desk, "gamedays.html", current="/gamedays", **_form(desk, {}), **_list(desk))


def _list_live(desk: Desk, request: Request) -> Response:
    return live(request, "_gamedays.html", **_list(desk))


def _list(desk: Desk) -> dict[str, Any]:
    home, stack = target.home(), desk.link.target.stack
    return {"runs": [_entry(desk, run, recording) for run, recording in _SHELF.latest(home, stack)]}


def _entry(desk: Desk, run: str, recording: Recording) -> _Entry:
    state = _state(desk, run, recording)
    seconds = time.time() - recording.began if state in _LIVE else recording.seconds
    name = str(recording.head["name"])
    return _Entry(run, name, state, _PILLS.get(state, "warn"), _moment(recording), seconds, recording.ledger())


def _start(desk: Desk, _: Request, form: Form) -> Response:
    found = desk.link.target
    try:
        gameday = _chosen(found, form)
        runs.permit(found)
        run = desk.runner.start(found.stack, gameday)
    except FieldError as error:
        return fragment("_gamedays_form.html", **_form(desk, form, {error.field: str(error)}))
    except RefusedError as error:
        return fragment("_gamedays_form.html", **_form(desk, form, {"": trouble(error) or ""}))
    return Response(headers={"HX-Redirect": f"/gamedays/{run}"})


def _chosen(found: Target, form: Form) -> GameDay:
    """What is to be run.

    Raises:
        FieldError: there is no such GameDay on the stack, or the name of a stack on AWS was not typed.
    """
    try:
        gameday = catalogue.named(form.get("name", ""))
    except UnknownGameDayError:
        raise FieldError("name", "Choose one of these") from None
    if gameday.pipeline not in found.pipelines:
        raise FieldError("name", f"This stack has no {gameday.pipeline} pipeline")
    if found.stack != target.LOCAL and form.get("confirm", "").strip() != found.stack:
        raise FieldError("confirm", f"Type the name of the stack: {found.stack}")
    return gameday


def _form(desk: Desk, values: Mapping[str, str], errors: Mapping[str, str] | None = None) -> dict[str, Any]:
    found = desk.link.target
    known = [one for one in catalogue.ALL if one.pipeline in found.pipelines]
    patience = 1.0 if found.emulator else AWS_PATIENCE
    return {
        "values": {"name": "", **values},  # nothing is chosen at first: one stray click breaks nothing
        "errors": errors or {},
        "gamedays": [(one, round(one.limit_seconds * patience / 60)) for one in known],
        "asks": "" if found.stack == target.LOCAL else found.stack,
        "running": desk.runner.running,
    }


def _run(desk: Desk, request: Request) -> Response:
    run = _seen(desk, request.path_params["run"])
    if run is None:
        return page(desk, "missing.html", current="/gamedays", what="such run", back="/gamedays")
    return page(desk, "gameday.html", current="/gamedays", **_values(desk, run))


def _run_live(desk: Desk, request: Request) -> Response:
    run = _seen(desk, request.path_params["run"])
    return live(request, "_gameday.html", **_values(desk, run)) if run else Response(status_code=204)


def _values(desk: Desk, run: Run) -> dict[str, Any]:
    is_ours = desk.runner.running == run.id
    return {
        "run": run,
        "is_ours": is_ours,
        "is_stopping": is_ours and desk.runner.is_stopping,
        "has_report": _page_of(run.id).is_file(),
    }


def _stop(desk: Desk, request: Request, _: Form) -> Response:
    desk.runner.stop(request.path_params["run"])
    desk.reader.forget()
    run = _seen(desk, request.path_params["run"])
    return fragment("_gameday.html", **_values(desk, run)) if run else Response(status_code=204)


def _report(desk: Desk, request: Request) -> Response:
    """The page as it lies there; it brings its own styles, so it is shut in more strictly than the console's own."""
    run = request.path_params["run"]
    if _seen(desk, run) is None or not _page_of(run).is_file():
        return page(desk, "missing.html", current="/gamedays", what="such report", back="/gamedays")
    return FileResponse(_page_of(run), media_type="text/html", headers=SEALED)


def _page_of(run: str) -> Path:
    return runs.folder(target.home()) / run / report.HTML


def _seen(desk: Desk, run: str) -> Run | None:
    """A run as it stands; None where there is none."""
    try:
        gameday, found = runs.find(target.home(), run)
    except (JournalError, UnknownGameDayError):
        return _unborn(desk, run)
    recording = Recording(found.lines)
    state = _state(desk, run, recording)
    is_live = state in _LIVE
    return Run(
        id=run,
        gameday=gameday,
        state=state,
        why=_why(desk, run, recording, state),
        began=_moment(recording),
        seconds=time.time() - recording.began if is_live else recording.seconds,
        phases=list(_phases(gameday, recording, state)),
        alarms=list(_alarms(gameday, recording, is_live=is_live)),
        queues=_depths(recording),
        accepted=len(recording.accepted),
        ledgers=[(one, ledger) for one in recording.moments if (ledger := recording.ledger(one))],
        checks=verdict.judge(gameday, recording) if found.is_over else [],
        told=[(line["t"] - recording.began, told) for line in found.lines if (told := _told(line))],
    )


def _unborn(desk: Desk, run: str) -> Run | None:
    """A run that was started here and has written nothing, yet or for ever."""
    why = desk.runner.failure(run)
    if not why and desk.runner.running != run:
        return None
    gameday = catalogue.named(run.split("-", 2)[2])
    phases = list(_phases(gameday, Recording([]), ""))
    return Run(run, gameday, "REFUSED" if why else "STARTING", why, "", 0.0, phases, [], {}, 0, [], [], [])


def _state(desk: Desk, run: str, recording: Recording) -> str:
    if over := recording.of("verdict"):
        return "PASSED" if over[-1]["passed"] else "STOPPED" if _is_given_up(recording) else "FAILED"
    if desk.runner.running == run or (not desk.runner.running and _is_elsewhere(recording)):
        return "ROLLING BACK" if _is_ending(recording) else "RUNNING"
    if recording.of("unsteady"):
        return "REFUSED"
    return "STOPPED" if _is_ending(recording) else "KILLED"


def _is_given_up(recording: Recording) -> bool:
    """Whether somebody has stopped it, which says nothing about its hypothesis, as its abort rule does."""
    return [line["why"] for line in recording.of("stopped")][-1:] == [INTERRUPTED]


def _is_elsewhere(recording: Recording) -> bool:
    """Whether somebody is at work on a run that was not started here."""
    is_fresh = time.time() - recording.lines[-1]["t"] < _SILENT_SECONDS
    return is_fresh and runs.is_busy(target.home(), str(recording.head["stack"]))


def _is_ending(recording: Recording) -> bool:
    """Whether its last step is done, or it was stopped, and nobody has gone on with it since."""
    resumed = max((line["t"] for line in recording.of("resumed")), default=0.0)
    ends = [line["t"] for line in recording.of("stopped")]
    rolled = [line["t"] for line in recording.of("undone") if line["by"] == "rollback"]
    return max([*ends, *rolled], default=0.0) > resumed


def _why(desk: Desk, run: str, recording: Recording, state: str) -> str:
    """What there is to say of its state beyond the word."""
    if state == "REFUSED":
        return f"the stack is not in a steady state: {'; '.join(recording.of('unsteady')[-1]['why'])}"
    if state == "KILLED":
        return desk.runner.failure(run) or "nobody has rolled it back; the next one that is started does"
    stopped = [str(line["why"]) for line in recording.of("stopped")]
    if state == "STOPPED" and recording.of("verdict"):
        return (
            "somebody has stopped it; everything was rolled back" if _is_back(recording) else "somebody has stopped it"
        )
    if state == "STOPPED":
        return f"stopped: {stopped[-1]}; go on with it: lab gameday run --resume {run}" if stopped else ""
    return f"stopped: {stopped[-1]}" if stopped else ""


def _phases(gameday: GameDay, recording: Recording, state: str) -> Iterator[Phase]:
    begun = {line["number"]: line["t"] for line in recording.of("step") if line["state"] == BEGUN}
    done = {line["number"]: line["t"] for line in recording.of("step") if line["state"] == DONE}
    is_running, now = state == "RUNNING", time.time()
    if steady := recording.of("steady"):
        yield Phase("steady", "the stack is in a steady state", "done", steady[0]["t"] - recording.began)
    else:
        word = "now" if is_running else "missed" if recording.lines else ""
        yield Phase("steady", "the stack is in a steady state", word)
    for number, step in enumerate(gameday.steps):
        if number in done and number in begun:
            yield Phase(step.kind, step.title, "done", done[number] - begun[number])
        elif number in begun:
            yield Phase(
                step.kind, step.title, "now" if is_running else "missed", now - begun[number] if is_running else None
            )
        else:
            yield Phase(step.kind, step.title)
    left = _left(recording)
    is_back = _is_back(recording) and state != "RUNNING"
    word = "now" if state == "ROLLING BACK" else "done" if is_back else "missed" if left and state not in _LIVE else ""
    yield Phase("roll back", "everything is as it was", word)


def _left(recording: Recording) -> set[int]:
    """The changes that have not been taken back."""
    return {line["id"] for line in recording.of("undo")} - {line["id"] for line in recording.of("undone")}


def _is_back(recording: Recording) -> bool:
    return bool(recording.of("undo")) and not _left(recording)


def _told(line: Line) -> str:
    """What a line says on the page: each change that is taken back, and which of two times a wait is."""
    if line["kind"] == "undone" and line["by"] != "rollback":
        return f"taken back by a step: {line['what']}"
    if line["kind"] == "seen" and line["seconds"] >= 1:
        return f"{line['what']} (waited {line['seconds']:.0f} s for it)"
    return journal.told(line).strip()


def _alarms(gameday: GameDay, recording: Recording, *, is_live: bool) -> Iterator[Alarm]:
    """Those that must fire, and those that have."""
    if not recording.lines:
        return
    spans = recording.alarms
    firing = set(recording.samples[-1]["alarms"]) if recording.samples else set[str]()
    foreign = set(recording.head.get("foreign", ()))
    for name in dict.fromkeys([*gameday.fires, *sorted(spans)]):
        is_expected = name in gameday.expected or name in foreign
        rings = "in ALARM" if is_live else "still in ALARM at the end"
        word = rings if name in firing else "was in ALARM" if name in spans else "has not fired"
        if not is_expected:
            yield Alarm(name, f"{word}, which nobody expects", "bad")
        elif name in gameday.fires:
            state = "ok" if name in spans else "" if is_live else "bad"
            yield Alarm(name, f"{word}; it must fire", state)
        else:
            yield Alarm(name, f"{word}; it may", "")


def _depths(recording: Recording) -> dict[str, int]:
    """Queue -> messages, at the last look."""
    samples = recording.of("sample")
    return {role: sum(counts.values()) for role, counts in samples[-1]["queues"].items()} if samples else {}


def _moment(recording: Recording) -> str:
    return datetime.fromtimestamp(recording.began, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


ROUTES = [
    show("/gamedays", _show),
    show("/gamedays/live", _list_live),
    act("/gamedays/start", _start),
    show("/gamedays/{run}", _run),
    show("/gamedays/{run}/live", _run_live),
    act("/gamedays/{run}/stop", _stop),
    show("/gamedays/{run}/report", _report),
]
