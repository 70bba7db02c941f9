"""Composite alarms: a rule over the states of other alarms."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ops.local.cloudwatch.alarms import State
from ops.local.cloudwatch.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

_WORD = re.compile(r'\s+|"(?:\\.|[^"\\])*"|[()]|[^\s()"]+')
_STATES = tuple(state.value for state in State)


def evaluate(rule: str, states: Mapping[str, str]) -> State:
    """State of a composite alarm from the states of others, by name.

    The grammar of PutCompositeAlarm's AlarmRule but for AT_LEAST: `ALARM(name or ARN)`, `OK(…)`,
    `INSUFFICIENT_DATA(…)`, TRUE, FALSE, NOT, AND, OR and parentheses. NOT binds more than AND, AND more than OR.

    Raises:
        UnsupportedError: the rule is none of these, or names an alarm that there is not.
    """
    tokens = Tokens(rule, _WORD, "alarm rule")
    value = _disjunction(tokens, states)
    tokens.end()
    return State.ALARM if value else State.OK


def _disjunction(tokens: Tokens, states: Mapping[str, str]) -> bool:
    value = _conjunction(tokens, states)
    while tokens.accept("OR"):
        value = _conjunction(tokens, states) or value
    return value


def _conjunction(tokens: Tokens, states: Mapping[str, str]) -> bool:
    value = _operand(tokens, states)
    while tokens.accept("AND"):
        value = _operand(tokens, states) and value
    return value


def _operand(tokens: Tokens, states: Mapping[str, str]) -> bool:
    if tokens.accept("NOT"):
        return not _operand(tokens, states)
    if tokens.accept("("):
        value = _disjunction(tokens, states)
        tokens.expect(")")
        return value
    word = tokens.expect("TRUE", "FALSE", *_STATES).upper()
    if word in {"TRUE", "FALSE"}:
        return word == "TRUE"
    tokens.expect("(")
    name = re.sub(r"\\(.)", r"\1", tokens.take().strip('"')).rpartition(":alarm:")[2]
    tokens.expect(")")
    if name not in states:
        tokens.fail(f"there is no alarm {name!r}")
    return states[name] == word
