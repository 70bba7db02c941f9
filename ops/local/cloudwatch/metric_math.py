"""CloudWatch's metric math: expressions over series of equal length.

The rules for missing operands are those of "Using metric math" in the CloudWatch user guide: arithmetic and comparisons
take a missing value for 0 where the other operand has one, a division by zero drops the datapoint, and IF has rules of
its own. An alarm's expression must come out as one series.
"""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from ops.local.cloudwatch import metric_math_operations as operations
from ops.local.cloudwatch.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ops.local.cloudwatch.metric_math_operations import Operand
    from ops.local.cloudwatch.metrics import Series

_WORD = re.compile(r'\s+|\d+(?:\.\d+)?|[A-Za-z][A-Za-z0-9_]*|"[^"]*"|==|!=|<=|>=|&&|\|\||[-+*/^()\[\],<>]')
_COMPARISONS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


@dataclass(frozen=True, slots=True)
class Inputs:
    """What an expression is about: the series of each id, which of them are metrics, and their common period."""

    series: Mapping[str, Series]
    metrics: Sequence[str]  # ids that METRICS() returns: those of expressions are not among them
    period: int


def evaluate(expression: str, inputs: Inputs) -> Series:
    """The series that an expression makes of its inputs.

    Raises:
        UnsupportedError: the laptop does not know a function or a form, or the result is not one series.
    """
    tokens = Tokens(expression, _WORD, "metric math")
    parser = _Parser(tokens, inputs)
    result = parser.disjunction()
    tokens.end()
    if isinstance(result, list) and len(result) == 1 and isinstance(result[0], list):
        return result[0]
    if not operations.is_series(result):
        raise tokens.error("the result must be one time series")
    return cast("Series", result)


def _comparing(sign: str) -> Callable[[float, float], float]:
    compare = _COMPARISONS[sign]
    return lambda a, b: float(compare(a, b))


class _Parser:
    """Evaluates while it reads: expressions are short and series are too."""

    def __init__(self, tokens: Tokens, inputs: Inputs) -> None:
        self._tokens = tokens
        self._inputs = inputs

    def disjunction(self) -> Operand:
        left = self._conjunction()
        while self._tokens.accept("OR", "||"):
            left = self._pairwise(lambda a, b: float(bool(a) or bool(b)), left, self._conjunction())
        return left

    def _conjunction(self) -> Operand:
        left = self._comparison()
        while self._tokens.accept("AND", "&&"):
            left = self._pairwise(lambda a, b: float(bool(a) and bool(b)), left, self._comparison())
        return left

    def _comparison(self) -> Operand:
        left = self._sum()
        while word := self._tokens.accept(*_COMPARISONS):
            left = self._pairwise(_comparing(word), left, self._sum())
        return left

    def _sum(self) -> Operand:
        left = self._product()
        while word := self._tokens.accept("+", "-"):
            left = self._pairwise(operator.add if word == "+" else operator.sub, left, self._product())
        return left

    def _product(self) -> Operand:
        left = self._power()
        while word := self._tokens.accept("*", "/"):
            left = self._pairwise(operator.mul if word == "*" else operations.divided, left, self._power())
        return left

    def _power(self) -> Operand:
        left = self._unary()
        return self._pairwise(operations.power, left, self._power()) if self._tokens.accept("^") else left

    def _unary(self) -> Operand:
        if self._tokens.accept("-"):
            return operations.each(lambda value: None if value is None else -value, self._unary())
        return self._value()

    def _value(self) -> Operand:
        if self._tokens.accept("("):
            inner = self.disjunction()
            self._tokens.expect(")")
            return inner
        if self._tokens.accept("["):
            return [self._one_series(item) for item in self._list("]")]
        word = self._tokens.take()
        if word[0].isdigit():
            return float(word)
        if self._tokens.accept("("):
            return self._call(word)
        if word not in self._inputs.series:
            raise self._tokens.error(f"there is no id {word!r}")
        return list(self._inputs.series[word])

    def _call(self, name: str) -> Operand:
        if name == "METRICS":
            part = "" if self._tokens.next == ")" else self._tokens.take().strip('"')
            self._tokens.expect(")")
            return [list(self._inputs.series[m]) for m in self._inputs.metrics if part in m]
        if name == "FILL":
            return self._fill()
        arguments = self._list(")")
        if name == "IF" and len(arguments) in {2, 3}:
            return operations.if_(*arguments)
        if name == "PERIOD" and len(arguments) == 1:
            return float(self._inputs.period)
        if name in operations.AGGREGATES and len(arguments) == 1:
            return operations.aggregate(operations.AGGREGATES[name], arguments[0], zeros=name == "AVG")
        if name in operations.EACH and len(arguments) == 1:
            return operations.each(operations.EACH[name], arguments[0])
        raise self._tokens.error(f"{name} with {len(arguments)} arguments is not known on the laptop")

    def _fill(self) -> Operand:
        series = self.disjunction()
        self._tokens.expect(",")
        if self._tokens.accept("REPEAT"):
            filler: Operand | None = None
        else:
            filler = self.disjunction()
        self._tokens.expect(")")
        if operations.is_array(series):
            return [operations.filled(one, filler) for one in cast("list[Series]", series)]
        return operations.filled(self._one_series(series), filler)

    def _list(self, end: str) -> list[Operand]:
        items: list[Operand] = []
        while not self._tokens.accept(end):
            if items:
                self._tokens.expect(",")
            items.append(self.disjunction())
        return items

    def _one_series(self, value: Operand) -> Series:
        if not operations.is_series(value):
            raise self._tokens.error("a time series is needed here")
        return cast("Series", value)

    def _pairwise(self, combine: Callable[[float, float], float | None], left: Operand, right: Operand) -> Operand:
        for one, other, swapped in ((left, right, False), (right, left, True)):
            if operations.is_array(one):
                if operations.is_array(other):
                    raise self._tokens.error("an array with an array is not known on the laptop")
                pairs = [(item, other) if not swapped else (other, item) for item in cast("list[Series]", one)]
                return [cast("Series", operations.combined(combine, a, b)) for a, b in pairs]
        return operations.combined(combine, left, right)
