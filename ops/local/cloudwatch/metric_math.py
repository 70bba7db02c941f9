"""CloudWatch's metric math, as far as alarms of the program use it.

Known are ids of metrics, numbers, `+ * /`, `< >`, `AND`, parentheses, `IF(condition, then, otherwise)` and
`FILL(series, number)`; anything else is refused. Missing values follow "Using metric math" in the CloudWatch user
guide: arithmetic and comparisons take a missing value for 0 where the other series has one, and a division by zero
drops the datapoint.
"""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING, TypeAlias

from ops.local.cloudwatch.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ops.local.cloudwatch.metrics import Series

_Operand: TypeAlias = "float | Series"
_Combine: TypeAlias = "Callable[[float, float], float | None]"

_WORD = re.compile(r"\s+|\d+(?:\.\d+)?|[A-Za-z][A-Za-z0-9_]*|[+*/<>(),]")
_LEVELS: tuple[Mapping[str, _Combine], ...] = (  # from what binds least to what binds most
    {"AND": lambda a, b: float(bool(a and b))},
    {"<": lambda a, b: float(a < b), ">": lambda a, b: float(a > b)},
    {"+": operator.add},
    {"*": operator.mul, "/": lambda a, b: a / b if b else None},
)


def evaluate(expression: str, series: Mapping[str, Series]) -> Series:
    """Compute an expression over series of equal length, which are given by id.

    Raises:
        UnsupportedError: the laptop does not know a function or an operator, or the result is not one series.
    """
    parser = _Parser(Tokens(expression, _WORD, "metric math"), series)
    return parser.whole()


class _Parser:
    """Evaluates while it reads: expressions are short and series are too."""

    def __init__(self, tokens: Tokens, series: Mapping[str, Series]) -> None:
        self._tokens = tokens
        self._all = series

    def whole(self) -> Series:
        result = self._series()
        self._tokens.end()
        return result

    def _operand(self, level: int = 0) -> _Operand:
        if level == len(_LEVELS):
            return self._value()
        left = self._operand(level + 1)
        while word := self._tokens.accept(*_LEVELS[level]):
            left = self._combined(_LEVELS[level][word.upper()], left, self._operand(level + 1))
        return left

    def _combined(self, combine: _Combine, left: _Operand, right: _Operand) -> Series:
        if isinstance(left, list) and isinstance(right, list):
            pairs = zip(left, right, strict=True)
            return [None if a is None and b is None else combine(a or 0.0, b or 0.0) for a, b in pairs]
        if isinstance(left, list):
            return [None if item is None else combine(item, right) for item in left]  # type: ignore[arg-type]
        if isinstance(right, list):
            return [None if item is None else combine(left, item) for item in right]
        raise self._tokens.error("an operator needs a time series on one side")

    def _value(self) -> _Operand:
        if self._tokens.accept("("):
            inner = self._operand()
            self._tokens.expect(")")
            return inner
        word = self._tokens.take()
        if word[0].isdigit():
            return float(word)
        if self._tokens.accept("("):
            return self._call(word)
        if word not in self._all:
            raise self._tokens.error(f"there is no id {word!r}")
        return list(self._all[word])

    def _call(self, name: str) -> Series:
        if name == "FILL":
            series = self._series()
            self._tokens.expect(",")
            filler = self._operand()
            if isinstance(filler, list):
                raise self._tokens.error("the laptop fills with a number only")
            self._tokens.expect(")")
            return [filler if item is None else item for item in series]
        if name == "IF":
            condition = self._series()
            self._tokens.expect(",")
            then = self._values(len(condition))
            self._tokens.expect(",")
            otherwise = self._values(len(condition))
            self._tokens.expect(")")
            # As documented, `otherwise` stands for a missing condition, too, and 0 for a missing value of either.
            return [(yes if test else no) or 0.0 for test, yes, no in zip(condition, then, otherwise, strict=True)]
        raise self._tokens.error(f"the laptop does not know {name}()")

    def _series(self) -> Series:
        value = self._operand()
        if not isinstance(value, list):
            raise self._tokens.error("a number stands where a time series is needed")
        return value

    def _values(self, count: int) -> Series:
        """A time series, or a number for each of so many periods."""
        value = self._operand()
        return value if isinstance(value, list) else [value] * count
