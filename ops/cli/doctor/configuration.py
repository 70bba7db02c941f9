"""A stack's configuration: whether it can be read, and whether the program takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.cli import target
from ops.cli.doctor.check import Check, ok, problem, unknown
from ops.local.emulator import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.local.deployer import Registered

PROGRAM = ROOT  # the folder of __main__.py and Pulumi.yaml
_NAME = "configuration"


def look(stack: str) -> tuple[Check, Sequence[Registered] | None]:
    """Whether it is accepted, and what it makes; None where that can't be told."""
    from ops.local.deployer import DeployError, rehearse  # noqa: PLC0415 - takes a second; `--help` does without it

    decrypt = None if stack == target.LOCAL else lambda key: target.decrypted(stack, key)
    try:
        registered = rehearse(PROGRAM, stack, decrypt)
    except DeployError as error:
        mend = f"put it right in Pulumi.{stack}.yaml, or by pulumi config set; Pulumi.yaml describes every key"
        if not (PROGRAM / f"Pulumi.{stack}.yaml").exists():
            mend = f"cp Pulumi.dev.yaml Pulumi.{stack}.yaml && pulumi stack init {stack}, or name another --stack"
        return problem(_NAME, str(error), mend), None
    except target.TargetError as error:
        mend = "export PULUMI_CONFIG_PASSPHRASE, or pulumi login, as for pulumi up"
        return unknown(_NAME, str(error), mend), None
    made = sum(one.type.startswith("aws:") for one in registered)  # the rest only groups others
    return ok(_NAME, f"the program accepts Pulumi.{stack}.yaml: {made} resources"), registered
