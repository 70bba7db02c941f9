"""What the contract tests share."""

import pytest

from ops.local.cloudwatch.logs import LogEvent
from tests.contract.log_set import morning


@pytest.fixture(scope="module")
def log_set() -> list[LogEvent]:
    """What the functions say on a morning on which everything happens."""
    with pytest.MonkeyPatch.context() as patch:
        return morning(patch)
