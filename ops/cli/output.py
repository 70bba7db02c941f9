"""The only place that prints: results to stdout, everything else to stderr.

Colour and progress bars are for terminals; NO_COLOR and pipes switch them off.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, NoReturn, TypeAlias

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

FAILED = 1  # the work was done, with failures, or could not be done
USAGE = 2  # the command can't be meant so; Typer's own refusals leave with it, too
REFUSED = 3  # a safety rule forbids it, or nobody has said yes
INTERRUPTED = 130  # Ctrl-C
_READABLE = 24  # characters: the length of an error type, up to which no column breaks a word
_KEY = 64  # characters: the length of a key that is a SHA-256; it is broken only beside nothing but its name
_PAIR = 2  # columns
_FRAME = 3  # characters: what a column costs beside its text

Advance: TypeAlias = "Callable[[int], None]"
Tabular: TypeAlias = "tuple[str, Sequence[str], Sequence[Sequence[object]]]"  # title, columns, rows
Draw: TypeAlias = "Callable[[Sequence[Tabular]], None]"


def say(message: str) -> None:
    """A message to the person who waits."""
    _messages().print(message, markup=False, highlight=False, soft_wrap=True)


def fail(message: str, code: int = FAILED) -> NoReturn:
    """Say what is wrong and leave with `code`."""
    _messages().print(f"[bold red]error:[/] {escape(message)}", highlight=False, soft_wrap=True)
    raise typer.Exit(code)


def misuse(message: str) -> NoReturn:
    """Say what is wrong with the command, and leave."""
    fail(message, USAGE)


def refuse(message: str) -> NoReturn:
    """Say which safety rule forbids it, and leave."""
    fail(message, REFUSED)


def result(lines: Sequence[str]) -> None:
    """A result as text."""
    for line in lines:
        _results().print(line, markup=False, highlight=False, soft_wrap=True)


def as_json(document: Mapping[str, object]) -> None:
    """A result for programs."""
    _results().print(json.dumps(document, indent=2), markup=False, highlight=False, soft_wrap=True)


def agreed(question: str) -> bool:
    """Ask; nobody there to answer is a no."""
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        return False


def typed(question: str) -> str:
    """What somebody types; "" where nobody is there to answer."""
    try:
        return str(typer.prompt(question, default="", show_default=False, err=True))
    except typer.Abort:
        return ""


def confirm(question: str) -> None:
    """Ask, and leave unless the answer is yes."""
    if not agreed(question):
        refuse("nothing was changed; --yes skips this question")


@contextmanager
def stream() -> Iterator[BinaryIO]:
    """Stdout for bytes; leaves with FAILED when the reader has gone."""
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the last flush complains once more
        raise typer.Exit(FAILED) from None


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A result as a table; where its columns would be too narrow to be read, row by row, without what is empty."""
    console = _results()
    fits = sum(_readable(columns, rows)) + _frames(columns) <= console.width
    console.print(_table(title, columns, rows, console.width) if fits else _records(title, columns, rows))


@contextmanager
def live() -> Iterator[Draw]:
    """A screen of tables that each call draws anew; on a pipe they follow each other."""
    console = _results()
    if not console.is_terminal:
        yield lambda tables: console.print(*(_table(*one, console.width) for one in tables))
        return
    with Live(console=console, auto_refresh=False, vertical_overflow="visible") as screen:
        yield lambda tables: screen.update(Group(*(_table(*one, console.width) for one in tables)), refresh=True)


@contextmanager
def busy(message: str) -> Iterator[None]:
    """Say what is going on while the block runs; a spinner on a terminal, a line elsewhere."""
    console = _messages()
    if not console.is_terminal:
        say(f"{message} ...")
        yield
        return
    with console.status(escape(message)):
        yield


@contextmanager
def progress(message: str, total: int) -> Iterator[Advance]:
    """A bar that the block advances; on a pipe, just the message."""
    console = _messages()
    if not console.is_terminal:
        say(f"{message}: 0 of {total} ...")
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(escape(message), total=total)
        yield lambda count: bar.advance(task, count)


@contextmanager
def counting(message: str) -> Iterator[Advance]:
    """How many the block has done, where nobody knows of how many; on a pipe, just the message."""
    console = _messages()
    if not console.is_terminal:
        say(f"{message} ...")
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), TextColumn("{task.completed:.0f}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as shown:
        task = shown.add_task(escape(message), total=None)
        yield lambda count: shown.advance(task, count)


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], width: int) -> Table:
    shown = Table(title=title, title_justify="left", title_style="bold")
    widths = _widths(columns, rows, width - _frames(columns))
    for number, (column, wide) in enumerate(zip(columns, widths, strict=True)):
        # names and ids are whole, to be pasted
        shown.add_column(column, no_wrap=number == 0, overflow="fold", width=wide)
    for row in rows:
        shown.add_row(*(escape(str(cell)) for cell in row))
    return shown


def _readable(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[int]:
    """The widths with which it can be read: the first column whole, of the others so much of the longest word."""
    shown = [[str(cell) for cell in row] for row in [columns, *rows]]
    words = [
        max((len(word) for row in shown for word in (row[n].split() if n else [row[n]])), default=0)
        for n in range(len(columns))
    ]
    most = _KEY if len(columns) > _PAIR else _READABLE  # a pair row by row would be no wider
    return [min(longest, most) if n else longest for n, longest in enumerate(words)]


def _widths(columns: Sequence[str], rows: Sequence[Sequence[object]], most: int) -> list[int | None]:
    """None for each where all of it fits; else what is left over goes to the columns that need least first.

    Rich would take from the widest, in the middle of a word.
    """
    widths = _readable(columns, rows)
    wanted = [max(len(str(row[n])) for row in [columns, *rows]) for n in range(len(columns))]
    left = most - sum(widths)
    if sum(wanted) <= most or left < 0:
        return [None] * len(columns)
    for place, n in enumerate(sorted(range(len(columns)), key=lambda n: wanted[n] - widths[n])):
        more = min(wanted[n] - widths[n], left // (len(columns) - place))
        widths[n], left = widths[n] + more, left - more
    return [*widths]


def _frames(columns: Sequence[str]) -> int:
    return 1 + _FRAME * len(columns)


def _records(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    shown = Table(title=title, title_justify="left", title_style="bold", show_header=False)
    shown.add_column(no_wrap=True)
    shown.add_column(overflow="fold")
    for row in rows:
        for column, cell in zip(columns, row, strict=True):
            if text := str(cell):
                shown.add_row(column, escape(text))
        shown.add_section()
    return shown


def _messages() -> Console:
    return Console(stderr=True)


def _results() -> Console:
    return Console()
