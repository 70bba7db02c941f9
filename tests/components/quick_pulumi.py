"""Pulumi's SDK with less to wait for: what a program registers stays the same and takes half the time.

The SDK makes a task for every value that it passes on, and four futures for every property of every resource, nearly
all of which nobody reads; it looks through every value for unknown ones again and again, and tells the engine what it
does. A run of the whole program is tens of thousands of turns of the event loop, and the tests run it more than a
hundred times. `tests/components/test_quick_pulumi.py` compares it with the SDK as it comes; `lab` and the Pulumi CLI
run that one.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from pulumi import Output, Resource, log
from pulumi.output import _OutputData
from pulumi.runtime import rpc

_LEAVES = frozenset({str, int, float, bool, type(None)})

from_input: Callable[[Any], Output[Any]] = Output.from_input
transfer_properties: Callable[..., Mapping[str, Callable[..., None]]] = rpc.transfer_properties
contains_unknowns: Callable[[Any], bool] = rpc.contains_unknowns
debug: Callable[..., None] = log.debug


def install() -> None:
    """Put the shortcuts in place of the SDK's functions, for the rest of the process."""
    Output.from_input = staticmethod(_from_input)  # type: ignore[method-assign, assignment]
    rpc.transfer_properties = _transfer_properties  # type: ignore[assignment]
    rpc.contains_unknowns = _contains_unknowns  # type: ignore[assignment]
    log.debug = _not_told


def uninstall() -> None:
    """Have the SDK as it comes."""
    Output.from_input = staticmethod(from_input)  # type: ignore[method-assign, assignment]
    rpc.transfer_properties = transfer_properties  # type: ignore[assignment]
    rpc.contains_unknowns = contains_unknowns  # type: ignore[assignment]
    log.debug = debug


class _Property(Output[Any]):
    """A property of a resource: its future is made when it is first asked for."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource
        self._loop = asyncio.get_event_loop()
        self._asked: asyncio.Future[_OutputData[Any]] | None = None
        self._answer: tuple[Any, ...] | None = None

    @property
    def _data(self) -> asyncio.Future[_OutputData[Any]]:  # type: ignore[override]
        if self._asked is None:
            self._asked = self._loop.create_future()  # the registration is waited for: nobody need wait for this, too
            self._settle()
        return self._asked

    def resolve(self, *answer: Any) -> None:
        """Take what the engine answered: value, whether known, whether secret, what it depends on, why it failed."""
        self._answer = answer
        self._settle()

    def _settle(self) -> None:
        if self._asked is None or self._answer is None:
            return
        value, known, secret, needs, failed = self._answer
        if failed is not None:
            self._asked.set_exception(failed)
        else:
            resources = {self._resource, *(needs or ())}
            self._asked.set_result(_OutputData(resources=resources, value=value, is_known=known, is_secret=secret))


def _transfer_properties(
    resource: Resource,
    inputs: Mapping[str, Any],
    custom: bool,  # noqa: FBT001 - as the SDK passes it
) -> dict[str, Callable[..., None]]:
    made = {name: _Property(resource) for name in inputs if name != "urn" and not (name == "id" and custom)}
    resource.__dict__.update(made)
    return {name: one.resolve for name, one in made.items()}


def _from_input(value: Any) -> Output[Any]:
    """The value, an output in its own right at once where there is none in it."""
    if _is_plain(value):
        known: asyncio.Future[_OutputData[Any]] = asyncio.Future()
        known.set_result(_OutputData(resources=set(), value=value, is_known=True, is_secret=False))
        made: Output[Any] = object.__new__(Output)
        made._data = known
        return made
    if type(value) is dict and all(type(key) is str for key in value):
        return Output.all(**value)
    return from_input(value)


def _contains_unknowns(value: Any) -> bool:
    kind = type(value)
    if kind is dict:
        return any(map(_contains_unknowns, value.values()))
    if kind is list:
        return any(map(_contains_unknowns, value))
    return kind not in _LEAVES and contains_unknowns(value)


def _not_told(*_: object, **__: object) -> None:
    """What the mocks' engine is told of every resource goes nowhere."""


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind is dict:
        return all(type(key) is str and _is_plain(one) for key, one in value.items())
    if kind is list:
        return all(map(_is_plain, value))
    return kind in _LEAVES
