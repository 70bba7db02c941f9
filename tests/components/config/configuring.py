"""Reads configurations, good and bad."""

from collections.abc import Iterable, Mapping

import pytest

from components.config.reader import SettingsError, read_settings
from components.config.settings import Settings
from tests.components.recording import SECRETS, TO_BE_SET, run

# Without these, production is refused; they stand in Pulumi.prod.yaml.
PRODUCTION: Mapping[str, object] = {"production": True, "useKmsCmk": True}


def read(config: dict[str, object], stack: str = "dev", secrets: Iterable[str] = SECRETS) -> Settings:
    """The settings that the configuration gives, with what a stack leaves to whoever deploys it.

    `secrets` are the keys that are encrypted where they are set.
    """
    found: list[Settings] = []
    given = {**TO_BE_SET.get(stack, {}), **(PRODUCTION if stack == "prod" else {}), **config}
    run(lambda: found.append(read_settings()), stack=stack, config=given, secrets=secrets)
    return found[0]


def problems(config: dict[str, object], stack: str = "dev", secrets: Iterable[str] = SECRETS) -> list[str]:
    """What is reported of a bad configuration, without the namespace."""
    with pytest.raises(SettingsError) as caught:
        read(config, stack, secrets)
    return [problem.removeprefix("ingestion-lab:") for problem in caught.value.problems]


def key_of(field: str) -> str:
    """The configuration key of a field."""
    head, *rest = field.split("_")
    return head + "".join(word.title() for word in rest)
