"""Why a whole object or chunk can't be read; what is wrong with single rows is in their quarantine entries."""

from handlers.errors import PermanentError


class ObjectGoneError(PermanentError):
    """The object, or this version of it, is no longer there."""


class ObjectChangedError(PermanentError):
    """The key holds other bytes than those that were announced; their own notification tells of them."""


class ForeignBucketError(PermanentError):
    """The object is in a bucket that is not the lake's: whoever named it is not to have it read for them."""


class DecompressionLimitError(PermanentError):
    """The object grows past every honest ratio when it is unpacked."""


class TooManyPartitionsError(PermanentError):
    """The chunk's rows belong to more partitions than one chunk may write."""
