"""Who may call a route: what the route lets one do, and how the API has that proven. No pulumi here."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, get_args

from components.config.values import text

AuthMode = Literal["none", "apiKey", "jwt", "iam"]

AUTH_MODES: tuple[AuthMode, ...] = get_args(AuthMode)

_KEY = r"[A-Za-z0-9._~-]{20,128}"
KEYS = text(
    rf"{_KEY}(,{_KEY})?",
    "one key, or two with a comma between them, each of 20 to 128 letters, digits and any of . _ ~ -",
)
SECRET_ARN = text(
    r"arn:aws[a-z-]*:(secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6}"
    r"|ssm:[a-z0-9-]+:[0-9]{12}:parameter/[A-Za-z0-9/_.-]+)",
    "the whole ARN of a secret in Secrets Manager, or that of an SSM parameter",
)
ISSUER = text(
    r"https://[^\s?#]+|http://(127\.0\.0\.1|localhost)(:[0-9]+)?(/[^\s?#]*)?",
    "an https URL, or an http URL on the loopback",
)
AUDIENCE = text(r"[^\s,]{1,255}", "a text without spaces and commas")


class Access(IntEnum):
    """What a route lets one do, the harmless first."""

    OPEN = 0  # says nothing that is not for everybody
    READ = 1
    SUBMIT = 2
    OPERATE = 3  # moves other people's events, or breaks them


@dataclass(frozen=True, slots=True)
class Authorization:
    """What API Gateway asks of a caller: its word for the kind, and the scopes of which a token needs one."""

    kind: Literal["NONE", "CUSTOM", "JWT", "AWS_IAM"]
    scopes: tuple[str, ...] = ()


_SCOPES: Mapping[Access, str] = {
    Access.READ: "ingestion/read",
    Access.SUBMIT: "ingestion/write",
    Access.OPERATE: "ingestion/operate",
}
_NOBODY_ASKED = Authorization("NONE")
_SIGNED = Authorization("AWS_IAM")


def authorization(mode: AuthMode, access: Access, *, is_laptop: bool) -> Authorization:
    """What a route of this access asks for in this mode.

    Without keys or tokens to tell operators by, they are those who have credentials of the account: a key is for
    submitting, and who submits must not redrive. Only on the laptop may `none` mean nothing at all.
    """
    if access is Access.OPEN:
        return _NOBODY_ASKED
    if mode == "jwt":
        return Authorization("JWT", (_SCOPES[access],))
    if mode == "iam":
        return _SIGNED
    if access is Access.OPERATE:
        return _NOBODY_ASKED if mode == "none" and is_laptop else _SIGNED
    return Authorization("CUSTOM") if mode == "apiKey" else _NOBODY_ASKED


def every_method(routes: Mapping[str, Access]) -> Mapping[str, Access]:
    """`ANY <path>` for each path of these routes, as hard to enter as the hardest of the path's methods.

    A method that the path does not have is then answered by the function that knows the path; API Gateway prefers a
    route that names the method. A path that another's variable matches (`/a/new` beside `/a/{id}`) has none of its own:
    it would take the other's methods, and `GET /a/{id}` would not be there for the id `new`.
    """
    paths = {path for route in routes if (path := _path(route))}
    found: dict[str, Access] = {}
    for route, access in routes.items():
        path = _path(route)
        if path and not any(_covers(other, path) for other in paths - {path}):
            found[f"ANY {path}"] = max(found.get(f"ANY {path}", access), access)
    return found


def preflights(routes: Mapping[str, Access]) -> Mapping[str, Access]:
    """What lets browsers ask before they call: OPTIONS of each path, and of any path where `$default` is among these.

    API Gateway answers preflights by itself only where no route takes OPTIONS, and both `ANY` and `$default` do. A
    preflight carries no credentials, so nothing may be asked for.
    """
    paths = {_path(route) or "/{proxy+}" for route in routes}
    return {f"OPTIONS {path}": Access.OPEN for path in sorted(paths)}


def _path(route: str) -> str:
    """The path of a route; `$default` has none."""
    return route.partition(" ")[2]


def _covers(template: str, path: str) -> bool:
    """Whether a path with variables matches another path."""
    parts, others = template.split("/"), path.split("/")
    return len(parts) == len(others) and all(a.startswith("{") or a == b for a, b in zip(parts, others, strict=True))
