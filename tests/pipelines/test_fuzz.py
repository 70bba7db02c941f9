"""The running API under fire: what its description allows, what it forbids, and what no description can say.

``LAB_FUZZ_EXAMPLES=2000 pytest -s tests/pipelines/test_fuzz.py`` tries that many inputs of each operation, other ones
every time; without it, they are few and always the same. Figures are printed with ``-s``.
"""

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from ops.local.deployer import deploy
from ops.local.emulator import Emulator
from tests.pipelines.conftest import CONFIG
from tests.pipelines.fuzzing import SECRET, Target, beyond_schemas, consistent, described, spiked
from tests.pipelines.lab import ROOT, Lab, wait_for
from tests.pipelines.raw import CASES, Raw

_EXAMPLES = os.environ.get("LAB_FUZZ_EXAMPLES", "")
_LOOKS = 20 if _EXAMPLES else 5  # each waits 2 s for letters that may still come
_CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.unsupported_method,
    checks.positive_data_acceptance,
    checks.negative_data_rejection,
]
SCHEMA = schemathesis.openapi.from_dict(described())


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A stack of its own, for what is done to it here."""
    home = tmp_path_factory.mktemp("fuzz")
    with Emulator.start(home) as emulator:
        deployment = deploy(ROOT, "local", endpoint=emulator.endpoint, state_file=home / "local.json", config=CONFIG)
        found = Target(Lab(emulator, home, deployment))
        yield found
        found.report()


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    """One connection for thousands of requests."""
    with requests.Session() as made:
        yield made


@SCHEMA.parametrize()
@settings(
    max_examples=int(_EXAMPLES or 40),
    derandomize=not _EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),  # a live API answers a repetition differently: nothing to shrink by
)
def test_description(case: schemathesis.Case[Any], target: Target, session: requests.Session) -> None:
    """Right inputs are taken, wrong ones refused, all answered as described, and never with a 5xx."""
    operation = case.operation.label
    if operation == "GET /redrive/preview" and target.looks() >= _LOOKS:
        return
    if case.meta is None or case.meta.generation.mode.is_positive:
        consistent(case.headers, case.query, case.body)
    case.body = spiked(operation, case.body)
    case.headers["X-Note"] = SECRET
    answer = case.call(target.url, session=session, timeout=30)
    body = target.note(operation, answer.status_code, answer.content)
    case.validate_response(answer, checks=_CHECKS[: -2 if beyond_schemas(answer.status_code, body) else None])


@pytest.mark.parametrize("raw", CASES, ids=lambda raw: raw.name)
def test_raw(raw: Raw, target: Target) -> None:
    """What no description can say is answered as it should be, in the one form."""
    status, headers, content = raw.send(target.url)
    body = target.note(f"{raw.method} raw", status, content)

    assert status in raw.statuses, body
    if status >= 400 and isinstance(body, dict) and "errorType" in body:
        assert headers["content-type"] == "application/json"
        assert {"error", "errorType", "details", "requestId"} == body.keys()
        assert len(body["details"]) <= 20


@pytest.mark.parametrize("method", ["DELETE", "HEAD", "PATCH", "PUT", "TRACE", "BREW"])
@pytest.mark.parametrize("path", sorted(described()["paths"]))
def test_other_methods(method: str, path: str, target: Target) -> None:
    """405 with `Allow` on every path, whichever function owns it."""
    status, headers, content = Raw("", (405,), method, path.replace("{", "").replace("}", ""), b"").send(target.url)
    target.note(f"{method} raw", status, content)

    assert status == 405
    assert set(headers["allow"].split(", ")) >= {name.upper() for name in described()["paths"][path]}


def _ask(target: Target, operation: str, **parts: Any) -> Any:
    """One request that the description allows; its answer is as described."""
    method, path = operation.split(" ")
    case = SCHEMA[path][method].Case(**parts)
    answer = case.call(target.url, timeout=30)
    body = target.note(operation, answer.status_code, answer.content)
    case.validate_response(answer, checks=_CHECKS[:5])
    return body


def test_what_needs_a_letter(target: Target) -> None:
    """A failed event's record, a dead letter, a run that has moved it: what no random input leads to, as described."""
    key, mode = "fuzz-letter", {"mode": "poison_payload", "match": {"orderId": "letter"}}
    _ask(target, "POST /failure-mode", body=mode, media_type="application/json")
    target.lab.restart("events-worker")  # which may have read another mode
    _ask(
        target,
        "POST /events",
        body={"orderId": "letter", "amount": 1, "idempotencyKey": key},
        media_type="application/json",
    )
    wait_for("FAILED", lambda: target.lab.record(key).get("status") == "FAILED")
    assert _ask(target, "GET /events/{idempotencyKey}", path_parameters={"idempotencyKey": key})["errorType"]

    def letters() -> list[Any]:
        found: list[Any] = _ask(target, "GET /redrive/preview", query={"errorType": "SchemaValidationError"})[
            "messages"
        ]
        return [letter for letter in found if letter["idempotencyKey"] == key]

    (letter,) = wait_for("a dead letter", letters)
    assert letter["action"] == "move"
    _ask(target, "POST /failure-mode/reset")

    def started() -> str:
        body = _ask(target, "POST /redrive/start", body={"maxMessages": 100000}, media_type="application/json")
        return str(body.get("redriveId", ""))

    redrive = wait_for("a run of our own", started, seconds=90)

    def ended() -> Any:
        run = _ask(target, "GET /redrive/{redriveId}", path_parameters={"redriveId": redrive})
        return run if run["state"] != "RUNNING" else None

    run = wait_for("the end of the run", ended, seconds=90)
    assert (run["state"], key in [entry["idempotencyKey"] for entry in run["messages"]]) == ("SUCCEEDED", True)


def test_every_accepted_event_is_accounted_for(target: Target) -> None:
    """Each 202 of this file has become a record with an outcome; the API is well, whatever it was sent."""
    requests.post(f"{target.url}/failure-mode/reset", timeout=30).raise_for_status()
    target.settled()

    assert target.unaccounted() == set()
    assert target.accepted
    assert requests.get(f"{target.url}/health", timeout=30).status_code == 200


def test_logs_hold_nothing_of_it(target: Target) -> None:
    """Every line that a function wrote is one JSON object; none has what was sent."""
    seen = 0
    for group, line in target.lines():
        assert SECRET not in line, group
        assert isinstance(json.loads(line), dict), (group, line)
        seen += 1
    assert seen >= target.answers.total()
