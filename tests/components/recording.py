"""Runs Pulumi programs against mocks that only write down what is registered."""

import asyncio
import contextvars
import hashlib
import json
import os
import pickle
import re
import runpy
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import pulumi
import yaml
from pulumi.runtime import resource, rpc, set_all_config, set_mocks, settings
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.proto import source_pb2
from pulumi.runtime.stack import Stack, run_pulumi_func

from ops.local.deployer.program import settled, threads_with_loops, uncollected

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "ingestion-lab"
ACCOUNT = "123456789012"
REGION = "eu-central-1"
EVERY_PIPELINE = ("events", "orders", "lake")
SECRETS = ("apiKey", "webhookUrl")
SHARED = "TEST_RECORDINGS"  # names the folder in which the processes of one test run keep recordings for each other
_AT_HAND = 16  # recordings in memory, about 2 MB each


# What a stack's YAML leaves to whoever deploys it, and the program refuses to do without.
TO_BE_SET = {"prod": {"alarmEmail": "oncall@team.example"}}


@dataclass(frozen=True)
class Registered:
    """One registration: type token, logical name, what was passed in, and what the engine is to mind."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    parent: str
    protect: bool
    retained: bool
    depends_on: frozenset[str]
    ignore_changes: tuple[str, ...]
    secrets: tuple[str, ...]  # inputs that Pulumi is to encrypt


@dataclass
class Recording(pulumi.runtime.Mocks):
    """What a program registered, in order; outputs are the inputs and invented ARNs, or in preview the inputs alone."""

    preview: bool = False
    partition: str = "aws"
    resources: list[Registered] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        """The resource as AWS would have made it, or unknown in preview."""
        if self.preview:
            return "", dict(args.inputs)
        made = {"arn": f"arn:{args.name}", "url": f"https://{args.name}", "name": args.name, **args.inputs}
        made |= {"invokeArn": f"invoke:{args.name}", "executionArn": f"execute:{args.name}", "keyId": f"id:{args.name}"}
        made["uuid"] = f"uuid:{args.name}"
        if args.typ == "aws:glue/catalogDatabase:CatalogDatabase":  # ARNs of its tables are made of its own
            made["arn"] = f"arn:{self.partition}:glue:{REGION}:{ACCOUNT}:database/{made['name']}"
        return f"id:{args.name}", made | {"apiEndpoint": f"https://api.{args.name}"}

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        """The deployer's surroundings."""
        known = {"accountId": ACCOUNT, "partition": self.partition, "region": REGION}
        return known if args.token.startswith("aws:index/get") else {}, []

    def one(self, type_: str, name: str) -> Registered:
        """The registration of this type (its class name is enough) and name."""
        (found,) = [r for r in self.resources if r.type.endswith(f":{type_}") and r.name == name]
        return found

    def inputs(self, type_: str, name: str) -> Mapping[str, Any]:
        """What that registration was given."""
        return self.one(type_, name).inputs

    def of(self, type_: str) -> list[Registered]:
        """All registrations of this type."""
        return [r for r in self.resources if r.type.endswith(f":{type_}")]

    def alarms(self) -> list[Registered]:
        """The alarms that notify somebody: those of a metric, and those of several windows of one."""
        return [
            one
            for type_ in ("MetricAlarm", "CompositeAlarm")
            for one in self.of(type_)
            if one.inputs.get("alarmActions")
        ]

    def names(self) -> set[tuple[str, str]]:
        """Type and name of everything registered."""
        return {(r.type, r.name) for r in self.resources}


class _Monitor(MockMonitor):
    """Adds to the recording what Pulumi's mocks are not shown."""

    def __init__(self, recording: Recording) -> None:
        super().__init__(recording)
        self._recording = recording
        self._lock = threading.Lock()

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the name and types are Pulumi's
        answer = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type != "pulumi:pulumi:Stack":
            given = rpc.deserialize_properties(request.object, keep_unknowns=True)
            inputs = _plain(given)
            with self._lock:
                self._recording.resources.append(
                    Registered(
                        type=request.type,
                        name=request.name,
                        inputs=inputs,
                        parent=_last(request.parent),
                        protect=request.protect,
                        retained=request.retainOnDelete,
                        depends_on=frozenset(map(_last, request.dependencies)),
                        ignore_changes=tuple(request.ignoreChanges),
                        secrets=tuple(sorted(key for key, value in given.items() if rpc.is_rpc_secret(value))),
                    )
                )
        return answer


def run(
    program: Callable[[], object],
    *,
    stack: str = "dev",
    config: Mapping[str, object] | None = None,
    preview: bool = False,
    into: Recording | None = None,
    secrets: Iterable[str] = SECRETS,
) -> Recording:
    """Runs the program to its end, every late registration included, and returns what it registered.

    `into` is for programs that fail: it keeps what they registered before. `secrets` are the keys that are encrypted
    where they are set.

    Every run has an event loop and pulumi's settings to itself. Pulumi's own `test` would look for a current event
    loop, which Python 3.14 no longer makes.
    """
    recording = into or Recording()
    recording.preview = preview
    given = {key if ":" in key else f"{PROJECT}:{key}": _text(value) for key, value in (config or {}).items()}

    async def whole() -> None:
        settings.reset_options()
        set_all_config(given, [key for key in given if key.removeprefix(f"{PROJECT}:") in secrets])
        set_mocks(recording, PROJECT, stack, preview=preview, monitor=_Monitor(recording))
        await run_pulumi_func(execute)

    async def execute() -> None:
        program()
        await settled()
        root = settings.get_root_resource()
        assert isinstance(root, Stack)
        recording.outputs.update(await pulumi.Output.from_input(root.outputs).future() or {})

    # an engine would show the stack at every registration; to note it takes as long as the rest
    bare = patch.object(resource, "_get_stack_trace", source_pb2.StackTrace)
    with bare, uncollected(), threads_with_loops(1) as executor, asyncio.Runner() as runner:
        runner.get_loop().set_default_executor(executor)
        runner.run(whole(), context=contextvars.copy_context())
    return recording


def run_main(stack: str, config: Mapping[str, object] | None = None, *, preview: bool = False) -> Recording:
    """What `__main__.py` registers with the stack's own YAML, what is to be set beside it, and these keys on top.

    Asked twice, it runs once, whichever test process asks. The recording is everybody's: change nothing in it.
    """
    return _run_main(stack, json.dumps(config or {}), preview)


@lru_cache(maxsize=_AT_HAND)
def _run_main(stack: str, config: str, preview: bool) -> Recording:  # noqa: FBT001 - a key of the cache
    name = hashlib.sha256(json.dumps([stack, config, preview]).encode()).hexdigest()
    shared = Path(os.environ[SHARED], name) if SHARED in os.environ else None
    if shared and shared.exists():
        recording: Recording = pickle.loads(shared.read_bytes())  # noqa: S301 - another test process has written it
        return recording
    given = {**stack_config(stack), **TO_BE_SET.get(stack, {}), **json.loads(config)}
    recording = run(main_program, stack=stack, config=given, preview=preview)
    if shared:
        part = shared.with_name(f"{name}-{os.getpid()}")
        part.write_bytes(pickle.dumps(recording))
        part.replace(shared)
    return recording


def main_program() -> None:
    """Runs `__main__.py`.

    Raises:
        RunError: it left after it had told the engine of this.
    """
    try:
        runpy.run_path(str(ROOT / "__main__.py"))
    except SystemExit as leaving:
        if leaving.code != 32:  # by which the engine knows that it has been told
            raise
        raise cast("pulumi.RunError", leaving.__cause__) from None


def stack_config(stack: str) -> dict[str, object]:
    """The configuration that `Pulumi.<stack>.yaml` holds, but for what somebody has encrypted there for himself."""
    config: dict[str, object] = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    clear = {key: value for key, value in config.items() if not (isinstance(value, dict) and "secure" in value)}
    return {key.removeprefix(f"{PROJECT}:"): _unquoted(value) for key, value in clear.items()}


def statements(documents: Iterable[str]) -> list[dict[str, Any]]:
    """All statements of these JSON policies."""
    return [statement for document in documents for statement in json.loads(document)["Statement"]]


def grants(recording: Recording, function: str) -> dict[str, tuple[set[str], Any]]:
    """What a function's role is allowed: actions and resources by statement id."""
    own = [made.inputs for made in recording.of("RolePolicy") if made.inputs["role"] == f"{function}-role"]
    allowed = [s for s in statements(inputs["policy"] for inputs in own) if s["Effect"] == "Allow"]
    return {s["Sid"]: (set(s["Action"]), s["Resource"]) for s in allowed}


def variables(recording: Recording, function: str) -> dict[str, str]:
    """A function's environment."""
    found: dict[str, str] = recording.inputs("Function", function)["environment"]["variables"]
    return found


def _unquoted(value: object) -> object:
    """Numbers and truth values as such: the Pulumi CLI quotes them when it writes the file."""
    return json.loads(value) if isinstance(value, str) and re.fullmatch(r"true|false|-?[0-9]+", value) else value


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _last(urn: str) -> str:
    return urn.rpartition("::")[2]


def _plain(value: Any) -> Any:
    if isinstance(value, pulumi.FileArchive):
        return f"archive of {Path(value.path).name.split('-')[0].removesuffix('.zip')}"
    if rpc.is_rpc_secret(value):
        return _plain(rpc.unwrap_rpc_secret(value))
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
