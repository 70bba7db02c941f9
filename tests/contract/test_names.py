"""No two stacks of an account share a name in it."""

from collections.abc import Mapping
from functools import cache
from itertools import combinations
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ops.cli import loglines
from ops.cost.fixed import metrics
from tests.components.configurations import CONFIGURATIONS
from tests.components.recording import EVERY_PIPELINE, Recording, main_program, run

_NAMES = ("name", "layerName", "alarmName", "dashboardName")  # what is left out is generated, and ends in random digits
_WITHIN = {"CatalogTable", "Stage"}  # named within something of the stack's own
_CHOSEN = {"CatalogDatabase"}  # the configuration alone names it
_EVERYTHING: Mapping[str, object] = {
    "pipelines": EVERY_PIPELINE,
    "useKmsCmk": True,
    "authMode": "apiKey",
    "apiKey": "0123456789abcdefghij",
    "webhookUrl": "https://hooks.example/",
}
_PLACEHOLDER = "0placeholder0"
_WORDS = ("dev", "prod", "eu", "events", "orders", "lake", "redrive", "api", "5xx", "queue", "critical", "ingestion")
_STACKS = st.lists(st.sampled_from(_WORDS), min_size=1, max_size=3).map("-".join)


def _names(recording: Recording) -> frozenset[tuple[str, str]]:
    """Type and name of everything whose name in the account the program chose."""
    return frozenset(
        (type_, resource.inputs[key])
        for resource in recording.resources
        for type_ in [resource.type.rpartition(":")[2]]
        if resource.type.startswith("aws:") and type_ not in {*_WITHIN, *_CHOSEN}
        for key in _NAMES
        if key in resource.inputs
    )


@cache
def _recorded(stack: str) -> Recording:
    production = {"production": True} if stack.startswith("prod") else {"failureInjection": True}
    return run(main_program, stack=stack, config={**_EVERYTHING, **production})


def _of_stack(stack: str) -> frozenset[tuple[str, str]]:
    return _names(_recorded(stack))


def _shared(names: frozenset[tuple[str, str]], one: str, other: str) -> set[tuple[str, str]]:
    """The names that two stacks share, by the registrations of one with each name in place of its own."""
    first, second = ({(type_, name.replace(_PLACEHOLDER, stack)) for type_, name in names} for stack in (one, other))
    return first & second


def test_the_stacks_of_an_account_share_no_name() -> None:
    """Each with every pipeline and option, and each by its own registrations."""
    stacks = {stack: _of_stack(stack) for stack in ("dev", "prod", "prod-eu")}

    assert {pair: stacks[pair[0]] & stacks[pair[1]] for pair in combinations(stacks, 2)} == dict.fromkeys(
        combinations(stacks, 2), frozenset()
    )
    kinds = {"Alias", "CompositeAlarm", "Dashboard", "LayerVersion", "LogGroup", "MetricAlarm", "QueryDefinition"}
    assert {type_ for type_, _ in stacks["dev"]} == kinds | {"Parameter"}
    assert {type_ for type_, _ in stacks["prod"]} == kinds


def test_every_name_has_the_stack_in_it() -> None:
    """Whatever the configuration does not name itself."""
    assert [name for _, name in _of_stack(_PLACEHOLDER) if _PLACEHOLDER not in name] == []


def test_no_two_stack_names_make_a_shared_name(record_property: Any) -> None:
    """Not even names such as dev and dev-events, of which one goes on with what could be a name of the other."""
    compared: set[tuple[str, str]] = set()
    names = _of_stack(_PLACEHOLDER)

    @given(_STACKS, _STACKS)
    @settings(max_examples=300, deadline=None)
    def check(one: str, other: str) -> None:
        if one != other:
            compared.add((one, other))
            assert _shared(names, one, other) == set()

    check()
    record_property("pairs of stacks", len(compared))
    record_property("names of each", len(names))
    assert len(compared) > 100


def test_lab_knows_every_function_by_its_name() -> None:
    """Its log group is told from those of a stack whose name goes on where this one's ends, by the whole name."""
    made = {function.name for one in CONFIGURATIONS for function in one.recording().of("Function")}

    assert made == loglines.FUNCTIONS
    assert [name for name in made for other in made if name.endswith(f"-{other}")] == []


def _own_metrics(stack: str) -> frozenset[tuple[str, str, str]]:
    """Namespace, name and dimensions of our own metrics: those of AWS have generated names in them, a search none."""
    return frozenset(
        metric for metric in metrics(_recorded(stack).resources) if metric[0].partition("/")[0] not in {"AWS", ""}
    )


def test_the_stacks_of_an_account_share_no_metric() -> None:
    """Else an alarm of one would hear of the other's dead letters, and a graph would add the two up."""
    stacks = {stack: _own_metrics(stack) for stack in ("dev", "prod", "prod-eu")}

    assert {name for _, name, _ in stacks["dev"]} >= {"Succeeded", "CircuitOpen", "RecordErrors", "RecordsProcessed"}
    assert [one & other for one, other in combinations(stacks.values(), 2)] == [frozenset()] * 3


def test_a_shared_name_would_be_found() -> None:
    """The checks above can fail: an alarm without the stack is everybody's."""
    recording = _recorded(_PLACEHOLDER)
    (alarm,) = [r for r in recording.of("MetricAlarm") if r.name == "api-5xx"]
    names = _names(recording) - {("MetricAlarm", alarm.inputs["name"])} | {("MetricAlarm", "api-5xx")}

    assert [name for _, name in names if _PLACEHOLDER not in name] == ["api-5xx"]
