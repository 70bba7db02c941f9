"""Clients for many calls in parallel."""

from typing import Any

import botocore.session
from botocore.config import Config

PARALLEL_CALLS = 24  # receives, sends and deletions of 100 messages at once, nearly


def client(service: str, *, attempts: int, read_timeout: int) -> Any:  # noqa: ANN401 - see handlers.aws.clients
    """A client with a connection for each call that may be under way, which tries a call ``attempts`` times.

    Each try waits ``read_timeout`` seconds for its answer. botocore neither checks the parameters (AWS does) nor
    composes a user agent for each call: together that would be a quarter of the time that a redrive takes.
    """
    config = Config(
        connect_timeout=1,
        read_timeout=read_timeout,
        max_pool_connections=PARALLEL_CALLS,
        parameter_validation=False,
        user_agent="ingestion-lab-redrive",
        retries={"mode": "standard", "total_max_attempts": attempts},
    )
    return botocore.session.get_session().create_client(service, config=config)
