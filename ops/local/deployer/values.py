"""Inputs as the program registered them, made plain; and what of them may be written to the state file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.runtime import rpc

from ops.local.deployer.assets import pack
from ops.local.deployer.blob import Blob

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Plain:
    """Inputs without wrappers: JSON values, and a `Blob` where the program gave an asset or an archive."""

    values: dict[str, Any]
    secret: frozenset[str]  # top-level keys that hold a secret somewhere

    def recorded(self) -> dict[str, Any]:
        """What the state file may hold: digests stand for secrets and for the contents of archives."""
        return {key: _recorded(value, secret=key in self.secret) for key, value in self.values.items()}

    def sealed(self, outputs: Mapping[str, Any]) -> dict[str, Any]:
        """`outputs` over the inputs, as the engine would return them: what went in secret comes out secret."""
        merged = self.values | dict(outputs)
        shown = {k: v for k, v in merged.items() if not isinstance(v, Blob)}
        return {k: rpc.wrap_rpc_secret(v) if k in self.secret else v for k, v in shown.items()}


def plain(inputs: Mapping[str, Any], root: Path) -> Plain:
    """Unwrap secrets, read archives (paths are relative to `root`), turn whole floats back into integers."""
    secret = frozenset(key for key, value in inputs.items() if rpc.is_rpc_secret(value))
    return Plain({key: _plain(rpc.unwrap_rpc_secret(value), root) for key, value in inputs.items()}, secret)


def _plain(value: Any, root: Path) -> Any:  # noqa: ANN401 - as free as JSON
    if isinstance(value, pulumi.Asset | pulumi.Archive):
        return pack(value, root)
    if isinstance(value, dict):
        return {key: _plain(item, root) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, root) for item in value]
    if isinstance(value, float) and value.is_integer():  # the wire knows no integers
        return int(value)
    return value


def _recorded(value: Any, *, secret: bool) -> Any:  # noqa: ANN401 - as free as JSON
    if isinstance(value, Blob):
        return {"sha256": value.sha256}
    if secret:
        return {"secret": hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()}
    return value
