"""How each service of AWS fails, on the wire: its answers to a call that it throttles or breaks at, in part or whole.

Sources: the services' API references ("Common errors" and the errors of each operation). SQS, DynamoDB, EventBridge,
SSM and Secrets Manager speak JSON and name the error in `__type`, Lambda in the header `x-amzn-errortype`, S3 in XML.
"""

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from botocore.awsrequest import AWSResponse
from urllib3.exceptions import ProtocolError


class Kind(StrEnum):
    """What happens to a call. ``before`` and ``after``: whether AWS had carried it out when the answer was lost."""

    THROTTLED = "throttled"
    BROKEN = "500"
    TIMEOUT_BEFORE = "time-out before"
    TIMEOUT_AFTER = "time-out after"
    RESET_BEFORE = "reset before"
    RESET_AFTER = "reset after"
    PARTIAL = "partial"
    BROKEN_OFF = "broken off"


@dataclass(frozen=True, slots=True)
class Fault:
    """What to do to an operation: at the first attempt of its ``first``-th call, or from there on (``always``)."""

    kind: Kind
    operation: str
    first: int = 1
    always: bool = False

    def hits(self, number: int, attempt: int) -> bool:
        """Whether this attempt at this call of the operation is meant; both count from 1."""
        return number >= self.first if self.always else (number, attempt) == (self.first, 1)


_THROTTLES = {
    "dynamodb": (400, "ProvisionedThroughputExceededException"),
    "sqs": (400, "RequestThrottled"),
    "lambda": (429, "TooManyRequestsException"),
    "s3": (503, "SlowDown"),
}
_THROTTLE = (400, "ThrottlingException")
_BREAKS = {
    "dynamodb": "InternalServerError",
    "sqs": "InternalError",
    "lambda": "ServiceException",
    "eventbridge": "InternalException",
    "ssm": "InternalServerError",
    "secrets-manager": "InternalServiceError",
    "s3": "InternalError",
}


class _Raw(io.BytesIO):
    """A body as urllib3 gives it."""

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        yield self.read()


class _BrokenRaw:
    """The first half of a body, then the connection is reset."""

    def __init__(self, raw: Any, length: int) -> None:
        self._raw = raw
        self._left = length // 2

    def read(self, amount: int) -> bytes:
        if not self._left:
            raise ProtocolError("Connection broken: ConnectionResetError(104, 'Connection reset by peer')")
        data: bytes = self._raw.read(min(self._left, amount))
        self._left -= len(data)
        return data

    def close(self) -> None:
        self._raw.close()


def broken_off(reply: Any) -> Any:
    """A stream that AWS has begun to send and that breaks half-way."""
    raw = _BrokenRaw(reply.raw, int(reply.headers["content-length"]))
    return AWSResponse(reply.url, reply.status_code, reply.headers, raw)


def answer(url: str, status: int, body: Mapping[str, Any] | bytes, headers: Mapping[str, str] | None = None) -> Any:
    """An answer as botocore's HTTP session gives it."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    given: Any = {"x-amzn-requestid": "made-by-a-test", **(headers or {})}
    return AWSResponse(url, status, given, _Raw(raw))


def throttled(url: str, service: str) -> Any:
    """The refusal of a call that came too often."""
    return _error(url, service, *_THROTTLES.get(service, _THROTTLE))


def broken(url: str, service: str) -> Any:
    """The answer of a service that has failed."""
    return _error(url, service, 500, _BREAKS[service])


def _error(url: str, service: str, status: int, code: str, **more: Any) -> Any:
    if service == "s3":
        return answer(url, status, f"<Error><Code>{code}</Code><Message>made by a test</Message></Error>".encode())
    headers = {"content-type": "application/x-amz-json-1.0", "x-amzn-errortype": code}
    return answer(url, status, {"__type": code, "message": "made by a test", **more}, headers)


@dataclass(frozen=True, slots=True)
class Part:
    """A batch call whose first entry fails: what is left to be sent (None: nothing), and the answer with the failure.

    ``finish`` makes that answer of what AWS said to the rest ({} where nothing was sent).
    """

    rest: dict[str, Any] | None
    operation: str
    failed: dict[str, Any]

    def finish(self, said: dict[str, Any]) -> dict[str, Any]:
        """AWS's answer to the rest, and the failure of the first."""
        match self.operation:
            case "PutEvents":
                refusal = {"ErrorCode": "InternalFailure", "ErrorMessage": "made by a test"}
                count = said.get("FailedEntryCount", 0) + 1
                return {"FailedEntryCount": count, "Entries": [refusal, *said.get("Entries", [])]}
            case "BatchExecuteStatement":
                error = {"Code": "ProvisionedThroughputExceeded", "Message": "made by a test"}
                return {"Responses": [{"Error": error}, *said.get("Responses", [])]}
            case "BatchGetItem":
                return {"Responses": said.get("Responses", {}), "UnprocessedKeys": self.failed}
            case _:
                failure = {"Id": self.failed["Id"], "Code": "InternalError", "SenderFault": False}
                return {"Successful": said.get("Successful", []), "Failed": [failure, *said.get("Failed", [])]}


_ENTRIES = {
    "SendMessageBatch": "Entries",
    "DeleteMessageBatch": "Entries",
    "ChangeMessageVisibilityBatch": "Entries",
    "PutEvents": "Entries",
    "BatchExecuteStatement": "Statements",
}
# What can fail in a way that is not every call's.
ONLY = {
    Kind.PARTIAL: frozenset({*_ENTRIES, "BatchGetItem", "TransactWriteItems"}),
    Kind.BROKEN_OFF: frozenset({"GetObject"}),
}


def first_fails(operation: str, sent: dict[str, Any]) -> Part:
    """A batch call (the JSON that was to be sent) of which AWS takes all but the first entry."""
    if operation == "BatchGetItem":
        ((table, wanted),) = sent["RequestItems"].items()
        first, *others = wanted["Keys"]
        rest = sent | {"RequestItems": {table: wanted | {"Keys": others}}} if others else None
        return Part(rest, operation, {table: wanted | {"Keys": [first]}})
    name = _ENTRIES[operation]
    failed, *others = sent[name]
    return Part(sent | {name: others} if others else None, operation, failed)


def transaction_cancelled(url: str, sent: dict[str, Any]) -> Any:
    """The refusal of a transaction whose first item another one was writing."""
    reasons = [{"Code": "TransactionConflict", "Message": "made by a test"}]
    reasons += [{"Code": "None"} for _ in sent["TransactItems"][1:]]
    return _error(url, "dynamodb", 400, "TransactionCanceledException", CancellationReasons=reasons)
