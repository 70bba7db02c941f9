"""What the lake's two functions do: objects into chunks, chunks into Parquet."""

from dataclasses import dataclass, field
from typing import ClassVar

from tests.live.failing import Fault, Kind
from tests.live.lake_book import LakeBook, Stored
from tests.live.matrix import Scenario

CHUNK_BYTES = 700  # so that a few lines are many chunks
_LOST_ANSWERS = (Kind.TIMEOUT_AFTER, Kind.RESET_AFTER)


@dataclass
class Arrival(Scenario):
    """S3 tells of an object, and tells of it again."""

    function: ClassVar[str] = "lake-ingest"
    name: ClassVar[str] = "an object of many chunks"
    book: LakeBook = field(init=False)

    def __post_init__(self) -> None:
        self.book = LakeBook(self.stage)

    def prepare(self) -> None:
        """Eleven chunks, which are two sends."""
        self.stored = self.book.put(66)
        self.book.announce(self.stored)

    def act(self) -> None:
        """The notice's delivery."""
        assert len(self.book.notices.deliver()) == 1

    def recover(self) -> None:
        """Redelivery until the queue is empty, and S3's second notice, for which nothing is sent."""
        self.book.notices.drain()
        before = len(self.book.sends())
        self.book.announce(self.stored)
        self.book.notices.drain()
        assert len(self.book.sends()) == before

    def check(self, fault: Fault | None) -> None:  # noqa: ARG002 - the same after every fault
        """Every byte is in one chunk; nothing was given up."""
        self.book.check_queued(self.stored)
        assert self.stage.lab.depth(self.book.outputs["noticesDlqUrl"]) == 0


@dataclass
class OneChunk(Scenario):
    """A chunk with good and bad rows of two dates: three files."""

    function: ClassVar[str] = "lake-worker"
    name: ClassVar[str] = "a chunk"
    book: LakeBook = field(init=False)
    done: list[Stored] = field(default_factory=list)
    gone: list[Stored] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.book = LakeBook(self.stage)

    def prepare(self) -> None:
        """It is in the queue."""
        self.book.empty()
        self.ingest(self.book.put(6))

    def ingest(self, stored: Stored) -> None:
        """Lets an object of one chunk be queued."""
        self.book.announce(stored)
        assert len(self.book.notices.deliver()) == 1
        self.done.append(stored)

    def act(self) -> None:
        """Its delivery."""
        assert len(self.book.consumer.deliver()) == 1

    def recover(self) -> None:
        """Redelivery until the queue is empty."""
        self.book.consumer.drain()

    def check(self, fault: Fault | None) -> None:
        """Every row is there once."""
        lost_answer = fault is not None and fault.kind in _LOST_ANSWERS
        self.book.check(self.done, self.gone, letters_repeat=lost_answer)


class MixedBatch(OneChunk):
    """A replay that mends what was quarantined, sent twice; an object that is gone; one that is done but untold."""

    name, occurrences = "a mixed batch", 1

    def prepare(self) -> None:
        """What is done could not be told yet; the batch is in the queue."""
        self.book.empty()
        self.ingest(self.book.put(1))
        self.stage.wire.inject(self.function, Fault(Kind.BROKEN, "PutEvents", always=True))
        assert len(self.book.consumer.deliver()) == 1
        self.stage.wire.calm()
        self.ingest(self.book.put(2, bad=False, replay="1"))
        self.book.quarantine(self.done[-1])
        self.book.repeat_newest()
        self.ingest(self.book.put(1))
        self.gone.append(self.done.pop())
        self.book.delete(self.gone[0])
        self.book.consumer.lapse()

    def act(self) -> None:
        """One delivery of all four."""
        assert len(self.book.consumer.deliver()) == 4


LAKE_SCENARIOS: list[type[Scenario]] = [Arrival, OneChunk, MixedBatch]
