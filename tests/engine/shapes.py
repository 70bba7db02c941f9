"""What the real provider takes and gives, read off the types of the installed `pulumi_aws`."""

import collections.abc
import importlib
import inspect
import re
import types
import typing
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any

import pulumi
import pulumi_aws
from pulumi import _types as sdk
from pulumi.runtime import rpc

UNKNOWN = rpc.UNKNOWN
_SIGNATURE = rpc._special_sig_key
_SECRET = rpc._special_secret_sig
_FILES = {rpc._special_asset_sig, rpc._special_archive_sig}
_SCALARS: dict[object, tuple[type, ...]] = {str: (str,), bool: (bool,), int: (int,), float: (int, float)}
_EMPTY: dict[object, Any] = {str: "", bool: False, int: 0, float: 0}


class Nothing:
    """The type of what an object has no place for."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One resource type: its inputs with their types, which of them are needed, and its outputs."""

    inputs: dict[str, Any]
    needed: frozenset[str]
    outputs: dict[str, Any]

    def faults(self, given: dict[str, Any]) -> dict[str, str]:
        """Input -> why the provider's schema refuses it."""
        wrong = {key: "is missing" for key in self.needed if key not in given}
        for key, value in given.items():
            if key not in self.inputs:
                wrong[key] = "is no input of this type"
            elif fault := _fault(self.inputs[key], value):
                wrong[key] = fault
        return wrong

    def computed(self, name: str) -> dict[str, Any]:
        """What only the provider sets, made up but the same each time."""
        only = {key: kind for key, kind in self.outputs.items() if key not in self.inputs}
        return {key: f"{key}-{name}" if _bare(kind) is str else _EMPTY.get(_bare(kind)) for key, kind in only.items()}


@cache
def shape(token: str) -> Shape | None:
    """The shape of a type token such as aws:sqs/queue:Queue; None where the provider has no such type."""
    package, _, name = token.removeprefix("aws:").partition(":")
    folder, _, file = package.partition("/")
    try:
        path = f"pulumi_aws.{folder}{'_' * (folder == 'lambda')}.{re.sub(r'(?<!^)(?=[A-Z])', '_', file).lower()}"
        module = importlib.import_module(path)
    except ImportError:
        return None
    resource = getattr(module, name)
    arguments = getattr(module, f"{name}InitArgs", None) or getattr(module, f"{name}Args")  # Args may be a property's
    named = sdk.input_type_py_to_pulumi_names(arguments)
    parameters = list(inspect.signature(arguments.__init__).parameters.values())[1:]
    needed = frozenset(named[p.name] for p in parameters if p.default is inspect.Parameter.empty)
    return Shape(_typed(arguments), needed, sdk.resource_types(resource))


@cache
def provider_keys() -> dict[str, Any]:
    """The configuration of the provider itself."""
    return _typed(pulumi_aws.ProviderArgs)


def plain(value: Any) -> Any:
    """A property without its secret envelopes, whole numbers as such; of a file only its hash counts."""
    if isinstance(value, dict):
        if value.get(_SIGNATURE) == _SECRET:
            return plain(value["value"])
        if value.get(_SIGNATURE) in _FILES:
            return {"hash": value.get("hash")}
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [plain(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def holds_unknown(value: Any) -> bool:
    """Whether something in it is known only after a deployment."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return value == UNKNOWN or any(map(holds_unknown, parts))


def _typed(arguments: type) -> dict[str, Any]:
    return dict(sdk.input_type_types(arguments))


def _bare(kind: Any) -> Any:
    """The type itself, of all the ways in which Pulumi lets a program give it."""
    if typing.get_origin(kind) not in {typing.Union, types.UnionType}:
        return str if inspect.isclass(kind) and issubclass(kind, Enum) else kind
    for option in typing.get_args(kind):
        if typing.get_origin(option) not in {collections.abc.Awaitable, pulumi.Output} and option is not type(None):
            return _bare(option)
    return Any


def _fault(kind: Any, value: Any) -> str | None:
    """Why the value is none of this type; None when it is one, or not known yet."""
    kind = _bare(kind)
    if value is None or value == UNKNOWN:
        return None
    if allowed := _SCALARS.get(kind):
        good = isinstance(value, allowed) and (bool in allowed or not isinstance(value, bool))
        return None if good else f"must be {kind.__name__}, got {value!r}"
    origin, (*_, part) = typing.get_origin(kind), typing.get_args(kind) or (Any,)
    is_object = inspect.isclass(kind) and sdk.is_input_type(kind)
    if origin is not collections.abc.Sequence and origin is not collections.abc.Mapping and not is_object:
        return "is no part of this" if kind is Nothing else None
    expected = list if origin is collections.abc.Sequence else dict
    if not isinstance(value, expected):
        return f"must be a {expected.__name__}, got {value!r}"
    kinds = _typed(kind) if is_object else {}
    items = value.items() if isinstance(value, dict) else (("", item) for item in value)
    faults = (_fault(kinds.get(key, Nothing) if is_object else part, item) for key, item in items)
    return next(filter(None, faults), None)
