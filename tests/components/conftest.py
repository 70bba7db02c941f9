"""What the component tests share."""

from pathlib import Path

import pytest

from ops.local import venv
from tests.components.recording import ROOT, Recording, run_main


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
    return run_main("dev", {"useKmsCmk": True, "tracing": True, "publishSuccesses": True, **network, **told})


@pytest.fixture(scope="session")
def runtime_packages() -> Path:
    """What stands in for the packages of Lambda's runtime: the emulator's, which are built where they are missing."""
    python, *_ = venv.ensure(ROOT)
    (packages,) = Path(python).parents[1].glob("lib/python3.*/site-packages")
    return packages
