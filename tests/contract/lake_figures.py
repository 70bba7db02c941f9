"""The figures of docs/iceberg.md: ``python -m tests.contract.lake_figures`` writes what was measured into the page."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.bench import report as benchmarks
from tests.components.recording import ROOT

PAGE = ROOT / "docs" / "iceberg.md"
_BEGIN, _END = "## Numbers\n", "\n## "
_GROWTH = """
| chunks in the table | commits | CPU of the last commit | metadata that readers need | metadata put so far |
|--:|--:|--:|--:|--:|
"""
_HISTORY = """
{rows:,} rows in 100 objects, one in a hundred of them bad, through the real worker; {rounds} rounds of the committer,
of which {deaths} died before or after a call of AWS and {met} met another committer at work; {noted_again:,} notes
came again:

| rows in | in the table | in quarantine | lost | twice | files, twice | snapshots | of them not whole |
|--:|--:|--:|--:|--:|--:|--:|--:|
"""
_TRUTH = (
    "| {rows:,} | {in_table:,} | {quarantined:,} | {lost:,} | {twice:,} | {files:,}, {files_twice:,} "
    "| {snapshots:,} | {unreadable:,} |\n"
)


def section() -> str:
    """What the page says of them."""
    (found,) = (one for one in benchmarks.read() if one["name"] == "lake_tables")
    return "".join(_lines(found))


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    run, tables = found["run"], found["tables"]
    end, last = tables["rounds"][-1], tables["plain"][-1]
    yield (
        f"{_BEGIN}\nMade by `python -m tests.contract.lake_figures` of what `make bench BENCH=lake_tables` measured on "
        f"{run['date']}, {run['machine']}; a test keeps the two\nequal. "
        "All of it is in memory, and so without AWS's latency. Chunks have one small file each; the committer adds "
        f"{end['chunks'] // end['commits']} of them a round:\n{_GROWTH}"
    )
    yield from _points(tables["rounds"])
    yield (
        "\nA plain append of pyiceberg's for each chunk, which was stopped at "
        f"{last['chunks']:,} chunks because each takes longer than the one before:\n{_GROWTH}"
    )
    yield from _points(tables["plain"])
    yield (
        "\nWhat was put and is no longer needed stays until snapshots are expired. A commit writes three files of "
        "metadata. A test holds the committer's\nlayers within Lambda's limit of 250 MiB.\n"
    )
    truth = tables["truth"]
    lost = truth["rows"] - truth["different"] - truth["quarantined"]
    twice = truth["in_table"] - truth["different"]
    yield (_HISTORY + _TRUTH).format(**truth, lost=lost, twice=twice)


def _points(points: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for one in points:
        yield (
            f"| {one['chunks']:,} | {one['commits']:,} | {one['cpu_ms']:,.0f} ms | {one['live'] / 1024:,.0f} KiB "
            f"| {one['written'] / 1024 / 1024:,.1f} MiB |\n"
        )


def written() -> str:
    """The page with them."""
    text = PAGE.read_text(encoding="utf-8")
    before, begin, rest = text.partition(_BEGIN)
    assert begin
    return before + section() + _END + rest.partition(_END)[2]


if __name__ == "__main__":
    PAGE.write_text(written(), encoding="utf-8")
