"""Registrations as the deployer takes them: of a type that it knows, with no input that it would drop."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ops.local.deployer.errors import DeployError
from ops.local.deployer.kinds import KINDS
from ops.local.deployer.kinds.base import Resource
from ops.local.deployer.translate import unknown
from ops.local.deployer.values import Plain, plain

if TYPE_CHECKING:
    from pathlib import Path

    from pulumi.runtime import MockResourceArgs

    from ops.local.deployer.aws import Aws
    from ops.local.deployer.kinds.base import Kind
    from ops.local.deployer.state import Deployed, State


@dataclass(frozen=True, slots=True)
class Registration:
    """One resource as the program registered it."""

    type: str
    name: str  # logical
    kind: Kind
    inputs: Plain

    @property
    def key(self) -> str:
        """Identity within a deployment."""
        return f"{self.type}::{self.name}"

    def wanted(self, aws: Aws) -> Resource:
        """The resource to bring about, with what the provider would fill in."""
        sent = {**self.kind.provider_defaults, **self.inputs.values}
        return Resource(aws, self.type, self.name, sent, self.kind.fields)

    def changed(self, known: Deployed) -> frozenset[str]:
        """Inputs that differ from what was deployed last."""
        recorded = self.inputs.recorded()
        return frozenset(k for k in recorded.keys() | known.inputs.keys() if recorded.get(k) != known.inputs.get(k))


class Registrations:
    """Those of one run of a program; safe for threads."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.keys: set[str] = set()  # of those that were taken
        self._lock = threading.Lock()

    def take(self, args: MockResourceArgs) -> Registration:
        """Read one, with its archives where the program's folder has them.

        Raises:
            DeployError: it is of an unknown type, has an input that would be dropped, or is there already.
        """
        kind = _kind(args)
        inputs = plain(args.inputs, self._root)
        if dropped := sorted(unknown(kind.fields, inputs.values)):
            raise DeployError(
                f"{args.typ} {args.name!r}: the laptop's deployer would drop {', '.join(dropped)}; "
                f"teach it in ops/local/deployer/kinds, or leave the input out"
            )
        taken = Registration(args.typ, args.name, kind, inputs)
        with self._lock:
            if taken.key in self.keys:
                raise DeployError(
                    f"two resources of type {args.typ} are called {args.name!r}: on the laptop they clash"
                )
            self.keys.add(taken.key)
        return taken

    def strays(self, state: State) -> list[Deployed]:
        """What is deployed and was not registered, the last made first."""
        return [one for one in reversed(list(state.resources.values())) if one.key not in self.keys]


def _kind(args: MockResourceArgs) -> Kind:
    if args.custom is None or args.resource_id:
        raise DeployError(f"{args.typ} {args.name!r}: the laptop's deployer can't read or import existing resources")
    if args.typ not in KINDS:
        raise DeployError(
            f"{args.typ} ({args.name!r}) is not known to the laptop's deployer; "
            f"add it to ops/local/deployer/kinds (known: {', '.join(sorted(KINDS))})"
        )
    return KINDS[args.typ]
