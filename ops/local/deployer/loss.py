"""What a deletion or a replacement would lose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from ops.local.deployer.errors import DataLossError, DeployError
from ops.local.deployer.kinds import KINDS
from ops.local.deployer.kinds.base import Keeper, Kind, Resource

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ops.local.deployer.aws import Aws
    from ops.local.deployer.state import Deployed


def kind_of(deployed: Deployed) -> Kind:
    """How it is handled.

    Raises:
        DeployError: an earlier program made it, of a type that is not known any more.
    """
    if deployed.type not in KINDS:
        raise DeployError(f"{deployed.type} {deployed.name!r} is deployed, and not known any more: lab down, lab up")
    return KINDS[deployed.type]


def as_deployed(aws: Aws, deployed: Deployed) -> Resource:
    """The resource as it was deployed last."""
    fields = kind_of(deployed).fields
    return Resource(aws, deployed.type, deployed.name, deployed.inputs, fields, id=deployed.id)


def refuse_deletion(aws: Aws, leaving: Iterable[Deployed]) -> None:
    """Refuse to delete these while one of them holds data.

    Raises:
        DataLossError: some do; it names them, with what they hold.
    """
    if lost := [f"{one.type} {one.name!r}: {what}" for one in leaving if (what := _holds(aws, one))]:
        raise DataLossError(lost)


def refuse_replacement(aws: Aws, known: Deployed, fixed: Iterable[str]) -> str:
    """Refuse to make a resource anew while it holds data; returns why it has to be made anew.

    Raises:
        DeployError: it holds data.
    """
    what = f"{known.type} {known.name!r}: {', '.join(fixed)} can't be changed in place"
    if lost := _holds(aws, known):
        raise DeployError(
            f"{what}, and a replacement would lose {lost}; empty it first, or give the new one another name"
        )
    return what


def _holds(aws: Aws, deployed: Deployed) -> str:
    kind = kind_of(deployed)
    if not isinstance(kind, Keeper):
        return ""
    try:
        return kind.holds(as_deployed(aws, deployed))
    except (ClientError, BotoCoreError) as error:
        raise DeployError(f"{deployed.type} {deployed.name!r} can't be looked into: {error}") from error
