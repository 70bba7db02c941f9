"""What a stack's program registers, for commands that only compute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ops.cli import output, target
from ops.local.emulator import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ops.local.deployer import Registered

ChangeOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Take this value of a configuration key; repeatable."),
]
_HEARD = {"alarmEmail": "nobody@example.com"}  # what production asks for, and nothing that is computed depends on


def changed(texts: Sequence[str] | None) -> dict[str, object]:
    """The values that `--set` gives, by key."""
    found: dict[str, object] = {}
    for key, value in map(_pair, texts or []):
        if key in found:
            output.misuse(f"--set {key} is given twice")
        found[key] = value
    return found


def registered(stack: str, changes: Mapping[str, object] | None = None) -> Sequence[Registered]:
    """For its configuration with these changes, deployed or not.

    Where nothing is missing but who hears of alarms, somebody stands in, and that is said.

    Raises:
        DeployError: the configuration or the program refuses.
        TargetError: a value is encrypted, and the Pulumi CLI is not there or can't decrypt it.
    """
    from ops.local.deployer import DeployError, rehearse  # noqa: PLC0415 - takes a second; `--help` does without it

    decrypt = None if stack == target.LOCAL else lambda key: target.decrypted(stack, key)
    given = dict(changes or {})
    try:
        return rehearse(ROOT, stack, decrypt, given)
    except DeployError as refusal:
        try:
            found = rehearse(ROOT, stack, decrypt, _HEARD | given)
        except DeployError:
            raise refusal from None
        output.say(f"as if alarmEmail were set, without which nothing is deployed: {refusal}")
        return found


def _pair(text: str) -> tuple[str, object]:
    import yaml  # noqa: PLC0415 - as the deployer reads the file

    key, equals, value = text.partition("=")
    if not key or not equals:
        output.misuse(f"--set must be KEY=VALUE, as in --set batchSize=5, got {text!r}")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError:
        output.misuse(f"--set {key} has no value that YAML can read: {value!r}")
