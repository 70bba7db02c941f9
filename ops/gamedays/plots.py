"""The course of a run as one SVG: queues, age, errors, latency, alarms, on one axis of time."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from ops.gamedays.ledger import SUCCEEDED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from ops.gamedays.model import GameDay
    from ops.gamedays.recording import Recording

_QUEUES = {  # role -> what it is called, colour (of Okabe and Ito, who can be told apart by everybody)
    "main": ("main queue", "#0072B2"),
    "dlq": ("dead-letter queue", "#D55E00"),
    "undelivered": ("undelivered", "#CC79A7"),
    "notices": ("notices", "#56B4E9"),
    "deadNotices": ("dead notices", "#CC79A7"),
}
_COUNTS = {
    "errors": ("worker died", "#D55E00"),
    "producerErrors": ("producer died", "#882255"),
    "throttles": ("worker throttled", "#E69F00"),
    "producerThrottles": ("producer throttled", "#E69F00"),
    "retried": ("attempts to be retried", "#0072B2"),
    "deadLettered": ("dead-lettered", "#000000"),
    "duplicates": ("duplicates", "#009E73"),
}
_EXPECTED, _ALLOWED, _UNEXPECTED = "#0072B2", "#999999", "#D55E00"
_STYLE: Any = {  # matplotlib types each key of its own
    "svg.fonttype": "none",  # text stays text: it can be searched and read aloud
    "svg.hashsalt": "gameday",  # the same run makes the same picture
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "axes.axisbelow": True,
}


def course(gameday: GameDay, recording: Recording) -> str:
    """The SVG element of a run."""
    import matplotlib as mpl  # noqa: PLC0415 - takes a second; only a report needs it
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    spans = recording.alarms
    names = [*dict.fromkeys([*gameday.fires, *(one for one in gameday.may_fire if one in spans), *sorted(spans)])]
    with mpl.rc_context(_STYLE):
        heights = [3.0, 2.0, 2.0, 2.4, max(0.8, 0.45 * len(names))]
        figure = Figure(figsize=(10, sum(heights) * 0.95), layout="constrained")
        FigureCanvasSVG(figure)
        queues, age, errors, latency, alarms = figure.subplots(
            len(heights), 1, sharex=True, gridspec_kw={"height_ratios": heights}
        )
        _queues(queues, recording)
        _age(age, recording)
        _errors(errors, recording)
        _latency(latency, recording)
        _alarms(alarms, gameday, recording, names)
        for axes in (queues, age, errors, latency, alarms):
            _phases(axes, recording)
        _marks(queues, recording)
        alarms.set_xlabel("seconds since the run began")
        alarms.set_xlim(0, max(1.0, recording.seconds))
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None})
    svg = written.getvalue()
    return svg[svg.index("<svg") :]


def _queues(axes: Axes, recording: Recording) -> None:
    samples = recording.samples
    times = [line["t"] - recording.began for line in samples]
    for role, (label, colour) in _QUEUES.items():
        if samples and role in samples[0]["queues"]:
            depths = [sum(line["queues"][role].values()) for line in samples]
            if role in ("main", "dlq") or any(depths):
                axes.step(times, depths, where="post", label=label, color=colour, linewidth=1.8)
    _label(axes, "messages")


def _age(axes: Axes, recording: Recording) -> None:
    points = _relative(recording, "age")
    axes.plot(*_split(points), color="#0072B2", marker=".", label="oldest message of the main queue")
    _label(axes, "age (s)")


def _errors(axes: Axes, recording: Recording) -> None:
    for name, (label, colour) in _COUNTS.items():
        points = [(at, value) for at, value in _relative(recording, name) if value]
        if points:
            axes.vlines(*_split(points), 0, color=colour, linewidth=3, alpha=0.35)
            axes.plot(*_split(points), linestyle="", marker="o", markersize=4, color=colour, label=label)
    _label(axes, "per period")


def _latency(axes: Axes, recording: Recording) -> None:
    """Each event from its 202 to its success, and the worker's own percentiles."""
    from matplotlib.ticker import NullFormatter  # noqa: PLC0415

    done = latencies(recording)
    axes.plot(*_split(done), linestyle="", marker=".", color="#56B4E9", label="202 to SUCCEEDED, each event")
    for name, style in (("p50", ":"), ("p95", "--"), ("p99", "-")):
        points = [(at, value / 1000) for at, value in _relative(recording, name)]
        if points:
            axes.plot(*_split(points), linestyle=style, color="#009E73", marker=".", label=f"worker {name}")
    if any(value > 0 for _, value in done):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    _label(axes, "latency (s)")


def latencies(recording: Recording) -> list[tuple[float, float]]:
    """When each event was accepted, in seconds since the run began, and how long it took to succeed."""
    ledger = recording.ledger()
    if ledger is None:
        return []
    found = []
    for one, line in recording.accepted.items():
        record = ledger.facts.records.get(one)
        if record and record.status == SUCCEEDED and record.processed_at:
            found.append((line["at"] - recording.began, max(0.001, record.processed_at - line["at"])))
    return sorted(found)


def _alarms(axes: Axes, gameday: GameDay, recording: Recording, names: Sequence[str]) -> None:
    foreign = set(recording.head.get("foreign", ()))
    for place, name in enumerate(reversed(names)):
        colour = _EXPECTED if name in gameday.fires else _ALLOWED
        colour = colour if name in gameday.expected or name in foreign else _UNEXPECTED
        bars = [(a - recording.began, max(0.5, b - a)) for a, b in recording.alarms.get(name, ())]
        axes.broken_barh(bars, (place - 0.35, 0.7), facecolors=colour)
    axes.set_yticks(range(len(names)), list(reversed(names)))
    axes.set_ylim(-0.6, max(0.6, len(names) - 0.4))
    axes.set_title("alarms (blue: must fire, grey: may fire, red: must not)", loc="left", fontsize=9)


def _phases(axes: Axes, recording: Recording) -> None:
    """The time in which the fault was on."""
    if (injected := recording.injected) is not None:
        end = recording.repaired or recording.ended
        axes.axvspan(injected - recording.began, end - recording.began, color="#D55E00", alpha=0.07, linewidth=0)
        axes.axvline(injected - recording.began, color="#D55E00", linewidth=1)
    if (repaired := recording.repaired) is not None:
        axes.axvline(repaired - recording.began, color="#009E73", linewidth=1)


def _marks(axes: Axes, recording: Recording) -> None:
    marks = ((recording.injected, "injection", "#D55E00"), (recording.repaired, "repair", "#009E73"))
    for moment, text, colour in marks:
        if moment is not None:
            axes.text(
                moment - recording.began, 1.01, text, color=colour, va="bottom", transform=axes.get_xaxis_transform()
            )


def _relative(recording: Recording, name: str) -> list[tuple[float, float]]:
    """The points of a metric since the stack was in a steady state: what was before is not of this run."""
    lines, steady = recording.of("series"), recording.of("steady")
    points = lines[-1]["series"].get(name, ()) if lines else ()
    since = steady[0]["t"] if steady else recording.began
    return [(at - recording.began, value) for at, value in points if at >= since]


def _split(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [at for at, _ in points], [value for _, value in points]


def _label(axes: Axes, unit: str) -> None:
    axes.set_ylabel(unit)
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False)  # beside what it names
    if axes.get_yscale() != "log":
        axes.set_ylim(0, max(1.0, axes.get_ylim()[1]))
