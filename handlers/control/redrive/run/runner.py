"""Takes runs, works on them, and pauses or ends them."""

import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from handlers import jsontext
from handlers.aws.clients import AWS_ERRORS, drop_connections, error_code
from handlers.control.redrive.errors import InterruptedRedriveError, LeaseLostError
from handlers.control.redrive.ledger import EntryState, States
from handlers.control.redrive.run.record import Run, RunState
from handlers.control.redrive.run.segment import Ending, Segment, Tools
from handlers.control.redrive.run.store import Runs
from handlers.control.redrive.sqs.inbox import VISIBILITY_SECONDS, Box, Inbox
from handlers.control.redrive.sqs.mover import Mover
from handlers.control.redrive.sqs.target import Target
from handlers.errors import Detail, SchemaValidationError
from handlers.observability import count, logger

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# Invocations in a row without progress: a minute or two apart, so an outage of ten minutes does not end a run.
MAX_STARTS = 10
_MAX_ID = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Works on runs. `once` is an SQS client that repeats no call, for sends and receives."""

    targets: Mapping[str, Target]
    runs: Runs
    states: States
    sqs: "SQSClient"
    once: "SQSClient"
    pool: Executor
    max_redrives: int
    pause: Callable[[float], None] = time.sleep

    def handle(self, event: Mapping[str, Any], seconds_left: Callable[[], float]) -> jsontext.JsonObject:
        """Works on the run that the event names, else on every active run; returns their states.

        Raises:
            SchemaValidationError: it names something that cannot be a run.
        """
        drop_connections(self.once)
        named = event.get("redriveId")
        if named is not None and not (isinstance(named, str) and len(named) <= _MAX_ID):
            raise SchemaValidationError(Detail("/redriveId", "must be the id of a redrive"))
        results: list[jsontext.Json] = [*self._resume(self.runs.active() if named is None else [named], seconds_left)]
        return {"runs": results}

    def _resume(self, redrive_ids: Iterable[str], seconds_left: Callable[[], float]) -> list[jsontext.JsonObject]:
        """Works on each run that has no other owner; returns their states."""
        results: list[jsontext.JsonObject] = []
        for redrive_id in redrive_ids:
            run = self.runs.take(redrive_id, uuid.uuid4().hex)
            if run is None:
                continue
            target = self.targets.get(run.request.pipeline)
            if target is None or target.dlq_url != run.dlq_url:
                self._end(
                    run,
                    Ending(RunState.FAILED, f"pipeline {run.request.pipeline} has another queue now"),
                )
            else:
                self._work(run, Segment(run, self._tools(target, seconds_left)))
            results.append({"redriveId": redrive_id, "state": run.state})
        return results

    def _work(self, run: Run, segment: Segment) -> None:
        try:
            self._go_through(run, segment)
        except LeaseLostError:
            segment.close()
            logger.warning("redrive left to another invocation", extra={"redriveId": run.redrive_id})
        except (InterruptedRedriveError, *AWS_ERRORS) as exc:
            self._interrupt(run, segment, exc)

    def _go_through(self, run: Run, segment: Segment) -> None:
        if run.starts > MAX_STARTS:
            segment.give_up()
            self._end(run, Ending(RunState.FAILED, f"{MAX_STARTS} invocations in a row made no progress: {run.reason}"))
            return
        ending = segment.work()
        clean = segment.close()
        if ending:
            self._end(run, ending)
            return
        run.starts = 0
        self.runs.release(run, after_seconds=0 if clean else VISIBILITY_SECONDS)
        logger.info("redrive paused", extra=_fields(run))

    def _interrupt(self, run: Run, segment: Segment, cause: Exception) -> None:
        """Pauses the run until all received letters are visible again, even if handing them back fails, too."""
        if isinstance(cause, InterruptedRedriveError):
            code, run.reason = cause.code, str(cause)
        else:
            code = run.reason = error_code(cause)
        logger.error("redrive interrupted", extra=_fields(run) | {"errorType": code})
        segment.close()
        try:
            self.runs.release(run, after_seconds=VISIBILITY_SECONDS)
        except (LeaseLostError, *AWS_ERRORS) as exc:  # the lease lapses by itself
            logger.warning("redrive not released", extra={"redriveId": run.redrive_id, "errorType": type(exc).__name__})

    def _end(self, run: Run, ending: Ending) -> None:
        self.runs.finish(run, ending.state, ending.reason)
        failed = ending.state in (RunState.FAILED, RunState.STOPPED)
        (logger.error if failed else logger.info)("redrive finished", extra=_fields(run))
        counts = {"RedriveMoved": run.tally.states[EntryState.MOVED], "RedriveStopped": int(failed)}
        count(run.request.pipeline, counts)  # the 0 too: by it an alarm knows that a run has ended well

    def _tools(self, target: Target, seconds_left: Callable[[], float]) -> Tools:
        return Tools(
            runs=self.runs,
            states=self.states.of(target.keys_of),
            inbox=Inbox(Box(target.dlq_url, self.sqs, self.once, self.pool, target.form)),
            mover=Mover(target.queue_url, self.once, self.pool),
            pool=self.pool,
            seconds_left=seconds_left,
            pause=self.pause,
            max_redrives=self.max_redrives,
            fifo=target.fifo,
        )


def _fields(run: Run) -> dict[str, object]:
    return {
        "redriveId": run.redrive_id,
        "pipeline": run.request.pipeline,
        "state": run.state,
        "reason": run.reason,
        **run.tally.as_json(),
    }
