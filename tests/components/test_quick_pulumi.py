"""What the tests put in place of parts of Pulumi's SDK changes nothing but the time."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.components import quick_pulumi
from tests.components.recording import Recording, Registered, main_program, run

_CONFIG = {"pipelines": ["lake"], "useKmsCmk": True, "webhookUrl": "https://hooks.example/T0/secret-part"}


@pytest.fixture
def sdk() -> Iterator[None]:
    """The SDK as it comes."""
    quick_pulumi.uninstall()
    yield
    quick_pulumi.install()


def _recorded(*, preview: bool) -> Recording:
    return run(main_program, config=_CONFIG, preview=preview)


def _told(recording: Recording) -> list[Registered]:
    """The registrations in an order of their own; what is not known is that object anew each time."""
    told = [
        replace(r, inputs=json.loads(json.dumps(r.inputs, default=lambda other: type(other).__name__)))
        for r in recording.resources
    ]
    return sorted(told, key=lambda one: (one.type, one.name))


@pytest.mark.parametrize("preview", [False, True], ids=["update", "preview"])
@pytest.mark.usefixtures("sdk")
def test_the_same_is_registered(*, preview: bool) -> None:
    """Inputs, dependencies, secrets and what the stack exports, by a program with all kinds of resources."""
    as_it_comes = _recorded(preview=preview)
    quick_pulumi.install()
    quick = _recorded(preview=preview)

    assert _told(quick) == _told(as_it_comes)
    assert quick.outputs == as_it_comes.outputs
