"""Brings an account to what a program registers, one resource at a time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pulumi
from botocore.exceptions import BotoCoreError, ClientError

from ops.local.deployer.errors import DeployError
from ops.local.deployer.invokes import invoke
from ops.local.deployer.kinds.base import Kind, Resource, Seen, Settling
from ops.local.deployer.loss import as_deployed, kind_of, refuse_deletion, refuse_replacement
from ops.local.deployer.registration import Registrations
from ops.local.deployer.state import Deployed, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from pulumi.runtime import MockCallArgs, MockResourceArgs

    from ops.local.deployer.aws import Aws
    from ops.local.deployer.imports import Imports
    from ops.local.deployer.registration import Registration

_REPLACED = "~"  # between the name and the id of a resource that waits for its removal


@dataclass(slots=True)
class Changes:
    """Logical `type::name` of what a deployment did; what is in no list was right already."""

    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    drifted: list[str] = field(default_factory=list)  # what a refresh has found changed by hand, in words


class Engine(pulumi.runtime.Mocks):
    """Create-or-update for every registration; pulumi calls it from several threads, in dependency order."""

    def __init__(  # noqa: PLR0913 - made in one place
        self,
        aws: Aws,
        state: State,
        root: Path,
        notify: Callable[[str], None],
        imports: Imports,
        *,
        refresh: bool = False,
    ) -> None:
        self.changes = Changes()
        self.failure: BaseException | None = None
        self._aws = aws
        self._state = state
        self._notify = notify
        self._imports = imports
        self._registrations = Registrations(root)
        self._refresh = refresh
        self._settling: list[tuple[Settling, Resource]] = []

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
        strays = self._registrations.strays(self._state)
        if not lose_data:  # the plan has looked, but what was empty then need not be now
            refuse_deletion(self._aws, strays)
        for deployed in strays:
            self._delete(deployed)

    def _bring_about(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        wanted = self._registrations.take(args)
        try:
            deployed = self._reconcile(wanted, self._state.resources.get(wanted.key))
        except (ClientError, BotoCoreError) as error:
            raise DeployError(f"{args.typ} {args.name!r}: {error}") from error
        self._imports.remember(deployed, wanted.inputs.values.get("code"))
        return deployed.id, wanted.inputs.sealed(deployed.outputs)

    def _reconcile(self, wanted: Registration, known: Deployed | None) -> Deployed:
        kind, it, recorded = wanted.kind, wanted.wanted(self._aws), wanted.inputs.recorded()
        # Looked for under what was deployed: a resource whose name has changed is there under the old one.
        found = kind.find(as_deployed(self._aws, known) if known else it)
        if found is None:
            return self._make(kind, it, recorded, self.changes.created)
        if known is None:
            return self._tune(kind, replace(it, id=found), recorded)
        changed = wanted.changed(known)
        if not changed and self._refresh:
            return self._tune(kind, replace(it, id=found, before=known.inputs, changed=None), recorded)
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
        before = kind.seen(it) if self._refresh and isinstance(kind, Seen) else {}
        kind.update(it)
        if before and isinstance(kind, Seen) and it.changed is None:
            self.changes.drifted.extend(_drift(it, before, kind.seen(it)))
        return self._record(kind, it, recorded, self.changes.updated)

    def _clear_the_way(self, kind: Kind, known: Deployed, fixed: list[str]) -> None:
        self._notify(f"replacing {refuse_replacement(self._aws, known, fixed)}")
        if kind.coexists:
            self._state.put(replace(known, name=f"{known.name}{_REPLACED}{known.id}"))
        else:
            kind.delete(as_deployed(self._aws, known))

    def _record(self, kind: Kind, it: Resource, recorded: dict[str, Any], changes: list[str]) -> Deployed:
        deployed = Deployed(it.type, it.name, it.id, recorded, kind.outputs(it))
        self._state.put(deployed)
        changes.append(deployed.key)
        if isinstance(kind, Settling):
            self._settling.append((kind, it))
        return deployed

    def _delete(self, deployed: Deployed) -> None:
        kind = kind_of(deployed)
        try:
            kind.delete(as_deployed(self._aws, deployed))
        except (ClientError, BotoCoreError) as error:
            raise DeployError(f"{deployed.type} {deployed.name!r} can't be deleted: {error}") from error
        self._state.drop(deployed.key)
        self.changes.deleted.append(deployed.key)


def _drift(it: Resource, before: Mapping[str, object], after: Mapping[str, object]) -> Iterator[str]:
    """What setting a resource anew has changed. Texts may be secrets, and long: of these only the name is told."""
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name), after.get(name)
        if was != now:
            plain = all(isinstance(value, int) or str(value).isdigit() for value in (was, now))
            yield f"{it.name}: {name}{f' was {was}, is {now} again' if plain else ' was changed'}"
