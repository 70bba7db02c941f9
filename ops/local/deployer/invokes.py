"""Answers to the provider functions that a program may call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ops.local.deployer.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ops.local.deployer.aws import Aws


def invoke(aws: Aws, token: str) -> dict[str, Any]:
    """Result of the provider function `token`.

    Raises:
        DeployError: the function is not known here.
    """
    if token not in _FUNCTIONS:
        known = ", ".join(sorted(_FUNCTIONS))
        raise DeployError(f"{token} is not known to the laptop's deployer; add it to invokes.py (known: {known})")
    return _FUNCTIONS[token](aws)


def _caller_identity(aws: Aws) -> dict[str, Any]:
    identity = aws.identity
    return {"accountId": identity["Account"], "arn": identity["Arn"], "userId": identity["UserId"], "id": aws.account}


def _region(aws: Aws) -> dict[str, Any]:
    return {"name": aws.region, "region": aws.region, "id": aws.region, "description": aws.region}


def _partition(aws: Aws) -> dict[str, Any]:  # noqa: ARG001 - the same everywhere on a laptop
    return {"partition": "aws", "id": "aws", "dnsSuffix": "amazonaws.com", "reverseDnsPrefix": "com.amazonaws"}


_FUNCTIONS: Mapping[str, Callable[[Aws], dict[str, Any]]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": _caller_identity,
    "aws:index/getRegion:getRegion": _region,
    "aws:index/getPartition:getPartition": _partition,
}
