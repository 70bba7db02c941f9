"""Who may call which route: the table, and what each mode makes of the API in update and in preview."""

import json
from typing import Any

import pytest

from components.api.authorizers import ApiKeysArgs
from components.config.access import (
    AUTH_MODES,
    Access,
    AuthMode,
    Authorization,
    authorization,
    every_method,
    preflights,
)
from tests.components.recording import Recording, grants, run_main, variables

_KEYS = "new-" + "n" * 20 + ",old-" + "o" * 20
_ISSUER = "https://login.example/tenant"
_SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:team/keys-a1B2c3"
_PARAMETER = "arn:aws:ssm:eu-central-1:123456789012:parameter/team/keys"
_CONFIG: dict[str, dict[str, Any]] = {
    "none": {"authMode": "none"},
    "apiKey": {"authMode": "apiKey", "apiKey": _KEYS},
    "jwt": {"authMode": "jwt", "jwtIssuer": _ISSUER, "jwtAudience": ["lab", "shop"]},
    "iam": {"authMode": "iam"},
}
_TAGS = {"Project": "ingestion-lab", "Stack": "dev"}
_ACCESS = {
    "POST /events": Access.SUBMIT,
    "POST /events/batch": Access.SUBMIT,
    "GET /events/{idempotencyKey}": Access.READ,
    "GET /health": Access.OPEN,
    "$default": Access.SUBMIT,
    "GET /redrive": Access.OPERATE,
    "GET /redrive/preview": Access.OPERATE,
    "POST /redrive/start": Access.OPERATE,
    "GET /redrive/{redriveId}": Access.OPERATE,
    "POST /redrive/cancel": Access.OPERATE,
    "GET /failure-mode": Access.OPERATE,
    "POST /failure-mode": Access.OPERATE,
    "POST /failure-mode/reset": Access.OPERATE,
    "ANY /events": Access.SUBMIT,
    "ANY /events/{idempotencyKey}": Access.READ,
    "ANY /health": Access.OPEN,
    "ANY /redrive": Access.OPERATE,
    "ANY /redrive/{redriveId}": Access.OPERATE,
    "ANY /failure-mode": Access.OPERATE,
    "ANY /failure-mode/reset": Access.OPERATE,
}
_WRITE, _READ, _OPERATE = "ingestion/write", "ingestion/read", "ingestion/operate"
_TABLE: dict[str, dict[Access, dict[str, Any]]] = {
    "none": {
        Access.OPEN: {"authorizationType": "NONE"},
        Access.SUBMIT: {"authorizationType": "NONE"},
        Access.READ: {"authorizationType": "NONE"},
        Access.OPERATE: {"authorizationType": "AWS_IAM"},
    },
    "apiKey": {
        Access.OPEN: {"authorizationType": "NONE"},
        Access.SUBMIT: {"authorizationType": "CUSTOM", "authorizerId": "id:ingestion-api-keys"},
        Access.READ: {"authorizationType": "CUSTOM", "authorizerId": "id:ingestion-api-keys"},
        Access.OPERATE: {"authorizationType": "AWS_IAM"},
    },
    "jwt": {
        Access.OPEN: {"authorizationType": "NONE"},
        Access.SUBMIT: {
            "authorizationType": "JWT",
            "authorizerId": "id:ingestion-api-tokens",
            "authorizationScopes": [_WRITE],
        },
        Access.READ: {
            "authorizationType": "JWT",
            "authorizerId": "id:ingestion-api-tokens",
            "authorizationScopes": [_READ],
        },
        Access.OPERATE: {
            "authorizationType": "JWT",
            "authorizerId": "id:ingestion-api-tokens",
            "authorizationScopes": [_OPERATE],
        },
    },
    "iam": {
        Access.OPEN: {"authorizationType": "NONE"},
        Access.SUBMIT: {"authorizationType": "AWS_IAM"},
        Access.READ: {"authorizationType": "AWS_IAM"},
        Access.OPERATE: {"authorizationType": "AWS_IAM"},
    },
}
_LINKS = {"apiId", "routeKey", "target"}
_UNKNOWN_IN_PREVIEW = {"apiId", "authorizerId", "authorizerUri"}


def _routes(recording: Recording) -> dict[str, dict[str, Any]]:
    """What each route asks for."""
    return {
        route.inputs["routeKey"]: {key: value for key, value in route.inputs.items() if key not in _LINKS}
        for route in recording.of("Route")
    }


def _known(inputs: Any, *, preview: bool) -> dict[str, Any]:
    """What of these inputs a preview knows too."""
    return {key: value for key, value in inputs.items() if not (preview and key in _UNKNOWN_IN_PREVIEW)}


@pytest.mark.parametrize("mode", AUTH_MODES)
@pytest.mark.parametrize("access", Access)
def test_the_laptop_is_open_only_without_a_mode(mode: AuthMode, access: Access) -> None:
    """On the stack local the mode none asks nothing of anybody; every other mode is what it is elsewhere."""
    here, elsewhere = (authorization(mode, access, is_laptop=laptop) for laptop in (True, False))

    assert here == (Authorization("NONE") if mode == "none" else elsewhere)


@pytest.mark.parametrize("preview", [False, True], ids=["update", "preview"])
@pytest.mark.parametrize("mode", AUTH_MODES)
def test_every_route_asks_for_what_its_access_says(mode: str, preview: bool) -> None:  # noqa: FBT001 - a parameter
    """All routes in each mode: kind, authorizer and scopes, and no route besides."""
    recording = run_main("dev", _CONFIG[mode], preview=preview)

    assert {route: _known(asked, preview=preview) for route, asked in _routes(recording).items()} == {
        route: _known(_TABLE[mode][access], preview=preview) for route, access in _ACCESS.items()
    }
    assert preview or recording.outputs["AuthMode"] == mode


def test_on_the_laptop_nothing_is_asked() -> None:
    """The local stack's own configuration leaves every route open."""
    assert {asked["authorizationType"] for asked in _routes(run_main("local")).values()} == {"NONE"}


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_elsewhere_a_signature_is_asked_for_unless_configured(stack: str) -> None:
    """Who configures nothing has a closed API; only its health is for everybody."""
    asked = {route: asked["authorizationType"] for route, asked in _routes(run_main(stack)).items()}

    assert {route for route, kind in asked.items() if kind != "AWS_IAM"} == {"GET /health", "ANY /health"}


@pytest.mark.parametrize("preview", [False, True], ids=["update", "preview"])
def test_authorizer_of_keys(preview: bool) -> None:  # noqa: FBT001 - a parameter
    """A function judges the header x-api-key, its answers are kept a minute, and only this authorizer may call it."""
    recording = run_main("dev", _CONFIG["apiKey"], preview=preview)

    assert [made.name for made in recording.of("Authorizer")] == ["ingestion-api-keys"]
    assert _known(recording.inputs("Authorizer", "ingestion-api-keys"), preview=preview) == _known(
        {
            "apiId": "id:ingestion-api",
            "authorizerType": "REQUEST",
            "authorizerUri": "invoke:authorizer",
            "authorizerPayloadFormatVersion": "2.0",
            "authorizerResultTtlInSeconds": 60,
            "enableSimpleResponses": True,
            "identitySources": ["$request.header.x-api-key"],
        },
        preview=preview,
    )
    if not preview:
        assert recording.inputs("Permission", "ingestion-api-keys-invocation") == {
            "action": "lambda:InvokeFunction",
            "function": "authorizer",
            "principal": "apigateway.amazonaws.com",
            "sourceArn": "execute:ingestion-api/authorizers/id:ingestion-api-keys",
        }


@pytest.mark.parametrize("preview", [False, True], ids=["update", "preview"])
def test_authorizer_of_tokens(preview: bool) -> None:  # noqa: FBT001 - a parameter
    """API Gateway itself judges tokens, by issuer and audience; there is no function for it."""
    recording = run_main("dev", _CONFIG["jwt"], preview=preview)

    assert [made.name for made in recording.of("Authorizer")] == ["ingestion-api-tokens"]
    assert _known(recording.inputs("Authorizer", "ingestion-api-tokens"), preview=preview) == _known(
        {
            "apiId": "id:ingestion-api",
            "authorizerType": "JWT",
            "identitySources": ["$request.header.Authorization"],
            "jwtConfiguration": {"issuer": _ISSUER, "audiences": ["lab", "shop"]},
        },
        preview=preview,
    )


@pytest.mark.parametrize("mode", ["none", "jwt", "iam"])
def test_without_keys_there_is_nothing_of_them(mode: str) -> None:
    """Neither the function nor its secret nor its authorizer, where keys open nothing."""
    recording = run_main("dev", _CONFIG[mode])

    assert [r.name for r in recording.resources if "authorizer" in r.name or "keys" in r.name] == []


def test_the_keys_are_kept_as_a_secret_and_nowhere_else() -> None:
    """Only the encrypted parameter holds the keys, and Pulumi is told that they are a secret."""
    recording = run_main("dev", _CONFIG["apiKey"] | {"useKmsCmk": True})
    parameter = recording.one("Parameter", "authorizer-keys")

    assert [r.name for r in recording.resources if "nnnn" in json.dumps(r.inputs)] == ["authorizer-keys"]
    assert "nnnn" not in json.dumps(recording.outputs)
    assert parameter.inputs == {"type": "SecureString", "value": _KEYS, "keyId": "arn:ingestion-key", "tags": _TAGS}
    assert parameter.secrets == ("value",)


def test_authorizer_function() -> None:
    """It is told where the keys are, answers within API Gateway's 10 s, and is watched like every other function."""
    recording = run_main("dev", _CONFIG["apiKey"])
    function = recording.inputs("Function", "authorizer")

    assert (function["handler"], function["timeout"]) == ("handlers.control.authorizer.handler", 10)
    assert variables(recording, "authorizer") == {
        "API_KEYS_ARN": "arn:authorizer-keys",
        "ENVIRONMENT": "dev",
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "POWERTOOLS_SERVICE_NAME": "ingestion-lab",
    }
    for query in ("query-one-event", "query-latency"):
        groups = recording.inputs("QueryDefinition", query)["logGroupNames"]
        assert "/aws/lambda/ingestion-lab-dev-authorizer" in groups


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"apiKey": _KEYS}, {"ApiKeys": ({"ssm:GetParameter"}, "arn:authorizer-keys")}),
        (
            {"apiKey": _KEYS, "useKmsCmk": True},
            {
                "ApiKeys": ({"ssm:GetParameter"}, "arn:authorizer-keys"),
                "ParameterKey": ({"kms:Decrypt"}, "arn:ingestion-key"),
            },
        ),
        (
            {"apiKeySecretArn": _SECRET},
            {
                "ApiKeys": ({"secretsmanager:GetSecretValue"}, _SECRET),
                "SecretKey": ({"kms:Decrypt"}, "arn:aws:kms:eu-central-1:123456789012:key/*"),
            },
        ),
        (
            {"apiKeySecretArn": _PARAMETER},
            {
                "ApiKeys": ({"ssm:GetParameter"}, _PARAMETER),
                "SecretKey": ({"kms:Decrypt"}, "arn:aws:kms:eu-central-1:123456789012:key/*"),
            },
        ),
    ],
)
def test_authorizer_grants(more: dict[str, Any], expected: dict[str, Any]) -> None:
    """It reads the one secret, and nothing else."""
    found = grants(run_main("dev", {"authMode": "apiKey", **more}), "authorizer")

    assert {sid: granted for sid, granted in found.items() if sid not in ("OwnLogs", "Tracing")} == expected


@pytest.mark.parametrize(
    ("arn", "context", "service"),
    [(_SECRET, "SecretARN", "secretsmanager.*"), (_PARAMETER, "PARAMETER_ARN", "ssm.*")],
)
def test_a_foreign_key_opens_only_the_secret(arn: str, context: str, service: str) -> None:
    """Which key encrypts another's secret is not known, so the grant is bound to the secret and to its service."""
    policy = run_main("dev", {"authMode": "apiKey", "apiKeySecretArn": arn}).inputs("RolePolicy", "authorizer-policy")
    (statement,) = [s for s in json.loads(policy["policy"])["Statement"] if s["Sid"] == "SecretKey"]

    assert statement["Condition"] == {
        "StringEquals": {f"kms:EncryptionContext:{context}": arn},
        "StringLike": {"kms:ViaService": service},
    }


def test_a_secret_that_others_keep_is_not_made() -> None:
    """Nothing of such a key goes through Pulumi: there is no parameter of ours for it."""
    recording = run_main("dev", {"authMode": "apiKey", "apiKeySecretArn": _SECRET})

    assert [made.name for made in recording.of("Parameter")] == ["failure-mode-parameter"]
    assert variables(recording, "authorizer")["API_KEYS_ARN"] == _SECRET


def test_keys_come_from_one_place(dev: Recording) -> None:
    """The component itself refuses both and neither."""
    assert dev.resources
    platform: Any = None
    for given in ({}, {"keys": _KEYS, "secret_arn": _SECRET}):
        with pytest.raises(ValueError, match=r"^give either keys or secret_arn, and not both$"):
            ApiKeysArgs(platform=platform, **given)


@pytest.mark.parametrize("mode", AUTH_MODES)
def test_preflights_pass(mode: str) -> None:
    """With an origin, OPTIONS of every path and of any other is a route of its own that asks for nothing."""
    routes = _routes(run_main("dev", _CONFIG[mode] | {"corsOrigin": "https://shop.example"}))
    paths = {route.partition(" ")[2] for route in _ACCESS} - {""}

    assert {route: asked for route, asked in routes.items() if route not in _ACCESS} == {
        f"OPTIONS {path}": {"authorizationType": "NONE"} for path in paths | {"/{proxy+}"}
    }


@pytest.mark.parametrize(
    ("mode", "shown"),
    [
        ("none", []),
        ("apiKey", ["x-api-key"]),
        ("jwt", ["authorization"]),
        ("iam", ["authorization", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"]),
    ],
)
def test_pages_may_send_what_is_asked_for(mode: str, shown: list[str]) -> None:
    """The headers by which callers show who they are pass the browser's own check."""
    api = run_main("dev", _CONFIG[mode] | {"corsOrigin": "https://shop.example"}).inputs("Api", "ingestion-api")

    assert api["corsConfiguration"]["allowHeaders"] == ["content-type", "idempotency-key", *shown]


def test_a_path_is_as_hard_to_enter_as_its_hardest_method() -> None:
    """Whoever tries another method needs what the hardest of the path's methods needs; `$default` has no path."""
    assert every_method(
        {"GET /a": Access.READ, "POST /a": Access.SUBMIT, "GET /b": Access.OPEN, "$default": Access.OPERATE}
    ) == {
        "ANY /a": Access.SUBMIT,
        "ANY /b": Access.OPEN,
    }


def test_a_path_takes_no_methods_from_one_that_matches_it() -> None:
    """`GET /a/{id}` is there for every id, one that is called as another route is included."""
    routes = {"POST /a": Access.SUBMIT, "POST /a/new": Access.OPERATE, "GET /a/{id}": Access.READ}
    assert every_method(routes) == {"ANY /a": Access.SUBMIT, "ANY /a/{id}": Access.READ}


def test_preflights_of_any_path_go_where_default_goes() -> None:
    """Only the function that answers `$default` gets the preflights of paths that nobody knows."""
    assert preflights({"GET /a": Access.READ, "POST /a": Access.SUBMIT}) == {"OPTIONS /a": Access.OPEN}
    assert preflights({"$default": Access.SUBMIT}) == {"OPTIONS /{proxy+}": Access.OPEN}


def test_why_an_authorizer_refused_is_in_the_access_log() -> None:
    """API Gateway's own words for it are a field of each request's line."""
    stage = run_main("dev").inputs("Stage", "ingestion-api-stage")

    assert json.loads(stage["accessLogSettings"]["format"])["authorizerError"] == "$context.authorizer.error"
