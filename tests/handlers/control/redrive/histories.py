"""Fifteen letters and a run: what the tests of failures begin with, and what must hold when they end."""

from collections.abc import Callable, Iterator
from typing import Any

from tests.handlers.control.redrive.conftest import DLQ, MAIN, Lab

NAMES = [f"k{i}" for i in range(15)]


def letters(lab: Lab) -> str:
    """Fifteen letters and a run; returns its id."""
    for name in NAMES:
        lab.letter(name)
    return lab.start()


def failing(name: str, errors: Iterator[Exception]) -> Callable[[str], None]:
    """Raises the next error at each call of a name, for as long as there are any."""

    def fail(call: str) -> None:
        if call == name and (error := next(errors, None)):
            raise error

    return fail


def of(*keys: str) -> Callable[[dict[str, Any]], bool]:
    """Whether an entry to send is one of these."""
    return lambda entry: entry["MessageAttributes"]["idempotencyKey"]["StringValue"] in keys


def check(lab: Lab, redrive_id: str) -> None:
    """Each letter is in one place; the ledger and its sum say where."""
    assert sorted(lab.on(MAIN) + lab.on(DLQ)) == sorted(NAMES)
    states = {key: state for key, (state, _) in lab.outcomes(redrive_id).items()}
    assert {key for key, state in states.items() if state == "MOVED"} == set(lab.on(MAIN))
    assert lab.run(redrive_id).tally.states.total() == len(lab.ledger(redrive_id)) == len(states)
