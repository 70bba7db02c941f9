"""What a program would register, for any stack: nothing is made, and nobody is asked."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi

if TYPE_CHECKING:
    from collections.abc import Mapping

_ACCOUNT = "123456789012"


@dataclass(frozen=True, slots=True)
class Registered:
    """One resource: type token, logical name and inputs, in which invented ARNs stand for those that AWS would give."""

    type: str
    name: str
    inputs: Mapping[str, Any]


class Rehearsal(pulumi.runtime.Mocks):
    """Writes down what is registered; pulumi calls it from several threads."""

    def __init__(self) -> None:
        self.registered: list[Registered] = []
        self.failure: BaseException | None = None
        self._lock = threading.Lock()

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        """Answer what a program asks of its surroundings."""
        known = {"accountId": _ACCOUNT, "partition": "aws", "region": "us-east-1"}
        return known if args.token.startswith("aws:index/get") else {}, []

    def stop(self, reason: BaseException) -> None:
        """Hear why the program has ended before its end."""
        self.failure = self.failure or reason

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        """Write one down; returns its id and its outputs."""
        inputs = dict(args.inputs)
        with self._lock:
            self.registered.append(Registered(args.typ, args.name, inputs))
        invented = {key: f"{key}:{args.name}" for key in ("invokeArn", "executionArn", "keyId", "uuid")}
        address = {"url": f"https://{args.name}", "apiEndpoint": f"https://api.{args.name}"}
        return f"id:{args.name}", {"arn": f"arn:{args.name}", "name": args.name, **invented, **address, **inputs}
