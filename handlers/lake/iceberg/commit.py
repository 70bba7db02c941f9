"""Lambda entry point: every minute, what chunks have written becomes part of the tables, in one commit for each.

Lambda runs one of these at a time. Should there be two all the same, or one that dies, no file is added twice and none
is left out (`handlers.lake.iceberg.committer`).
"""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from handlers import env
from handlers.aws import clients
from handlers.deadline import seconds_to_work, time_limit
from handlers.errors import IngestionError, SchemaValidationError
from handlers.idempotency.keys import partition_key
from handlers.lake.errors import NotCommittedError, RecordGoneError, RecordUnreadableError
from handlers.lake.iceberg.committer import Committer
from handlers.lake.iceberg.fileio import s3_client
from handlers.lake.iceberg.ledger import Ledger, Note, read_all
from handlers.lake.iceberg.tables import Tables, glue_catalog
from handlers.lake.iceberg.written import Written
from handlers.observability import LambdaContext, logger, start_invocation

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_STATE_KEY = "idempotencyKey"
_AT_ONCE = 1000  # chunks that are looked up, and committed, together
_MAX_KEYS = 100  # of a BatchGetItem
_TOLD = 5  # causes in an error's message


@dataclass(frozen=True, slots=True, kw_only=True)
class Env:
    """What the function's environment must say."""

    environment: str
    pipeline: str
    silver_bucket: str
    table_name: str
    ledger_name: str
    namespace: str  # of the catalog: a Glue database, or one of the table bucket
    event_bus_name: str
    table_bucket_arn: str = ""  # where tables are in one, and not in Glue's catalog


class Round:
    """Commits what is noted and finished; `table_name` is that of state records."""

    def __init__(
        self, dynamodb: "DynamoDBClient", ledger: Ledger, committer: Committer, *, pipeline: str, table_name: str
    ) -> None:
        self._dynamodb = dynamodb
        self._ledger = ledger
        self._committer = committer
        self._pipeline = pipeline
        self._table = table_name

    def run(self) -> dict[str, int]:
        """Commits all there is: `{noted, unfinished, committed}` chunks.

        Raises:
            NotCommittedError: some could not be committed; they stay noted, and the others are done.
        """
        noted = unfinished = committed = 0
        failures: list[IngestionError] = []
        shut: dict[str, IngestionError] = {}  # types whose tables take nothing in this round
        gone: list[Note] = []
        whole: set[str] = set()  # chunks all of whose files are in tables
        for notes in _batches(self._ledger.notes()):
            noted += len(notes)
            written, unread, lost = self._written(notes)
            failed = self._committer.take(written.values(), shut)
            for chunk, error in failed.items():
                logger.error("chunk not committed", extra={"errorType": error.error_type, "chunk": chunk})
            failures += [*unread, *failed.values()]
            done = [note for note in notes if note.name in written and written[note.name].chunk not in failed]
            self._ledger.forget(done)
            whole |= {note.chunk for note in done}
            gone += lost
            unfinished += len(notes) - len(written) - len(unread) - len(lost)
            committed += len(done)
        failures += self._missed(gone, whole)
        numbers = {"noted": noted, "unfinished": unfinished, "committed": committed}
        if noted:
            logger.info("round done", extra=numbers)
        if failures:
            many = "1 chunk is" if len(failures) == 1 else f"{len(failures)} chunks are"
            raise NotCommittedError(f"{many} not committed: {_told(failures)}") from failures[0]
        return numbers

    def _missed(self, gone: Sequence[Note], whole: Collection[str]) -> Iterator[IngestionError]:
        """What can't be committed any more, since nobody knows what it has written; a replay clears it."""
        self._ledger.forget([note for note in gone if note.chunk in whole])
        for note in gone:
            if note.chunk not in whole:
                logger.error("chunk not committed", extra={"errorType": "RecordGoneError", "chunk": note.chunk})
                yield RecordGoneError(
                    f"the state record of {note.key} is gone before its files were committed: replay it"
                )

    def _written(self, notes: Sequence[Note]) -> tuple[dict[str, Written], list[IngestionError], list[Note]]:
        """What finished chunks have written, by the names of their notes; notes whose chunks have no record follow."""
        found = {note.name: Written.from_note(note.written) for note in notes if note.written}
        by_key = {partition_key(self._pipeline, note.key): note.name for note in notes if not note.written}
        unread: list[IngestionError] = []
        keys = list(by_key)
        there = {*found}
        for start in range(0, len(keys), _MAX_KEYS):
            wanted = [{_STATE_KEY: {"S": key}} for key in keys[start : start + _MAX_KEYS]]
            for item in read_all(self._dynamodb, self._table, wanted):
                key = item[_STATE_KEY]["S"]
                there.add(by_key[key])
                try:
                    if one := Written.from_record(item):
                        found[by_key[key]] = one
                except (KeyError, ValueError, SchemaValidationError) as exc:
                    logger.error("record not read", extra={"errorType": "RecordUnreadableError", "idempotencyKey": key})
                    unread.append(RecordUnreadableError(f"the record {key} is none of a chunk: {exc!r}"))
        return found, unread, [note for note in notes if note.name not in there]


def _batches(notes: Iterator[Note]) -> Iterator[list[Note]]:
    while batch := list(islice(notes, _AT_ONCE)):
        yield batch


def _told(failures: Iterable[IngestionError]) -> str:
    """What is wrong, once each, and not all of it where that is much."""
    told = [*dict.fromkeys(map(str, failures))]
    return "; ".join(told[:_TOLD]) + (f"; and {len(told) - _TOLD} more" if len(told) > _TOLD else "")


@cache
def work() -> Round:
    """What this execution environment commits with, made once."""
    config = env.load(Env, os.environ)
    dynamodb = clients.client("dynamodb")
    ledger = Ledger(dynamodb, config.ledger_name, in_bucket=bool(config.table_bucket_arn))
    committer = Committer(
        tables_of(config),
        ledger,
        clients.client("events"),
        pipeline=config.pipeline,
        bucket=config.silver_bucket,
        bus=config.event_bus_name,
    )
    return Round(dynamodb, ledger, committer, pipeline=config.pipeline, table_name=config.table_name)


def tables_of(config: Env) -> Tables:
    """The tables of the catalog that the environment names."""
    if not config.table_bucket_arn:
        return Tables(glue_catalog(), config.namespace, s3_client(), config.silver_bucket)
    from handlers.lake.iceberg.s3tables import s3_tables_catalog  # noqa: PLC0415 - Glue's needs no client of HTTP

    catalog = s3_tables_catalog(config.table_bucket_arn)
    return Tables(catalog, config.namespace, s3_client(), config.silver_bucket, keeps_files=True)


def handler(_event: Mapping[str, Any], context: LambdaContext) -> dict[str, int]:
    """Works one round."""
    start_invocation(context.aws_request_id)
    with time_limit(seconds_to_work(context.get_remaining_time_in_millis())):
        return work().run()


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:  # make the clients in Lambda's init phase, not in the first round
    work()
