"""What measurements say, in one shape, and `docs/benchmarks.md` made of it: ``python -m tests.bench.report``.

A bench collects rows and ends with `conclude`, which prints them and, where its command line has ``--json FILE``,
writes

    {"name", "note", "run": {"date", "machine", "versions"},
     "rows": [{"what", "ratio", "spread", "bar", "met", "detail"}]}

and beside these whatever else it has `more` of, for another page.

`ratio` is the median of the rounds in the bar's unit (`x` unless it names another), `spread` the least and the most of
them, `bar` a text such as `≥ 8.5 x`, `≤ 25 ms` or "" (for information), `met` whether the median reaches it. `note`
says what was tried where one does not. The page is made of `docs/benchmarks/*.json`, which ``make bench`` writes.
"""

import json
import os
import platform
import re
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "docs" / "benchmarks"
_BAR = re.compile(r"(?P<sense>[≤≥]) (?P<limit>[0-9.]+) (?P<unit>\S.*)")
_PACKAGES = (
    "botocore",
    "aws-lambda-powertools",
    "pyarrow",
    "pyiceberg",
    "duckdb",
    "pulumi",
    "pulumi-aws",
    "ministack",
    "moto",
)
_HEAD = """# Benchmarks

Made by `python -m tests.bench.report` of what `make bench` wrote to `docs/benchmarks/`; a test keeps the two equal. `x`
is one side divided by the other, both in the same run and in turn; a figure is the median of its rounds, and the least
and the most of them stand beside it. CPU is processor time, which other work on the machine changes little while its
load is below the number of processors, and wall time much. `make bench BENCH=worker` measures one of them again.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison; see the module."""

    what: str
    ratio: float
    spread: tuple[float, float]
    bar: str
    met: bool | None
    detail: str


def row(what: str, values: Sequence[float], bar: str = "", detail: str = "") -> Row:
    """A row of the values of all rounds.

    Raises:
        ValueError: the bar is none.
    """
    median = statistics.median(values)
    return Row(what, median, (min(values), max(values)), bar, _reaches(median, bar), detail)


def _reaches(value: float, bar: str) -> bool | None:
    if not bar:
        return None
    at_least, limit, _ = _parsed(bar)
    return value >= limit if at_least else value <= limit


def _parsed(bar: str) -> tuple[bool, float, str]:
    if not (found := _BAR.fullmatch(bar)):
        raise ValueError(f"a bar is such as '≥ 8.5 x', got {bar!r}")
    return found["sense"] == "≥", float(found["limit"]), found["unit"]


def json_file(arguments: Sequence[str]) -> tuple[list[str], Path | None]:
    """A command line without its ``--json FILE``, and that file."""
    rest = list(arguments)
    if "--json" not in rest:
        return rest, None
    at = rest.index("--json")
    file = Path(rest[at + 1])
    del rest[at : at + 2]
    return rest, file


def conclude(
    name: str, rows: Sequence[Row], file: Path | None, *, note: str = "", more: Mapping[str, object] = {}
) -> int:
    """Prints the rows and writes them; 0 where every bar is reached, else 1."""
    found = {"name": name, "note": " ".join(note.split()), "run": _run(), "rows": [asdict(one) for one in rows], **more}
    sys.stdout.write("".join(f"{_line(one)}\n" for one in rows))
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 1 if any(one.met is False for one in rows) else 0


def _line(one: Row) -> str:
    return f"{one.what}: {_value(one.ratio, one.bar)} ({_spread(one)}){_told(one)}" + f"  {one.detail}".rstrip()


def _told(one: Row) -> str:
    return f", bar {one.bar}, {_verdict(one)}" if one.bar else ""


def _verdict(one: Row) -> str:
    if one.met is not False:
        return "reached" if one.met else ""
    _, limit, _ = _parsed(one.bar)
    return f"missed by {abs(one.ratio - limit) / limit:.0%}"


def _spread(one: Row) -> str:
    return f"{_number(one.spread[0])} to {_number(one.spread[1])}"


def _value(value: float, bar: str) -> str:
    return f"{_number(value)} {_parsed(bar)[2] if bar else 'x'}"


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 10 else f"{value:,.1f}" if abs(value) < 100 else f"{value:,.0f}"


def _run() -> dict[str, Any]:
    return {"date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": _machine(), "versions": _versions()}


def _machine() -> str:
    """Processor, how many, system: what a reader needs to weigh the figures; no name of the machine."""
    cpu = Path("/proc/cpuinfo")
    models = re.findall(r"model name\s*: (.+)", cpu.read_text(encoding="utf-8")) if cpu.exists() else []
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    model = models[0].strip() if models else platform.machine()
    busy = f", load {os.getloadavg()[0]:.0f}" if hasattr(os, "getloadavg") else ""
    return f"{model}, {usable} processors{busy}, {platform.system()} {platform.machine()}"


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def render(reports: Sequence[Mapping[str, Any]]) -> str:
    """The page."""
    return "\n".join([_HEAD, *map(_section, reports)])


def read() -> list[dict[str, Any]]:
    """What was measured, by name."""
    return [json.loads(file.read_text(encoding="utf-8")) for file in sorted(FOLDER.glob("*.json"))]


def _section(report: Mapping[str, Any]) -> str:
    run = report["run"]
    versions = ", ".join(f"{name} {number}" for name, number in run["versions"].items())
    rows = [Row(**one | {"spread": tuple(one["spread"])}) for one in report["rows"]]
    missed = [one for one in rows if one.met is False]
    lines = [
        f"## {report['name']}\n",
        f"{run['date']}, {run['machine']}; {versions}.\n",
        "| what | measured | least to most | bar | | |",
        "|---|--:|--:|--:|---|---|",
        *("| " + " | ".join(_cells(one)) + " |" for one in rows),
        *([f"\n{len(missed)} of {sum(one.met is not None for one in rows)} bars missed."] if missed else []),
        *([f"\n{report['note']}"] if report["note"] else []),
    ]
    return "\n".join(lines) + "\n"


def _cells(one: Row) -> tuple[str, ...]:
    return one.what, _value(one.ratio, one.bar), _spread(one), one.bar, _verdict(one), one.detail


if __name__ == "__main__":
    sys.stdout.write(render(read()))
