"""The configuration of a stack, layered as the Pulumi CLI does: defaults of Pulumi.yaml, then Pulumi.<stack>.yaml."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

from ops.local.deployer.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# what the Pulumi CLI keeps in a stack's file
_STACK_KEYS = frozenset({"config", "environment", "secretsprovider", "encryptedkey", "encryptionsalt"})


def project_name(root: Path) -> str:
    """Name of the project in `root`.

    Raises:
        DeployError: Pulumi.yaml is missing or unreadable, or has no name.
    """
    path = root / "Pulumi.yaml"
    name = _load(path).get("name")
    if not isinstance(name, str) or not name:
        raise DeployError(f"{path} gives the project no name: write name: ingestion-lab")
    return name


def stack_config(root: Path, stack: str, overrides: Mapping[str, object]) -> dict[str, str]:
    """Full key (`namespace:key`) -> value, as the runtime hands it to programs: strings, JSON where it is not one.

    A stack's file that says nothing is refused, since it would leave every default: what its resources hold would go.

    Raises:
        DeployError: a file is missing or unreadable, is not what Pulumi takes, or has a key twice or without its
            namespace; a value is encrypted; a key that the project declares without a default has no value.
    """
    name = project_name(root)
    declared = _mapping(root / "Pulumi.yaml", "config", _load(root / "Pulumi.yaml").get("config") or {})
    path = root / f"Pulumi.{stack}.yaml"
    given = _given(path, name) | {_full(name, k): v for k, v in overrides.items()}
    values = {_full(name, k): _default(v) for k, v in declared.items()} | given
    missing = sorted(key for key, value in values.items() if value is None)
    if missing:
        raise DeployError(f"stack {stack!r} has no value for {', '.join(missing)}: set it in {path.name}")
    return {key: _text(key, value, path) for key, value in values.items()}


class _Strict(yaml.SafeLoader):
    """Refuses a key that a mapping has twice, of which YAML's own reader takes the last."""


def _unique(loader: _Strict, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[str] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value} stands twice", problem_mark=key.start_mark)
            seen.add(key.value)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique)


def encrypted_keys(root: Path, stack: str) -> frozenset[str]:
    """Full keys of the stack's file whose values, or parts of them, only the Pulumi CLI can read.

    Raises:
        DeployError: a file is missing or unreadable.
    """
    name = project_name(root)
    given = _given(root / f"Pulumi.{stack}.yaml", name)
    return frozenset(_full(name, key) for key, value in given.items() if _encrypted(value) is not None)


def written(root: Path, stack: str, key: str) -> str | None:
    """What the stack's file says for a full key in clear; None where it says nothing.

    Raises:
        DeployError: the file is missing or unreadable.
    """
    found = _given(root / f"Pulumi.{stack}.yaml", project_name(root)).get(key)
    return None if found is None or _encrypted(found) is not None else str(found)


def _load(path: Path) -> dict[str, Any]:
    try:
        # a safe loader, with a stricter constructor for mappings
        document = yaml.load(path.read_text(encoding="utf-8"), _Strict)  # noqa: S506
    except FileNotFoundError as error:
        raise DeployError(f"{path} is missing") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DeployError(f"{path} is not valid YAML: {error}") from error
    return _mapping(path, "it", {} if document is None else document)


def _mapping(path: Path, what: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        kind = "a list" if isinstance(value, list) else "a single value"
        raise DeployError(f"{path}: {what} must be a mapping (lines of key: value), got {kind}")
    return value


def _given(path: Path, project: str) -> dict[str, Any]:
    """The configuration of a stack's file by full key."""
    document = _load(path)
    if unknown := sorted(map(str, document.keys() - _STACK_KEYS)):
        raise DeployError(
            f"{path}: a stack's file has no {unknown[0]}; values of the configuration stand under config:"
        )
    if document.get("config") is None:
        raise DeployError(
            f"{path} has no configuration, which would take every default and delete what those do not have;"
            f" for the defaults, write: config: {{}}"
        )
    config = _mapping(path, "config", document["config"])
    if bare := [str(key) for key in config if ":" not in str(key)]:
        raise DeployError(f"{path}: the key {bare[0]} lacks its namespace: write {project}:{bare[0]}")
    return {str(key): value for key, value in config.items()}


def _full(project: str, key: object) -> str:
    return str(key) if ":" in str(key) else f"{project}:{key}"


def _default(declaration: Any) -> Any:  # noqa: ANN401 - YAML
    """Value of a project-level key: plain, or `{value: …}`, or a schema with a default."""
    if not isinstance(declaration, dict):
        return declaration
    return declaration.get("default", declaration.get("value"))


def _text(key: str, value: Any, path: Path) -> str:  # noqa: ANN401 - YAML
    if (part := _encrypted(value)) is not None:
        where = f"--path '{key}{part}' --stack {path.name.removeprefix('Pulumi.').removesuffix('.yaml')}"
        raise DeployError(
            f"{key}{part} in {path.name} is encrypted, and only the Pulumi CLI can read it; for the laptop, set it in "
            f"clear, to what is no secret elsewhere: pulumi config set --plaintext {where} VALUE; or take it out: "
            f"pulumi config rm {where}"
        )
    return value if isinstance(value, str) else json.dumps(value)


def _encrypted(value: Any) -> str | None:  # noqa: ANN401 - YAML
    """Where in a value the Pulumi CLI has encrypted something, as a path; `""` for the whole, None for nowhere."""
    if isinstance(value, dict) and set(value) == {"secure"}:
        return ""
    if isinstance(value, dict):
        parts = ((f".{key}", part) for key, part in value.items())
    elif isinstance(value, list):
        parts = ((f"[{number}]", part) for number, part in enumerate(value))
    else:
        return None
    return next((place + inner for place, part in parts if (inner := _encrypted(part)) is not None), None)
