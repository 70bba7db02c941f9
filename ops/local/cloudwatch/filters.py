"""Filter patterns of CloudWatch Logs, as metric filters use them.

From "Filter and pattern syntax" in the CloudWatch Logs user guide: terms, and conditions on JSON events. Patterns for
space-delimited events, regular expressions and wildcards within a word are refused.
"""

from __future__ import annotations

import json
import operator
import re
from typing import TYPE_CHECKING, Any, TypeAlias

from ops.local.cloudwatch.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable

Matches: TypeAlias = "Callable[[str], bool]"  # of the message of a log event
_Condition: TypeAlias = "Callable[[Any], bool]"  # of the message as JSON

_SELECTOR = r"\$(?:\.[\w-]+|\[\d+\])+"
_JSON_WORD = re.compile(rf'\s+|{_SELECTOR}|"(?:\\.|[^"\\])*"|&&|\|\||!=|>=|<=|[=<>()]|[\w.*+-]+')
_TERM = re.compile(r'\s+|[-?]?(?:"(?:\\.|[^"\\])*"|\w+)')
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?", re.IGNORECASE)
_ORDER = {">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le}
_NOTHING = object()


def compiled(pattern: str) -> Matches:
    """What a pattern says of a message.

    Raises:
        UnsupportedError: the laptop does not know a construct of it.
    """
    text = pattern.strip()
    if not text.startswith("{"):
        return _terms(text)
    tokens = Tokens(text.removeprefix("{").removesuffix("}"), _JSON_WORD, "filter pattern")
    if not text.endswith("}"):
        tokens.fail("a closing } is missing")
    condition = _disjunction(tokens)
    tokens.end()
    return lambda message: _holds(condition, message)


def select(selector: str, event: Any) -> Any:  # noqa: ANN401 - JSON
    """Value of `$.a.b[0]` in a JSON event; None where there is none."""
    found = _find(selector, event)
    return None if found is _NOTHING else found


def parse(message: str) -> Any:  # noqa: ANN401 - JSON
    """A message as JSON; None where it is no JSON object."""
    try:
        event = json.loads(message) if message.startswith("{") else None
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def _holds(condition: _Condition, message: str) -> bool:
    event = parse(message)
    return event is not None and condition(event)


def _terms(text: str) -> Matches:
    tokens = Tokens(text, _TERM, "filter pattern")
    wanted: list[str] = []
    unwanted: list[str] = []
    either: list[str] = []
    while tokens.next:
        word = tokens.take()
        group = {"-": unwanted, "?": either}.get(word[0], wanted)
        group.append(_unquoted(word[1:] if word[0] in "-?" else word))
    return lambda message: (
        all(term in message for term in wanted)
        and not any(term in message for term in unwanted)
        and (not either or any(term in message for term in either))
    )


def _disjunction(tokens: Tokens) -> _Condition:
    parts = [_conjunction(tokens)]
    while tokens.accept("||"):
        parts.append(_conjunction(tokens))
    return lambda event: any(part(event) for part in parts)


def _conjunction(tokens: Tokens) -> _Condition:
    parts = [_condition(tokens)]
    while tokens.accept("&&"):
        parts.append(_condition(tokens))
    return lambda event: all(part(event) for part in parts)


def _condition(tokens: Tokens) -> _Condition:
    if tokens.accept("("):
        inner = _disjunction(tokens)
        tokens.expect(")")
        return inner
    selector = tokens.take()
    if not re.fullmatch(_SELECTOR, selector):
        tokens.fail(f"{selector!r} is no selector")
    if tokens.accept("IS"):
        wanted = {"true": True, "false": False, "null": None}[tokens.expect("TRUE", "FALSE", "NULL").lower()]
        return lambda event: _find(selector, event) is wanted
    if tokens.accept("NOT"):
        tokens.expect("EXISTS")
        return lambda event: _find(selector, event) is _NOTHING
    sign = tokens.expect("=", "!=", *_ORDER)
    compare = _ordered(tokens, sign) if sign in _ORDER else _equal(tokens, negated=sign == "!=")
    return lambda event: _is_value(found := _find(selector, event)) and compare(found)


def _ordered(tokens: Tokens, sign: str) -> _Condition:
    word = tokens.take()
    if not _NUMBER.fullmatch(word):
        tokens.fail(f"{sign} needs a number, not {word!r}")
    compare, number = _ORDER[sign], float(word)
    return lambda found: not isinstance(found, str) and compare(found, number)


def _equal(tokens: Tokens, *, negated: bool) -> _Condition:
    word = tokens.take()
    text = _unquoted(word)
    if "*" in text.strip("*"):
        tokens.fail(f"a * within {word!r} is not known on the laptop")
    number = float(text) if _NUMBER.fullmatch(text) and not word.startswith('"') else None
    return lambda found: _is(found, text, number) is not negated


def _is(found: Any, text: str, number: float | None) -> bool:  # noqa: ANN401 - JSON
    if number is not None and not isinstance(found, str):
        return bool(found == number)
    shown = found if isinstance(found, str) else json.dumps(found)
    if text == "*":
        return True
    bare = text.strip("*")
    if text.startswith("*"):
        return bare in shown if text.endswith("*") else shown.endswith(bare)
    return shown.startswith(bare) if text.endswith("*") else shown == text


def _is_value(found: Any) -> bool:  # noqa: ANN401 - JSON
    return isinstance(found, str | int | float) and not isinstance(found, bool)


def _find(selector: str, event: Any) -> Any:  # noqa: ANN401 - JSON
    for name, index in re.findall(r"\.([\w-]+)|\[(\d+)\]", selector):
        if name and isinstance(event, dict) and name in event:
            event = event[name]
        elif index and isinstance(event, list) and int(index) < len(event):
            event = event[int(index)]
        else:
            return _NOTHING
    return event


def _unquoted(word: str) -> str:
    return re.sub(r"\\(.)", r"\1", word[1:-1]) if word.startswith('"') else word
