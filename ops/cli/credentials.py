"""What the API asks for, out of the caller's environment: a key, a token, or an AWS signature."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ops.local.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KEY_VARIABLE = "LAB_API_KEY"
TOKEN_VARIABLE = "LAB_TOKEN"  # noqa: S105 - the variable's name

Proof = Literal["nothing", "key", "token", "signature"]

_OPEN = "/health"
_OPERATORS = ("/redrive", "/failure-mode")
_ON_AWS = re.compile(r"https://[^/]+\.execute-api\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?(/|$)")


class CredentialsError(LabError):
    """The API wants to see something that is not there; the message says what to set."""


def proof(mode: str, path: str, *, is_laptop: bool) -> Proof:
    """What a stack of this mode wants to see at a path."""
    if path == _OPEN:
        return "nothing"
    if mode in ("jwt", "iam"):
        return "token" if mode == "jwt" else "signature"
    if path.startswith(_OPERATORS):
        return "nothing" if mode == "none" and is_laptop else "signature"
    return "key" if mode == "apiKey" else "nothing"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls a stack's API. `session` makes the AWS session with the caller's credentials."""

    mode: str
    is_laptop: bool
    session: Callable[[], Any]

    def headers(self, method: str, url: str, path: str, body: str | None) -> Mapping[str, str]:
        """What to send besides; `path` is the API's own, without query.

        Raises:
            CredentialsError: it is not there.
        """
        wanted = proof(self.mode, path, is_laptop=self.is_laptop)
        if wanted == "key":
            return {"x-api-key": _variable(KEY_VARIABLE, "the API's key")}
        if wanted == "token":
            return {"Authorization": f"Bearer {_variable(TOKEN_VARIABLE, 'a token of the issuer')}"}
        return _signature(self.session(), method, url, body) if wanted == "signature" else {}


def _variable(name: str, what: str) -> str:
    value = os.environ.get(name, "").strip()
    if not value:
        raise CredentialsError(f"this stack's API asks for {what}: export {name}=…")
    return value


def _signature(session: Any, method: str, url: str, body: str | None) -> Mapping[str, str]:  # noqa: ANN401 - botocore's
    from botocore.auth import SigV4Auth  # noqa: PLC0415 - takes as long as all the rest; most calls do without it
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415

    credentials = session.get_credentials()
    if credentials is None:
        raise CredentialsError("this stack's API asks for an AWS signature, and there are no AWS credentials here")
    on_aws = _ON_AWS.match(url)
    region = on_aws[1] if on_aws else session.get_config_variable("region")
    if not region:
        raise CredentialsError("the AWS region of this stack's API is not known here: export AWS_REGION=…")
    request = AWSRequest(method, url, data=body)
    SigV4Auth(credentials.get_frozen_credentials(), "execute-api", region).add_auth(request)
    return dict(request.headers.items())
