"""A run as one HTML page that needs nothing else, and as JUnit XML."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from ops.gamedays import plots, verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from ops.gamedays.engine import Outcome
    from ops.gamedays.journal import Line

HTML = "report.html"
JUNIT = "junit.xml"

_COLUMNS = {
    "accepted": "accepted (202)",
    "succeeded": "succeeded",
    "deadLettered": "dead-lettered",
    "inFlight": "in flight",
    "lost": "lost",
}
_ABOUT_THE_LEDGER = (
    "Accepted is what the caller has a 202 for. The rest is counted in the state table, on the dead-letter queues and"
    " among the success events that the bus delivered, by the id of each event: every accepted event is in exactly one"
    " column."
)
_ABOUT_HANDS = (
    "The same with <code>lab</code>, curl and the aws CLI;"
    " <code>export API_URL=$(lab status --output ApiEndpoint)</code> first."
)
_ON_THE_LAPTOP = (
    " The aws CLI needs <code>export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1"
    "</code> too."
)
_CSS = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 2rem auto; max-width: 62rem;
  padding: 0 1rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin-bottom: .2rem; }
h2 { font-size: 1.15rem; margin-top: 2.2rem; border-bottom: 1px solid #ddd; }
.head { color: #555; margin-top: 0; }
.verdict { font-weight: 700; padding: .5rem .8rem; border-left: .5rem solid; margin: 1rem 0; }
.passed { border-color: #009e73; background: #eef8f4; } .failed { border-color: #d55e00; background: #fcf1ea; }
table { border-collapse: collapse; width: 100%; font-size: .95rem; }
th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid #eee; vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; padding-right: 1.2rem; white-space: nowrap; }
.inject { color: #b34a00; font-weight: 600; } .repair { color: #00734f; font-weight: 600; }
pre { background: #f6f6f6; padding: .6rem .8rem; overflow-x: auto; font-size: .9rem; margin: .3rem 0; }
svg { width: 100%; height: auto; } .bad { color: #b34a00; font-weight: 600; }
.detail { color: #555; font-size: .9rem; }
"""


def write(outcome: Outcome, folder: Path) -> Path:
    """Write the page and the XML into a run's folder; returns the page's path."""
    (folder / JUNIT).write_text(junit([outcome]), encoding="utf-8")
    page = folder / HTML
    page.write_text(html(outcome), encoding="utf-8")
    return page


def html(outcome: Outcome) -> str:
    """The page of a run."""
    gameday, recording = outcome.gameday, outcome.recording
    head = recording.head
    began = datetime.fromtimestamp(recording.began, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    place = f"{head['run']} on stack {head['stack']}, pipeline {gameday.pipeline}"
    endpoint = str(head["endpoint"])
    word, kind = ("PASSED: the hypothesis holds", "passed") if outcome.passed else ("FAILED", "failed")
    failed = [one for one in outcome.checks if not one.ok]
    reasons = "".join(f"<br>{escape(one.name)}: {escape(one.evidence)}" for one in failed)
    laptop = gameday.on_laptop if head["stack"] == "local" else ""
    parts = [
        f"<h1>GameDay: {escape(gameday.title)}</h1>",
        f'<p class="head">{escape(place)}, {began}, {recording.seconds:.0f} s</p>',
        f'<p class="verdict {kind}">{word}{reasons}</p>',
        f"<h2>Hypothesis</h2><p>{escape(gameday.hypothesis)}</p>",
        f"<p>Blast radius: {escape(gameday.blast_radius)}.</p>",
        f"<p>On the laptop: {escape(laptop)}</p>" if laptop else "",
        "<h2>What happened, at a glance</h2>",
        "<p>Shaded: the fault is on. Times in seconds since the run began.</p>",
        f'<figure aria-label="Course of the run">{plots.course(gameday, recording)}</figure>',
        "<h2>Timeline</h2>",
        _table(("at", "what", ""), _timeline(outcome), numbers=(0,)),
        "<h2>Ledger</h2>",
        f"<p>{_ABOUT_THE_LEDGER}</p>",
        _ledger(outcome),
        "<h2>Verdict and evidence</h2>",
        _table(("", "what had to hold", "what was seen"), _checks(outcome)),
        f"<h2>What to learn</h2><p>{escape(gameday.lesson)}</p>",
        "<h2>By hand</h2>",
        f"<p>{_ABOUT_HANDS}{_ON_THE_LAPTOP if endpoint else ''}</p>",
        *(
            f"<p>{escape(step.title)}</p><pre>{escape(_typed(step.by_hand, endpoint))}</pre>"
            for step in gameday.steps
            if step.by_hand
        ),
    ]
    title = escape(f"{gameday.title}: {word}")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_CSS}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def junit(outcomes: Sequence[Outcome]) -> str:
    """A suite for each run, a case for each check."""
    root = ET.Element("testsuites", name="gamedays")
    for outcome in outcomes:
        recording = outcome.recording
        seconds = f"{recording.seconds:.1f}"
        failures = sum(not one.ok for one in outcome.checks)
        suite = ET.SubElement(
            root,
            "testsuite",
            name=outcome.gameday.name,
            tests=str(len(outcome.checks)),
            failures=str(failures),
            errors="0",
            time=seconds,
        )
        for one in outcome.checks:
            case = ET.SubElement(suite, "testcase", classname=f"gameday.{outcome.gameday.name}", name=one.name)
            if not one.ok:
                ET.SubElement(case, "failure", message=one.evidence)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _typed(commands: Sequence[str], endpoint: str) -> str:
    """Commands as they are typed: on the laptop no line of the aws CLI may reach AWS."""
    text = "\n".join(commands)
    return re.sub(r"(^|\$\()aws ", rf"\1aws --endpoint-url {endpoint} ", text, flags=re.MULTILINE) if endpoint else text


def _timeline(outcome: Outcome) -> Iterable[tuple[str, str, str]]:
    """What happened, in order: steps, what was seen, alarms."""
    recording = outcome.recording
    told = ((line["t"], _told(line)) for line in recording.lines)
    rows = [(at, *shown) for at, shown in told if shown]
    for name, spans in recording.alarms.items():
        for begin, end in spans:
            rows.append((begin, f"alarm <b>{escape(name)}</b> is in ALARM", f"for {end - begin:.0f} s"))
    for at, what, more in sorted(rows, key=lambda row: row[0]):
        yield f"{at - recording.began:.1f} s", what, more


def _told(line: Line) -> tuple[str, str] | None:  # noqa: PLR0911 - one for each kind of line
    match line["kind"]:
        case "step" if line["state"] == "begun":
            kind = line["step"] if line["step"] in ("inject", "repair") else ""
            return f'<span class="{kind}">{escape(line["title"])}</span>', escape(line["step"])
        case "accepted":
            return f"{line['count']} accepted ({escape(line['group'])})", f"answered in {line['ms']:.0f} ms"
        case "seen" if line["seconds"] >= 1:
            return escape(line["what"]), f"after {line['seconds']:.0f} s"
        case "redrive":
            counts = f"moved {line['counts']['moved']} of {line['counts']['examined']}"
            return f"redrive of {escape(line['pipeline'])}: {line['state']}", escape(f"{counts}; {line['reason']}")
        case "disposed":
            return f"{len(line['letters'])} dead letters deleted", escape(line["why"])
        case "undone" if line["by"] == "rollback" and line["what"] not in ("capture", "dead letters", "consumer"):
            return f"rolled back: {escape(line['what'])}", ""
        case "note":
            return escape(line["text"]), ""
        case "stopped":
            return f'<span class="bad">stopped: {escape(line["why"])}</span>', ""
        case "resumed":
            return "resumed", ""
    return None


def _ledger(outcome: Outcome) -> str:
    recording = outcome.recording
    rows = []
    for moment in recording.moments:
        ledger = recording.ledger(moment)
        if ledger is None:
            continue
        columns = ledger.columns()
        told = {one.event_id for one in ledger.facts.told}
        rows.append((escape(moment), *(str(columns[key]) for key in _COLUMNS), str(len(told)), str(ledger.repeated())))
    heads = ("looked at", *_COLUMNS.values(), "success events", "of them repeated")
    return _table(heads, rows, numbers=range(1, len(heads)))


def _checks(outcome: Outcome) -> Iterable[tuple[str, str, str]]:
    for one in outcome.checks:
        yield "✓" if one.ok else '<span class="bad">✗</span>', escape(one.name), escape(one.evidence)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Iterable[int] = ()) -> str:
    right = set(numbers)

    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(f"<{tag}{' class=n' if place in right else ''}>{cell}</{tag}>" for place, cell in enumerate(row))

    body = "".join(f"<tr>{cells('td', row)}</tr>\n" for row in rows)
    return f"<table><thead><tr>{cells('th', heads)}</tr></thead><tbody>\n{body}</tbody></table>"


def document(outcome: Outcome) -> dict[str, object]:
    """The verdict for programs."""
    return verdict.document(outcome.gameday, outcome.recording, outcome.checks)
