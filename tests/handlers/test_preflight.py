"""What browsers ask before they call from another origin, and what any other OPTIONS gets."""

import json

import pytest

from handlers.http.request import Request
from handlers.http.router import Answer, answer, serve
from tests.gateway import http_event

_ENDPOINTS = {
    "GET /events/{idempotencyKey}": lambda _request: answer(200, {}),
    "POST /events": lambda _request: answer(202, {}),
    "GET /events": lambda _request: answer(200, {}),
}


def _options(route: str, path: str) -> Answer:
    return serve(Request.from_event(http_event(route, url=path, headers={})), _ENDPOINTS)


@pytest.mark.parametrize(
    ("route", "path", "methods"),
    [
        ("OPTIONS /events", "/events", {"Allow": "GET, POST"}),
        ("OPTIONS /events/{idempotencyKey}", "/events/k", {"Allow": "GET"}),
        ("OPTIONS /{proxy+}", "/nowhere", {}),
    ],
)
def test_a_preflight_gets_a_2xx(route: str, path: str, methods: dict[str, str]) -> None:
    """Where the API has a route for preflights; to an unknown path too, whose 404 the page would else never see."""
    assert _options(route, path) == {"statusCode": 204, "headers": methods}


def test_without_a_route_for_it_options_is_a_wrong_method() -> None:
    """Where pages of other origins may not call, it is answered like any other method that a path does not have."""
    reply = _options("ANY /events", "/events")

    assert (reply["statusCode"], reply["headers"]["Allow"]) == (405, "GET, POST")
    assert json.loads(reply["body"])["errorType"] == "MethodNotAllowed"
