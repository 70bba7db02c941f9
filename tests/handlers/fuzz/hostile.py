"""What the outside world may send: strategies for texts, JSON, requests and SQS records, from odd to malicious.

``FUZZ_EXAMPLES=2000 pytest tests/handlers/fuzz`` tries that many of each, other ones every time.
"""

import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st

from handlers.observability import logger

# In payloads only, and no part of a valid idempotency key: whoever finds it in a log has found a payload there.
SECRET = "«s3cr3t»"

FUZZ = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "100")),
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    deadline=None,
    database=None,
)

_NASTY = (
    "",
    "\x00",
    "\n",
    '\r\n{"level":"ERROR","message":"forged"}',
    "\x1b[31m",
    "\x9b31m",
    "\u2028\u2029\x85",
    "\ud800",
    "\udfff\ud800",
    "\U0010ffff",
    "é" * 300,
    "x" * 5000,
    "../../etc/passwd",
    "%00%2e%2e",
    "${jndi:ldap://x}",
    "{{ssm:x}}",
    "'; DROP TABLE events; --",
    "-1",
    "1e999",
    "٣",
)
TEXT = st.sampled_from(_NASTY) | st.text(max_size=20)
_NUMBERS = st.integers(-(10**20), 10**20) | st.floats() | st.sampled_from([10**400, -(10**400), 1e308, 5e-324, -0.0])
_LEAVES = st.none() | st.booleans() | _NUMBERS | TEXT | st.just(SECRET)
JSON: st.SearchStrategy[Any] = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12
)
# What stands where something else is expected.
ODD: st.SearchStrategy[Any] = st.none() | st.booleans() | st.integers() | TEXT | st.just([]) | st.just({"a": ["b"]})

_BROKEN_BODIES = (
    "",
    " ",
    "{",
    "[" * 100_000,
    '{"a":' * 50_000,
    "1e999",
    "9" * 10_000,
    "NaN",
    "[-Infinity]",
    '{"orderId":"1","amount":1,"amount":2}',
    '"\\ud800"',
    '{"\\u0000":"\\u0000"}',
    "\ufeff{}",
    "\ud800",
    "{}{}",
    "nul",
    "a=b&c=d",
    "<?xml version='1.0'?>",
    json.dumps({"orderId": "1", "amount": 1, "x": "y" * 1_100_000}),
)


def objects(fields: Mapping[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with some of these fields, each right or odd, and some others."""
    known = st.fixed_dictionaries({}, optional={name: right | ODD for name, right in fields.items()})
    return st.builds(lambda more, some: more | some, st.dictionaries(TEXT, JSON, max_size=3), known)


def bodies(right: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
    """Request bodies: what is right, any JSON, and what is none."""
    return st.sampled_from(_BROKEN_BODIES) | TEXT | st.one_of(right, right, JSON).map(json.dumps)


def requests(
    routes: list[str],
    body: st.SearchStrategy[Any],
    query: Mapping[str, st.SearchStrategy[str]] | None = None,
    parameters: Mapping[str, st.SearchStrategy[str]] | None = None,
) -> st.SearchStrategy[dict[str, Any]]:
    """Events of API Gateway (payload 2.0) for these routes; in some, something is missing or odd."""
    headers = st.fixed_dictionaries(
        {"content-type": st.sampled_from(["application/json"] * 4 + ["text/plain", "Application/JSON; charset=x"])},
        optional={
            "idempotency-key": st.just("key-1") | TEXT,
            "Idempotency-Key": st.just("key-1") | TEXT,
            "x-correlation-id": TEXT,
            "content-encoding": st.sampled_from(["gzip", "identity", ""]),
            "x-other": TEXT,
        },
    )
    no_texts: Mapping[str, st.SearchStrategy[str]] = {}
    return st.builds(
        _request,
        route=st.sampled_from(routes),
        fields=st.fixed_dictionaries(
            {
                "headers": headers,
                "body": bodies(body),
                "isBase64Encoded": st.sampled_from([False] * 4 + [True]),
                "queryStringParameters": _texts(query or no_texts),
                "pathParameters": _texts(parameters or no_texts),
            }
        ),
        oddities=st.just({}) | st.dictionaries(st.sampled_from(_REQUEST_FIELDS), ODD, max_size=2),
        missing=st.just(set[str]()) | st.sets(st.sampled_from(_REQUEST_FIELDS), max_size=2),
    )


_REQUEST_FIELDS = (
    "routeKey",
    "rawPath",
    "headers",
    "requestContext",
    "body",
    "isBase64Encoded",
    "pathParameters",
    "queryStringParameters",
)


def _texts(some: Mapping[str, st.SearchStrategy[str]]) -> st.SearchStrategy[dict[str, str]]:
    known = st.fixed_dictionaries({}, optional={name: right | TEXT for name, right in some.items()})
    return st.one_of(known, known, st.builds(lambda a, b: a | b, st.dictionaries(TEXT, TEXT, max_size=2), known))


def _request(route: str, fields: dict[str, Any], oddities: dict[str, Any], missing: set[str]) -> dict[str, Any]:
    method, _, path = route.partition(" ")
    event = {
        "version": "2.0",
        "routeKey": route,
        "rawPath": path or "/nowhere",
        "requestContext": {"requestId": "r-1", "http": {"method": method, "path": path}},
        **fields,
        **oddities,
    }
    return {name: value for name, value in event.items() if name not in missing}


# What SQS takes in a body or an attribute: the characters of XML 1.0.
_SQS_TEXT = st.text(
    st.characters(
        exclude_categories=["Cs"], exclude_characters=[chr(c) for c in (*range(9), 11, 12, *range(14, 32))]
    ).filter(lambda c: c not in "\ufffe\uffff"),
    min_size=1,
    max_size=20,
) | st.sampled_from(["\n", "\x9b31m\u2028", "é" * 1100, "k" * 3000, "-", "٣"])
_TYPES = st.sampled_from(["String", "String.json", "Number", "Number.int"])
_ATTRIBUTE = st.builds(lambda kind, text: {"dataType": kind, "stringValue": text}, _TYPES, _SQS_TEXT) | st.builds(
    lambda kind, text: {"dataType": kind, "binaryValue": text},
    st.sampled_from(["Binary", "Binary.gzip"]),
    st.sampled_from(["AA==", "/////w=="]),
)
_ATTRIBUTE_NAMES = ("idempotencyKey", "correlationId", "originalMessageId", "errorType", "redriveCount", "a", "b.c")


def records(payload: st.SearchStrategy[Any], *, sizes: tuple[int, int] = (1, 10)) -> st.SearchStrategy[Any]:
    """Batches as Lambda delivers them: any body and attributes that SQS can hold, repeated keys and messages."""
    texts = st.one_of(payload.map(json.dumps), JSON.map(json.dumps), _SQS_TEXT, st.just("[" * 100_000))
    one = st.fixed_dictionaries(
        {
            "messageId": st.sampled_from([f"m{i}" for i in range(12)]),
            "body": texts,
            "attributes": st.builds(
                lambda count, trace: {"ApproximateReceiveCount": str(count), "AWSTraceHeader": trace},
                st.integers(1, 6),
                st.sampled_from(["", "Root=1-2-3"]),
            ),
            "messageAttributes": st.dictionaries(st.sampled_from(_ATTRIBUTE_NAMES), _ATTRIBUTE, max_size=5),
        }
    )
    return st.lists(one, min_size=sizes[0], max_size=sizes[1]).map(_consistent)


def _consistent(batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One message is one message, however often it comes."""
    first: dict[str, dict[str, Any]] = {}
    return [first.setdefault(one["messageId"], one | {"receiptHandle": f"r-{one['messageId']}"}) for one in batch]


@contextmanager
def logged() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Gives what is logged in the block, line by line as Lambda reads it: JSON objects, none with the secret."""
    stream = io.StringIO()
    with patch.object(logger, "stream", stream):
        yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    text = stream.getvalue()
    assert SECRET.strip("«»") not in text  # what is logged is ASCII
    assert text.isascii()
    assert all(isinstance(json.loads(line), dict) for line in text.splitlines())
