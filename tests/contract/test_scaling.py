"""The documentation says how far it scales, and a plan reads a stack as the program makes it."""

from dataclasses import asdict, replace

import pytest

from components.config import aws_limits
from ops.cli.doctor import concurrency
from ops.cost.paths import Figure, Shape, Usage, per_million
from ops.local.deployer import Registered
from ops.plan import figures, report, stack
from ops.plan.model import Load
from tests.components.configurations import FIXED
from tests.components.recording import ROOT, run_main
from tests.contract.scaling import dev, render, resources


def test_the_page_says_what_is_simulated() -> None:
    """Whoever changes a figure or a default sees what it does to the plans."""
    assert (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8") == render()


def test_figures_and_limits_of_the_configuration_agree() -> None:
    """The program refuses what a plan knows AWS to refuse."""
    assert figures.MAX_CONCURRENCY_LEAST.value == aws_limits.MIN_CONCURRENCY
    assert figures.MAX_CONCURRENCY_MOST.value == aws_limits.MAX_CONCURRENCY
    assert figures.POLLERS_LEAST.value == aws_limits.MIN_POLLERS
    assert figures.POLLERS_LEAST_MOST.value == aws_limits.MAX_MINIMUM_POLLERS
    assert figures.PROVIDER_POLLERS == aws_limits.MAX_POLLERS
    assert figures.POLLER_INVOKES.value == aws_limits.POLLER_CONCURRENCY == concurrency.POLLER_CONCURRENCY
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
        "takes_pollers": True,
        "targets": 0,
        "puts": 0,
    }


def test_a_plan_prices_an_event_as_lab_cost_does() -> None:
    """At the batches and the time of the plan: more load than can be worked makes full ones."""
    shape = Shape.of(resources())
    load = Load(rate=1000, worker_ms=50, size=2000, per_request=10)
    usage = replace(
        Usage.assumed("events", shape),
        batch=Figure(10),
        worker_ms=Figure(530),
        message_bytes=Figure(2000),
        item_bytes=Figure(2400),
        events=Figure(10),
        a_month=Figure(1000 * 730 * 3600),
    )

    made = report.make(dev(), load, shape)

    assert made.dollars == pytest.approx(per_million("events", shape, usage))
    assert report.make(dev(), load).dollars is None
    assert report.make(dev(), replace(load, worker_ms=60_000), shape).dollars is None


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
    assert {name: (one.takes_pollers, one.puts, one.targets) for name, one in everything.items()} == {
        "events": (True, 0, 1),
        "orders": (False, 1, 2),
        "lake": (False, 0, 1),
    }


def test_the_knobs_of_a_plan_are_keys_that_the_program_takes() -> None:
    """With the values that the plan gives them, all at once."""
    load = Load(rate=150, worker_ms=400, outage=5 * 86_400)
    pipeline = replace(dev(), reserved_concurrency=2)
    slow, quick = report.make(pipeline, load), report.make(pipeline, replace(load, rate=90_000, per_request=100))

    assert slow.settings.keys() | quick.settings.keys() == {
        "messageRetentionSeconds",
        "provisionedPollers",
        "throttleRate",
        "workerReservedConcurrency",
    }
    config = {**quick.settings, **slow.settings}
    assert {one.type for one in run_main("dev", config).resources} >= {"aws:sqs/queue:Queue"}
