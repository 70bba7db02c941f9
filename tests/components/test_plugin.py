"""The component package for programs in other languages: its schema, and what its components register."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from pulumi.provider.experimental.component import ComponentProvider
from pulumi.provider.server import ComponentInitError

from components.messaging.consumer import QueueConsumerArgs
from components.messaging.queue import ReliableQueueArgs
from ingestion_lab import plugin
from tests.components.recording import ROOT, Recording, run


def test_the_schema_is_that_of_the_classes() -> None:
    """`plugin/schema.json` is what Pulumi infers now: `python -m ingestion_lab.plugin > plugin/schema.json`."""
    assert (ROOT / "plugin" / "schema.json").read_text(encoding="utf-8") == plugin.schema()


def test_what_has_a_default_may_be_left_out() -> None:
    """Only what a component can't do without is required."""
    resources = json.loads(plugin.schema())["resources"]

    assert {token.rpartition(":")[2]: made["requiredInputs"] for token, made in resources.items()} == {
        "EventBus": [],
        "QueueConsumer": ["functionArn", "queueArn"],
        "ReliableQueue": ["consumerTimeoutSeconds"],
        "StateTable": [],
    }


@pytest.mark.parametrize(
    ("inputs", "args"),
    [(plugin.ReliableQueueInputs, ReliableQueueArgs), (plugin.QueueConsumerInputs, QueueConsumerArgs)],
    ids=lambda one: one.__name__,
)
def test_inputs_are_those_of_the_components(inputs: type, args: type) -> None:
    """Every input of the package is an argument of the component that it becomes."""
    assert set(inputs.__annotations__) <= set(args.__dataclass_fields__)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("make", "registered"),
    [
        (
            lambda: plugin.ReliableQueue("q", {"consumer_timeout_seconds": 30}),
            {"q", "q-queue", "q-dlq", "q-dlq-redrive-allow", "q-queue-policy", "q-dlq-policy"},
        ),
        (lambda: plugin.QueueConsumer("c", {"queue_arn": "arn:q", "function_arn": "arn:f"}), {"c", "c-mapping"}),
        (lambda: plugin.StateTable("t", {}), {"t"}),
        (lambda: plugin.EventBus("b", {}), {"b"}),
    ],
    ids=["ReliableQueue", "QueueConsumer", "StateTable", "EventBus"],
)
def test_a_component_of_the_package_is_that_of_the_program(make: Callable[[], Any], registered: set[str]) -> None:
    """It registers the component of the same name, as its child, and passes on what is asked of it."""
    made: list[Any] = []
    recording = run(lambda: made.append(make()))
    outer, inner = recording.resources[:2]

    assert {one.name for one in recording.resources} == registered
    assert outer.type == f"ingestion-lab:index:{type(made[0]).__name__}"
    assert (inner.type.rpartition(":")[2], inner.parent) == (type(made[0]).__name__, outer.name)


def _constructed(component: str, inputs: dict[str, Any]) -> Recording:
    """What the package registers for a program in another language: every number comes as a float."""
    provider = ComponentProvider(plugin.COMPONENTS, "ingestion-lab", version="0.1.0")
    return run(lambda: provider.construct("payments", f"ingestion-lab:index:{component}", inputs))


def test_numbers_are_whole_again() -> None:
    """A redrive policy is a text for SQS: in it a count stands without a fraction; a fraction is refused."""
    made = _constructed("ReliableQueue", {"consumerTimeoutSeconds": 30.0, "maxReceiveCount": 3.0})
    queue = made.inputs("Queue", "payments-queue")

    assert queue["redrivePolicy"] == '{"deadLetterTargetArn": "arn:payments-dlq", "maxReceiveCount": 3}'
    assert queue["visibilityTimeoutSeconds"] == 180
    with pytest.raises(ComponentInitError, match=r"batch_size must be a whole number, got 2\.5"):
        _constructed("QueueConsumer", {"queueArn": "arn:q", "functionArn": "arn:f", "batchSize": 2.5})


def test_the_example_in_typescript_fits_the_schema() -> None:
    """Its components are of the package, with all inputs that are required and no others than there are."""
    text = (ROOT / "examples" / "typescript" / "index.ts").read_text(encoding="utf-8")
    made = re.findall(r"new lab\.(\w+)\(\"\w+\", \{(.*?)\}\)", text, re.DOTALL)
    resources = json.loads(plugin.schema())["resources"]

    assert [name for name, _ in made] == ["ReliableQueue", "QueueConsumer"]
    for name, inputs in made:
        known = resources[f"ingestion-lab:index:{name}"]
        given = set(re.findall(r"(?:^|[{,\s])(\w+): ", inputs))
        assert set(known["requiredInputs"]) <= given <= set(known["inputProperties"])


def test_the_example_in_yaml_fits_the_schema() -> None:
    """Its resources are of the package, with all inputs that are required and no others than there are."""
    folder = ROOT / "examples" / "yaml"
    program = yaml.safe_load((folder / "Pulumi.yaml").read_text(encoding="utf-8"))
    schema = json.loads(plugin.schema())
    made = {name: schema["resources"][one["type"]] for name, one in program["resources"].items()}
    outputs = [re.findall(r"\w+", text) for text in program["outputs"].values()]

    assert (folder / program["packages"][schema["name"]] / "PulumiPlugin.yaml").exists()
    for name, one in program["resources"].items():
        given = set(one["properties"])
        assert set(made[name]["requiredInputs"]) <= given <= set(made[name]["inputProperties"])
    assert [(name, output) for name, output in outputs if output not in made[name]["properties"]] == []
