"""The deployed functions run in the test's process, on a wire that can fail."""

import pytest

_VERDICTS = ("book", "consumer", "lake_book", "ledger", "matrix", "wire")
_SCENARIOS = ("breaker", "control", "event", "lake", "order", "redrive", "run")
pytest.register_assert_rewrite(  # so that their asserts say why
    *(f"tests.live.{name}" for name in _VERDICTS), *(f"tests.live.{name}_scenarios" for name in _SCENARIOS)
)
