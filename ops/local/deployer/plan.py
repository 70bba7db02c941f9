"""What a program would change of what is deployed, looked at before anything is changed.

The program runs with answers from the record of the last deployment: what it refuses, or the deployer would have to,
is known while everything still stands as it was. Where it would change nothing, that run is the deployment.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from ops.local.deployer.errors import DeployError
from ops.local.deployer.invokes import invoke
from ops.local.deployer.kinds.base import Keeper
from ops.local.deployer.loss import as_deployed, kind_of, refuse_deletion, refuse_replacement
from ops.local.deployer.registration import Registrations
from ops.local.deployer.rehearsal import Rehearsal
from ops.local.deployer.state import Deployed

if TYPE_CHECKING:
    from pathlib import Path

    from pulumi.runtime import MockCallArgs, MockResourceArgs

    from ops.local.deployer.aws import Aws
    from ops.local.deployer.imports import Imports
    from ops.local.deployer.registration import Registration
    from ops.local.deployer.state import State

_THREADS = 16  # look-ups at once


class Plan(Rehearsal):
    """Compares each registration with the record; pulumi calls it from several threads."""

    def __init__(self, aws: Aws, state: State, root: Path, imports: Imports) -> None:
        super().__init__()
        self._aws = aws
        self._state = state
        self._imports = imports
        self._registrations = Registrations(root)
        self._replaced: list[tuple[Deployed, list[str]]] = []  # what can hold data, and inputs that are fixed
        self._unchanged: list[str] = []

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        """Answer an invoke as the deployment will."""
        return invoke(self._aws, args.token), []

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        """Look at one; returns what is recorded of it, or something invented where nothing is.

        Raises:
            DeployError: it is of an unknown type, has an input that would be dropped, or is code that can't start.
        """
        if self.failure is not None:
            raise DeployError("stopped after an earlier failure")
        if args.custom is False:
            return "", {}
        try:
            return self._compare(args)
        except BaseException as error:
            self.stop(error)
            raise

    def refuse_losses(self, *, lose_data: bool) -> None:
        """Refuse what would lose data, now that all is registered.

        Raises:
            DataLossError: what has left the program holds data, which `lose_data` does not allow to lose.
            DeployError: what holds data would have to be made anew.
        """
        for known, fixed in self._replaced:
            refuse_replacement(self._aws, known, fixed)
        if not lose_data:
            refuse_deletion(self._aws, self._registrations.strays(self._state))

    def changes_nothing(self) -> bool:
        """Whether all that was registered is there as it is wanted, and nothing else is."""
        deployed = self._state.resources
        if not deployed.keys() == self._registrations.keys == set(self._unchanged):
            return False
        with ThreadPoolExecutor(_THREADS) as pool:
            return all(pool.map(self._is_there, deployed.values()))

    def _is_there(self, known: Deployed) -> bool:
        try:
            return kind_of(known).find(as_deployed(self._aws, known)) is not None
        except (ClientError, BotoCoreError) as error:
            raise DeployError(f"{known.type} {known.name!r}: {error}") from error

    def _compare(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        it = self._registrations.take(args)
        known = self._state.resources.get(it.key)
        if known is None:
            self._imports.check(it.wanted(self._aws))
            return self._invented(it, args)
        changed = it.changed(known)
        self._imports.check(replace(it.wanted(self._aws), id=known.id, before=known.inputs, changed=changed))
        fixed = sorted(it.kind.fixed & changed)
        if fixed and isinstance(it.kind, Keeper):
            self._replaced.append((known, fixed))
        if fixed and it.kind.coexists:  # what names it has to see that it is another one
            return self._invented(it, args)
        if not changed:
            self._unchanged.append(it.key)
        self._imports.remember(known, it.inputs.values.get("code"))
        return known.id, it.inputs.sealed(known.outputs)

    def _invented(self, it: Registration, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        _, outputs = super().new_resource(args)
        made = Deployed(it.type, it.name, outputs["arn"], {}, {})
        self._imports.remember(made, it.inputs.values.get("code"))
        return made.id, outputs
