"""The configurations that other checks walk are accepted, and no key is left out of them."""

import dataclasses
import json

import pytest
from hypothesis import given, settings

from components.config.settings import Settings
from tests.components.config.configuring import key_of, read
from tests.components.configurations import CONFIGURATIONS, Configuration, configurations


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(configurations())
def test_the_settings_accept_what_is_drawn(configuration: Configuration) -> None:
    """A draw that is refused would tell nothing about the program."""
    read(configuration.whole, configuration.stack)


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
