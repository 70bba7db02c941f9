"""Logs Insights queries over log events, as far as queries on this project's JSON lines need it.

From "CloudWatch Logs Insights query syntax" in the user guide: the commands `fields`, `filter`, `stats`, `sort` and
`limit`; in a filter comparisons, `like`, `in`, `ispresent()`, `and`, `or`, `not` and parentheses; after `by` fields and
`bin()`. Everything else is refused.
"""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

from ops.local.cloudwatch.errors import UnsupportedError
from ops.local.cloudwatch.insights_values import AGGREGATES, Moment, aggregate, number, row, shown, span
from ops.local.cloudwatch.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ops.local.cloudwatch.insights_values import Row, Value
    from ops.local.cloudwatch.logs import LogEvent

_Condition: TypeAlias = "Callable[[Row], bool]"
_Column: TypeAlias = "tuple[str, Callable[[Row], Value]]"  # its name, and its value in a row

_DEFAULT_LIMIT = _MAX_LIMIT = 10_000
_DEFAULT_FIELDS = ["@timestamp", "@message"]
_KNOWN = frozenset({"@timestamp", "@message", "@log", "@logStream", "@ingestionTime", "@ptr"})
_QUOTED = r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|(?<=like )/(?:\\.|[^/\\])+/"
_WORD = re.compile(rf"\s+|{_QUOTED}|`[^`]+`|\d+[a-z]+\b|-?\d+(?:\.\d+)?|@?[A-Za-z_][\w.]*|!=|<=|>=|[=<>(),\[\]*]")
_FIELD = re.compile(r"@?[A-Za-z_][\w.]*")
_ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@dataclass(slots=True)
class _Query:
    """How far a query has come: its rows, and the columns that it will show."""

    rows: list[Row]
    columns: list[str] = field(default_factory=list)


_Step: TypeAlias = "Callable[[_Query], None]"


def run(query: str, events: Iterable[LogEvent]) -> list[dict[str, str]]:
    """Return the rows of a query, each column -> text; without a sort the newest events come first.

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
    rows = [{name: shown(found.get(name)) for name in columns} for found in state.rows[:_DEFAULT_LIMIT]]
    return [{name: value for name, value in found.items() if value} for found in rows]


def _commands(query: str) -> Sequence[str]:
    """The text between pipes that stand in no quotes and no regular expression; lines with # are comments."""
    source = "\n".join(line for line in query.splitlines() if not line.lstrip().startswith("#"))
    ends = [found.start() for found in re.finditer(rf"{_QUOTED}|\|", source) if found.group() == "|"]
    parts = [source[a + 1 : b].strip() for a, b in pairwise([-1, *ends, len(source)])]
    if not all(parts):
        raise UnsupportedError(f"Logs Insights {query.strip()!r}: a command is empty")
    return parts


def _step(command: str) -> _Step:
    name, _, rest = command.partition(" ")
    if name not in _STEPS:
        known = ", ".join(_STEPS)
        raise UnsupportedError(f"Logs Insights: the laptop does not know the command {name!r}; it knows {known}")
    tokens = Tokens(rest, _WORD, f"Logs Insights {name}")
    step = _STEPS[name](tokens)
    tokens.end()
    return step


def _fields(tokens: Tokens) -> _Step:
    columns = _columns(tokens)

    def step(query: _Query) -> None:
        for found in query.rows:
            found.update({name: value(found) for name, value in columns})
        query.columns += [name for name, _ in columns if name not in query.columns]

    return step


def _filter(tokens: Tokens) -> _Step:
    condition = _disjunction(tokens)

    def step(query: _Query) -> None:
        query.rows = [found for found in query.rows if condition(found)]

    return step


def _sort(tokens: Tokens) -> _Step:
    keys: list[tuple[str, bool]] = []
    while not keys or tokens.accept(","):
        keys.append((_field(tokens), tokens.expect("asc", "desc").lower() == "desc"))

    def step(query: _Query) -> None:
        for name, descending in reversed(keys):
            query.rows.sort(key=_by(name), reverse=descending)

    return step


def _limit(tokens: Tokens) -> _Step:
    word = tokens.take()
    if not word.isdigit() or not 1 <= int(word) <= _MAX_LIMIT:
        tokens.fail(f"a limit is 1-{_MAX_LIMIT}, not {word}")

    def step(query: _Query) -> None:
        query.rows = query.rows[: int(word)]

    return step


def _stats(tokens: Tokens) -> _Step:
    aggregations = [_aggregation(tokens)]
    while tokens.accept(","):
        aggregations.append(_aggregation(tokens))
    groups = _columns(tokens) if tokens.accept("by") else []

    def step(query: _Query) -> None:
        members: dict[tuple[Value, ...], list[Row]] = {} if groups else {(): []}
        for found in query.rows:
            members.setdefault(tuple(value(found) for _, value in groups), []).append(found)
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
        tokens.fail(f"the laptop does not know the aggregation {name!r}; it knows {', '.join(sorted(AGGREGATES))}")
    tokens.expect("(")
    text, percent = "*", 0.0
    of: Callable[[Row], Value] = lambda _: 1.0  # noqa: E731 - count(*) counts rows
    if name != "count" or not tokens.accept("*"):
        text, of = _column(tokens)
    if name == "pct":
        tokens.expect(",")
        text += f", {tokens.next}"
        percent = number(tokens.take()) or 0.0
    tokens.expect(")")

    def compute(rows: Sequence[Row]) -> Value:
        in_time = sorted(rows, key=lambda found: number(found.get("@timestamp")) or 0) if name == "latest" else rows
        return aggregate(name, [of(found) for found in in_time], percent)

    return _alias(tokens, f"{name}({text})"), compute


def _columns(tokens: Tokens) -> list[_Column]:
    """Columns separated by commas, each under its alias or its own text."""
    columns: list[_Column] = []
    while not columns or tokens.accept(","):
        name, value = _column(tokens)
        columns.append((_alias(tokens, name), value))
    return columns


def _column(tokens: Tokens) -> _Column:
    name = _field(tokens)
    if not tokens.accept("("):
        return name, lambda found: found.get(name)
    if name != "bin":
        tokens.fail(f"the laptop does not know {name}() here")
    word = tokens.take()
    length = span(word)
    tokens.expect(")")
    return f"bin({word})", lambda found: Moment((number(found.get("@timestamp")) or 0) // length * length)


def _alias(tokens: Tokens, own: str) -> str:
    return _field(tokens) if tokens.accept("as") else own


def _field(tokens: Tokens) -> str:
    """A name of a field, in backticks where it is not alphanumeric."""
    word = tokens.take()
    if word.startswith("`"):
        return word.strip("`")
    if not _FIELD.fullmatch(word):
        tokens.fail(f"{word!r} is no field")
    if word.startswith("@") and word not in _KNOWN:
        tokens.fail(f"the laptop does not find the field {word}")
    return word


def _disjunction(tokens: Tokens) -> _Condition:
    parts = [_conjunction(tokens)]
    while tokens.accept("or"):
        parts.append(_conjunction(tokens))
    return lambda found: any(part(found) for part in parts)


def _conjunction(tokens: Tokens) -> _Condition:
    parts = [_negation(tokens)]
    while tokens.accept("and"):
        parts.append(_negation(tokens))
    return lambda found: all(part(found) for part in parts)


def _negation(tokens: Tokens) -> _Condition:
    if tokens.accept("not"):
        inner = _negation(tokens)
        return lambda found: not inner(found)
    if tokens.accept("("):
        inner = _disjunction(tokens)
        tokens.expect(")")
        return inner
    return _comparison(tokens)


def _comparison(tokens: Tokens) -> _Condition:
    name = _field(tokens)
    if tokens.accept("("):
        return _call(tokens, name)
    negated = bool(tokens.accept("not"))
    if tokens.accept("like"):
        matches = _pattern(tokens)
        return lambda found: matches(shown(found.get(name))) is not negated
    if tokens.accept("in"):
        options = _options(tokens)
        return lambda found: any(_equal(found.get(name), option) for option in options) is not negated
    sign = tokens.expect("like", "in") if negated else tokens.expect("=", "!=", *_ORDER, "like", "in")
    value = _literal(tokens)
    return lambda found: _holds(found.get(name), sign, value)


def _call(tokens: Tokens, name: str) -> _Condition:
    if name != "ispresent":
        tokens.fail(f"the laptop does not know {name}() here")
    asked = _field(tokens)
    tokens.expect(")")
    return lambda found: found.get(asked) is not None


def _pattern(tokens: Tokens) -> Callable[[str], bool]:
    word = tokens.take()
    if word.startswith("/"):
        try:
            expression = re.compile(_flags_first(word[1:-1].replace("\\/", "/")))
        except re.error as error:
            raise tokens.error(f"{word} is no regular expression that the laptop knows ({error})") from error
        return lambda value: expression.search(value) is not None
    if word[:1] not in {'"', "'"}:
        tokens.fail("like needs a text or a regular expression")
    part = _unquoted(word)
    return lambda value: part in value


def _flags_first(expression: str) -> str:
    # `^(?i)word$` is written in AWS's examples; Python wants flags at the start.
    return "(?i)" + expression.replace("(?i)", "") if "(?i)" in expression else expression


def _options(tokens: Tokens) -> Sequence[Value]:
    tokens.expect("[")
    options = [_literal(tokens)]
    while tokens.accept(","):
        options.append(_literal(tokens))
    tokens.expect("]")
    return options


def _literal(tokens: Tokens) -> str | float:
    """A text in quotes, or a number."""
    word = tokens.next
    if word[:1] in {'"', "'"}:
        return _unquoted(tokens.take())
    value = number(word)
    if value is None or not word[-1].isdigit():
        hint = "true is 1, false is 0, and ispresent() asks for null"
        raise tokens.error(f"a field is compared with a text in quotes or a number, not {word!r} ({hint})")
    tokens.take()
    return value


def _holds(found: Value, sign: str, value: str | float) -> bool:
    """A comparison with a field that is not there does not hold, whichever it is."""
    if found is None:
        return False
    if sign in _ORDER:
        left, right = number(found), number(value)
        return left is not None and right is not None and _ORDER[sign](left, right)
    return _equal(found, value) is (sign == "=")


def _equal(a: Value, b: Value) -> bool:
    numbers = number(a), number(b)
    return numbers[0] == numbers[1] if None not in numbers else shown(a) == shown(b)


def _unquoted(word: str) -> str:
    return re.sub(r"\\(.)", r"\1", word[1:-1])


def _by(name: str) -> Callable[[Row], tuple[int, float, str]]:
    """Sorts what is not there first, then numbers, then text."""

    def order(found: Row) -> tuple[int, float, str]:
        value = found.get(name)
        numeric = number(value)
        return (0, 0.0, "") if value is None else (1, numeric, "") if numeric is not None else (2, 0.0, shown(value))

    return order


_STEPS: dict[str, Callable[[Tokens], _Step]] = {
    "fields": _fields,
    "filter": _filter,
    "stats": _stats,
    "sort": _sort,
    "limit": _limit,
}
