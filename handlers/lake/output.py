"""What a chunk comes to: files that are put once all of the chunk has been read, and none of them before.

A chunk that is refused at its end, or whose worker dies while it reads, has left nothing in silver. Files wait in
memory, or, where they are many, in uploads that S3 shows to nobody until they are completed.

A message puts at most 500 files. A chunk with more of them is told as further parts, each to be a message of its own.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from handlers import jsontext
from handlers.lake import quarantine, silver, store
from handlers.lake.errors import PartChangedError
from handlers.lake.message import Chunk, Part, Place

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa
    from mypy_boto3_s3 import S3Client

MAX_FILES = 500  # so that the work of a message is bounded, and its result fits its state record
HELD_BYTES = 16 * 1024 * 1024  # of files that wait in memory
AT_ONCE = 16  # files that are put at the same time


class Output:
    """The files of one message, named by the chunk's object and by where their rows begin in it.

    Those that are `immutable` are named by their bytes, too: work that comes to other rows overwrites none of them.
    """

    def __init__(self, s3: "S3Client", bucket: str, chunk: Chunk, *, immutable: bool = False) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._chunk = chunk
        self._immutable = immutable
        self._effects: list[Callable[[], None]] = []  # all of what is to be done in S3, in order
        self._held = 0
        self._files: list[jsontext.JsonObject] = []
        self._quarantine: list[str] = []
        self._silver = self._quarantined = 0
        self.parts: list[Part] = []  # further work

    @property
    def is_complete(self) -> bool:
        """Whether the files of the message's part are all there."""
        return self._chunk.part is not None and len(self._files) == self._chunk.part.files

    def add(self, place: Place, table: "pa.Table") -> None:
        """Takes the rows of one file: one of the message, or of a part that is still to be worked."""
        part = self._chunk.part
        if part is None and len(self._files) == MAX_FILES:
            self._leave(place, table.num_rows)
        elif part is None or (part.first <= place and len(self._files) < part.files):
            content = silver.encode(table)
            mark = silver.mark(content) if self._immutable else ""
            key = silver.key(place.type, place.dt, self._chunk.source.digest, place.start, mark)
            self._hold(key, content, silver.CONTENT_TYPE)
            self._files.append({"key": key, "type": place.type, "dt": place.dt, "rows": table.num_rows})
            self._silver += table.num_rows

    def add_bad(self, start: int, content: bytes, rows: int) -> None:
        """Takes the quarantine file of a slice; a replay deletes one that an earlier run has left and is now empty."""
        if self._chunk.part:
            return
        key = quarantine.key(self._chunk.kind.type, self._chunk.source.digest, start)
        if content:
            self._hold(key, content, quarantine.CONTENT_TYPE)
            self._quarantine.append(key)
            self._quarantined += rows
        elif self._chunk.source.replay:
            self._effects.append(partial(store.delete, self._s3, self._bucket, key))

    def put(self) -> None:
        """Puts them all, several at a time.

        Raises:
            PartChangedError: they are not those that the part was cut for. Nothing has been put.
            DownstreamError: S3 did not take one; the first of them, where there are several.
        """
        part = self._chunk.part
        if part and (len(self._files), self._silver) != (part.files, part.rows):
            found = f"{len(self._files)} files with {self._silver} rows"
            raise PartChangedError(f"{part.files} files with {part.rows} rows were counted, now there are {found}")
        if len(self._effects) == 1:
            self._effects[0]()
            return
        with ThreadPoolExecutor(AT_ONCE) as pool:
            running = [pool.submit(effect) for effect in self._effects]
            try:
                for one in running:
                    one.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def result(self) -> dict[str, jsontext.Json]:
        """What the state record keeps: `{rows, silver, quarantined, files, quarantine?, parts?}`."""
        return {
            "rows": self._silver + self._quarantined,
            "silver": self._silver,
            "quarantined": self._quarantined,
            "files": list(self._files),
            **({"quarantine": list(self._quarantine)} if self._quarantine else {}),
            **({"parts": len(self.parts)} if self.parts else {}),
        }

    def _hold(self, key: str, content: bytes, content_type: str) -> None:
        if self._held + len(content) > HELD_BYTES:
            staged = store.stage(self._s3, self._bucket, key, content, content_type)
            self._effects.append(partial(store.show, self._s3, self._bucket, staged))
        else:
            self._held += len(content)
            self._effects.append(partial(store.put, self._s3, self._bucket, key, content, content_type))

    def _leave(self, place: Place, rows: int) -> None:
        if self.parts and self.parts[-1].files < MAX_FILES:
            last = self.parts[-1]
            self.parts[-1] = Part(last.first, last.files + 1, last.rows + rows)
        else:
            self.parts.append(Part(place, 1, rows))
