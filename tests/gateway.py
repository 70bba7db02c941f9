"""API Gateway's side of a request: the event (HTTP API, payload 2.0) that a function is invoked with."""

from collections.abc import Mapping
from typing import Any


def http_event(
    route: str,
    body: str | None = None,
    *,
    path: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    url: str = "",
    method: str = "",
    request_id: str = "r-1",
    base64_encoded: bool = False,
    authorizer: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """An event for a route key such as ``GET /events/{idempotencyKey}``, with a value for each of its parameters.

    ``url`` and ``method`` are what was asked for, where the route key does not say it (``$default``, ``ANY /events``).
    What a request lacks (body, parameters, query) its event lacks too, as on AWS. Header names are sent as they are
    given; the content type is JSON where ``headers`` is left out. ``authorizer`` says who API
    Gateway has found the caller to be.
    """
    verb, _, template = route.partition(" ")
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route,
        "rawPath": url or template.format(**(path or {})),
        "headers": {"content-type": "application/json"} if headers is None else dict(headers),
        "requestContext": {"requestId": request_id, "http": {"method": method or verb}},
        "isBase64Encoded": base64_encoded,
    }
    event["requestContext"] |= {"authorizer": dict(authorizer)} if authorizer else {}
    event |= {"pathParameters": dict(path)} if path else {}
    event |= {"queryStringParameters": dict(query)} if query else {}
    return event if body is None else event | {"body": body}
