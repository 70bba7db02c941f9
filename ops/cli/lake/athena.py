"""Statements that Athena runs on the lake's tables, waited for."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from ops.cli.lake.compaction import RefusedError
from ops.local.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable

_FIRST_WAIT, _LONGEST_WAIT = 1.0, 15.0  # seconds between two looks
_DEADLINE = 40 * 60.0  # Athena gives up by itself after 30 minutes (the quota for DML)
_OVERTAKEN = ("ICEBERG_COMMIT_ERROR", "ICEBERG_OPTIMIZE_MORE_RUNS_NEEDED")  # others committed; a part is done
_GOES_ON = frozenset({"QUEUED", "RUNNING"})


class Athena:
    """Lets Athena rewrite the small files of a day, which commits as any other engine does: whole, or not at all."""

    def __init__(
        self,
        client: Any,  # noqa: ANN401 - one class per service
        database: str,
        workgroup: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._database = database
        self._workgroup = workgroup
        self._sleep = sleep
        self._now = now

    def rewrite(self, record_type: str, dt: str) -> None:
        """Start `OPTIMIZE` for a day of a table, and wait until it is done.

        Raises:
            RefusedError: it failed, was cancelled, or takes too long; other days may do.
            LabError: Athena takes no statements.
        """
        query = self._start(f"OPTIMIZE {record_type} REWRITE DATA USING BIN_PACK WHERE dt = DATE '{dt}'")
        until = self._now() + _DEADLINE
        longest = _FIRST_WAIT
        while (status := self._status(query))["State"] in _GOES_ON:
            if self._now() >= until:
                raise RefusedError(
                    f"Athena's query {query} is {status['State']} after {_DEADLINE / 60:.0f} minutes, and goes on:"
                    " run this again later"
                )
            self._sleep(random.uniform(longest / 2, longest))  # noqa: S311 - spreads load, guards nothing
            longest = min(longest * 2, _LONGEST_WAIT)
        if status["State"] != "SUCCEEDED":
            raise RefusedError(_why(query, status))

    def _start(self, statement: str) -> str:
        try:
            started = self._client.start_query_execution(
                QueryString=statement,
                QueryExecutionContext={"Catalog": "AwsDataCatalog", "Database": self._database},
                WorkGroup=self._workgroup,
            )
        except self._client.exceptions.InvalidRequestException as error:
            raise LabError(
                f"Athena takes no statement: {error.response['Error']['Message']} (--workgroup names the workgroup;"
                " it needs engine version 3 and a place for results)"
            ) from error
        return str(started["QueryExecutionId"])

    def _status(self, query: str) -> dict[str, Any]:
        found = self._client.get_query_execution(QueryExecutionId=query)
        status: dict[str, Any] = found["QueryExecution"]["Status"]
        return status


def _why(query: str, status: dict[str, Any]) -> str:
    reason = status.get("StateChangeReason") or "no reason given"
    may_do = status["State"] == "CANCELLED" or status.get("AthenaError", {}).get("Retryable")
    may_do = may_do or any(word in reason for word in _OVERTAKEN)
    next_step = "run this again" if may_do else "mend that, and run this again"
    return f"Athena's query {query} is {status['State']}: {reason}; {next_step}"
