"""`lab gameday`: run GameDays, go on with one, show what has come of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.cli import output, target
from ops.gamedays import catalogue, chaostoolkit, engine, report, runs
from ops.gamedays.context import RefusedError
from ops.gamedays.journal import told
from ops.gamedays.lanes import Lanes
from ops.gamedays.stack import AWS_PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from ops.cli.target import Target
    from ops.gamedays.engine import Outcome
    from ops.gamedays.journal import Line
    from ops.gamedays.model import GameDay

app = typer.Typer(help="Break a stack on purpose, and prove that nothing is lost.", no_args_is_help=True)

_REFUSED = 3  # by a safety rule
_ALL = "all"

NameArgument = Annotated[str, typer.Argument(help="A GameDay of `lab gameday list`, or all.", show_default=False)]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The run's id, which `run` has printed.")]
ResumeOption = Annotated[str, typer.Option("--resume", metavar="RUN", help="Go on with a run that was interrupted.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="On AWS: don't ask for the stack's name.")]


@app.command("list")
def list_(as_json: target.JsonOption = False) -> None:  # noqa: FBT002 - an option
    """List the GameDays.

    Example: lab gameday list
    """
    if as_json:
        output.as_json({"gamedays": [_described(one) for one in catalogue.ALL]})
        return
    rows = [(one.name, one.pipeline, one.title) for one in catalogue.ALL]
    output.table("GameDays", ["name", "pipeline", "what goes wrong"], rows)


@app.command()
def run(
    name: NameArgument = "",
    resume: ResumeOption = "",
    stack: target.StackOption = target.LOCAL,
    yes: YesOption = False,  # noqa: FBT002 - an option
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Run a GameDay, or all of them: break the stack, watch, repair, and prove that nothing was lost.

    Ctrl-C rolls everything back. Exits with 0 when the hypothesis holds, 1 when not, 3 when a safety rule refuses.

    Example: lab gameday run schema-break
    """
    if bool(name) == bool(resume):
        raise typer.BadParameter("a name, or --resume RUN")
    home = target.home()
    chosen = list(catalogue.ALL) if name == _ALL else [runs.find(home, resume)[0] if resume else _named(name)]
    found = target.find(stack)
    try:
        _permit(found, chosen, yes=yes)
        with runs.alone(home, found):
            for killed in runs.recover(home, found, but=resume):
                output.say(f"rolled back: {killed}, which was killed")
            outcomes = _perform(found, chosen, resume)
    except RefusedError as error:
        output.fail(str(error), _REFUSED)
    _show(outcomes, as_json=as_json, many=name == _ALL)


@app.command("report")
def report_(run_id: RunArgument, as_json: target.JsonOption = False) -> None:  # noqa: FBT002 - an option
    """Write the report of a run anew, and say what its verdict is.

    Example: lab gameday report 20260131-120000-schema-break
    """
    gameday, journal = runs.find(target.home(), run_id)
    outcome = engine.judged(gameday, journal)
    report.write(outcome, journal.folder)
    _show([outcome], as_json=as_json, many=False)


@app.command()
def export(name: NameArgument, stack: target.StackOption = target.LOCAL) -> None:
    """Print a GameDay as an experiment of the Chaos Toolkit, which then runs it: chaos run FILE, with API_URL exported.

    Example: lab gameday export outage > outage.json
    """
    output.as_json(chaostoolkit.experiment(_named(name), stack))


def _named(name: str) -> GameDay:
    try:
        return catalogue.named(name)
    except catalogue.UnknownGameDayError as error:
        raise typer.BadParameter(str(error)) from error


def _permit(found: Target, chosen: list[GameDay], *, yes: bool) -> None:
    """On AWS: only where the failure lab is, which production never has, and only after its name was typed.

    Raises:
        RefusedError: it may not be broken.
    """
    runs.permit(found)
    if found.stack == target.LOCAL or yes:
        return
    for one in chosen:
        limit = one.limit_seconds * AWS_PATIENCE // 60
        output.say(f"{one.name}: breaks {one.pipeline} of stack {found.stack}; {one.blast_radius};")
        alarms = ", ".join(sorted(one.expected)) or "none"
        output.say(f"  ends within {limit:.0f} min, and is stopped and rolled back at any alarm but: {alarms}")
    if output.typed(f"Type the stack's name to break it ({found.stack})") != found.stack:
        raise RefusedError("that is not its name; nothing was changed")


def _perform(found: Target, chosen: list[GameDay], resume: str) -> list[Outcome]:
    """Run them, independent ones side by side."""
    outcomes: dict[str, Outcome] = {}

    def one(gameday: GameDay) -> None:
        tell = _teller(gameday, many=len(chosen) > 1)
        journal = runs.find(target.home(), resume, tell)[1] if resume else runs.begin(target.home(), gameday, tell)
        if journal.is_over:
            raise RefusedError(f"{resume} is over: lab gameday report {resume}")
        output.say(f"{gameday.name}: run {journal.run}")
        neighbours = [other for other in chosen if not other.claims & gameday.claims]
        outcome = engine.perform(gameday, found, journal, neighbours, is_interrupted=lanes.interrupted.is_set)
        page = report.write(outcome, journal.folder)
        output.say(f"{gameday.name}: {_word(outcome)}: {page}")
        outcomes[gameday.name] = outcome

    lanes = Lanes(chosen, one)
    if len(chosen) == 1:
        one(chosen[0])
    else:
        lanes.run()
    return [outcomes[gameday.name] for gameday in chosen]


def _teller(gameday: GameDay, *, many: bool) -> Callable[[Line], None]:
    def tell(line: Line) -> None:
        if text := told(line):
            output.say(f"{gameday.name}: {text}" if many else text)

    return tell


def _show(outcomes: list[Outcome], *, as_json: bool, many: bool) -> None:
    documents = [report.document(one) for one in outcomes]
    if many:
        place = runs.folder(target.home()) / report.JUNIT
        place.write_text(report.junit(outcomes), encoding="utf-8")
        output.say(f"JUnit XML of all: {place}")
    if as_json:
        output.as_json({"passed": all(one.passed for one in outcomes), "runs": documents})
    elif many:
        rows = [(one.gameday.name, _word(one), f"{one.recording.seconds:.0f} s", _figures(one)) for one in outcomes]
        output.table("GameDays", ["name", "verdict", "took", "ledger"], rows)
    else:
        for one in outcomes[0].checks:
            output.result([f"{'ok    ' if one.ok else 'FAILED'} {one.name}: {one.evidence}"])
        output.result([f"{_word(outcomes[0])}: {outcomes[0].gameday.name}"])
    if not all(one.passed for one in outcomes):
        raise typer.Exit(output.FAILED)


def _figures(outcome: Outcome) -> str:
    ledger = outcome.recording.ledger()
    if ledger is None:
        return ""
    columns = ledger.columns()
    return f"{columns['accepted']} = {columns['succeeded']} + {columns['deadLettered']} + {columns['inFlight']}"


def _word(outcome: Outcome) -> str:
    return "PASSED" if outcome.passed else "FAILED"


def _described(gameday: GameDay) -> dict[str, Any]:
    return {
        "name": gameday.name,
        "title": gameday.title,
        "pipeline": gameday.pipeline,
        "hypothesis": gameday.hypothesis,
        "mustFire": list(gameday.fires),
        "mayFire": list(gameday.may_fire),
        "steps": [{"kind": step.kind, "title": step.title, "byHand": list(step.by_hand)} for step in gameday.steps],
    }
