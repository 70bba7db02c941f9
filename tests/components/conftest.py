"""What the component tests share."""

import pytest

from tests.components.recording import Recording, run_main


@pytest.fixture(scope="session")
def dev() -> Recording:
    """The program as the dev stack's YAML configures it."""
    return run_main("dev")
