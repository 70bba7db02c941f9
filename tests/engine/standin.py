"""A stand-in for the `aws` provider: the provider protocol without AWS.

It checks what it is given against the types of `pulumi_aws`, fills the real provider's defaults, makes up ids and ARNs
that are the same each time, refuses a name that is taken, and remembers what it has made and what it was asked for.
"""

# ruff: noqa: ARG002, N802 - the names and parameters are the protocol's
import json
import random
import re
import threading
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from ops.local.deployer.kinds import KINDS
from tests.engine.shapes import UNKNOWN, Shape, holds_unknown, plain, provider_keys, shape

ACCOUNT = "123456789012"
VERSION = "7.51.1"
_LARGEST = 400 << 20
_MADE_UP = re.compile(r"-[0-9a-f]{7}$")  # how a name ends that the provider has made
_IDENTIFYING = {
    *("name", "bucket", "alarmName", "dashboardName", "apiId", "routeKey", "eventBusName", "rule", "targetId"),
    *("logGroupName", "role", "databaseName", "queueUrl", "arn", "topic", "endpoint", "protocol", "functionName"),
}
_IDS_OF_AWS = {
    "Api",
    "Authorizer",
    "EventSourceMapping",
    "Integration",
    "Key",
    "LayerVersion",
    "Permission",
    "QueryDefinition",
}
# What the provider sends when the program says nothing, as its documentation has it.
DEFAULTS: dict[str, dict[str, Any]] = {
    "aws:cloudwatch/metricAlarm:MetricAlarm": {"actionsEnabled": True, "treatMissingData": "missing"},
    "aws:dynamodb/table:Table": {"billingMode": "PROVISIONED"},
    "aws:iam/role:Role": {"forceDetachPolicies": False, "maxSessionDuration": 3600, "path": "/"},
    "aws:lambda/eventSourceMapping:EventSourceMapping": {"enabled": True},
    "aws:lambda/function:Function": {"memorySize": 128, "packageType": "Zip", "publish": False, "timeout": 3},
    "aws:sqs/queue:Queue": {
        "delaySeconds": 0,
        "maxMessageSize": 262_144,
        "messageRetentionSeconds": 345_600,
        "receiveWaitTimeSeconds": 0,
        "visibilityTimeoutSeconds": 30,
    },
}


@dataclass(frozen=True, slots=True)
class Call:
    """One change that the engine asked for: create, update or delete."""

    verb: str
    type: str
    name: str
    changed: tuple[str, ...] = ()


@dataclass
class Cloud:
    """What is there, by type and identity; what was done to it, in order; and how the next creations end."""

    made: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)  # logical name -> what AWS answers its creation
    held: dict[str, threading.Event] = field(default_factory=dict)  # logical name -> set once its creation has begun
    configured: list[dict[str, Any]] = field(default_factory=list)

    def of(self, type_: str) -> list[dict[str, Any]]:
        """Everything there of this type (its class name)."""
        return [there for (token, _), there in self.made.items() if token.endswith(f":{type_}")]

    @contextmanager
    def watched(self) -> Iterator[list[Call]]:
        """The calls made in the block, for whoever asks after it."""
        before, seen = len(self.calls), list[Call]()
        yield seen
        seen += self.calls[before:]


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """The provider's side of the protocol; the methods are documented in pulumi/provider.proto."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._region = ""

    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse()

    def Attach(self, request: Any, context: Any) -> Empty:
        return Empty()

    def Cancel(self, request: Any, context: Any) -> Empty:
        return Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetSchema(self, request: Any, context: Any) -> Any:
        return provider_pb2.GetSchemaResponse(schema=json.dumps({"name": "aws", "version": VERSION}))

    def CheckConfig(self, request: Any, context: Any) -> Any:
        unknown = sorted(set(_read(request.news)) - set(provider_keys()) - {"version"})
        failures = [provider_pb2.CheckFailure(property=key, reason="is no key of the provider") for key in unknown]
        return provider_pb2.CheckResponse(inputs=request.news, failures=failures)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        before, after = _read(request.old_inputs), _read(request.news)
        return _difference(sorted(key for key in {*before, *after} if before.get(key) != after.get(key)), ["region"])

    def Configure(self, request: Any, context: Any) -> Any:
        given = _read(request.args)
        self._region = given["region"]
        self._cloud.configured.append(given)
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    def Invoke(self, request: Any, context: Any) -> Any:
        known = {
            "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": ACCOUNT, "id": ACCOUNT},
            "aws:index/getRegion:getRegion": {"region": self._region, "id": self._region},
            "aws:index/getPartition:getPartition": {"partition": "aws", "id": "aws", "dnsSuffix": "amazonaws.com"},
        }
        if request.tok not in known:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"the stand-in knows no {request.tok}")
        return provider_pb2.InvokeResponse(**{"return": _written(known[request.tok])})

    def Check(self, request: Any, context: Any) -> Any:
        token, name = _of(request.urn)
        given, before = _read(request.news), _read(request.olds)
        known = shape(token)
        if known is None:
            failure = provider_pb2.CheckFailure(reason=f"the provider has no type {token}")
            return provider_pb2.CheckResponse(inputs=request.news, failures=[failure])
        named = "bucket" if token.endswith(":Bucket") else "name"
        if named in known.inputs and not {named, f"{named}Prefix"} & set(given):
            made_up = random.Random(request.randomSeed or name).getrandbits(28)  # noqa: S311 - a name, no secret
            given[named] = before.get(named) or f"{name}-{made_up:07x}"
        given = DEFAULTS.get(token, {}) | given
        failures = [provider_pb2.CheckFailure(property=k, reason=why) for k, why in known.faults(plain(given)).items()]
        return provider_pb2.CheckResponse(inputs=_written(given), failures=failures)

    def Diff(self, request: Any, context: Any) -> Any:
        token, _ = _of(request.urn)
        before, after = plain(_read(request.old_inputs)), plain(_read(request.news))
        changed = [k for k in _changed(before, after) if k not in request.ignoreChanges]
        replacing = [key for key in changed if key in KINDS[token].fixed]
        kept = (str(after[key]) for key in ("name", "bucket") if key in after and key not in changed)
        in_the_way = bool(replacing) and any(not _MADE_UP.search(name) for name in kept)  # of one with the same name
        return _difference(changed, replacing, delete_first=in_the_way)

    def Create(self, request: Any, context: Any) -> Any:
        token, name = _of(request.urn)
        given = _read(request.properties)
        known = _shape(token)
        if request.preview:
            unknown = dict.fromkeys(known.computed(name), UNKNOWN)
            return provider_pb2.CreateResponse(properties=_written(given | unknown))
        if holds_unknown(given):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"{name} is to be made of what is not known: {given}")
        if name in self._cloud.held:
            ended = threading.Event()
            if context.add_callback(ended.set):
                self._cloud.held[name].set()
                ended.wait()  # until whoever started the engine ends it
            context.abort(grpc.StatusCode.CANCELLED, "the engine is gone")
        if name in self._cloud.refused:
            context.abort(grpc.StatusCode.UNKNOWN, self._cloud.refused[name])
        identity = _identity(token, name, plain(given))
        if (token, identity) in self._cloud.made:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, f"{token} {identity} exists already")
        self._cloud.calls.append(Call("create", token, name))
        there = given | self._computed(token, name, plain(given))
        self._cloud.made[token, identity] = there
        return provider_pb2.CreateResponse(id=identity, properties=_written(there))

    def Read(self, request: Any, context: Any) -> Any:
        there = self._cloud.made.get((_of(request.urn)[0], request.id))
        if there is None:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(id=request.id, properties=_written(there), inputs=request.inputs)

    def Update(self, request: Any, context: Any) -> Any:
        token, name = _of(request.urn)
        given = _read(request.news)
        there = _read(request.olds) | given
        if not request.preview:
            changed = _changed(plain(_read(request.old_inputs)), plain(given))
            self._cloud.calls.append(Call("update", token, name, tuple(changed)))
            self._cloud.made[token, request.id] = there
        return provider_pb2.UpdateResponse(properties=_written(there))

    def Delete(self, request: Any, context: Any) -> Empty:
        token, name = _of(request.urn)
        there = self._cloud.made.get((token, request.id), {})
        if there.get("deletionProtectionEnabled"):
            context.abort(grpc.StatusCode.UNKNOWN, f"{name} is protected from deletion")
        self._cloud.calls.append(Call("delete", token, name))
        self._cloud.made.pop((token, request.id), None)
        return Empty()

    def _computed(self, token: str, name: str, given: dict[str, Any]) -> dict[str, Any]:
        """What AWS adds, ARNs with their real form."""
        known = _shape(token)
        physical = next((str(given[k]) for k in ("name", "bucket", "alarmName", "layerName") if k in given), name)
        service = token.removeprefix("aws:").partition("/")[0]
        resource = {"Queue": "", "Topic": "", "Bucket": "", "Parameter": "parameter"}.get(
            kind := token.rpartition(":")[2], f"{kind.lower()}/"
        )
        where = "::" if kind == "Bucket" else f":{'' if service == 'iam' else self._region}:{ACCOUNT}"
        arn = f"arn:aws:{service}{where}:{resource}{physical}"
        host = f"https://{service}.{self._region}.amazonaws.com"
        made_up = known.computed(physical) | {"arn": arn, "url": f"{host}/{ACCOUNT}/{physical}"}
        made_up |= {"apiEndpoint": f"https://{physical}.execute-api.{self._region}.amazonaws.com"}
        made_up |= {"tagsAll": given.get("tags", {}), "region": self._region}
        return {key: value for key, value in made_up.items() if key in known.outputs and key not in given}


@contextmanager
def served(cloud: Cloud) -> Iterator[int]:
    """The provider on a port of the loopback."""
    sizes = [("grpc.max_receive_message_length", _LARGEST), ("grpc.max_send_message_length", _LARGEST)]
    server = grpc.server(futures.ThreadPoolExecutor(64), options=sizes)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Provider(cloud), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(None)


def _of(urn: str) -> tuple[str, str]:
    """Type token and logical name."""
    _, _, types, name = urn.split("::")
    return types.rpartition("$")[2], name


def _shape(token: str) -> Shape:
    known = shape(token)
    assert known is not None, token  # Check has refused it before
    return known


def _identity(token: str, name: str, given: dict[str, Any]) -> str:
    if token.rpartition(":")[2] in _IDS_OF_AWS:
        return f"id-of-{name}"
    keys = sorted(KINDS[token].fixed & _IDENTIFYING & set(given))
    return "/".join(str(given[key]) for key in keys) or name


def _changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return sorted(key for key in {*before, *after} if before.get(key) != after.get(key))


def _difference(changed: list[str], replacing: list[str], *, delete_first: bool = False) -> Any:
    return provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE,
        diffs=changed,
        replaces=[key for key in replacing if key in changed],
        deleteBeforeReplace=delete_first,
    )


def _read(properties: Struct) -> dict[str, Any]:
    read: dict[str, Any] = json_format.MessageToDict(properties)
    return read


def _written(properties: dict[str, Any]) -> Struct:
    return json_format.ParseDict(properties, Struct())
