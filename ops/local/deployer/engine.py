"""Brings an account to what a program registers, one resource at a time."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pulumi
from botocore.exceptions import BotoCoreError, ClientError

from ops.local.deployer.errors import DataLossError, DeployError
from ops.local.deployer.invokes import invoke
from ops.local.deployer.kinds import KINDS
from ops.local.deployer.kinds.base import Keeper, Kind, Resource, Settling
from ops.local.deployer.state import Deployed, State
from ops.local.deployer.translate import unknown
from ops.local.deployer.values import Plain, plain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pulumi.runtime import MockCallArgs, MockResourceArgs

    from ops.local.deployer.aws import Aws
    from ops.local.deployer.imports import Imports

_REPLACED = "~"  # between the name and the id of a resource that waits for its removal


@dataclass(slots=True)
class Changes:
    """Logical `type::name` of what a deployment did; what is in no list was right already."""

    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)


class Engine(pulumi.runtime.Mocks):
    """Create-or-update for every registration; pulumi calls it from several threads, in dependency order."""

    def __init__(self, aws: Aws, state: State, root: Path, notify: Callable[[str], None], imports: Imports) -> None:
        self.changes = Changes()
        self.failure: BaseException | None = None
        self._aws = aws
        self._state = state
        self._root = root
        self._notify = notify
        self._imports = imports
        self._seen: set[str] = set()
        self._settling: list[tuple[Settling, Resource]] = []
        self._lock = threading.Lock()

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        """Answer an invoke."""
        return invoke(self._aws, args.token), []

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        """Bring one registered resource about; returns its id and its outputs.

        Raises:
            DeployError: it is of an unknown type, has an input that would be dropped, or AWS refuses it.
        """
        if self.failure is not None:
            raise DeployError("stopped after an earlier failure")
        if args.custom is False:
            return "", {}
        try:
            return self._bring_about(args)
        except BaseException as error:
            self.stop(error)
            raise

    def stop(self, reason: BaseException) -> None:
        """Let what is in flight end, and begin nothing more."""
        if self.failure is None:
            self.failure = reason

    def settle(self) -> None:
        """Wait until all that was made or changed can be used."""
        for kind, resource in self._settling:
            kind.settle(resource)

    def remove_strays(self, *, lose_data: bool) -> None:
        """Delete what has left the program, the last made first.

        Raises:
            DataLossError: some of it holds data, which `lose_data` does not allow to lose; nothing was deleted.
        """
        strays = [one for one in reversed(list(self._state.resources.values())) if one.key not in self._seen]
        if not lose_data:
            lost = [f"{one.type} {one.name!r}: {what}" for one in strays if (what := self._holds(one))]
            if lost:
                raise DataLossError(lost)
        for deployed in strays:
            self._delete(deployed)

    def _bring_about(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        kind = _kind(args)
        inputs = plain(args.inputs, self._root)
        if dropped := sorted(unknown(kind.fields, inputs.values)):
            raise DeployError(
                f"{args.typ} {args.name!r}: the laptop's deployer would drop {', '.join(dropped)}; "
                f"teach it in ops/local/deployer/kinds, or leave the input out"
            )
        sent = {**kind.provider_defaults, **inputs.values}
        resource = Resource(self._aws, args.typ, args.name, sent, kind.fields)
        key = f"{args.typ}::{args.name}"
        with self._lock:
            if key in self._seen:
                raise DeployError(
                    f"two resources of type {args.typ} are called {args.name!r}: on the laptop they clash"
                )
            self._seen.add(key)
        try:
            deployed = self._reconcile(kind, resource, inputs, self._state.resources.get(key))
        except (ClientError, BotoCoreError) as error:
            raise DeployError(f"{args.typ} {args.name!r}: {error}") from error
        self._imports.remember(deployed, inputs.values.get("code"))
        return deployed.id, inputs.sealed(deployed.outputs)

    def _reconcile(self, kind: Kind, it: Resource, inputs: Plain, known: Deployed | None) -> Deployed:
        recorded = inputs.recorded()
        # Looked for under what was deployed: a resource whose name has changed is there under the old one.
        found = kind.find(self._resource(known, kind) if known else it)
        if found is None:
            return self._make(kind, it, recorded, self.changes.created)
        if known is None:
            return self._tune(kind, replace(it, id=found), recorded)
        changed = frozenset(k for k in recorded.keys() | known.inputs.keys() if recorded.get(k) != known.inputs.get(k))
        it = replace(it, id=found, before=known.inputs, changed=changed)
        if not changed:
            self.changes.unchanged.append(known.key)
            return known
        if fixed := sorted(kind.fixed & changed):
            self._clear_the_way(kind, known, fixed)
            return self._make(kind, it, recorded, self.changes.replaced)
        return self._tune(kind, it, recorded)

    def _make(self, kind: Kind, it: Resource, recorded: dict[str, Any], changes: list[str]) -> Deployed:
        new = replace(it, id="", before={}, changed=None)
        self._imports.check(new)
        return self._record(kind, replace(new, id=kind.create(new)), recorded, changes)

    def _tune(self, kind: Kind, it: Resource, recorded: dict[str, Any]) -> Deployed:
        self._imports.check(it)
        kind.update(it)
        return self._record(kind, it, recorded, self.changes.updated)

    def _clear_the_way(self, kind: Kind, known: Deployed, fixed: list[str]) -> None:
        old = self._resource(known, kind)
        what = f"{known.type} {known.name!r}: {', '.join(fixed)} can't be changed in place"
        if isinstance(kind, Keeper) and (lost := kind.holds(old)):
            raise DeployError(
                f"{what}, and a replacement would lose {lost}; empty it first, or give the new one another name"
            )
        self._notify(f"replacing {what}")
        if kind.coexists:
            self._state.put(replace(known, name=f"{known.name}{_REPLACED}{known.id}"))
        else:
            kind.delete(old)

    def _record(self, kind: Kind, it: Resource, recorded: dict[str, Any], changes: list[str]) -> Deployed:
        deployed = Deployed(it.type, it.name, it.id, recorded, kind.outputs(it))
        self._state.put(deployed)
        changes.append(deployed.key)
        if isinstance(kind, Settling):
            self._settling.append((kind, it))
        return deployed

    def _holds(self, deployed: Deployed) -> str:
        kind = _kind_of(deployed)
        if not isinstance(kind, Keeper):
            return ""
        try:
            return kind.holds(self._resource(deployed, kind))
        except (ClientError, BotoCoreError) as error:
            raise DeployError(f"{deployed.type} {deployed.name!r} can't be looked into: {error}") from error

    def _delete(self, deployed: Deployed) -> None:
        kind = _kind_of(deployed)
        try:
            kind.delete(self._resource(deployed, kind))
        except (ClientError, BotoCoreError) as error:
            raise DeployError(f"{deployed.type} {deployed.name!r} can't be deleted: {error}") from error
        self._state.drop(deployed.key)
        self.changes.deleted.append(deployed.key)

    def _resource(self, deployed: Deployed, kind: Kind) -> Resource:
        return Resource(self._aws, deployed.type, deployed.name, deployed.inputs, kind.fields, id=deployed.id)


def _kind_of(deployed: Deployed) -> Kind:
    if deployed.type not in KINDS:
        raise DeployError(f"{deployed.type} {deployed.name!r} is deployed, and not known any more: lab down, lab up")
    return KINDS[deployed.type]


def _kind(args: MockResourceArgs) -> Kind:
    if args.custom is None or args.resource_id:
        raise DeployError(f"{args.typ} {args.name!r}: the laptop's deployer can't read or import existing resources")
    if args.typ not in KINDS:
        raise DeployError(
            f"{args.typ} ({args.name!r}) is not known to the laptop's deployer; "
            f"add it to ops/local/deployer/kinds (known: {', '.join(sorted(KINDS))})"
        )
    return KINDS[args.typ]
