"""Requests that no description of an API can express, byte for byte, and what answers them."""

import gzip
import http.client
import json
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.pipelines.fuzzing import SECRET

_ORDER = json.dumps({"orderId": "1", "amount": 1, "note": SECRET}).encode()
_MIB = 1024 * 1024
_DEEP = 100_000


def _order(value: bytes) -> bytes:
    return b'{"orderId":"1","amount":1,"note":"' + SECRET.encode() + b'","x":' + value + b"}"


@dataclass(frozen=True)
class Raw:
    """One request and the statuses that may answer it, those that a server in front of us gives included."""

    name: str
    statuses: tuple[int, ...]
    method: str = "POST"
    path: str = "/events"
    body: bytes = _ORDER
    content_type: str = "application/json"
    headers: list[tuple[str, str]] = field(default_factory=list)

    def send(self, url: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (lower case) and body of the answer."""
        target = urlsplit(url)
        connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=30)
        try:
            connection.putrequest(self.method, target.path + self.path, skip_accept_encoding=True)
            if self.content_type:
                connection.putheader("content-type", self.content_type)
            for name, value in self.headers:
                connection.putheader(name, value)
            connection.putheader("content-length", str(len(self.body)))
            connection.endheaders(self.body)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()


def _bodies() -> list[Raw]:
    cases = {
        "nothing": (b"", 400),
        "no UTF-8": (b'{"orderId":"\xff\xfe","amount":1}', 202),  # the gateway replaces what is none in a text body
        "UTF-16": (_ORDER.decode().encode("utf-16"), 400),
        "a BOM": (b"\xef\xbb\xbf" + _ORDER, 400),
        "NUL bytes": (b"\x00" * 100, 400),
        "two documents": (_ORDER + _ORDER, 400),
        "1 MiB in one string": (_order(b'"' + b"x" * _MIB + b'"'), 413),
        "3 MiB of white space": (b" " * 3 * _MIB + _ORDER, 413),
        "1 MiB of white space": (b" " * _MIB + _ORDER, 202),
        "brackets": (b"[" * _DEEP, 400),
        "braces": (b'{"a":' * _DEEP, 400),
        "closed brackets": (_order(b"[" * _DEEP + b"]" * _DEEP), 400),
        "33 levels": (_order(b"[" * 33 + b"]" * 33), 400),
        "1e999": (_order(b"1e999"), 400),
        "5,000 digits": (_order(b"9" * 5000), 400),
        "4,000 digits": (_order(b"9" * 4000), 202),
        "5,000 decimals": (_order(b"0." + b"9" * 5000), 202),
        "NaN": (_order(b"NaN"), 400),
        "a name twice": (_order(b'1,"orderId":"2"'), 400),
        "a lone surrogate": (_order(b'"\\ud800"'), 202),
        "an escaped NUL": (_order(b'"\\u0000"'), 202),
        "__proto__": (_order(b'{"__proto__":{"admin":true}}'), 202),
        "50,000 names": (_order(b"{" + b",".join(b'"%d":0' % i for i in range(50_000)) + b"}"), 202),
    }
    return [Raw(name, (status,), body=body) for name, (body, status) in cases.items()]


def _content_types() -> list[Raw]:
    cases = {
        "": 415,
        "text/plain": 415,
        "application/x-www-form-urlencoded": 415,
        "multipart/form-data; boundary=x": 415,
        "application/jsonp": 415,
        "application/json-patch": 415,
        "application/json, text/html": 415,
        "APPLICATION/JSON;charset=utf-8": 202,
        "application/cloudevents+json": 202,
        "application/json; " + "x" * 3000: 202,
    }
    encoded = [
        Raw("gzip", (415,), body=gzip.compress(_ORDER), headers=[("content-encoding", "gzip")]),
        Raw("called gzip", (415,), headers=[("content-encoding", "gzip")]),
        Raw("br, twice", (415,), headers=[("content-encoding", "br"), ("content-encoding", "br")]),
        Raw("identity", (202,), headers=[("Content-Encoding", "identity")]),
    ]
    return [Raw(f"type {t[:40]}", (status,), content_type=t) for t, status in cases.items()] + encoded


def _headers() -> list[Raw]:
    return [
        Raw("an empty key", (400,), headers=[("Idempotency-Key", "")]),
        Raw("a long key", (400,), headers=[("Idempotency-Key", "k" * 257)]),
        Raw("a key beyond ASCII", (400,), headers=[("Idempotency-Key", "\xe9")]),
        # The gateway joins them; whichever it makes of them, no event gets a key that nobody has named.
        Raw("two keys", (202, 400), headers=[("Idempotency-Key", "raw-1"), ("idempotency-key", "raw-1")]),
        Raw("a terminal's escapes", (202,), headers=[("X-Correlation-Id", f"\x9b31m{SECRET}")]),
        Raw("tab in a header", (202,), headers=[("X-Correlation-Id", f"a\tb{SECRET}")]),
        Raw("100 headers", (202, 400, 431), headers=[(f"x-h{i}", SECRET) for i in range(100)]),
        Raw("8 KiB in a header", (202, 400, 431), headers=[("x-long", SECRET * 600)]),
        Raw("64 KiB in a header", (202, 400, 431), headers=[("x-long", "x" * 65_536)]),
        Raw(
            "a forged host", (202, 400, 403, 404), headers=[("X-Forwarded-Host", "evil"), ("X-Original-URL", "/admin")]
        ),
    ]


def _paths() -> list[Raw]:
    gets = {
        "/events/%00": (404,),
        "/events/%0d%0aSet-Cookie:%20a=b": (404,),
        "/events/%1b[31m": (404,),
        "/events/%e2%80%a8": (404,),
        "/events/%ff%fe": (404,),
        "/events/%2e%2e": (404,),
        "/events/%2e%2e/health": (404,),
        "/events/..%2f..%2fhealth": (404,),
        "/events/a%2Fb": (404,),
        "/events/%252e": (404,),
        "/events/%": (400, 404),
        f"/events/{'k' * 257}": (404,),
        f"/events/{'k' * 8000}": (404, 414),
        "/events/": (404, 405),  # the laptop's gateway takes it for /events
        "/EVENTS/a": (404,),
        "/health/": (404, 200),
        "/health;x=1": (404,),
        "/health%20": (404,),
        f"/{SECRET}": (404,),
        "/failure-mode/..": (404,),
        "/redrive/rd-1%23run": (404,),
        "/redrive/preview?maxMessages=1&maxMessages=2": (400,),
        "/redrive/preview?maxMessages=": (400,),
        "/redrive/preview?maxMessages=%D9%A3": (400,),
        "/redrive/preview?%00=1": (400,),
        "/redrive/preview?errorType=%ff": (400,),
        f"/redrive/preview?{SECRET}={SECRET}": (400,),
        "/redrive/preview?" + "&".join(f"a{i}={i}" for i in range(500)): (400,),
        "/redrive/preview?pipeline=" + "x" * 8000: (400, 414),
        "/health?" + "x" * 8000: (200, 414),
    }
    return [Raw(path[:60], statuses, method="GET", path=path, body=b"") for path, statuses in gets.items()]


def _control() -> list[Raw]:
    many = b'{"mode":"none",' + b",".join(b'"%d":0' % i for i in range(5000)) + b"}"
    match = json.dumps({"mode": "none", "match": {"a": "x" * 5000}}).encode()
    braces = json.dumps({"mode": "none", "match": {"a": "{{ssm:b}}"}}).encode()
    return [
        Raw("5,000 unknown fields", (400,), path="/failure-mode", body=many),
        Raw("more than SSM holds", (400,), path="/failure-mode", body=match),
        Raw("SSM's own braces", (200,), path="/failure-mode", body=braces),
        Raw("64 KiB of mode", (413,), path="/failure-mode", body=b" " * 65_536 + b'{"mode":"none"}'),
        Raw("64 KiB of redrive", (413,), path="/redrive/start", body=b" " * 65_536 + b"{}"),
        Raw("64 KiB of cancel", (413,), path="/redrive/cancel", body=b" " * 65_536 + b"{}"),
        Raw("101 events", (400,), path="/events/batch", body=b"[" + b",".join([b"{}"] * 101) + b"]"),
        Raw("a million nothings", (400,), path="/events/batch", body=b"[" + b",".join([b"{}"] * 1_000_000) + b"]"),
        Raw("over 4 MiB", (413,), path="/events/batch", body=b"[" + b" " * 4 * _MIB + b"]"),
        Raw("an event of 1 MiB among others", (207,), path="/events/batch", body=b"[%s,%s]" % (_ORDER, _large())),
    ]


def _large() -> bytes:
    return _order(b'"' + b"x" * _MIB + b'"')


CASES = [*_bodies(), *_content_types(), *_headers(), *_paths(), *_control()]
