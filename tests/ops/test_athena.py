"""Athena as `lab lake compact` uses it, by AWS's own description of its calls."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.stub import Stubber

from ops.cli import target
from ops.cli.lake.athena import Athena
from ops.cli.lake.compaction import RefusedError
from ops.local.errors import LabError

_STATEMENT = "OPTIMIZE shipments REWRITE DATA USING BIN_PACK WHERE dt = DATE '2026-01-31'"


class _Clock:
    """Time that passes in waits alone."""

    def __init__(self) -> None:
        self.time = 0.0
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time += seconds

    def now(self) -> float:
        return self.time


@pytest.fixture
def client() -> Any:
    """Of Athena, with AWS's description of it."""
    session = target.account("eu-central-1", None)
    session.set_credentials("test", "test")
    return session.create_client("athena")


@pytest.fixture
def stubbed(client: Any) -> Iterator[Stubber]:
    """Its answers; all of them must have been asked for."""
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def _started(stubbed: Stubber) -> None:
    expected = {
        "QueryString": _STATEMENT,
        "QueryExecutionContext": {"Catalog": "AwsDataCatalog", "Database": "lake"},
        "WorkGroup": "primary",
    }
    stubbed.add_response("start_query_execution", {"QueryExecutionId": "q-1"}, expected)


def _looked(stubbed: Stubber, state: str, **more: Any) -> None:
    status = {"State": state, **more}
    stubbed.add_response("get_query_execution", {"QueryExecution": {"Status": status}}, {"QueryExecutionId": "q-1"})


def test_waits_until_it_is_done(client: Any, stubbed: Stubber) -> None:
    """Looks less and less often, at times that differ from run to run."""
    _started(stubbed)
    for state in ("QUEUED", *["RUNNING"] * 6, "SUCCEEDED"):
        _looked(stubbed, state)
    clock = _Clock()
    Athena(client, "lake", "primary", sleep=clock.sleep, now=clock.now).rewrite("shipments", "2026-01-31")

    longest = [1, 2, 4, 8, 15, 15, 15]
    assert len(clock.waits) == len(longest)
    assert all(most / 2 <= wait <= most for wait, most in zip(clock.waits, longest, strict=True))


@pytest.mark.parametrize(
    ("state", "more", "told"),
    [
        (
            "FAILED",
            {"StateChangeReason": "ACCESS_DENIED: no"},
            "FAILED: ACCESS_DENIED: no; mend that, and run this again",
        ),
        (
            "FAILED",
            {"StateChangeReason": "ICEBERG_COMMIT_ERROR: someone"},
            "FAILED: ICEBERG_COMMIT_ERROR: someone; run this again",
        ),
        (
            "FAILED",
            {"StateChangeReason": "busy", "AthenaError": {"Retryable": True}},
            "FAILED: busy; run this again",
        ),
        ("CANCELLED", {}, "CANCELLED: no reason given; run this again"),
    ],
)
def test_says_why_it_was_not_done(client: Any, stubbed: Stubber, state: str, more: dict[str, Any], told: str) -> None:
    """With what to do next."""
    _started(stubbed)
    _looked(stubbed, state, **more)
    with pytest.raises(RefusedError) as caught:
        Athena(client, "lake", "primary").rewrite("shipments", "2026-01-31")
    assert str(caught.value) == f"Athena's query q-1 is {told}"


def test_does_not_wait_for_ever(client: Any, stubbed: Stubber) -> None:
    """The query goes on: whoever comes back finds what it has done."""
    _started(stubbed)
    _looked(stubbed, "RUNNING")
    _looked(stubbed, "RUNNING")
    clock = _Clock()

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        clock.time += 3600

    with pytest.raises(RefusedError, match="query q-1 is RUNNING after 40 minutes, and goes on: run this again later"):
        Athena(client, "lake", "primary", sleep=sleep, now=clock.now).rewrite("shipments", "2026-01-31")


def test_takes_no_statements(client: Any, stubbed: Stubber) -> None:
    """No day can be done: the workgroup has no place for results, or there is none of that name."""
    stubbed.add_client_error("start_query_execution", "InvalidRequestException", "No output location provided.")
    with pytest.raises(LabError, match=r"No output location provided\. \(--workgroup names") as caught:
        Athena(client, "lake", "primary").rewrite("shipments", "2026-01-31")
    assert not isinstance(caught.value, RefusedError)
