"""Logs Insights queries over log events: the commands and functions below, and a refusal of all others.

From "CloudWatch Logs Insights query syntax" in the user guide: fields, display, filter, stats, sort, limit, parse and
dedup.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from ops.local.cloudwatch import insights_expressions as expressions
from ops.local.cloudwatch.errors import UnsupportedError
from ops.local.cloudwatch.insights_parse import compiled
from ops.local.cloudwatch.insights_values import AGGREGATES, aggregate, number, row, shown
from ops.local.cloudwatch.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ops.local.cloudwatch.insights_expressions import Expression
    from ops.local.cloudwatch.insights_values import Row, Value
    from ops.local.cloudwatch.logs import LogEvent

_DEFAULT_LIMIT = _MAX_LIMIT = 10_000
_DEFAULT_FIELDS = ["@timestamp", "@message"]


@dataclass(slots=True)
class _Query:
    """How far a query has come: its rows, and the columns that it will show."""

    rows: list[Row]
    columns: list[str] = field(default_factory=list)
    limit: int = _DEFAULT_LIMIT


def run(query: str, events: Iterable[LogEvent]) -> list[dict[str, str]]:
    """The rows of a query, each column -> text; without a sort the newest events come first.

    A comparison with a field that an event has not does not hold. Booleans of a JSON message are 1 and 0.

    Raises:
        UnsupportedError: the query holds something that the laptop does not know.
    """
    steps = [_step(command) for command in _commands(query)]
    newest_first = sorted(events, key=lambda event: event.timestamp, reverse=True)
    state = _Query([row(event) for event in newest_first])
    for step in steps:
        step(state)
    columns = state.columns or _DEFAULT_FIELDS
    rows = [{name: shown(found.get(name)) for name in columns} for found in state.rows[: state.limit]]
    return [{name: value for name, value in found.items() if value} for found in rows]


def _commands(query: str) -> Sequence[str]:
    """The text between pipes that stand in no quotes and no regular expression; lines with # are comments."""
    lines = [line for line in query.splitlines() if not line.lstrip().startswith("#")]
    source = "\n".join(lines)
    quoted = r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|(?<=like )/(?:\\.|[^/\\])+/|(?<=~ )/(?:\\.|[^/\\])+/"
    parse = r"(?<=parse @message )/(?:\\.|[^/\\])+/"
    ends = [found.start() for found in re.finditer(rf"{quoted}|{parse}|\|", source) if found.group() == "|"]
    parts = [source[a + 1 : b].strip() for a, b in pairwise([-1, *ends, len(source)])]
    if not all(parts):
        raise UnsupportedError(f"Logs Insights {query.strip()!r}: a command is empty")
    return parts


def _step(command: str) -> Callable[[_Query], None]:
    name, _, rest = command.partition(" ")
    if name == "parse":
        return _parse(rest.strip())
    if name not in _STEPS:
        raise UnsupportedError(f"Logs Insights: the command {name!r} is not known on the laptop")
    tokens = Tokens(rest, expressions.WORD, f"Logs Insights {name}")
    step = _STEPS[name](tokens)
    tokens.end()
    return step


def _fields(tokens: Tokens) -> Callable[[_Query], None]:
    named = _named(tokens)

    def step(query: _Query) -> None:
        _compute(query, named)
        query.columns += [name for name, _ in named if name not in query.columns]

    return step


def _display(tokens: Tokens) -> Callable[[_Query], None]:
    named = _named(tokens)

    def step(query: _Query) -> None:
        _compute(query, named)
        query.columns = [name for name, _ in named]

    return step


def _compute(query: _Query, named: Sequence[tuple[str, Expression]]) -> None:
    for found in query.rows:
        found.update({name: compute(found) for name, compute in named})


def _filter(tokens: Tokens) -> Callable[[_Query], None]:
    condition = expressions.disjunction(tokens)

    def step(query: _Query) -> None:
        query.rows = [found for found in query.rows if expressions.truth(condition(found))]

    return step


def _sort(tokens: Tokens) -> Callable[[_Query], None]:
    keys: list[tuple[Expression, bool]] = []
    while not keys or tokens.accept(","):
        key = expressions.disjunction(tokens)
        keys.append((key, tokens.expect("asc", "desc").lower() == "desc"))

    def step(query: _Query) -> None:
        for key, descending in reversed(keys):
            query.rows.sort(key=_by(key), reverse=descending)

    return step


def _limit(tokens: Tokens) -> Callable[[_Query], None]:
    word = tokens.take()
    if not word.isdigit() or not 1 <= int(word) <= _MAX_LIMIT:
        tokens.fail(f"a limit is 1-{_MAX_LIMIT}, not {word}")

    def step(query: _Query) -> None:
        query.rows = query.rows[: int(word)]

    return step


def _dedup(tokens: Tokens) -> Callable[[_Query], None]:
    named = _named(tokens)

    def step(query: _Query) -> None:
        first: dict[tuple[str, ...], Row] = {}
        for found in query.rows:
            first.setdefault(tuple(shown(compute(found)) for _, compute in named), found)
        query.rows = list(first.values())

    return step


def _stats(tokens: Tokens) -> Callable[[_Query], None]:
    aggregations = [_aggregation(tokens)]
    while tokens.accept(","):
        aggregations.append(_aggregation(tokens))
    groups = _named(tokens) if tokens.accept("by") else []

    def step(query: _Query) -> None:
        members: dict[tuple[Value, ...], list[Row]] = {} if groups else {(): []}
        for found in query.rows:
            members.setdefault(tuple(compute(found) for _, compute in groups), []).append(found)
        names = [name for name, _ in groups]
        query.rows = [
            dict(zip(names, key, strict=True)) | {name: compute(rows) for name, compute in aggregations}
            for key, rows in members.items()
        ]
        query.columns = [*names, *(name for name, _ in aggregations)]

    return step


def _aggregation(tokens: Tokens) -> tuple[str, Callable[[Sequence[Row]], Value]]:
    name = tokens.take()
    if name not in AGGREGATES:
        tokens.fail(f"{name!r} is no aggregation that the laptop knows")
    tokens.expect("(")
    column, percent = "*", 0.0
    of: Expression = _row
    if not tokens.accept("*"):
        column = tokens.next
        of = expressions.disjunction(tokens)
    elif name != "count":
        tokens.fail(f"{name}(*) makes no sense")
    if name == "pct":
        tokens.expect(",")
        percent = number(tokens.next) or 0.0
        column += f", {tokens.take()}"
    tokens.expect(")")
    return _alias(tokens, f"{name}({column})"), lambda rows: aggregate(name, [of(found) for found in rows], percent)


def _row(_: Row) -> Value:
    return 1.0  # count(*) counts rows


def _named(tokens: Tokens) -> list[tuple[str, Expression]]:
    """Expressions separated by commas, each under its alias or its own text."""
    named: list[tuple[str, Expression]] = []
    while not named or tokens.accept(","):
        first, second = tokens.next, tokens.after_next
        expression = expressions.disjunction(tokens)
        own = first.strip("`") if second != "(" else f"{first}({tokens.previous(2)})"
        named.append((_alias(tokens, own), expression))
    return named


def _alias(tokens: Tokens, own: str) -> str:
    return expressions.field(tokens) if tokens.accept("as") else own


def _parse(command: str) -> Callable[[_Query], None]:
    source, extract, aliases = compiled(command)

    def step(query: _Query) -> None:
        for found in query.rows:
            found.update(zip(aliases, extract(shown(found.get(source))), strict=True))
        query.columns += [name for name in aliases if query.columns and name not in query.columns]

    return step


def _by(key: Expression) -> Callable[[Row], tuple[int, float, str]]:
    return lambda found: _order(key(found))


def _order(value: Value) -> tuple[int, float, str]:
    """Sorts what is not there first, then numbers, then text."""
    found = number(value)
    return (0, 0.0, "") if value is None else (1, found, "") if found is not None else (2, 0.0, shown(value))


_STEPS: dict[str, Callable[[Tokens], Callable[[_Query], None]]] = {
    "fields": _fields,
    "display": _display,
    "filter": _filter,
    "stats": _stats,
    "sort": _sort,
    "limit": _limit,
    "dedup": _dedup,
}
