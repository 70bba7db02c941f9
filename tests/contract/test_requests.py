"""Every request that a deployment makes is one that AWS's own service models allow."""

from typing import Any

import botocore.session
import pytest

from tests.components.configurations import CONFIGURATIONS, Configuration
from tests.components.recording import main_program, run
from tests.contract.aws_models import Walk, Walker


@pytest.fixture(scope="module")
def walked() -> dict[str, Any]:
    """Most resources are the same in most configurations: each is walked once."""
    return {}


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=str)
def test_every_request_is_within_the_models(
    configuration: Configuration, walked: dict[str, Any], record_property: Any
) -> None:
    """Lengths, patterns, enumerations and ranges hold, with names as long as the provider makes them."""
    walker = Walker(known=walked)
    run(main_program, stack=configuration.stack, config=configuration.whole, into=walker)

    record_property("configurations walked", 1)
    record_property("requests", walker.walk.requests)
    record_property("constraints", walker.walk.constraints)
    assert sorted(set(walker.walk.faults)) == []
    assert walker.walk.requests > len(walker.of("Function"))


@pytest.mark.parametrize(
    ("service", "operation", "params", "fault"),
    [
        ("iam", "CreateRole", {"RoleName": "r" * 65}, "RoleName: 65 is above 64"),
        ("iam", "CreateRole", {"RoleName": "a b"}, "RoleName: 'a b' does not match"),
        ("iam", "TagRole", {"Tags": [{"Key": "a#"}]}, "Tags[0].Key: 'a#' does not match"),
        ("lambda", "CreateFunction", {"MemorySize": 64}, "MemorySize: 64 is below 128"),
        ("dynamodb", "CreateTable", {"BillingMode": "FREE"}, "BillingMode: 'FREE' is none of"),
        ("glue", "CreateDatabase", {"DatabaseInput": {"Name": ""}}, "DatabaseInput.Name: 0 is below 1"),
    ],
)
def test_what_the_models_refuse_is_seen(service: str, operation: str, params: dict[str, Any], fault: str) -> None:
    """One planted fault of each sort is found, where it is."""
    walk = Walk()
    walk.check(botocore.session.Session().get_service_model(service).operation_model(operation), params)

    assert [found.startswith(f"{service}:{operation}.{fault}") for found in walk.faults] == [True]
