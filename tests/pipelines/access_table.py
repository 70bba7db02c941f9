"""Who is let in where, as it should be; requests that tell; and the table that people read."""

import json
from collections.abc import Mapping
from uuid import uuid4

from components.config.access import Access

_SEND, _LOOK, _RUN = Access.SUBMIT, Access.READ, Access.OPERATE
_ALL = frozenset(Access)

# By mode, what is shown -> what it opens, and the status with which the rest is refused (by access, where they differ).
_Judgement = tuple[frozenset[Access], Mapping[Access, int]]


def _but(opens: set[Access], submit: int, operate: int = 0) -> _Judgement:
    refused = {_SEND: submit, _LOOK: submit, _RUN: operate or submit}
    return frozenset(opens | {Access.OPEN}), refused


EXPECTED: dict[str, dict[str, _Judgement]] = {
    "none": {"nothing": _but(set(_ALL), 0)},
    "apiKey": {
        "nothing": _but(set(), 401, 403),
        "the key": _but({_SEND, _LOOK}, 0, 403),
        "the old key, during its exchange": _but({_SEND, _LOOK}, 0, 403),
        "a wrong key": _but(set(), 403),
        "no key at all (too short)": _but(set(), 403),
        "a signature with rights": _but({_RUN}, 401),
        "a signature without rights": _but(set(), 401, 403),
        "a wrong signature": _but(set(), 401, 403),
        "HTTP Basic": _but(set(), 401, 403),
    },
    "jwt": {
        "nothing": _but(set(), 401),
        "scope write": _but({_SEND}, 403),
        "scope read": _but({_LOOK}, 403),
        "scope operate": _but({_RUN}, 403),
        "all three scopes": _but(set(_ALL), 0),
        "no scope": _but(set(), 403),
        "expired": _but(set(), 401),
        "not valid yet": _but(set(), 401),
        "another issuer": _but(set(), 401),
        "another audience": _but(set(), 401),
        "signed by another key": _but(set(), 401),
        "unsigned (alg none)": _but(set(), 401),
        "HS256 with the public key": _but(set(), 401),
        "no token at all": _but(set(), 401),
        "a signature with rights": _but(set(), 401),
    },
    "iam": {
        "nothing": _but(set(), 403),
        "a signature with rights": _but(set(_ALL), 0),
        "a signature with rights to POST /events": _but(set(), 403),
        "a signature without rights": _but(set(), 403),
        "a wrong signature": _but(set(), 403),
        "an unknown access key": _but(set(), 403),
        "a signature for another method": _but(set(), 403),
        "HTTP Basic": _but(set(), 403),
        "a bearer token": _but(set(), 403),
    },
}
_ONE_ROUTE = ("iam", "a signature with rights to POST /events", "POST /events")  # open beyond what its access says

Seen = dict[str, dict[str, dict[str, int]]]  # mode -> route -> what is shown -> status


def request(route: str) -> tuple[str, str, bytes]:
    """A request that reaches the route, and whose answer does not depend on what was asked before."""
    if route == "$default":
        return "GET", "/nowhere", b""
    method, path = route.split(" ")
    path = path.replace("{", "some-").replace("}", "")
    order = {"orderId": str(uuid4()), "amount": 1}
    bodies = {"/events": order, "/events/batch": [order], "/failure-mode/reset": {}}
    body = json.dumps(bodies.get(path, [])).encode() if method == "POST" else b""
    if path == "/redrive/preview":
        path += "?maxMessages=0"  # refused; else it would wait for letters
    return ("DELETE" if method == "ANY" else method), path, body


def _access(route: str) -> Access:
    """What a route lets one do, as people are told."""
    method, _, path = route.partition(" ")
    if path == "/health":
        return Access.OPEN
    if path.startswith(("/redrive", "/failure-mode")):
        return Access.OPERATE
    return Access.READ if method == "GET" or route.endswith("}") else Access.SUBMIT


def expected(mode: str, route: str, shown: str, unasked: int) -> int:
    """The status that is due; `unasked` is that of whom is let through."""
    opens, refused = EXPECTED[mode][shown]
    access = _access(route)
    return unasked if access in opens or (mode, shown, route) == _ONE_ROUTE else refused[access]


def markdown(seen: Seen) -> str:
    """The observations as a document."""
    lines = [
        "# Who may call what",
        "",
        "Made of what the laptop's API answered, by `UPDATE_DOCS=1 pytest tests/pipelines/test_access.py`; the test",
        "keeps the two equal. 401 and 403 are API Gateway's refusals; any other status is the answer of the route's",
        "function to a caller that was let through (202 taken, 400 and 404 for what was asked, 405 for a wrong method,",
        "for which `ANY` stands). `$default` is every path that does not exist. With `authMode: none` on a stack other",
        "than `local`, the routes of `/redrive` and `/failure-mode` ask for a signature, as with `apiKey`.",
    ]
    for mode, routes in seen.items():
        shown = list(EXPECTED[mode])
        lines += [
            "",
            f"## authMode {mode}",
            "",
            "| route | " + " | ".join(shown) + " |",
            "|---" * (len(shown) + 1) + "|",
        ]
        lines += [
            f"| `{route}` | " + " | ".join(str(answers[one]) for one in shown) + " |"
            for route, answers in routes.items()
        ]
    return "\n".join(lines) + "\n"
