"""Deploys the Pulumi program to an emulator without the Pulumi CLI.

The program runs under pulumi's public mocks, and the mocks make what it registers: one small class per resource type,
create-or-update, with a state file that makes the second run tune the first one's result in place.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ops.local.deployer.code import Code
    from ops.local.deployer.deployment import Deployment, deploy, rehearse
    from ops.local.deployer.engine import Changes
    from ops.local.deployer.errors import DataLossError, DeployError
    from ops.local.deployer.imports import Runtime
    from ops.local.deployer.rehearsal import Registered

__all__ = [
    "Changes",
    "Code",
    "DataLossError",
    "DeployError",
    "Deployment",
    "Registered",
    "Runtime",
    "deploy",
    "rehearse",
]

_PLACES = {
    "Changes": "engine",
    "Code": "code",
    "DataLossError": "errors",
    "DeployError": "errors",
    "Deployment": "deployment",
    "Registered": "rehearsal",
    "Runtime": "imports",
    "deploy": "deployment",
    "rehearse": "deployment",
}


def __getattr__(name: str) -> object:
    """Load what is asked for: bringing edited code to a stack that runs does without Pulumi, which takes a second."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
