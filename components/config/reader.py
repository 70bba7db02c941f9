"""Reads the stack's configuration; nothing else touches `pulumi.Config`.

Everything that is wrong is reported at once, and of no secret more than that it is one.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping

import pulumi
from pulumi.runtime import config as pulumi_config
from pydantic import TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from components.config.alarm_limits import PARTS
from components.config.checks import Agreement, agreements
from components.config.settings import Settings
from components.config.values import REFUSED

_SECRET = "[secret]"  # noqa: S105 - what stands for one
_SETTINGS = TypeAdapter(Settings)
_FIELDS = {to_camel(f.name): f for f in dataclasses.fields(Settings) if f.name != "stack"}  # by key


class SettingsError(pulumi.RunError):
    """The configuration can't be used; the message lists every fault with its limit and the value received."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        noun = "value is" if len(problems) == 1 else "values are"
        super().__init__("\n  - ".join([f"{len(problems)} configuration {noun} wrong; nothing was made:", *problems]))


def read_settings() -> Settings:
    """The stack's configuration.

    Raises:
        SettingsError: for all wrong and unknown keys together.
    """
    given = _Given(pulumi.Config())
    settings, faults = _parsed(given.values)
    wrong = {fault["loc"][0] for fault in faults}
    problems = [
        *(given.unknown(key) for key in sorted(given.keys - set(_FIELDS))),
        *(_fault(given, fault) for fault in faults),
        *([] if settings.is_nameable else [_unusable_name(settings.stack)]),
        # a value that could not be read says nothing about how the others fit it
        *(_disagreement(given, settings, a) for a in agreements(settings) if not a.kept and wrong.isdisjoint(a.fields)),
        *(() if settings.is_laptop else given.in_clear()),
    ]
    if problems:
        raise SettingsError(problems)
    return settings


class _Given:
    """The configuration as Pulumi delivers it, a text for each key, and how it is told of."""

    def __init__(self, config: pulumi.Config) -> None:
        self._config = config
        full_keys = {*pulumi_config.CONFIG.get(), *pulumi_config.get_config_env()}
        self.keys = {key.partition(":")[2] for key in full_keys if key.startswith(f"{config.name}:")}
        self.values = {f.name: text for key, f in _FIELDS.items() if (text := config.get(key)) is not None}

    def unknown(self, key: str) -> str:
        """That there is no such key."""
        return f"{self._config.full_key(key)} is not a key of this program; got {self._shown(key)}"

    def problem(self, key: str, limit: str, part: str = "", received: str = "") -> str:
        """That the value of a key, or a part of it, is not within its limit."""
        name = f"{key}.{part}" if part else key
        return f"{self._config.full_key(name)} must be {self._veiled(limit)}; got {self._shown(key, received)}"

    def in_clear(self) -> Iterator[str]:
        """Secrets that were set without --secret: they stand in the stack's file for all who read it."""
        for key, field in _FIELDS.items():
            full_key = self._config.full_key(key)
            if not field.repr and self._config.get(key) and not pulumi_config.is_config_secret(full_key):
                yield f"{full_key} must be encrypted: pulumi config set --secret {key}; got it in clear"

    def _shown(self, key: str, part: str = "") -> str:
        """What was received for a key, or this part of it."""
        text = self._config.get(key)
        if text is None:
            return "its default"
        return _SECRET if self._is_secret(key) else repr(part or text)

    def _veiled(self, limit: str) -> str:
        """A limit that another value sets, without that value where it is a secret. Numbers hide nothing."""
        for key in self.keys:
            text = self._config.get(key)
            if text and not text.isdigit() and self._is_secret(key):
                limit = limit.replace(text, _SECRET)
        return limit

    def _is_secret(self, key: str) -> bool:
        """Whether the key is declared secret, or was set as a secret."""
        declared = key in _FIELDS and not _FIELDS[key].repr
        return declared or pulumi_config.is_config_secret(self._config.full_key(key))


def _parsed(given: Mapping[str, str]) -> tuple[Settings, list[ErrorDetails]]:
    """The settings, with the default for each value that is wrong, and what is wrong with those."""
    try:
        return _SETTINGS.validate_python({"stack": pulumi.get_stack(), **given}), []
    except ValidationError as exc:
        faults = exc.errors(include_url=False)
    wrong = {fault["loc"][0] for fault in faults}
    return _parsed({name: text for name, text in given.items() if name not in wrong})[0], faults


def _unusable_name(stack: str) -> str:
    return f"the stack's name must be 1 to 40 letters, digits, - and _, for names in AWS have it in them; got {stack!r}"


def _fault(given: _Given, fault: ErrorDetails) -> str:
    name, *part = map(str, fault["loc"])
    limit = fault["msg"] if fault["type"] == REFUSED else f"left out: it is none of {', '.join(PARTS)}"
    received = fault["input"] if isinstance(fault["input"], str) else json.dumps(fault["input"])
    return given.problem(to_camel(name), limit, ".".join(part), received)


def _disagreement(given: _Given, settings: Settings, agreement: Agreement) -> str:
    name = agreement.fields[0]
    if not agreement.part:
        return given.problem(to_camel(name), agreement.limit)
    received = str(getattr(getattr(settings, name), agreement.part))
    return given.problem(to_camel(name), agreement.limit, to_camel(agreement.part), received)
