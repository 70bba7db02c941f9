"""Lambda entry point: admits callers of the API that have one of its keys (HTTP API, payload format 2.0).

Keys are kept in Secrets Manager or in an SSM parameter. In Secrets Manager the current and the previous value are both
good, in a parameter both of a comma-separated pair: so keys are exchanged without a moment in which a good caller is
refused. Which of the good keys it was goes to the access log by its place. API Gateway answers a refusal with 403. Keys
that can't be read fail the invocation, which it answers with 500: a 403 would make good callers give up. No log line
holds a key or anything derived from one.
"""

import hashlib
import hmac
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, NotRequired, Protocol, TypedDict

from handlers import clock, env
from handlers.aws import clients
from handlers.aws.clients import AWS_ERRORS, error_code
from handlers.observability import LambdaContext, logger, start_invocation

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_ssm import SSMClient

FRESH_MS = 60_000
STALE_MS = 15 * 60_000  # keys that can't be read anew are used for so long
BETWEEN_READS_MS = 3_000  # whatever callers show: a flood of wrong keys must not become one of reads
_READ_SECONDS = 1  # three tries of it have to fit into the 10 s that API Gateway waits
_KEY = re.compile(r"[A-Za-z0-9._~-]{20,128}")
_MOST = 2  # keys in one value
_FIELD = "apiKey"  # of a secret that is a JSON object, as the console makes them


@dataclass(frozen=True, slots=True)
class Env:
    """What the function's environment must say. The ARN is that of a secret or of a parameter."""

    environment: str
    api_keys_arn: str


class Verdict(TypedDict):
    """API Gateway's simple form. What `context` says of who is admitted, the access log can show."""

    isAuthorized: bool
    context: NotRequired[dict[str, str]]


class KeysError(Exception):
    """The keys can't be read, or the stored text holds none."""


class Store(Protocol):
    """Where keys are kept."""

    def values(self) -> Iterator[str]:
        """The texts that hold good keys, the current one first.

        Raises:
            ClientError, BotoCoreError: AWS refuses or is not reached.
        """


@dataclass(frozen=True, slots=True)
class Parameter:
    """A SecureString parameter of SSM, by ARN."""

    ssm: "SSMClient"
    arn: str

    def values(self) -> Iterator[str]:
        """Its value."""
        yield self.ssm.get_parameter(Name=self.arn, WithDecryption=True)["Parameter"]["Value"]


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret of Secrets Manager, by ARN."""

    secrets: "SecretsManagerClient"
    arn: str

    def values(self) -> Iterator[str]:
        """Its current value, and its previous one where it has had one."""
        yield self._value("AWSCURRENT")
        try:
            yield self._value("AWSPREVIOUS")
        except self.secrets.exceptions.ResourceNotFoundException:
            return

    def _value(self, stage: str) -> str:
        return self.secrets.get_secret_value(SecretId=self.arn, VersionStage=stage).get("SecretString", "")


@dataclass(slots=True)
class Keys:
    """The good keys, as digests, and how old that knowledge is."""

    store: Store
    _digests: tuple[bytes, ...] = ()
    _read_at: int = field(default=-STALE_MS)
    _tried_at: int = field(default=-BETWEEN_READS_MS)

    def place(self, shown: str) -> int:
        """Which of them this is, from 1 and the current ones first; 0 where it is none.

        An unknown key is a reason to look whether there are new ones.

        Raises:
            KeysError: they have not been read for too long.
        """
        if clock.now_ms() - self._read_at >= FRESH_MS:
            self._read()
        if clock.now_ms() - self._read_at >= STALE_MS or not self._digests:
            raise KeysError("the keys can't be read")
        return self._known(shown) or (self._known(shown) if self._read() else 0)

    def _known(self, shown: str) -> int:
        """Compares with every key to the end, so that the time it takes says nothing of any."""
        digest = hashlib.sha256(shown.encode()).digest()
        found = [hmac.compare_digest(digest, good) for good in self._digests]
        return found.index(True) + 1 if any(found) else 0

    def _read(self) -> bool:
        """Reads the keys, but not again at once; says whether it has."""
        if clock.now_ms() - self._tried_at < BETWEEN_READS_MS:
            return False
        self._tried_at = clock.now_ms()
        try:
            current, *previous = [_parsed(value) for value in self.store.values()]
        except AWS_ERRORS as exc:
            logger.error("keys not read", extra={"errorType": error_code(exc)})
            return False
        if not current:
            logger.error("keys not read", extra={"errorType": "NoKey"})
            return False
        self._digests = tuple(hashlib.sha256(key.encode()).digest() for key in sum(previous, current))
        self._read_at = clock.now_ms()
        return True


def _parsed(value: str) -> tuple[str, ...]:
    """The keys that a text holds: one or two, bare or in a JSON object; none where any of it is no key."""
    text = value.strip()
    if text.startswith("{"):
        try:
            text = str(json.loads(text).get(_FIELD, ""))
        except ValueError:
            return ()
    keys = tuple(key.strip() for key in text.split(","))
    return keys if len(keys) <= _MOST and all(map(_KEY.fullmatch, keys)) else ()


class Authorizer:
    """Answers whether a caller is admitted."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def handle(self, event: Mapping[str, Any]) -> Verdict:
        """The answer in API Gateway's simple form, with the name of the key; a refusal is logged with its reason.

        Raises:
            KeysError: there is nothing to compare with.
        """
        place, reason = self._judge(event)
        if not place:
            logger.warning("caller refused", extra={"reason": reason, "route": event.get("routeKey")})
            return {"isAuthorized": False}
        return {"isAuthorized": True, "context": {"keyName": f"key-{place}"}}

    def _judge(self, event: Mapping[str, Any]) -> tuple[int, str]:
        """Which key it is, and why the caller is refused where it is none."""
        # API Gateway keeps the answer by the identity source, so nothing else may decide it
        sources = event.get("identitySource")
        shown = sources[0] if isinstance(sources, list) and len(sources) == 1 else None
        if not isinstance(shown, str) or not shown:
            return 0, "NoKey"
        if not _KEY.fullmatch(shown):
            return 0, "MalformedKey"
        return self._keys.place(shown), "UnknownKey"


def _store(arn: str) -> Store:
    if arn.split(":")[2] == "ssm":
        return Parameter(clients.client("ssm", read_timeout=_READ_SECONDS), arn)
    return Secret(clients.client("secretsmanager", read_timeout=_READ_SECONDS), arn)


@cache
def authorizer() -> Authorizer:
    """The authorizer of this execution environment, made once."""
    return Authorizer(Keys(_store(env.load(Env, os.environ).api_keys_arn)))


def handler(event: dict[str, Any], context: LambdaContext) -> Verdict:
    """Answers whether one request is admitted."""
    start_invocation(context.aws_request_id)
    return authorizer().handle(event)


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:  # make the client in Lambda's init phase, not in the first request
    authorizer()
