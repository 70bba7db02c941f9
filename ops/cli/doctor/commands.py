"""`lab doctor`: what has to be there for a stack, checked one by one."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from ops.cli import output, target
from ops.cli.doctor import configuration, laptop
from ops.cli.doctor.check import Check, ok, problem

if TYPE_CHECKING:
    from collections.abc import Iterator

_OLDEST, _NEWEST = (3, 11), (3, 14)  # as pyproject.toml has it


def doctor(stack: target.StackOption = target.LOCAL, as_json: target.JsonOption = False) -> None:  # noqa: FBT002 - an option
    """Check what a stack needs, before its first deployment and whenever something is odd. Changes nothing.

    On the laptop: Python, the configuration, the port, the local cloud and what is deployed to it. On AWS: the tools,
    the configuration, the region, the credentials, whether the account's Lambda concurrency has room for the stack, and
    whether who is to hear of alarms has confirmed it.

    Each check is ok, a problem, or could not be made, and says what mends it. Exits with 1 unless all are ok.

    Example: lab doctor --stack dev
    """
    with output.busy(f"looking at what stack {stack} needs"):
        found = list(_checks(stack))
    if as_json:
        output.as_json({"stack": stack, "checks": [asdict(one) for one in found]})
    else:
        output.result([line for one in found for line in _lines(one)])
    if any(one.state != "ok" for one in found):
        raise typer.Exit(output.FAILED)


def _checks(stack: str) -> Iterator[Check]:
    yield _python()
    if stack == target.LOCAL:
        yield configuration.look(stack)[0]
        yield from laptop.checks()
        return
    from ops.cli.doctor import account  # noqa: PLC0415 - botocore takes as long as all the rest; `--help` does without

    yield from account.checks(stack)


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    found = f"{version} at {sys.executable}"
    if _OLDEST <= sys.version_info[:2] <= _NEWEST:
        return ok("python", found)
    needed = f"Python {'.'.join(map(str, _OLDEST))} to {'.'.join(map(str, _NEWEST))}"
    return problem("python", found, f"{needed} is needed: make check PYTHON=/path/to/python")


def _lines(one: Check) -> list[str]:
    """One line for a check that is ok; for any other also what mends it."""
    head = f"{one.state:<15} {one.name:<14} {one.found}"
    return [head] if one.state == "ok" else [head, f"{'':<31}mend: {one.mend}"]
