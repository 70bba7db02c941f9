"""AWS without AWS: clients that check each request against botocore's service models, and answer as the models say.

botocore itself checks names, types and a few lengths of what it sends. Its models say more: patterns, enumerations,
ranges, which the service checks.
"""

import datetime as dt
import json
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import pulumi
from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

from ops.local.deployer.aws import Aws
from ops.local.deployer.kinds import KINDS
from ops.local.deployer.kinds.base import Kind, Resource
from ops.local.deployer.values import plain
from tests.components.recording import ACCOUNT, REGION, ROOT, Recording

_SUFFIX = "-0123abc"  # as long as what Pulumi adds to a name of its own making
_UNIQUE = 26 * "0"  # as long as what the provider adds to a prefix
_PREFERRED = ("ACTIVE", "Active", "Enabled", "Successful", "ENABLED")
_TOKENS = {"NextToken", "nextToken", "NextMarker", "Marker", "LastEvaluatedTableName"}
_CLOSEST = {
    "\\uD800\\uDC00-\\uDBFF\\uDFFF": "\U00010000-\U0010ffff",  # as patterns for UTF-16 write it
    "\\p{L}": "\\w",
    "\\p{N}": "\\d",
    "\\p{Z}": "\\s",
}
_ANSWERS = {
    "KeyId": "12345678-1234-1234-1234-123456789012",
    "LayerVersionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:layer:1",
    "State": "Enabled",
    "Account": ACCOUNT,
    "Arn": f"arn:aws:iam::{ACCOUNT}:root",
    "TopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:topic",
    "SubscriptionArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:topic:12345678-1234-1234-1234-123456789012",
    "UUID": "12345678-1234-1234-1234-123456789012",
    "QueueUrl": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/queue",
    "Policy": '{"Statement": []}',
}


@dataclass
class Walk:
    """Which requests were checked, and what is wrong with them."""

    requests: int = 0
    constraints: int = 0
    faults: list[str] = field(default_factory=list)

    def clear(self) -> None:
        """Begin anew."""
        self.requests, self.constraints, self.faults = 0, 0, []

    def add(self, other: "Walk") -> None:
        """Count another walk in."""
        self.requests += other.requests
        self.constraints += other.constraints
        self.faults += other.faults

    def check(self, model: OperationModel, params: dict[str, Any]) -> None:
        """Compare one request with the model of its operation."""
        self.requests += 1
        if model.input_shape:
            where = f"{model.service_model.service_name}:{model.name}"
            self.faults += [f"{where}{fault}" for fault in self._faults(model.input_shape, params, "")]

    def _faults(self, shape: Shape, value: Any, path: str) -> Iterator[str]:
        yield from self._own(shape, value, path)
        if isinstance(shape, StructureShape):
            for key in value:
                if key in shape.members:
                    yield from self._faults(shape.members[key], value[key], f"{path}.{key}")
        elif isinstance(shape, ListShape):
            for i, item in enumerate(value):
                yield from self._faults(shape.member, item, f"{path}[{i}]")
        elif isinstance(shape, MapShape):
            for key, item in value.items():
                yield from self._faults(shape.key, key, f"{path}.<{key}>")
                yield from self._faults(shape.value, item, f"{path}.{key}")

    def _own(self, shape: Shape, value: Any, path: str) -> Iterator[str]:
        rules = shape.metadata
        size = value if isinstance(value, int | float) else len(value) if hasattr(value, "__len__") else None
        self.constraints += len(rules.keys() & {"min", "max", "pattern", "enum"})
        if size is not None and not isinstance(value, bool):
            if size < rules.get("min", size):
                yield f"{path}: {size} is below {rules['min']}"
            if size > rules.get("max", size):
                yield f"{path}: {size} is above {rules['max']}"
        if not isinstance(value, str):
            return
        if value not in rules.get("enum", [value]):
            yield f"{path}: {value!r} is none of {rules['enum']}"
        if "pattern" in rules and not _matches(rules["pattern"], value):
            yield f"{path}: {value!r} does not match {rules['pattern']}"


def _matches(pattern: str, value: str) -> bool:
    """Whether the whole value matches, as the services have it; classes of Unicode by what `re` has closest to them."""
    for unicode, python in _CLOSEST.items():
        pattern = pattern.replace(unicode, python)
    return re.fullmatch(pattern, value, re.DOTALL) is not None


class CheckedAws(Aws):
    """Clients of the deployer whose requests go nowhere but into a walk."""

    def __init__(self, walk: Walk) -> None:
        super().__init__("http://127.0.0.1:9", REGION)
        self._walk = walk
        self._hooked: set[str] = set()
        self._hooking = threading.Lock()

    def client(self, service: str) -> Any:
        """The real client, cut off before the wire."""
        client = super().client(service)
        with self._hooking:
            if service not in self._hooked:
                self._hooked.add(service)
                client.meta.events.register("provide-client-params", self._check)
                client.meta.events.register("before-call", _answer)
        return client

    @property
    def identity(self) -> dict[str, str]:
        return {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:root", "UserId": ACCOUNT}

    def _check(self, *, params: dict[str, Any], model: OperationModel, **_: object) -> None:
        self._walk.check(model, params)


class _Accepted:
    status_code = 200


def _answer(*, model: OperationModel, **_: object) -> tuple[_Accepted, dict[str, Any]]:
    answer = _made(model.output_shape, "", 0) if model.output_shape else {}
    return _Accepted(), {**answer, "ResponseMetadata": {"HTTPStatusCode": 200}}


def _made(shape: Shape, name: str, depth: int) -> Any:
    if isinstance(shape, StructureShape):
        if depth > 4:
            return {}
        named = {key: member for key, member in shape.members.items() if key not in _TOKENS}
        return {key: _made(member, key, depth + 1) for key, member in named.items()}
    if shape.type_name == "string":
        choices = shape.metadata.get("enum", [])
        preferred = [choice for choice in _PREFERRED if choice in choices]
        return (preferred or choices or [_ANSWERS.get(name, "abcdefghij")])[0]
    plain_values: dict[str, Any] = {
        "list": [],
        "map": {},
        "boolean": False,
        "blob": b"",
        "integer": 1,
        "long": 1,
        "double": 1.0,
        "float": 1.0,
        "timestamp": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    }
    return plain_values[shape.type_name]


def _light(value: Any) -> Any:
    """A file's name for its content: the models say nothing of that, and a layer has 40 MB."""
    return pulumi.StringAsset(value.path) if isinstance(value, pulumi.FileArchive) else value


@dataclass(frozen=True)
class _AsInAws(Resource):
    """A resource that is named as the real provider names it."""

    @cached_property
    def physical(self) -> str:
        if "namePrefix" in self.inputs and "name" not in self.inputs:
            return f"{self.inputs['namePrefix']}{_UNIQUE}"
        return super().physical if "name" in self.inputs else super().physical + _SUFFIX


@dataclass(frozen=True, slots=True)
class _Walked:
    """What came of one resource; the same one in another configuration is walked as well."""

    id: str
    outputs: Mapping[str, Any]
    walk: Walk


@dataclass
class Walker(Recording):
    """Makes and updates every registered resource by the deployer's kinds, against the models.

    ``known`` are resources that need no walk any more, by all that they are made of.
    """

    walk: Walk = field(default_factory=Walk)
    known: dict[str, _Walked] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._walk = Walk()
        self._aws = CheckedAws(self._walk)

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        """As the deployer has it, with its outputs."""
        if args.custom is False:
            return "", {}
        kind = KINDS[args.typ]
        inputs = plain({key: _light(value) for key, value in args.inputs.items()}, ROOT)
        all_of_it = json.dumps([args.typ, args.name, inputs.recorded()], sort_keys=True)
        if all_of_it not in self.known:
            sent = {**kind.provider_defaults, **inputs.values}
            self.known[all_of_it] = self._walked(kind, _AsInAws(self._aws, args.typ, args.name, sent, kind.fields))
        walked = self.known[all_of_it]
        self.walk.add(walked.walk)
        return walked.id, inputs.sealed(walked.outputs)

    def _walked(self, kind: Kind, resource: Resource) -> _Walked:
        self._walk.clear()
        made = replace(resource, id=kind.create(resource))
        kind.update(made)
        outputs = kind.outputs(made)
        return _Walked(made.id, outputs, replace(self._walk, faults=[*self._walk.faults]))
