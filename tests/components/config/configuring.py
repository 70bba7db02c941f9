"""Reads configurations, good and bad."""

import pytest

from components.config.settings import Settings, SettingsError, read_settings
from tests.components.recording import TO_BE_SET, run


def read(config: dict[str, object], stack: str = "dev") -> Settings:
    """The settings that the configuration gives, with what a stack leaves to whoever deploys it."""
    found: list[Settings] = []
    run(lambda: found.append(read_settings()), stack=stack, config={**TO_BE_SET.get(stack, {}), **config})
    return found[0]


def problems(config: dict[str, object], stack: str = "dev") -> list[str]:
    """What is reported of a bad configuration, without the namespace."""
    with pytest.raises(SettingsError) as caught:
        read(config, stack)
    return [problem.removeprefix("ingestion-lab:") for problem in caught.value.problems]


def key_of(field: str) -> str:
    """The configuration key of a field."""
    head, *rest = field.split("_")
    return head + "".join(word.title() for word in rest)
