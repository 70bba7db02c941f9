"""`docs/openapi.yaml` against the program that registers the routes and the handlers that answer them."""

import ast
import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from handlers import faults, jsontext
from handlers.control.redrive.api.request import _PREVIEW, _START
from handlers.events import ingest
from handlers.events.message import MAX_BODY_BYTES, read
from handlers.grouping import Grouping
from handlers.http.errors import MAX_DETAILS, HttpError
from handlers.http.request import MAX_CONTROL_BYTES, MAX_REQUEST_BYTES
from tests.components.recording import ROOT, run_main, variables

_DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())
_OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, item in _DOCUMENT["paths"].items()
    for method, operation in item.items()
}
# Whose answers the paths are.
_HANDLERS = {
    "/events": ["handlers/events/ingest.py", "handlers/events/message.py"],
    "/orders": ["handlers/orders/api.py", "handlers/orders/event.py"],
    "/redrive": ["handlers/control/redrive/api/routes.py"],
    "/failure-mode": ["handlers/control/failure_mode.py"],
}
_ALL_PIPELINES: dict[str, object] = {"pipelines": ["events", "orders", "lake"], "failureInjection": True}
_JWT = _ALL_PIPELINES | {"authMode": "jwt", "jwtIssuer": "https://issuer.example/", "jwtAudience": ["lab"]}


def _routes(config: dict[str, object]) -> dict[str, Any]:
    """The routes that the program registers for a path and method, with their inputs."""
    found = {route.inputs["routeKey"]: route.inputs for route in run_main("dev", config).of("Route")}
    return {key: inputs for key, inputs in found.items() if key.split(" ")[0] in ("GET", "POST", "PUT", "DELETE")}


def test_it_is_an_openapi_document() -> None:
    """By the specification's own schema; every reference leads somewhere, and to everything leads one."""
    import schemathesis  # noqa: PLC0415 - every process that collects would wait for it

    schemathesis.openapi.from_dict(copy.deepcopy(_DOCUMENT)).validate()

    references = set(re.findall(r"'#/components/(\w+)/(\w+)'", repr(_DOCUMENT)))
    defined = {(kind, name) for kind, some in _DOCUMENT["components"].items() for name in some}
    assert references == {(kind, name) for kind, name in defined if kind != "securitySchemes"}


def test_its_operations_are_the_routes() -> None:
    """Each route that the program registers is described, and nothing else is."""
    assert _OPERATIONS.keys() == _routes(_ALL_PIPELINES).keys()


def test_what_can_be_redriven() -> None:
    """Each dead-letter queue that the redrive API knows, by its name."""
    known = json.loads(variables(run_main("dev", _ALL_PIPELINES), "redrive-api")["QUEUES"])

    assert _DOCUMENT["components"]["schemas"]["Pipeline"]["enum"] == list(known)


def test_without_failure_injection_a_part_is_absent() -> None:
    """Exactly the part with the tag that says so."""
    tagged = {name for name, operation in _OPERATIONS.items() if operation["tags"] == ["failure-mode"]}

    assert _routes(_ALL_PIPELINES).keys() - _routes(_ALL_PIPELINES | {"failureInjection": False}).keys() == tagged


@pytest.mark.parametrize("name", _OPERATIONS)
def test_what_it_asks_of_a_caller(name: str) -> None:
    """The scopes are those that the route asks for; who operates comes without an API key; health is for all."""
    security = {scheme: scopes for one in _OPERATIONS[name]["security"] for scheme, scopes in one.items()}
    scopes = _routes(_JWT)[name].get("authorizationScopes", [])

    if not scopes:
        assert security == {}
    else:
        operates = scopes == ["ingestion/operate"]
        assert security == {"jwt": scopes, "sigV4": []} | ({} if operates else {"apiKey": []})
        assert {"401", "403"} <= _OPERATIONS[name]["responses"].keys()


@pytest.mark.parametrize("start", _HANDLERS)
def test_what_handlers_answer_is_described(start: str) -> None:
    """Every status that stands in a handler stands at one of its paths; so does what requests can bring about."""
    described = {name: op["responses"].keys() for name, op in _OPERATIONS.items() if f" {start}" in name}
    answered = set().union(*(_statuses(ROOT / path) for path in _HANDLERS[start]))

    assert answered - {"405"} <= set().union(*described.values())
    for name, statuses in described.items():
        operation = _OPERATIONS[name]
        assert {"429", "503"} <= statuses, name
        assert ("requestBody" in operation) == ({"413", "415"} <= statuses), name
        if "requestBody" in operation or any(p.get("in") == "query" for p in operation.get("parameters", [])):
            assert "400" in statuses, name


def test_an_operation_that_refuses_for_now_says_when_to_come_again() -> None:
    """Each 503 has `Retry-After`."""
    answers = [_resolved(operation["responses"]["503"]) for operation in _OPERATIONS.values()]

    assert all(_resolved(answer["headers"]["Retry-After"])["required"] for answer in answers)


def test_a_missing_group_is_refused_as_described() -> None:
    """The example of the 400 is what the handler says of an event that has no group where order counts."""
    shown = _OPERATIONS["POST /events"]["responses"]["400"]["content"]["application/json"]["examples"]["group"]["value"]
    with pytest.raises(HttpError) as refused:
        read({"orderId": "1", "amount": 1}, grouping=Grouping("/customerId", ordered=True))
    assert (refused.value.status, refused.value.as_json() | {"requestId": shown["requestId"]}) == (400, shown)


def test_limits_are_those_of_the_code() -> None:
    """Sizes and counts as they are told and as they are kept."""
    schemas = _DOCUMENT["components"]["schemas"]
    batch = _OPERATIONS["POST /events/batch"]["requestBody"]["content"]["application/json"]["schema"]
    preview = {p["name"] for p in _OPERATIONS["GET /redrive/preview"]["parameters"]}

    assert f"{MAX_BODY_BYTES:,} bytes" in _OPERATIONS["POST /events"]["requestBody"]["description"]
    assert batch["maxItems"] == ingest.MAX_BATCH_EVENTS
    assert MAX_REQUEST_BYTES == 4 * 1024 * 1024
    assert "At most 4 MiB" in _OPERATIONS["POST /events/batch"]["requestBody"]["description"]
    assert MAX_CONTROL_BYTES == 64 * 1024
    assert all(
        _OPERATIONS[f"POST {path}"]["requestBody"]["description"].startswith("At most 64 KiB")
        for path in ("/redrive/start", "/redrive/cancel", "/failure-mode")
    )
    assert f"{faults.MAX_PARAMETER:,} characters" in _OPERATIONS["POST /failure-mode"]["requestBody"]["description"]
    assert f"at most {jsontext.MAX_DEPTH} levels" in " ".join(_DOCUMENT["info"]["description"].split())
    assert schemas["Details"]["maxItems"] == MAX_DETAILS
    assert schemas["RedriveOrder"]["properties"].keys() == _START.keys()
    assert preview == _PREVIEW.keys()


def _statuses(path: Path) -> Iterator[str]:
    """The statuses that a module's calls name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in ("HttpError", "answer") and isinstance(node.args[0], ast.Constant):
            yield str(node.args[0].value)
        yield from {"unavailable": ["503"], "invalid": ["400"], "json": ["400", "413", "415"]}.get(name, [])


def _resolved(value: dict[str, Any]) -> dict[str, Any]:
    """What a reference refers to."""
    found: Any = _DOCUMENT if "$ref" in value else value
    for part in value.get("$ref", "#").split("/")[1:]:
        found = found[part]
    result: dict[str, Any] = found
    return result
