"""Expressions of Logs Insights queries, compiled to functions of a row."""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING, TypeAlias

from ops.local.cloudwatch.insights_values import ARITHMETIC, FUNCTIONS, Moment, number, shown, span

if TYPE_CHECKING:
    from collections.abc import Callable

    from ops.local.cloudwatch.insights_values import Row, Value
    from ops.local.cloudwatch.tokens import Tokens

Expression: TypeAlias = "Callable[[Row], Value]"

WORD = re.compile(
    r"\s+|`[^`]+`|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|\d+[a-z]+\b|\d+(?:\.\d+)?|@?[A-Za-z_][\w.]*|@\w+"
    r"|(?<=like )/(?:\\.|[^/\\])+/|(?<=~ )/(?:\\.|[^/\\])+/|=~|!=|<=|>=|[-+*/%^=<>(),\[\]|]"
)
_FIELD = re.compile(r"@?[A-Za-z_][\w.]*")
_KNOWN = frozenset({"@timestamp", "@message", "@log", "@logStream", "@ingestionTime", "@ptr"})
_COMPARE = {"=": operator.eq, "!=": operator.ne}
_ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def disjunction(tokens: Tokens) -> Expression:
    """`a or b`, and everything that binds more.

    Raises:
        UnsupportedError: the laptop does not know the construct.
    """
    parts = [_conjunction(tokens)]
    while tokens.accept("or"):
        parts.append(_conjunction(tokens))
    return parts[0] if len(parts) == 1 else lambda row: float(any(truth(part(row)) for part in parts))


def truth(value: Value) -> bool:
    """Whether a filter lets a row with this value through."""
    return value not in {None, 0, ""}


def field(tokens: Tokens) -> str:
    """A name of a field, in backticks where it is not alphanumeric."""
    word = tokens.take()
    if word.startswith("`"):
        return word.strip("`")
    if not _FIELD.fullmatch(word):
        tokens.fail(f"{word!r} is no field")
    if word.lower() in {"true", "false", "null"}:
        tokens.fail(f"{word} is no value in Logs Insights: true is 1, false is 0, and ispresent() asks for null")
    return word


def _conjunction(tokens: Tokens) -> Expression:
    parts = [_negation(tokens)]
    while tokens.accept("and"):
        parts.append(_negation(tokens))
    return parts[0] if len(parts) == 1 else lambda row: float(all(truth(part(row)) for part in parts))


def _negation(tokens: Tokens) -> Expression:
    if tokens.accept("not"):
        inner = _negation(tokens)
        return lambda row: float(not truth(inner(row)))
    return _comparison(tokens)


def _comparison(tokens: Tokens) -> Expression:
    left = _sum(tokens)
    negated = bool(tokens.accept("not"))
    if tokens.accept("like", "=~"):
        matches = _pattern(tokens)
        return lambda row: float(matches(shown(left(row))) is not negated)
    if tokens.accept("in"):
        options = _options(tokens)
        return lambda row: float(any(_equal(left(row), option(row)) for option in options) is not negated)
    if negated:
        tokens.fail("not is followed by neither like nor in")
    if sign := tokens.accept(*_COMPARE):
        right = _sum(tokens)
        return lambda row: _both(left(row), right(row), lambda a, b: _equal(a, b) is (sign == "="))
    if sign := tokens.accept(*_ORDER):
        right, compare = _sum(tokens), _ORDER[sign]
        return lambda row: _both(left(row), right(row), lambda a, b: _ordered(a, b, compare))
    return left


def _sum(tokens: Tokens) -> Expression:
    left = _product(tokens)
    while sign := tokens.accept("+", "-"):
        left = _binary(ARITHMETIC[sign], left, _product(tokens))
    return left


def _product(tokens: Tokens) -> Expression:
    left = _value(tokens)
    while sign := tokens.accept("*", "/", "%", "^"):
        left = _binary(ARITHMETIC[sign], left, _value(tokens))
    return left


def _binary(function: Callable[..., Value], left: Expression, right: Expression) -> Expression:
    return lambda row: function(left(row), right(row))


def _value(tokens: Tokens) -> Expression:
    if tokens.accept("("):
        inner = disjunction(tokens)
        tokens.expect(")")
        return inner
    if tokens.accept("-"):
        return _binary(ARITHMETIC["-"], lambda _: 0.0, _value(tokens))
    word = tokens.next
    if word[:1] in {'"', "'"}:
        literal = unquoted(tokens.take())
        return lambda _: literal
    if word[:1].isdigit():
        constant = float(tokens.take()) if number(word) is not None else tokens.fail(f"{word!r} is no number")
        return lambda _: constant
    if tokens.after_next == "(":
        return _call(tokens)
    name = field(tokens)
    if name.startswith("@") and name not in _KNOWN:
        tokens.fail(f"the laptop does not find the field {name}")
    return lambda row: row.get(name)


def _call(tokens: Tokens) -> Expression:
    name = tokens.take().lower()
    tokens.expect("(")
    if name in {"bin", "datefloor"}:
        return _floor(tokens, name)
    if name not in FUNCTIONS:
        tokens.fail(f"{name}() is not known on the laptop")
    arguments = [disjunction(tokens)]
    while tokens.accept(","):
        arguments.append(disjunction(tokens))
    tokens.expect(")")
    return lambda row: FUNCTIONS[name](*(argument(row) for argument in arguments))


def _floor(tokens: Tokens, name: str) -> Expression:
    time = "@timestamp"
    if name == "datefloor":
        time = field(tokens)
        tokens.expect(",")
    length = span(tokens.take())
    tokens.expect(")")
    return lambda row: Moment((number(row.get(time)) or 0) // length * length)


def _pattern(tokens: Tokens) -> Callable[[str], bool]:
    word = tokens.take()
    if word.startswith("/"):
        try:
            found = re.compile(_flags_first(word[1:-1].replace("\\/", "/")))
        except re.error as error:
            raise tokens.error(f"{word} is no regular expression that the laptop knows ({error})") from error
        return lambda value: found.search(value) is not None
    if word[:1] not in {'"', "'"}:
        tokens.fail("like needs a text or a regular expression")
    part = unquoted(word)
    return lambda value: part in value


def _flags_first(expression: str) -> str:
    # `^(?i)word$` is written in AWS's examples; Python wants flags at the start.
    return "(?i)" + expression.replace("(?i)", "") if "(?i)" in expression else expression


def _options(tokens: Tokens) -> list[Expression]:
    tokens.expect("[")
    options = [_sum(tokens)]
    while tokens.accept(","):
        options.append(_sum(tokens))
    tokens.expect("]")
    return options


def _both(a: Value, b: Value, compare: Callable[[Value, Value], bool]) -> float:
    """A comparison with what is not there does not hold, whichever it is."""
    return float(a is not None and b is not None and compare(a, b))


def _equal(a: Value, b: Value) -> bool:
    numbers = number(a), number(b)
    return numbers[0] == numbers[1] if None not in numbers else shown(a) == shown(b)


def _ordered(a: Value, b: Value, compare: Callable[[float, float], bool]) -> bool:
    numbers = number(a), number(b)
    return compare(*numbers) if None not in numbers else False  # type: ignore[arg-type]


def unquoted(word: str) -> str:
    """The text that a quoted word stands for."""
    return re.sub(r"\\(.)", r"\1", word[1:-1])
