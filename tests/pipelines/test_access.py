"""Who may call which route, on the running API: every route, in every mode, with credentials good and bad.

The observations are `docs/access.md`; UPDATE_DOCS=1 writes it. Not shown: the mode `none` on stacks other than
local (the component tests have it), and API Gateway's own enforcement on AWS.
"""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import Result

from components.config.access import AUTH_MODES
from ops.local.deployer import deploy
from ops.local.emulator import Emulator
from tests.ops.laptop import Laptop
from tests.pipelines.access_table import EXPECTED, Seen, expected, markdown, request
from tests.pipelines.callers import ALL_SCOPES, AUDIENCE, Caller, Issuer, issuer, shows, with_signatures, with_tokens
from tests.pipelines.lab import ROOT, Lab

_DOCUMENT = ROOT / "docs" / "access.md"
_PIPELINES = {"pipelines": ["events", "orders"]}  # those with an API
_CONNECTIONS = 2  # more would make the emulator start more processes of each function
_KEY, _OLD, _WRONG = "new-" + "n" * 20, "old-" + "o" * 20, "bad-" + "x" * 20


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """An emulator of its own: the mode belongs to the whole stack."""
    home = tmp_path_factory.mktemp("access")
    with Emulator.start(home) as emulator:
        deployment = deploy(
            ROOT, "local", endpoint=emulator.endpoint, state_file=home / "local.json", config=_PIPELINES
        )
        yield Lab(emulator, home, deployment)


@pytest.fixture(scope="module")
def tokens() -> Iterator[Issuer]:
    """An issuer of tokens."""
    with issuer() as running:
        yield running


@pytest.fixture(scope="module")
def callers(lab: Lab, tokens: Issuer) -> dict[str, Caller]:
    """Everybody, by what they show."""
    return {
        "nothing": shows(),
        "the key": shows(x_api_key=_KEY),
        "the old key, during its exchange": shows(x_api_key=_OLD),
        "a wrong key": shows(x_api_key=_WRONG),
        "no key at all (too short)": shows(x_api_key="x"),
        "HTTP Basic": shows(Authorization="Basic dGVzdDp0ZXN0"),
        "a bearer token": shows(Authorization="Bearer token"),
        **with_signatures(lab),
        **with_tokens(tokens),
    }


@pytest.fixture(scope="module")
def configurations(tokens: Issuer) -> dict[str, dict[str, Any]]:
    """What each mode is configured by."""
    return {
        "none": {"authMode": "none"},
        "apiKey": {"authMode": "apiKey", "apiKey": f"{_KEY},{_OLD}"},
        "jwt": {"authMode": "jwt", "jwtIssuer": tokens.url, "jwtAudience": [AUDIENCE]},
        "iam": {"authMode": "iam"},
    }


def _status(lab: Lab, caller: Caller, method: str, path: str, body: bytes = b"") -> int:
    """What the API answers this caller."""
    url = lab.outputs["ApiEndpoint"] + path
    headers = {"Content-Type": "application/json", **caller(method, url, body)}
    call = urllib.request.Request(url, method=method, data=body or None, headers=headers)  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(call, timeout=30) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code


@dataclass
class Visit:
    """What was seen while the stack was in one mode: each route's answers, and what `lab` did."""

    answers: dict[str, dict[str, int]]
    key: str
    done: list[Result]
    without: Result  # what the mode asks for


def _visit(lab: Lab, mode: str, callers: dict[str, Caller], environment: Mapping[str, str]) -> Visit:
    gateway, api = lab.client("apigatewayv2"), lab.outputs["ApiEndpoint"].rpartition("/")[2]
    routes = sorted(route["RouteKey"] for route in gateway.get_routes(ApiId=api)["Items"])
    cells = [(route, shown) for route in routes for shown in EXPECTED[mode]]
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        statuses = list(pool.map(lambda cell: _status(lab, callers[cell[1]], *request(cell[0])), cells))
    answers: dict[str, dict[str, int]] = {route: {} for route in routes}
    for (route, shown), status in zip(cells, statuses, strict=True):
        answers[route][shown] = status
    laptop, key = Laptop(lab.home, lab.emulator.port), f"cli-{uuid4()}"
    commands = (
        ("send", "--count", "1", "--key", key, "--wait", "--json"),
        ("events", "show", key, "--json"),
        ("failure", "show", "--json"),
    )
    done = [laptop.lab(*command, **environment) for command in commands]
    return Visit(answers, key, done, laptop.lab("events", "show", key, LAB_API_KEY="", LAB_TOKEN=""))


@pytest.fixture(scope="module")
def visits(
    lab: Lab, callers: dict[str, Caller], tokens: Issuer, configurations: dict[str, dict[str, Any]]
) -> dict[str, Visit]:
    """Every mode, each by a deployment of the same stack."""
    environments = {"apiKey": {"LAB_API_KEY": _KEY}, "jwt": {"LAB_TOKEN": tokens.token(ALL_SCOPES)}}
    found: dict[str, Visit] = {}
    for mode in AUTH_MODES:
        lab.deploy(**_PIPELINES, **configurations[mode])
        found[mode] = _visit(lab, mode, callers, environments.get(mode, {}))
    return found


@pytest.fixture(scope="module")
def seen(visits: dict[str, Visit]) -> Seen:
    """Every answer."""
    return {mode: visit.answers for mode, visit in visits.items()}


@pytest.mark.parametrize("mode", AUTH_MODES)
def test_every_route_with_every_credential(seen: Seen, mode: str) -> None:
    """Who is entitled gets the answer that everybody gets where nothing is asked; all others get their 401 or 403."""
    unasked = {route: answers["nothing"] for route, answers in seen["none"].items()}

    assert not set(unasked.values()) & {401, 403, 500, 502, 503}
    assert seen[mode] == {
        route: {shown: expected(mode, route, shown, unasked[route]) for shown in EXPECTED[mode]} for route in unasked
    }


def test_a_wrong_method_is_told_the_right_one(lab: Lab, seen: Seen) -> None:
    """Every path that exists answers 405 to a method that it does not have, and 404 is for paths that don't exist."""
    answers = seen["none"]

    assert {answers[route]["nothing"] for route in answers if route.startswith("ANY ")} == {405}
    assert answers["$default"]["nothing"] == 404
    assert lab.outputs["AuthMode"] == AUTH_MODES[-1]


def test_the_documentation_shows_what_was_seen(seen: Seen) -> None:
    """docs/access.md is what was observed, cell by cell."""
    document = markdown(seen)
    print(document)  # noqa: T201 - the table, with -s
    if os.environ.get("UPDATE_DOCS"):
        _DOCUMENT.write_text(document, encoding="utf-8")

    assert _DOCUMENT.read_text(encoding="utf-8") == document


def test_keys_that_somebody_else_keeps(lab: Lab) -> None:
    """From Secrets Manager after a rotation: both values open, those before and of other secrets don't."""
    secrets = lab.client("secretsmanager")
    first, second, third, other = (f"{name}-{uuid4()}" for name in ("first", "second", "third", "other"))
    arn = secrets.create_secret(Name="team/api-keys", SecretString=first)["ARN"]
    secrets.put_secret_value(SecretId=arn, SecretString=second)
    secrets.put_secret_value(SecretId=arn, SecretString=json.dumps({"apiKey": third}))
    secrets.create_secret(Name="team/other", SecretString=other)
    lab.deploy(**_PIPELINES, authMode="apiKey", apiKeySecretArn=arn)

    shown = {key: _status(lab, shows(x_api_key=key), "GET", "/events/unknown") for key in (third, second, first, other)}
    assert shown == {third: 404, second: 404, first: 403, other: 403}
    names = [parameter["Name"] for parameter in lab.client("ssm").describe_parameters()["Parameters"]]
    assert [name for name in names if "authorizer" in name] == []  # of ours there is none


def test_keys_in_a_parameter_of_somebody_else(lab: Lab) -> None:
    """By the ARN of a SecureString parameter, which the function's own role is allowed to read."""
    key = f"parameter-{uuid4()}"
    lab.client("ssm").put_parameter(Name="/team/api-keys", Value=key, Type="SecureString")
    lab.deploy(
        **_PIPELINES, authMode="apiKey", apiKeySecretArn="arn:aws:ssm:us-east-1:000000000000:parameter/team/api-keys"
    )

    assert _status(lab, shows(x_api_key=key), "GET", "/events/unknown") == 404


def test_keys_that_can_not_be_read(lab: Lab) -> None:
    """Nobody is let in and nobody is told that the key is wrong: API Gateway answers 500, and the log says why."""
    lab.deploy(
        **_PIPELINES, authMode="apiKey", apiKeySecretArn="arn:aws:ssm:us-east-1:000000000000:parameter/team/gone"
    )

    assert _status(lab, shows(x_api_key=f"any-{uuid4()}"), "GET", "/events/unknown") == 500
    group = "/aws/lambda/ingestion-lab-local-authorizer"
    lines = lab.client("logs").filter_log_events(logGroupName=group)["events"]
    assert [line for line in lines if "ParameterNotFound" in line["message"]]


def test_no_key_is_in_the_logs(lab: Lab, seen: Seen) -> None:
    """Neither a good nor a wrong key, nor a digest of one, whatever was shown before."""
    assert seen
    group = "/aws/lambda/ingestion-lab-local-authorizer"
    text = json.dumps(lab.client("logs").filter_log_events(logGroupName=group)["events"])

    assert '\\"reason\\":\\"UnknownKey\\"' in text
    assert [key for key in (_KEY, _OLD, _WRONG) if key in text] == []


@pytest.mark.parametrize("mode", AUTH_MODES)
def test_lab_shows_what_is_asked_for(visits: dict[str, Visit], mode: str) -> None:
    """The same commands in every mode: submit, read, operate; a key or a token comes from the environment."""
    visit = visits[mode]
    sent, event, fault = visit.done

    assert [result.exit_code for result in visit.done] == [0, 0, 0], [result.stderr for result in visit.done]
    assert json.loads(sent.stdout)["states"] == {"SUCCEEDED": 1}
    assert json.loads(event.stdout)["idempotencyKey"] == visit.key
    assert json.loads(fault.stdout)["mode"] == "none"


@pytest.mark.parametrize(
    ("mode", "what", "name"),
    [("apiKey", "the API's key", "LAB_API_KEY"), ("jwt", "a token of the issuer", "LAB_TOKEN")],
)
def test_lab_says_what_is_missing(visits: dict[str, Visit], mode: str, what: str, name: str) -> None:
    """Without the variable nothing is sent, and the message says what to set."""
    refused = visits[mode].without

    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr == f"error: this stack's API asks for {what}: export {name}=…\n"


def test_the_table_is_whole(seen: Seen) -> None:
    """Every mode, and in every mode the same routes and each credential."""
    assert list(seen) == list(EXPECTED) == list(AUTH_MODES)
    assert len({tuple(routes) for routes in seen.values()}) == 1
