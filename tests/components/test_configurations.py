"""The configurations that other checks walk are accepted, and no key is left out of them."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given, settings

from components.config.settings import Settings
from tests.components.config.configuring import key_of, read
from tests.components.configurations import ALARMS, ALONE, CONFIGURATIONS, Configuration, configurations
from tests.components.recording import stack_config


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(configurations())
def test_the_settings_accept_what_is_drawn(configuration: Configuration) -> None:
    """A draw that is refused would tell nothing about the program."""
    read(configuration.whole, configuration.stack)


def _ends(strategy: Any) -> tuple[int, ...]:
    """The least and the greatest of a range of whole numbers, which hypothesis seldom draws."""
    whole = getattr(strategy, "wrapped_strategy", strategy)
    return (whole.start, whole.end) if hasattr(whole, "start") else ()


def test_the_settings_accept_the_ends_of_what_is_drawn() -> None:
    """A range that is wider than the limit of its key would fail a run on the day on which its end is drawn."""
    told: list[dict[str, object]] = [{key: end} for key, strategy in ALONE.items() for end in _ends(strategy)]
    told += [{"alarms": {part: end}} for part, strategy in ALARMS.items() for end in _ends(strategy)]
    for config in told:
        read(stack_config("dev") | config, "dev")

    assert len(told) > 40


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=str)
def test_the_settings_accept_what_is_walked(configuration: Configuration) -> None:
    """Likewise for those that every check walks."""
    read(configuration.whole, configuration.stack)


def test_every_key_is_set_somewhere() -> None:
    """A key that was added to the settings is added to what is drawn."""
    keys = {key_of(field.name) for field in dataclasses.fields(Settings) if field.name != "stack"}
    drawn: set[str] = set()

    @settings(max_examples=200, deadline=None, derandomize=True, database=None)
    @given(configurations())
    def collect(configuration: Configuration) -> None:
        drawn.update(configuration.config)

    collect()
    assert drawn == keys


def test_those_that_are_walked_differ() -> None:
    """Each costs seconds, so none is walked twice."""
    told = [json.dumps([c.stack, c.whole], sort_keys=True) for c in CONFIGURATIONS]
    assert len(set(told)) == len(told)
