"""How the API authenticates and authorizes its callers."""

from dataclasses import dataclass

import pulumi
from pulumi_aws import apigatewayv2, lambda_, ssm

from components.compute.function import InstrumentedFunction, InstrumentedFunctionArgs
from components.compute.platform import FunctionPlatform
from components.config.access import Access, AuthMode, Authorization, authorization
from components.config.settings import Settings
from components.security import policies

_TIMEOUT_SECONDS = 10  # API Gateway waits no longer for an authorizer

# A revoked key is accepted for this long, so it is short; 0 would add an invocation to each request.
_CACHE_SECONDS = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiKeysArgs:
    """What the caller decides: the keys themselves (a secret), or the ARN of a secret that someone else owns."""

    platform: FunctionPlatform
    keys: str | None = None
    secret_arn: str | None = None

    def __post_init__(self) -> None:
        if (self.keys is None) == (self.secret_arn is None):
            raise ValueError("give either keys or secret_arn, and not both")


class ApiKeys(pulumi.ComponentResource):
    """The Lambda authorizer that checks API keys: HTTP APIs have no keys of their own."""

    function: InstrumentedFunction

    def __init__(self, name: str, args: ApiKeysArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:api:ApiKeys", name, None, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        arn, statements = self._elsewhere(args.secret_arn) if args.secret_arn else self._own(args.keys or "")
        self.function = InstrumentedFunction(
            name,
            InstrumentedFunctionArgs(
                handler="handlers.control.authorizer.handler",
                platform=args.platform,
                timeout_seconds=_TIMEOUT_SECONDS,
                environment={"API_KEYS_ARN": arn},
                statements=statements,
            ),
            self._child,
        )
        self.register_outputs({"function_name": self.function.function.name})

    def _own(self, keys: str) -> tuple[pulumi.Input[str], list[policies.Statement]]:
        shared = self._args.platform.args
        parameter = ssm.Parameter(
            f"{self._name}-keys",
            type=ssm.ParameterType.SECURE_STRING,
            value=pulumi.Output.secret(keys),
            key_id=shared.kms_key_arn,
            opts=self._child,
        )
        decrypt = [] if shared.kms_key_arn is None else [policies.use_key_of_parameters(shared.kms_key_arn)]
        return parameter.arn, [policies.allow("ApiKeys", ["ssm:GetParameter"], parameter.arn), *decrypt]

    def _elsewhere(self, arn: str) -> tuple[pulumi.Input[str], list[policies.Statement]]:
        service = arn.split(":")[2]
        action = "ssm:GetParameter" if service == "ssm" else "secretsmanager:GetSecretValue"
        return arn, [policies.allow("ApiKeys", [action], arn), policies.use_key_of_secret(arn)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Authorizers:
    """How callers are authorized: `keys` is set in the mode apiKey, issuer and audience in the mode jwt."""

    mode: AuthMode
    is_laptop: bool = False
    keys: ApiKeys | None = None
    issuer: str | None = None
    audience: tuple[str, ...] = ()

    def authorization(self, access: Access) -> Authorization:
        """Return what a route of this access requires."""
        return authorization(self.mode, access, is_laptop=self.is_laptop)

    def headers(self) -> list[str]:
        """Return the headers that carry credentials, which CORS has to allow."""
        signed = ["authorization", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"]
        return {"none": [], "apiKey": ["x-api-key"], "jwt": ["authorization"], "iam": signed}[self.mode]


def make_authorizers(settings: Settings, platform: FunctionPlatform) -> Authorizers:
    """Return the authorization that the settings ask for, and make the Lambda authorizer that it may need."""
    keys = None
    if settings.auth_mode == "apiKey":
        args = ApiKeysArgs(platform=platform, keys=settings.api_key, secret_arn=settings.api_key_secret_arn)
        keys = ApiKeys("authorizer", args)
    return Authorizers(
        mode=settings.auth_mode,
        is_laptop=settings.is_laptop,
        keys=keys,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
    )


def api_authorizer(
    name: str, authorizers: Authorizers, api: apigatewayv2.Api, opts: pulumi.ResourceOptions
) -> apigatewayv2.Authorizer | None:
    """Make the API's authorizer; None where API Gateway requires a signature or nothing, and so needs none."""
    if authorizers.keys is not None:
        return _key_authorizer(f"{name}-keys", authorizers.keys.function.function, api, opts)
    if authorizers.mode == "jwt":
        return apigatewayv2.Authorizer(
            f"{name}-tokens",
            api_id=api.id,
            authorizer_type="JWT",
            identity_sources=["$request.header.Authorization"],
            jwt_configuration={"issuer": authorizers.issuer, "audiences": list(authorizers.audience)},
            opts=opts,
        )
    return None


def _key_authorizer(
    name: str, function: lambda_.Function, api: apigatewayv2.Api, opts: pulumi.ResourceOptions
) -> apigatewayv2.Authorizer:
    made = apigatewayv2.Authorizer(
        name,
        api_id=api.id,
        authorizer_type="REQUEST",
        authorizer_uri=function.invoke_arn,
        authorizer_payload_format_version="2.0",
        enable_simple_responses=True,
        identity_sources=["$request.header.x-api-key"],
        authorizer_result_ttl_in_seconds=_CACHE_SECONDS,
        opts=opts,
    )
    lambda_.Permission(
        f"{name}-invocation",
        action="lambda:InvokeFunction",
        function=function.name,
        principal="apigateway.amazonaws.com",
        source_arn=pulumi.Output.format("{0}/authorizers/{1}", api.execution_arn, made.id),
        opts=opts,
    )
    return made
