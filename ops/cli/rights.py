"""`lab rights`: the IAM policies that whoever deploys a stack needs."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path  # noqa: TC003 - typer reads the annotation
from typing import Annotated

import typer

from ops.cli import output, program, target
from ops.local.emulator import ROOT
from ops.local.files import write_atomically
from ops.rights.documents import documents

RegionOption = Annotated[
    str, typer.Option("--region", help="Where it is deployed to; default: the stack's aws:region, then AWS_REGION.")
]


def rights(
    account: Annotated[str, typer.Option(help="The account that it is deployed to, 12 digits.")],
    stack: target.StackOption = target.LOCAL,
    region: RegionOption = "",
    folder: Annotated[
        Path | None, typer.Option("--output", help="Write each policy as a file of this folder: deploy-1.json, …")
    ] = None,
) -> None:
    """Print the IAM policies that whoever runs pulumi up and pulumi destroy needs, made of what the program registers.

    For the stack's configuration as it is; another one may take more. Each is small enough for a managed policy. Asks
    and changes nothing. How narrow they are, and where they are not: docs/deployer.md.

    Example: lab rights --stack dev --account 123456789012 --output deploy
    """
    if not re.fullmatch(r"\d{12}", account):
        output.misuse(f"--account must be the 12 digits of an AWS account, got {account!r}")
    if stack == target.LOCAL:
        output.misuse("the laptop's stack needs no account: name the one that goes to AWS by --stack")
    place = {"account": account, "region": (there := region or _region(stack)), "partition": _partition(there)}
    made = documents(program.registered(stack), stack, place)
    if folder is None:
        output.as_json({"policies": made})
        return
    folder.mkdir(parents=True, exist_ok=True)
    for number, document in enumerate(made, 1):
        write_atomically(folder / f"deploy-{number}.json", json.dumps(document, indent=2) + "\n")
    output.result([str(folder / f"deploy-{number}.json") for number in range(1, len(made) + 1)])


def _region(stack: str) -> str:
    from ops.local.deployer.config import written  # noqa: PLC0415 - `--help` does without it

    own = (os.environ.get(key) for key in ("AWS_REGION", "AWS_DEFAULT_REGION"))
    if not (found := written(ROOT, stack, "aws:region") or next(filter(None, own), None)):
        output.misuse(f"Pulumi.{stack}.yaml has no aws:region: name it by --region")
    return found


def _partition(region: str) -> str:
    return str(target.account(region, None).get_partition_for_region(region))
