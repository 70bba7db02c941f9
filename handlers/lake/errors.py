"""Why a whole object or chunk can't be read; what is wrong with single rows is in their quarantine entries."""

from handlers.errors import PermanentError, TransientError


class ObjectGoneError(PermanentError):
    """The object, or this version of it, is no longer there."""


class ObjectChangedError(PermanentError):
    """The key holds other bytes than those that were announced; they have a notification of their own."""


class ForeignBucketError(PermanentError):
    """The object is in another bucket than the lake's, which the lake does not read for the sender of a message."""


class UnreadableObjectError(PermanentError):
    """The object is nothing that the lake reads: no JSON, or compressed or encoded in another way."""


class TooMuchWorkError(PermanentError):
    """A message takes an invocation's whole time to work, so that no further attempt could come to its end."""


class PartChangedError(PermanentError):
    """A part of a chunk no longer has the rows that the chunk's first message counted: the types have changed since."""


class DayNotCheckedError(TransientError):
    """A day of silver can't be checked: a file was overwritten meanwhile, or can't be read, or has other fields."""


class FileChangedError(PermanentError):
    """A file of silver is not what its writer has said, or is no longer that of which a table knows."""


class TableMismatchError(PermanentError):
    """A type has become one that its table can't follow: a field has another type, or there is no such type."""


class TableUnusableError(PermanentError):
    """A table is not as the committer has left it: it is gone, another one, set back, or arranged in another way."""


class RecordUnreadableError(PermanentError):
    """The state record of a chunk is none that this version can read."""


class RecordGoneError(PermanentError):
    """The state record of a chunk has expired, or was deleted, before the chunk's files were part of their tables."""


class NotCommittedError(TransientError):
    """Chunks are not part of their tables yet; the next round tries again."""
