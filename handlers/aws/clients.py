"""botocore clients as the handlers want them: short time-outs, capped retries, made once."""

import base64
import gc
import json
from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, EndpointConnectionError

# What a call may raise when AWS is slow, refuses or cannot be reached.
AWS_ERRORS = (ClientError, BotoCoreError)

# A call that hangs must not eat the invocation: 3 tries of at most 1 s + 3 s each, with botocore's jittered backoff.
_RETRIES: Any = {"mode": "standard", "total_max_attempts": 3}
# Operations in whose answers botocore would change nothing but the binary values of messages.
_PLAIN_ANSWERS = {
    "dynamodb": ("BatchExecuteStatement", "BatchGetItem"),
    "events": ("PutEvents",),
    "sqs": ("ChangeMessageVisibilityBatch", "DeleteMessageBatch", "ReceiveMessage", "SendMessageBatch"),
}
# Each call does without botocore's check of its parameters, which AWS makes again (what comes from outside is checked
# where it comes in, and tests have it switched on), and without composing a user agent.
_LEAN: Any = {"parameter_validation": False, "user_agent": "ingestion-lab"}
PARALLEL_CALLS = 24  # receives, sends and deletions of 100 messages at once, nearly


def client(service: str, *, read_timeout: int = 3, connections: int = 10) -> Any:  # noqa: ANN401 - botocore makes its classes at run time; callers name the stub's type
    """A botocore client for so many calls at once (boto3 would add its resource layer's import time)."""
    config = Config(
        connect_timeout=1, read_timeout=read_timeout, max_pool_connections=connections, retries=_RETRIES, **_LEAN
    )
    return _made(service, config)


def _made(service: str, config: Config) -> Any:  # noqa: ANN401 - see `client`
    """Makes a client while nobody looks for garbage: the models it loads have none, and looking takes long.

    botocore does not look at each value of a large answer, either.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        made = _session().create_client(service, config=config)
    finally:
        if collects:
            gc.enable()
    for operation in _PLAIN_ANSWERS.get(service, ()):
        made.meta.events.register(f"before-parse.{service}.{operation}", _read_plainly)
    return made


@cache
def _session() -> botocore.session.Session:
    """One for all clients: each session reads the SDK's data anew, which is most of a cold start."""
    return botocore.session.get_session()


def parallel_client(service: str, *, attempts: int, read_timeout: int) -> Any:  # noqa: ANN401 - see `client`
    """A client for many calls at once, with a connection for each; it tries a call `attempts` times.

    Each try waits `read_timeout` seconds for its answer.
    """
    config = Config(
        connect_timeout=1,
        read_timeout=read_timeout,
        max_pool_connections=PARALLEL_CALLS,
        retries={"mode": "standard", "total_max_attempts": attempts},
        **_LEAN,
    )
    return _made(service, config)


def _read_plainly(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    """Reads a good answer as JSON; botocore would hold each of its values to the service's description.

    Whatever else comes is left to botocore.
    """
    if response_dict["status_code"] != 200:
        return
    try:
        answer: dict[str, Any] = json.loads(response_dict["body"])
    except ValueError:
        return
    for message in answer.get("Messages", ()):
        for attribute in message.get("MessageAttributes", {}).values():
            if "BinaryValue" in attribute:
                attribute["BinaryValue"] = base64.b64decode(attribute["BinaryValue"])
    customized_response_dict.update(answer)
    response_dict["body"] = b"{}"


def drop_connections(client: Any) -> None:  # noqa: ANN401 - see `client`
    """Closes a client's idle connections; it opens new ones when it calls.

    For the start of an invocation, with clients that repeat no call: Lambda freezes the environment between two
    invocations, what the other side closed meanwhile looks open, and the first call on it would fail.
    """
    client.close()


def error_code(error: Exception) -> str:
    """AWS's code of a failed call, or the exception's name where the call got no answer."""
    if isinstance(error, ClientError):
        return error.response["Error"]["Code"]
    return type(error).__name__


def was_not_taken(error: Exception) -> bool:
    """Whether a call that failed has certainly done nothing: refused with a 4xx, or never connected."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        return 400 <= status < 500
    return isinstance(error, ConnectTimeoutError | EndpointConnectionError)
