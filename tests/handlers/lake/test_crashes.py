"""Functions that die around each AWS call or inside the business step; then every row is in silver or quarantine, once.

SQS delivers notices and chunks again, until nothing is left.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from handlers import jsontext
from handlers.lake import output
from handlers.lake.intake import NotIngestedError
from handlers.lake.step import Transformer
from tests.handlers.fakes import Crash
from tests.handlers.lake.conftest import KEY, Lake, lines, shipment
from tests.handlers.lake.fakes import BRONZE

_CALLS_OF_INGEST = 4  # when nothing crashes; the first test shows it
_CALLS_OF_TRANSFORM = 9
_CALLS_OF_PARTS = 22
_CONTENT = lines(*(shipment(number) for number in range(8)), b"bad", shipment(8, event_time="2026-02-01"))


@dataclass
class Run:
    """An object on its way, with a crash somewhere."""

    lake: Lake
    notification: dict[str, Any]

    def ingest(self) -> None:
        """What SQS does: a notice comes again under its id; then S3's second one, under another."""
        for request_id in ("m-1", "m-1", "m-1", "m-2"):
            try:
                self.lake.ingest(self.notification, request_id=request_id)
            except (Crash, NotIngestedError):
                self.lake.clock.advance(60_000)
            else:
                return

    def transform(self) -> None:
        """What SQS does: a message that is not acknowledged comes again."""
        done: set[str] = set()
        for _ in range(10):
            waiting = {one["messageId"]: one for one in self.lake.deliveries() if one["messageId"] not in done}
            if not waiting:
                return
            try:
                answer = self.lake.transform(*waiting.values())
            except Crash:
                pass
            else:
                kept = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
                done |= waiting.keys() - kept
            self.lake.clock.advance(60_000)  # past the visibility and every lease
        raise AssertionError("there are messages still")

    def check(self) -> None:
        """What must hold after every history."""
        assert [row["shipment_id"] for row in self.lake.rows()] == [f"S-{number}" for number in range(9)]
        assert [entry["line"] for entry in self.lake.quarantined()] == [9]
        assert {item["status"]["S"] for item in self.lake.aws.items.values()} == {"SUCCEEDED"}
        told = {(detail["key"], detail["rows"]): detail["eventId"] for detail in self.lake.told("SilverPartitionReady")}
        assert {key for key, _ in told} == {key for key in self.lake.aws.silver() if key.startswith("silver/")}
        assert sum(rows for _, rows in told) == 9
        assert {detail["eventId"] for detail in self.lake.told("SilverPartitionReady")} == set(told.values())
        kept = {key.removeprefix("lake/") for key in self.lake.aws.items}
        chunks = {key for key in kept if key.count("#") and not key.endswith(self._etag())}
        assert {detail["idempotencyKey"] for detail in self.lake.told("IngestionSuccess")} == chunks

    def _etag(self) -> str:
        return self.lake.aws.versions[BRONZE, KEY][0].etag

    def crashing(self, at: int, moment: str, work: Callable[[], None]) -> bool:
        """Does work that dies at its call number ``at``; whether it did."""
        died: list[int] = []
        self.lake.aws.calls.clear()

        def crash(_name: str) -> None:
            if len(self.lake.aws.calls) == at + 1 and not died:
                died.append(at)
                raise Crash

        setattr(self.lake.aws, moment, crash)
        work()
        setattr(self.lake.aws, moment, lambda _name: None)
        return bool(died)


@pytest.fixture
def run(lake: Lake, uploaded: Callable[..., dict[str, Any]]) -> Run:
    """An object of ten lines, two dates and a bad row, in chunks of about five lines."""
    lake.chunk_bytes = len(_CONTENT) // 2
    return Run(lake, uploaded(_CONTENT))


def test_without_a_crash_everything_settles(run: Run) -> None:
    """Two chunks, three files, one quarantine file; and the calls that it takes."""
    run.ingest()
    assert len(run.lake.aws.calls) == _CALLS_OF_INGEST
    run.lake.aws.calls.clear()
    run.transform()

    run.check()
    assert len(run.lake.aws.silver()) == 4
    assert run.lake.aws.calls == [
        "BatchExecuteStatement",
        "GetObject",
        "PutObject",
        "GetObject",
        "PutObject",
        "PutObject",
        "PutObject",
        "BatchExecuteStatement",
        "PutEvents",
    ]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", range(_CALLS_OF_INGEST))
def test_a_crash_of_ingest_around_each_call(run: Run, call: int, moment: str) -> None:
    """Dead just before the call is made, or just after AWS has done it."""
    assert run.crashing(call, moment, run.ingest)
    run.transform()

    run.check()


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", range(_CALLS_OF_TRANSFORM))
def test_a_crash_of_transform_around_each_call(run: Run, call: int, moment: str) -> None:
    """The batch of both chunks is delivered again; files that are there are written over."""
    run.ingest()

    assert run.crashing(call, moment, run.transform)

    run.check()


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("chunk", range(2))
def test_a_crash_inside_the_step_at_each_chunk(
    run: Run, monkeypatch: pytest.MonkeyPatch, chunk: int, moment: str
) -> None:
    """Dead in the business step, before it has put a file or with all of them put: the same files are put again."""
    run.ingest()
    process, begun = Transformer.process, list[jsontext.JsonObject]()

    def dying(step: Transformer, payload: jsontext.JsonObject) -> jsontext.Json:
        begun.append(payload)
        if len(begun) != chunk + 1:
            return process(step, payload)
        if moment == "after":
            process(step, payload)
        raise Crash

    monkeypatch.setattr(Transformer, "process", dying)
    run.transform()

    assert len(begun) > chunk + 1
    run.check()
    assert len(run.lake.aws.silver()) == 4


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", range(_CALLS_OF_PARTS))
def test_a_crash_among_parts_and_uploads(run: Run, monkeypatch: pytest.MonkeyPatch, call: int, moment: str) -> None:
    """A chunk of more files than a message may put, none of which fits the memory: staged, shown, then the parts."""
    monkeypatch.setattr(output, "MAX_FILES", 1)
    monkeypatch.setattr(output, "HELD_BYTES", 0)
    run.ingest()

    assert run.crashing(call, moment, run.transform)

    run.check()
    assert "part" in str(run.lake.aws.sent[-1]["MessageBody"])


def test_a_chunk_that_was_sent_twice_is_worked_once(run: Run) -> None:
    """Ingest died after it had sent: its retry sends the same messages, and the second ones are duplicates."""
    assert run.crashing(2, "after", run.ingest)
    assert len(run.lake.deliveries()) == 4
    run.transform()

    assert run.lake.aws.calls.count("PutObject") == 4
    run.check()
