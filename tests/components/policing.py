"""The policy pack's process, asked over gRPC as the engine asks it."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from tests.components.recording import PROJECT, ROOT


@dataclass
class Made:
    """A resource: what is passed in, what the engine knows of it, and whom its properties depend on."""

    type: str
    name: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    protect: bool = False
    needs: dict[str, list[str]] = field(default_factory=dict)  # names, by property
    stack: str = "dev"

    @property
    def urn(self) -> str:
        """As the engine makes it."""
        return f"urn:pulumi:{self.stack}::{PROJECT}::{self.type}::{self.name}"


class Pack:
    """The pack's process."""

    def __init__(self, port: str) -> None:
        self._stub = analyzer_pb2_grpc.AnalyzerStub(grpc.insecure_channel(f"127.0.0.1:{port}"))

    def names(self) -> set[str]:
        """The policies' names."""
        return {policy.name for policy in self._stub.GetAnalyzerInfo(empty_pb2.Empty()).policies}

    def found(self, resources: Sequence[Made]) -> set[tuple[str, str]]:
        """Policy and resource of every violation; of what could not be checked, too."""
        return {(one.policyName, one.urn.rsplit("::", 1)[-1]) for one in self.diagnostics(resources)}

    def diagnostics(self, resources: Sequence[Made]) -> list[Any]:
        """Everything that the pack says of a stack."""
        by_name = {one.name: one.urn for one in resources}
        answers = []
        for one in resources:
            request = analyzer_pb2.AnalyzeRequest(
                type=one.type, urn=one.urn, name=one.name, properties=_struct(one.inputs)
            )
            request.options.protect = one.protect
            answer = self._stub.Analyze(request)
            for diagnostic in answer.diagnostics:
                diagnostic.urn = diagnostic.urn or one.urn
            answers += answer.diagnostics
        stack = analyzer_pb2.AnalyzeStackRequest()
        for one in resources:
            shown = stack.resources.add(type=one.type, urn=one.urn, name=one.name, properties=_struct(one.outputs))
            for name, needed in one.needs.items():
                shown.propertyDependencies[name].urns.extend(by_name[other] for other in needed)
        return [*answers, *self._stub.AnalyzeStack(stack).diagnostics]


def _struct(value: Mapping[str, Any]) -> Any:
    return json_format.ParseDict(json.loads(json.dumps(value, default=str)), struct_pb2.Struct())


@contextmanager
def started() -> Iterator[Pack]:
    """The pack, started as the engine starts it."""
    with subprocess.Popen([sys.executable, ROOT / "policy"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield Pack(process.stdout.readline().strip())
        finally:
            process.kill()
