"""What the component tests share."""

import pytest

from tests.components.recording import Recording, run_main


@pytest.fixture(scope="session")
def dev() -> Recording:
    """The program as the dev stack's YAML configures it."""
    return run_main("dev")


@pytest.fixture(scope="session")
def prod() -> Recording:
    """The program as the prod stack's YAML configures it."""
    return run_main("prod")


@pytest.fixture(scope="session")
def everything() -> Recording:
    """The dev stack with every option on that adds a grant."""
    network = {"vpcSubnetIds": ["subnet-0123456789abcdef0"], "vpcSecurityGroupIds": ["sg-0123456789abcdef0"]}
    told = {"webhookUrl": "https://hooks.example/T0/secret-part"}
    return run_main("dev", {"useKmsCmk": True, "tracing": True, **network, **told})
