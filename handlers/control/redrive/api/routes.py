"""The routes of the redrive API: a look at a dead-letter queue; starting, showing and cancelling runs.

A start is done once the run is written: should the runner not be invoked, its next tick resumes the run, within a
minute. So that is a 202 as well; undoing the start instead could itself fail, and leave the queue locked.
"""

import builtins
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from handlers import clock, jsontext
from handlers.aws.clients import AWS_ERRORS, drop_connections, error_code
from handlers.control.redrive.api import preview, request
from handlers.control.redrive.api.preview import Look, Preview
from handlers.control.redrive.errors import AlreadyRunningError, InterruptedRedriveError
from handlers.control.redrive.ledger import Entry, States
from handlers.control.redrive.run.plan import Terms
from handlers.control.redrive.run.record import RedriveRequest, Run, RunState
from handlers.control.redrive.run.store import Runs
from handlers.control.redrive.sqs.inbox import Box
from handlers.control.redrive.sqs.letter import UNKNOWN
from handlers.control.redrive.sqs.target import Target
from handlers.errors import Detail, IngestionError, SchemaValidationError
from handlers.http.errors import HttpError
from handlers.http.request import MAX_CONTROL_BYTES, Request
from handlers.http.router import Answer, Endpoint, answer, serve
from handlers.observability import logger

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient

_LOOK_SECONDS = 15
_PEEK_SECONDS = 8
_ID = re.compile(r"rd-[0-9]{14}-[0-9a-f]{8}")
_CURSOR = re.compile(r"([0-9]{1,6}):([0-9]{1,3})")
_MAX_PAGE = 1000
_WAVES_A_READ = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the API works with."""

    targets: Mapping[str, Target]
    runs: Runs
    states: States
    sqs: "SQSClient"
    receiver: "SQSClient"  # see `Box`
    pool: Executor
    functions: "LambdaClient"
    runner_name: str
    max_redrives: int


class Api:
    """The routes."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def handle(self, event: Mapping[str, Any]) -> Answer:
        """Answers one request."""
        drop_connections(self._services.receiver)
        endpoints: dict[str, Endpoint] = {
            "GET /redrive": lambda asked: self.list(asked.query),
            "GET /redrive/preview": lambda asked: self.preview(asked.query),
            "POST /redrive/start": self.start,
            "GET /redrive/{redriveId}": lambda asked: self.show(asked, asked.query),
            "POST /redrive/cancel": self.cancel,
        }
        return serve(Request.from_event(event), {name: _guarded(call) for name, call in endpoints.items()})

    def preview(self, query: Mapping[str, str]) -> Answer:
        """What is on a dead-letter queue and what a redrive would do with it."""
        wanted = request.read_preview(query, self._services.targets)
        box = self._box(wanted.pipeline)
        counts = box.counts()
        look = self._viewer(box, wanted.pipeline, _LOOK_SECONDS).look(self._terms(wanted), wanted.max_messages)
        _refuse_unknown(wanted.error_type, look, counts.total)
        return answer(200, preview.report(look.findings, counts, wanted))

    def start(self, asked: Request) -> Answer:
        """Starts a run: 202 `{redriveId, state, statusUrl}`, 409 where its dead-letter queue has one."""
        wanted = request.read_start(asked.json(max_bytes=MAX_CONTROL_BYTES), self._services.targets)
        if wanted.error_type and not _is_well_known(wanted.error_type):
            self._peek(wanted)
        now = clock.now_ms()
        run = Run(
            redrive_id=_new_id(now),
            dlq_url=self._services.targets[wanted.pipeline].dlq_url,
            request=wanted,
            created_at=now,
            requested_by=asked.caller,
        )
        try:
            self._services.runs.create(run)
        except AlreadyRunningError as exc:
            raise HttpError(409, "RedriveAlreadyRunning", str(exc)) from exc
        logger.append_keys(redriveId=run.redrive_id)  # the request's line says who asked for it, and when
        self._wake(run)
        status_url = f"{asked.path.rsplit('/', 1)[0]}/{run.redrive_id}"
        return answer(202, {"redriveId": run.redrive_id, "state": run.state, "statusUrl": status_url})

    def list(self, query: Mapping[str, str]) -> Answer:
        """The newest runs, without their ledgers."""
        runs: builtins.list[jsontext.Json] = [
            run.as_json() for run in self._services.runs.latest(request.read_list(query))
        ]
        return answer(200, {"runs": runs})

    def show(self, asked: Request, query: Mapping[str, str]) -> Answer:
        """A run and a page of its ledger."""
        limit, wave, offset = _page(query)
        run = self._find(asked.path_parameters.get("redriveId", ""))
        found = list(islice(self._entries(run, wave, offset), limit + 1))
        following = f"{found[limit][0]}:{found[limit][1]}" if len(found) > limit else None
        messages: list[jsontext.Json] = [entry.as_json() for _, _, entry in found[:limit]]
        return answer(200, run.as_json() | {"messages": messages, "nextCursor": following})

    def cancel(self, asked: Request) -> Answer:
        """Asks a run to stop: 202; a runner at work does so before its next wave, else one is woken to end it.

        Without an id it is the one that runs.
        """
        redrive_id = request.read_cancel(asked.json(max_bytes=MAX_CONTROL_BYTES) if asked.raw_body else {})
        run = self._find(redrive_id or self._only_active())
        logger.append_keys(redriveId=run.redrive_id)
        if run.state is RunState.RUNNING and not self._services.runs.request_cancel(run):
            run = self._find(run.redrive_id)  # it has ended between the two calls
        if run.state not in (RunState.RUNNING, RunState.CANCELLED):
            raise HttpError(409, "RedriveFinished", f"the redrive has ended: {run.state}")
        if run.state is RunState.RUNNING and (not run.lease_owner or run.is_free()):
            self._wake(run)
        return answer(202, {"redriveId": run.redrive_id, "state": run.state, "cancelRequested": True})

    def _only_active(self) -> str:
        active = self._services.runs.active()
        if not active:
            raise HttpError(404, "NotFound", "no redrive runs")
        if len(active) > 1:
            raise HttpError(409, "SeveralRedrivesRunning", f"several redrives run, name one: {', '.join(active)}")
        return active[0]

    def _find(self, redrive_id: str) -> Run:
        run = self._services.runs.get(redrive_id) if _ID.fullmatch(redrive_id) else None
        if run is None:
            raise HttpError(404, "NotFound", "there is no redrive with this id")
        return run

    def _entries(self, run: Run, wave: int, offset: int) -> Iterator[tuple[int, int, Entry]]:
        for one in self._services.runs.waves(run.redrive_id, first=wave, page=_WAVES_A_READ):
            skipped = offset if one.number == wave else 0
            for index, entry in enumerate(one.entries[skipped:], skipped):
                yield one.number, index, entry

    def _peek(self, wanted: RedriveRequest) -> None:
        """Refuses an error type that no letter has; one that the look does not reach is accepted."""
        box = self._box(wanted.pipeline)
        total = box.counts().total
        terms = Terms(
            error_type=wanted.error_type,
            min_age_seconds=0,
            max_redrives=self._services.max_redrives,
            now=clock.now_ms(),
        )
        _refuse_unknown(wanted.error_type, self._viewer(box, wanted.pipeline, _PEEK_SECONDS).look(terms, 1), total)

    def _terms(self, wanted: RedriveRequest) -> Terms:
        return Terms.of(wanted, max_redrives=self._services.max_redrives, now=clock.now_ms())

    def _box(self, pipeline: str) -> Box:
        services, target = self._services, self._services.targets[pipeline]
        return Box(target.dlq_url, services.sqs, services.receiver, services.pool, target.form)

    def _viewer(self, box: Box, pipeline: str, seconds: int) -> Preview:
        end = time.monotonic() + seconds
        services = self._services
        states = services.states.of(services.targets[pipeline].keys_of)
        return Preview(box, states, services.runs, seconds_left=lambda: end - time.monotonic())

    def _wake(self, run: Run) -> None:
        try:
            self._services.functions.invoke(
                FunctionName=self._services.runner_name,
                InvocationType="Event",
                Payload=jsontext.compact({"redriveId": run.redrive_id}).encode(),
            )
        except AWS_ERRORS as exc:
            extra = {"redriveId": run.redrive_id, "errorType": error_code(exc)}
            logger.warning("runner not invoked, its next tick resumes the run", extra=extra)


def _guarded(endpoint: Endpoint) -> Endpoint:
    """An endpoint whose failures are answers."""

    def call(asked: Request) -> Answer:
        try:
            return endpoint(asked)
        except SchemaValidationError as exc:
            raise HttpError.invalid(exc) from exc
        except (InterruptedRedriveError, *AWS_ERRORS) as exc:
            code = exc.code if isinstance(exc, InterruptedRedriveError) else error_code(exc)
            logger.error("redrive not available", extra={"errorType": code})
            raise HttpError.unavailable("the dead-letter queue or its records") from exc

    return call


def _new_id(now: int) -> str:
    return f"rd-{re.sub('[^0-9]', '', clock.iso(now))[:14]}-{secrets.token_hex(4)}"


def _page(query: Mapping[str, str]) -> tuple[int, int, int]:
    """How many entries, and from which: the number of a wave and a place in it."""
    limit, cursor = query.get("limit", "100"), query.get("cursor", "1:0")
    place = _CURSOR.fullmatch(cursor)
    details = [Detail(jsontext.pointer(name), "is not known") for name in sorted(query.keys() - {"limit", "cursor"})]
    if not re.fullmatch("[0-9]{1,4}", limit) or not 1 <= int(limit) <= _MAX_PAGE:
        details.append(Detail("/limit", f"must be an integer from 1 to {_MAX_PAGE}"))
    if not place:
        details.append(Detail("/cursor", "must be the nextCursor of an earlier answer"))
    if details or not place:
        raise SchemaValidationError(*details)
    return int(limit), int(place[1]), int(place[2])


def _own_error_types(cls: type[IngestionError] = IngestionError) -> set[str]:
    return {cls.__name__}.union(*(_own_error_types(child) for child in cls.__subclasses__()))


def _is_well_known(error_type: str) -> bool:
    """The handlers' own, Python's own (a step's bug is named after what it raised), or `Unknown`."""
    built_in = getattr(builtins, error_type, None)
    return (
        error_type == UNKNOWN
        or error_type in _own_error_types()
        or (isinstance(built_in, type) and issubclass(built_in, Exception))
    )


def _refuse_unknown(error_type: str, look: Look, total: int) -> None:
    if error_type and not _is_well_known(error_type) and look.denies(error_type, total):
        raise SchemaValidationError(Detail("/errorType", "is unknown: no pipeline raises it, no dead letter has it"))
