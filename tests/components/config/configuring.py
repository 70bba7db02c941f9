"""Reads configurations, good and bad."""

from collections.abc import Sequence

import pulumi
import pytest
from pulumi.runtime import config as pulumi_config

from components.config.reader import SettingsError, read_settings
from components.config.settings import Settings
from tests.components.recording import PROJECT, TO_BE_SET, run


def read(config: dict[str, object], stack: str = "dev", secrets: Sequence[str] = ()) -> Settings:
    """The settings that the configuration gives, with what a stack leaves to whoever deploys it.

    `secrets` are the keys that were set as secrets.
    """
    found: list[Settings] = []

    def program() -> None:
        pulumi.runtime.set_all_config(pulumi_config.CONFIG.get(), [f"{PROJECT}:{key}" for key in secrets])
        found.append(read_settings())

    run(program, stack=stack, config={**TO_BE_SET.get(stack, {}), **config})
    return found[0]


def problems(config: dict[str, object], stack: str = "dev", secrets: Sequence[str] = ()) -> list[str]:
    """What is reported of a bad configuration, without the namespace."""
    with pytest.raises(SettingsError) as caught:
        read(config, stack, secrets)
    return [problem.removeprefix("ingestion-lab:") for problem in caught.value.problems]


def key_of(field: str) -> str:
    """The configuration key of a field."""
    head, *rest = field.split("_")
    return head + "".join(word.title() for word in rest)
