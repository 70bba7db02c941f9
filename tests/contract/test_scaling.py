"""The documentation says how far it scales, and a plan reads a stack as the program makes it."""

from dataclasses import asdict

from components.config import aws_limits
from ops.local.deployer import Registered
from ops.plan import figures, stack
from tests.components.configurations import FIXED
from tests.components.recording import ROOT
from tests.contract.scaling import dev, render


def test_the_page_says_what_is_simulated() -> None:
    """Whoever changes a figure or a default sees what it does to the plans."""
    assert (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8") == render()


def test_figures_and_limits_of_the_configuration_agree() -> None:
    """The program refuses what a plan knows AWS to refuse."""
    assert figures.MAX_CONCURRENCY_LEAST.value == aws_limits.MIN_CONCURRENCY
    assert figures.MAX_CONCURRENCY_MOST.value == aws_limits.MAX_CONCURRENCY
    assert figures.RECEIVE_BATCH.value == aws_limits.MAX_BATCH_WITHOUT_WINDOW


def test_a_stack_is_read_as_it_is_registered() -> None:
    """Every setting that a plan uses, of the stack `dev`."""
    assert asdict(dev()) == {
        "name": "events",
        "batch_size": 10,
        "window": 2,
        "timeout": 30,
        "visibility": 182,
        "max_receive_count": 5,
        "retention": 345_600,
        "backoff_base": 2.0,
        "backoff_max": 300.0,
        "outage": 2730,
        "breaker_hold": 60,
        "memory_mb": 256,
        "max_concurrency": 2,
        "reserved_concurrency": None,
        "pollers": None,
        "fifo": False,
        "throttle_rate": 100,
    }


def test_every_pipeline_of_every_configuration_can_be_planned() -> None:
    """All three, FIFO and reserved concurrency among them; the lake has no API before it."""
    found = {
        configuration.name: stack.pipelines(
            [Registered(one.type, one.name, one.inputs) for one in configuration.recording().resources]
        )
        for configuration in FIXED
    }

    assert {name: sorted(there) for name, there in found.items()} == {
        "dev": ["events"],
        "prod": ["events"],
        "everything on dev": ["events", "lake", "orders"],
        "everything on prod": ["events", "lake", "orders"],
        "FIFO on prod": ["events"],
    }
    everything = found["everything on dev"]
    assert found["FIFO on prod"]["events"].fifo
    assert not everything["events"].fifo
    assert everything["events"].reserved_concurrency == 20
    assert (everything["lake"].throttle_rate, everything["orders"].throttle_rate) == (None, 100)
    assert everything["lake"].timeout == 300
