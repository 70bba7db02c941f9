"""Brings changed code into the functions that import it, without running the program: seconds become one.

Only the code is set anew, as the program would package it. The next deployment finds these functions as it wants them,
and updates the others, whose archives differ in files that they do not import.
"""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from ops.local.deployer.aws import Aws
from ops.local.deployer.blob import Blob
from ops.local.deployer.errors import DeployError
from ops.local.deployer.importers import Sources
from ops.local.deployer.imports import Imports, Runtime
from ops.local.deployer.kinds import KINDS
from ops.local.deployer.kinds.base import Resource
from ops.local.deployer.kinds.functions import Function
from ops.local.deployer.state import Deployed, State
from ops.local.files import locked

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

_FUNCTION = "aws:lambda/function:Function"
_PACKAGE = "handlers"
_LAYER = "aws:lambda/layerVersion:LayerVersion"
_PACKAGING = "components/compute/packaging.py"  # run, not imported: it is the program's
_BUILT = ".build"  # where the program's packaging puts what it builds


class Code:
    """The code of the functions that were deployed by the program in `root`; `layers` are theirs, by ARN."""

    def __init__(  # noqa: PLR0913, PLR0917 - made in one place
        self,
        root: Path,
        endpoint: str,
        region: str,
        state_file: Path,
        runtime: Runtime,
        layers: Mapping[str, Blob],
    ) -> None:
        self.sources = Sources(root, _PACKAGE)
        self._root = root
        self._aws = Aws(endpoint, region)
        self._state_file = state_file
        self._runtime = runtime
        self._layers = layers
        self._zip: Callable[[Path], Path] = runpy.run_path(str(root / _PACKAGING))["handlers_zip"]

    @classmethod
    def deployed(cls, root: Path, endpoint: str, state_file: Path, runtime: Runtime) -> Code | None:
        """The code of what is deployed; None where that has no functions, or the folder not all of their layers.

        Raises:
            DeployError: the state file is none.
        """
        resources = State.load(state_file, endpoint).resources.values()
        regions = {str(one.outputs["arn"]).split(":")[3] for one in resources if one.type == _FUNCTION}
        layers = _built(root, {one.inputs["code"]["sha256"]: one.id for one in resources if one.type == _LAYER})
        if layers is None or len(regions) != 1:
            return None
        return cls(root, endpoint, regions.pop(), state_file, runtime, layers)

    def update(self, changed: Collection[Path]) -> list[str]:
        """Update the functions that the changed files concern; returns their names.

        Raises:
            DeployError: the code does not compile or can't be imported, with file and line, or Lambda refuses it;
                functions that were not updated before that go on as they are.
        """
        try:
            with locked(self._state_file.with_suffix(".lock")):  # waits for a deployment that is under way
                return self._update(State.load(self._state_file, self._aws.endpoint), changed)
        except SyntaxError as error:
            place = Path(error.filename or "").relative_to(self._root)
            raise DeployError(f"{place}:{error.lineno}: {type(error).__name__}: {error.msg}") from error
        except (ClientError, BotoCoreError, OSError) as error:
            raise DeployError(f"the code could not be updated: {error}") from error

    def _update(self, state: State, changed: Collection[Path]) -> list[str]:
        functions = [one for one in state.resources.values() if one.type == _FUNCTION]
        modules = {_module(one) for one in functions}
        concerned = self.sources.concerned(modules, changed)
        code = Blob(self._zip(self._root).read_bytes())
        due = [one for one in functions if _module(one) in concerned]
        with Imports(self._runtime, self._aws.region, self._layers) as imports:
            for one in due:
                imports.check(self._wanted(one, code))
        for one in due:
            self._set(state, one, code)
        return sorted(one.name for one in due)

    def _wanted(self, known: Deployed, code: Blob) -> Resource:
        if missing := set(known.inputs.get("layers", [])) - self._layers.keys():
            raise DeployError(f"layers that are not known here ({', '.join(sorted(missing))}): start lab up anew")
        inputs = {**known.inputs, "code": code}
        return Resource(
            self._aws,
            known.type,
            known.name,
            inputs,
            KINDS[_FUNCTION].fields,
            id=known.id,
            before=known.inputs,
            changed=frozenset({"code"}),
        )

    def _set(self, state: State, known: Deployed, code: Blob) -> None:
        kind, it = Function(), self._wanted(known, code)
        self._aws.lambda_.update_function_code(FunctionName=it.id, ZipFile=code.content)
        kind.settle(it)
        outputs = known.outputs | {"codeSha256": code.sha256_base64, "sourceCodeSize": len(code.content)}
        state.put(replace(known, inputs={**known.inputs, "code": {"sha256": code.sha256}}, outputs=outputs))


def _built(root: Path, wanted: Mapping[str, str]) -> dict[str, Blob] | None:
    """The archives of layers that are `wanted` (digest -> ARN), by ARN; None where one is not there."""
    found: dict[str, Blob] = {}
    for path in sorted((root / _BUILT).glob("*.zip"), key=lambda path: path.stat().st_size):
        if len(found) == len(wanted):
            break
        archive = Blob(path.read_bytes())
        if archive.sha256 in wanted:
            found[wanted[archive.sha256]] = archive
    return found if len(found) == len(wanted) else None


def _module(function: Deployed) -> str:
    return str(function.inputs.get("handler", "")).rpartition(".")[0]
