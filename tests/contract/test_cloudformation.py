"""AWS takes what the program registers, in every configuration and in every partition: by its published schemas."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

from tests.components.configurations import CONFIGURATIONS, FIXED
from tests.components.recording import Recording, Registered, main_program, run
from tests.contract.cloudformation import FORMS, distinct, faults, resources

Walked = Mapping[str, Any]


@cache
def _walked() -> Walked:
    """Every different resource of every configuration."""
    recordings = {c.name: c.recording() for c in CONFIGURATIONS}
    return distinct(
        (f"{name}: {told}", resource)
        for name, recording in recordings.items()
        for told, resource in resources(recording.resources).items()
    )


@cache
def _found() -> list[str]:
    """What is wrong with them and with what is planted: starting the linter is a third of its time."""
    return faults({**_walked(), **_planted()})


def test_the_schemas_of_every_partition_accept_every_resource(record_property: Any) -> None:
    """A commercial region, China and GovCloud: types, names, patterns, ranges and what belongs together."""
    record_property("configurations walked", len(CONFIGURATIONS))
    record_property("resources registered", sum(len(c.recording().resources) for c in CONFIGURATIONS))
    record_property("different resources linted", len(_walked()))
    assert [line for line in _found() if not line.startswith(tuple(_planted()))] == []


def test_every_form_is_used() -> None:
    """What is no longer registered needs no form."""
    kinds = {r.type for c in CONFIGURATIONS for r in c.recording().resources if r.type.startswith("aws:")}
    assert kinds == set(FORMS)


def test_no_partition_is_written_into_the_program() -> None:
    """In China every ARN starts with arn:aws-cn, and a policy with arn:aws grants nothing there."""
    (everything,) = [c for c in FIXED if c.name == "everything on dev"]
    china = Recording(partition="aws-cn")
    config = {k: v for k, v in everything.whole.items() if k not in ("permissionsBoundaryArn", "operatorRoleArns")}
    run(main_program, stack=everything.stack, config=config, into=china)
    told = [f"{r.type} {r.name}" for r in china.resources if "arn:aws:" in json.dumps(r.inputs)]
    assert told == []
    assert any("arn:aws-cn:" in json.dumps(r.inputs) for r in china.resources)


def _registered(kind: str, inputs: Mapping[str, object]) -> Registered:
    return Registered(
        kind,
        "planted",
        inputs,
        "",
        protect=False,
        retained=False,
        depends_on=frozenset(),
        ignore_changes=(),
        secrets=(),
    )


_PLANTED: tuple[tuple[str, Mapping[str, object], str], ...] = (
    ("sqs/queue:Queue", {"messageRetentionSeconds": 1_209_601.0}, "greater than the maximum of 1209600"),
    ("sqs/queue:Queue", {"retention": 60.0}, "'Retention' was unexpected"),
    ("lambda/permission:Permission", {"function": "f", "action": "lambda:Invoke"}, "'Principal' is a required"),
    (
        "lambda/eventSourceMapping:EventSourceMapping",
        {"functionName": "f", "functionResponseTypes": ["All"]},
        "'All' is not one of",
    ),
    ("lambda/function:Function", {"role": "arn:nobody", "code": "archive of handlers"}, "'arn:nobody'"),
)


def _planted() -> dict[str, Any]:
    """Faulty resources by what is to be said of each."""
    bad = {
        fault: resource
        for kind, inputs, fault in _PLANTED
        for resource in resources([_registered(f"aws:{kind}", inputs)]).values()
    }
    return {**bad, "E3006": {"Type": "AWS::AppRunner::VpcIngressConnection", "Properties": {}}}


def test_planted_faults_are_found() -> None:
    """Each by a different keyword of the schemas, and a type that a partition has not."""
    missed = [
        fault
        for fault in _planted()
        if not any(line.startswith(fault) and fault in line[len(fault) :] for line in _found())
    ]
    assert missed == [], _found()
    assert any("E3006" in line and "cn-north-1" in line for line in _found())


def test_a_type_without_a_form_is_refused() -> None:
    """A resource that nobody wrote a form for would go unchecked."""
    with pytest.raises(KeyError, match="aws:ec2/vpc:Vpc"):
        resources([_registered("aws:ec2/vpc:Vpc", {})])
