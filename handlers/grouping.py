"""The group of a message: what a JSON pointer finds in its payload.

A standard queue is fair between groups, a FIFO queue keeps the order within each.
"""

import hashlib
import re
from dataclasses import dataclass

from handlers import jsontext
from handlers.errors import Detail, SchemaValidationError

_ID = re.compile("(?!sha256:)[!-~]{1,128}")  # what SQS takes as a group's or a deduplication id


def sqs_id(text: str) -> str:
    """A text as SQS takes it for an id: itself, or its SHA-256 where it is too long or has other characters."""
    return text if _ID.fullmatch(text) else f"sha256:{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Grouping:
    """How a pipeline's messages are grouped: by `pointer` (RFC 6901; "": not at all).

    `ordered` says that the queue is FIFO, where a message without a group would have no place.
    """

    pointer: str
    ordered: bool = False

    def group_id(self, payload: jsontext.JsonObject) -> str:
        """The group's id for SQS; "" where there is none, which SQS takes for a group of its own.

        Raises:
            SchemaValidationError: there is none, and an order is to be kept.
        """
        found = jsontext.find(payload, self.pointer) if self.pointer else None
        is_name = isinstance(found, int | str) and not isinstance(found, bool) and found != ""
        if is_name:
            return sqs_id(str(found))
        if self.ordered:
            problem = "is required" if found is None else f"must be a text or a whole number, got {_shown(found)}"
            raise SchemaValidationError(Detail(self.pointer, f"{problem}: events keep their order within it"))
        return ""


UNGROUPED = Grouping("")


def _shown(value: jsontext.Json) -> str:
    return "an empty text" if value == "" else jsontext.describe(value)
