"""What every resource type has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from ops.local.deployer.translate import Fields, translate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ops.local.deployer.aws import Aws


@dataclass(frozen=True)
class Resource:
    """A resource as the program wants it, or, for a deletion, as it was last deployed."""

    aws: Aws
    type: str
    name: str  # logical
    inputs: Mapping[str, Any]  # plain values under pulumi-aws names
    fields: Fields
    id: str = ""  # as recorded, or as found; empty before either
    before: Mapping[str, Any] = field(default_factory=dict)  # recorded inputs of the last deployment
    changed: frozenset[str] | None = None  # inputs that differ from `before`; None: not known, take all as changed

    @cached_property
    def params(self) -> dict[str, Any]:
        """The inputs under their AWS names."""
        return translate(self.fields, self.inputs)

    @property
    def physical(self) -> str:
        """Name in AWS: as given, else prefix and logical name, without pulumi's random suffix."""
        return str(self.inputs.get("name", self.inputs.get("namePrefix", "") + self.name))

    def touches(self, *keys: str) -> bool:
        """Whether any of these inputs (pulumi-aws names) is to be set anew."""
        return self.changed is None or not self.changed.isdisjoint(keys)

    def pick(self, *names: str) -> dict[str, Any]:
        """Those of the translated inputs that are given (AWS names)."""
        return {name: self.params[name] for name in names if name in self.params}

    def with_defaults(self, defaults: Mapping[str, Any]) -> dict[str, Any]:
        """Translated inputs of the keys of `defaults`, and the default where one was given before and is no longer.

        An update leaves alone what it is not told: without this, removing an input would change nothing.
        """
        previous = {_aws_name(self.fields, key) for key in self.before}
        removed = {name: value for name, value in defaults.items() if name in previous and name not in self.params}
        return removed | self.pick(*defaults)


class Kind(ABC):
    """How one resource type is found, made, tuned and removed.

    `find` answers whether the thing is really there, so that a wiped emulator or a kill between a creation and its
    record is noticed; `create` makes all of it; `update` sets what changed, or everything where that is not known.
    """

    fields: ClassVar[Fields]
    fixed: ClassVar[frozenset[str]] = frozenset()  # inputs that AWS can't change in place
    # What the real provider sends where the program says nothing and AWS would choose something else.
    provider_defaults: ClassVar[Mapping[str, object]] = {}
    coexists: ClassVar[bool] = False  # the replacement has another id: the old one stays until everything has moved

    @abstractmethod
    def find(self, it: Resource) -> str | None:
        """Id of the existing resource, or None; `it.id` is the recorded one."""

    @abstractmethod
    def create(self, it: Resource) -> str:
        """Make it; returns its id."""

    @abstractmethod
    def update(self, it: Resource) -> None:
        """Bring the existing one to what is wanted."""

    @abstractmethod
    def delete(self, it: Resource) -> None:
        """Remove it; what is gone already is fine."""

    def outputs(self, it: Resource) -> dict[str, Any]:
        """What the real provider returns beside the inputs, as far as programs use it."""
        return {"tagsAll": dict(it.inputs.get("tags", {}))} if "tags" in self.fields else {}


class Attached(Kind):
    """A setting on another resource: making it and changing it are the same call."""

    @abstractmethod
    def put(self, it: Resource) -> str:
        """Set it; returns its id."""

    def create(self, it: Resource) -> str:
        """Set it."""
        return self.put(it)

    def update(self, it: Resource) -> None:
        """Set it again."""
        self.put(it)


class Settling(Kind):
    """A resource that takes a while to become usable; that is awaited once, when everything has been made."""

    @abstractmethod
    def settle(self, it: Resource) -> None:
        """Return when it can be used."""


class Seen(ABC):
    """A resource that people change by hand: by what AWS shows of it, a refresh tells what was not as it should be."""

    @abstractmethod
    def seen(self, it: Resource) -> Mapping[str, object]:
        """Settings by AWS's names, without what changes by itself."""


class Keeper(Kind):
    """A resource that holds data: it is never replaced while it does."""

    @abstractmethod
    def holds(self, it: Resource) -> str:
        """What a deletion would lose ("3 messages"), or nothing."""


def tag_list(tags: Mapping[str, str], key: str = "Key", value: str = "Value") -> Any:  # noqa: ANN401 - a TypedDict each
    """Tags as most services want them."""
    return [{key: k, value: v} for k, v in tags.items()]


def sync_tags(it: Resource, put: Callable[[dict[str, str]], object], remove: Callable[[list[str]], object]) -> None:
    """Set the tags that are new or other, remove those that are gone."""
    before: dict[str, str] = it.before.get("tags", {})
    tags: dict[str, str] = it.inputs.get("tags", {})
    changed = {key: value for key, value in tags.items() if before.get(key) != value}
    if changed:
        put(changed)
    if gone := [key for key in before if key not in tags]:
        remove(gone)


def _aws_name(fields: Fields, key: str) -> str:
    target = fields.get(key, key)
    return target if isinstance(target, str) else target.name
