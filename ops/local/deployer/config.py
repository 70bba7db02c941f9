"""The configuration of a stack, layered as the Pulumi CLI does: defaults of Pulumi.yaml, then Pulumi.<stack>.yaml."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

from ops.local.deployer.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def project_name(root: Path) -> str:
    """Name of the project in `root`."""
    return str(_load(root / "Pulumi.yaml")["name"])


def stack_config(root: Path, stack: str, overrides: Mapping[str, object]) -> dict[str, str]:
    """Full key (`namespace:key`) -> value, as the runtime hands it to programs: strings, JSON where it is not one.

    Raises:
        DeployError: a file is missing or unreadable, a value is encrypted, or a key that the project declares without
            a default has no value.
    """
    project = _load(root / "Pulumi.yaml")
    name = str(project["name"])
    declared: dict[str, Any] = project.get("config") or {}
    path = root / f"Pulumi.{stack}.yaml"
    given: dict[str, Any] = {_full(name, k): v for k, v in (_load(path).get("config") or {}).items()}
    given |= {_full(name, k): v for k, v in overrides.items()}
    values = {_full(name, k): _default(v) for k, v in declared.items()} | given
    missing = sorted(key for key, value in values.items() if value is None)
    if missing:
        raise DeployError(f"stack {stack!r} has no value for {', '.join(missing)}: set it in {path.name}")
    return {key: _text(key, value, path) for key, value in values.items()}


def _load(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DeployError(f"{path} is missing") from error
    except yaml.YAMLError as error:
        raise DeployError(f"{path} is not valid YAML: {error}") from error
    return document if isinstance(document, dict) else {}


def _full(project: str, key: str) -> str:
    return key if ":" in key else f"{project}:{key}"


def _default(declaration: Any) -> Any:  # noqa: ANN401 - YAML
    """Value of a project-level key: plain, or `{value: …}`, or a schema with a default."""
    if not isinstance(declaration, dict):
        return declaration
    return declaration.get("default", declaration.get("value"))


def _text(key: str, value: Any, path: Path) -> str:  # noqa: ANN401 - YAML
    if isinstance(value, dict) and set(value) == {"secure"}:
        raise DeployError(
            f"{key} in {path.name} is encrypted for the Pulumi CLI; for the laptop, write it there in clear"
        )
    return value if isinstance(value, str) else json.dumps(value)
