"""The HTTP API in front of the functions."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import apigatewayv2, cloudwatch, lambda_

from components import naming
from components.api.authorizers import Authorizers, api_authorizer, make_authorizers
from components.compute.function import InstrumentedFunction
from components.compute.platform import FunctionPlatform
from components.config.access import Access, every_method, preflights
from components.config.settings import Settings

_STAGE = "$default"  # no stage in the path
_PREFLIGHT_SECONDS = 600
_ACCESS_LOG = {
    field: f"$context.{variable}"
    for field, variable in {
        "requestId": "requestId",
        "requestTime": "requestTimeEpoch",
        "sourceIp": "identity.sourceIp",
        "method": "httpMethod",
        "path": "path",
        "routeKey": "routeKey",
        "status": "status",
        "responseLength": "responseLength",
        "latencyMs": "responseLatency",
        "integrationLatencyMs": "integrationLatency",
        "integrationError": "integrationErrorMessage",
        "authorizerError": "authorizer.error",
        # Who called, by the one of the three that the route asks for; the others are "-".
        "callerArn": "identity.userArn",
        "callerSubject": "authorizer.claims.sub",
        "callerKey": "authorizer.keyName",
    }.items()
}


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionRoutes:
    """The routes of one function, as `METHOD /path` or `$default`, and the access that each requires."""

    name: str
    function: lambda_.Function
    routes: Mapping[str, Access]


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpApiArgs:
    """What the caller decides. Throttling counts requests of all callers together, per second and at once."""

    backends: Sequence[FunctionRoutes]
    authorizers: Authorizers
    throttle_rate: int
    throttle_burst: int
    cors_origin: str | None = None
    log_retention_days: int = 14
    kms_key_arn: pulumi.Input[str] | None = None


class HttpApi(pulumi.ComponentResource):
    """An HTTP API with an access log in JSON and throttling."""

    api: apigatewayv2.Api
    functions: Mapping[str, InstrumentedFunction]  # of its own

    def __init__(self, name: str, args: HttpApiArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:api:HttpApi", name, None, opts)
        self._name = name
        self._child = pulumi.ResourceOptions(parent=self)
        self.api = apigatewayv2.Api(
            name,
            protocol_type="HTTP",
            cors_configuration=_cors(args.cors_origin, args.authorizers),
            opts=self._child,
        )
        self._stage(args)
        self._authorizers = args.authorizers
        self.functions = {"authorizer": args.authorizers.keys.function} if args.authorizers.keys else {}
        self._authorizer = api_authorizer(name, args.authorizers, self.api, self._child)
        for backend in args.backends:
            self._connect(backend, with_preflights=args.cors_origin is not None)
        self.register_outputs({"endpoint": self.api.api_endpoint})

    def _stage(self, args: HttpApiArgs) -> None:
        log_group = cloudwatch.LogGroup(
            f"{self._name}-access-logs",
            name=naming.access_log_group(pulumi.get_project(), pulumi.get_stack(), self._name),
            retention_in_days=args.log_retention_days,
            kms_key_id=args.kms_key_arn,
            opts=self._child,
        )
        apigatewayv2.Stage(
            f"{self._name}-stage",
            api_id=self.api.id,
            name=_STAGE,
            auto_deploy=True,
            access_log_settings={"destination_arn": log_group.arn, "format": json.dumps(_ACCESS_LOG)},
            default_route_settings={
                "throttling_rate_limit": args.throttle_rate,
                "throttling_burst_limit": args.throttle_burst,
            },
            opts=self._child,
        )

    def _connect(self, backend: FunctionRoutes, *, with_preflights: bool) -> None:
        integration = apigatewayv2.Integration(
            f"{backend.name}-integration",
            api_id=self.api.id,
            integration_type="AWS_PROXY",
            integration_uri=backend.function.invoke_arn,
            payload_format_version="2.0",
            opts=self._child,
        )
        lambda_.Permission(
            f"{backend.name}-invocation",
            action="lambda:InvokeFunction",
            function=backend.function.name,
            principal="apigateway.amazonaws.com",
            source_arn=pulumi.Output.format("{0}/*/*", self.api.execution_arn),
            opts=self._child,
        )
        routes = {
            **backend.routes,
            **every_method(backend.routes),
            **(preflights(backend.routes) if with_preflights else {}),
        }
        for route, access in routes.items():
            self._route(route, access, integration)

    def _route(self, route: str, access: Access, integration: apigatewayv2.Integration) -> None:
        required = self._authorizers.authorization(access)
        authorizer = self._authorizer if required.kind in ("CUSTOM", "JWT") else None
        apigatewayv2.Route(
            f"{self._name}-{_slug(route)}",
            api_id=self.api.id,
            route_key=route,
            target=pulumi.Output.format("integrations/{0}", integration.id),
            authorization_type=required.kind,
            authorizer_id=authorizer.id if authorizer else None,
            authorization_scopes=list(required.scopes) or None,
            opts=self._child,
        )


def make_api(settings: Settings, platform: FunctionPlatform, backends: Sequence[FunctionRoutes]) -> HttpApi:
    """Make the stack's API in front of these functions."""
    args = HttpApiArgs(
        backends=backends,
        authorizers=make_authorizers(settings, platform),
        throttle_rate=settings.throttle_rate,
        throttle_burst=settings.throttle_burst,
        cors_origin=settings.cors_origin,
        log_retention_days=settings.log_retention_days,
        kms_key_arn=platform.args.kms_key_arn,
    )
    return HttpApi("ingestion-api", args)


def _slug(route: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", route).strip("-").lower()


def _cors(origin: str | None, authorizers: Authorizers) -> apigatewayv2.ApiCorsConfigurationArgs | None:
    if origin is None:
        return None
    return apigatewayv2.ApiCorsConfigurationArgs(
        allow_origins=[origin],
        allow_methods=["GET", "POST"],
        allow_headers=["content-type", "idempotency-key", *authorizers.headers()],
        expose_headers=["retry-after"],
        max_age=_PREFLIGHT_SECONDS,
    )
