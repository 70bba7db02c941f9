"""HTTP APIs: api, integrations, routes, stages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ops.local.deployer.aws import if_there
from ops.local.deployer.kinds.base import Kind, Resource, sync_tags
from ops.local.deployer.translate import Fields, Sub

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ops.local.deployer.aws import Aws

_CORS = {
    "allowCredentials": "AllowCredentials",
    "allowHeaders": "AllowHeaders",
    "allowMethods": "AllowMethods",
    "allowOrigins": "AllowOrigins",
    "exposeHeaders": "ExposeHeaders",
    "maxAge": "MaxAge",
}
_ROUTE_SETTINGS = {
    "dataTraceEnabled": "DataTraceEnabled",
    "detailedMetricsEnabled": "DetailedMetricsEnabled",
    "loggingLevel": "LoggingLevel",
    "throttlingBurstLimit": "ThrottlingBurstLimit",
    "throttlingRateLimit": "ThrottlingRateLimit",
}


class Api(Kind):
    """aws:apigatewayv2/api:Api, of protocol HTTP."""

    fields: ClassVar[Fields] = {
        "name": "Name",
        "protocolType": "ProtocolType",
        "description": "Description",
        "version": "Version",
        "corsConfiguration": Sub("CorsConfiguration", _CORS),
        "disableExecuteApiEndpoint": "DisableExecuteApiEndpoint",
        "routeSelectionExpression": "RouteSelectionExpression",
        "tags": "Tags",
    }
    fixed = frozenset({"protocolType"})

    def find(self, it: Resource) -> str | None:
        """By its recorded id, else by name."""
        if it.id:
            with if_there():
                return it.aws.apigateway.get_api(ApiId=it.id)["ApiId"]
        apis = it.aws.apigateway.get_apis(MaxResults="500")["Items"]
        return next((api["ApiId"] for api in apis if api["Name"] == it.physical), None)

    def create(self, it: Resource) -> str:
        """In one call."""
        return it.aws.apigateway.create_api(**(it.params | {"Name": it.physical}))["ApiId"]

    def update(self, it: Resource) -> None:
        """Name, description, CORS, tags."""
        defaults = {"Description": "", "Version": "", "DisableExecuteApiEndpoint": False}
        settings = it.with_defaults(defaults) | it.pick("CorsConfiguration", "RouteSelectionExpression")
        it.aws.apigateway.update_api(ApiId=it.id, Name=it.physical, **settings)
        if "corsConfiguration" in it.before and "corsConfiguration" not in it.inputs:
            it.aws.apigateway.delete_cors_configuration(ApiId=it.id)
        _sync_tags(it, _arn(it.aws, it.id))

    def delete(self, it: Resource) -> None:
        """With all that belongs to it."""
        with if_there():
            it.aws.apigateway.delete_api(ApiId=it.id)

    def outputs(self, it: Resource) -> dict[str, Any]:
        """ARNs, and the URL by which curl and Python both reach the emulator (no wildcard DNS)."""
        return super().outputs(it) | {
            "name": it.physical,
            "arn": _arn(it.aws, it.id),
            "apiEndpoint": _endpoint(it.aws, it.id),
            "executionArn": _execution_arn(it.aws, it.id),
        }


class Integration(Kind):
    """aws:apigatewayv2/integration:Integration."""

    fields: ClassVar[Fields] = {
        "apiId": "ApiId",
        "integrationType": "IntegrationType",
        "integrationUri": "IntegrationUri",
        "integrationMethod": "IntegrationMethod",
        "connectionType": "ConnectionType",
        "credentialsArn": "CredentialsArn",
        "description": "Description",
        "payloadFormatVersion": "PayloadFormatVersion",
        "timeoutMilliseconds": "TimeoutInMillis",
    }
    fixed = frozenset({"apiId", "integrationType"})
    provider_defaults: ClassVar[Mapping[str, object]] = {"connectionType": "INTERNET", "payloadFormatVersion": "1.0"}

    def find(self, it: Resource) -> str | None:
        """By its recorded id, else by what it calls."""
        api = it.inputs["apiId"]
        with if_there():
            if it.id:
                return it.aws.apigateway.get_integration(ApiId=api, IntegrationId=it.id)["IntegrationId"]
            items = it.aws.apigateway.get_integrations(ApiId=api, MaxResults="500")["Items"]
            uri = it.inputs.get("integrationUri")
            return next((i["IntegrationId"] for i in items if i.get("IntegrationUri") == uri), None)
        return None

    def create(self, it: Resource) -> str:
        """In one call."""
        return it.aws.apigateway.create_integration(**it.params)["IntegrationId"]

    def update(self, it: Resource) -> None:
        """All settings; the time-out's default is API Gateway's maximum."""
        settings = it.params | it.with_defaults({"Description": "", "TimeoutInMillis": 30_000})
        it.aws.apigateway.update_integration(IntegrationId=it.id, **settings)

    def delete(self, it: Resource) -> None:
        """After its routes."""
        with if_there():
            it.aws.apigateway.delete_integration(ApiId=it.inputs["apiId"], IntegrationId=it.id)


class Route(Kind):
    """aws:apigatewayv2/route:Route."""

    fields: ClassVar[Fields] = {
        "apiId": "ApiId",
        "routeKey": "RouteKey",
        "target": "Target",
        "authorizationType": "AuthorizationType",
        "authorizationScopes": "AuthorizationScopes",
        "authorizerId": "AuthorizerId",
        "operationName": "OperationName",
    }
    fixed = frozenset({"apiId", "routeKey"})

    def find(self, it: Resource) -> str | None:
        """By its recorded id, else by its key, which is unique in an API."""
        api = it.inputs["apiId"]
        with if_there():
            if it.id:
                return it.aws.apigateway.get_route(ApiId=api, RouteId=it.id)["RouteId"]
            items = it.aws.apigateway.get_routes(ApiId=api, MaxResults="500")["Items"]
            return next((r["RouteId"] for r in items if r["RouteKey"] == it.inputs["routeKey"]), None)
        return None

    def create(self, it: Resource) -> str:
        """In one call."""
        return it.aws.apigateway.create_route(**it.params)["RouteId"]

    def update(self, it: Resource) -> None:
        """Target and authorization."""
        settings = it.params | it.with_defaults(
            {"AuthorizationType": "NONE", "AuthorizationScopes": [], "AuthorizerId": ""}
        )
        it.aws.apigateway.update_route(RouteId=it.id, **settings)

    def delete(self, it: Resource) -> None:
        """Requests fall through to `$default`, where there is one."""
        with if_there():
            it.aws.apigateway.delete_route(ApiId=it.inputs["apiId"], RouteId=it.id)


class Stage(Kind):
    """aws:apigatewayv2/stage:Stage; the id is the name, as in the provider."""

    fields: ClassVar[Fields] = {
        "apiId": "ApiId",
        "name": "StageName",
        "autoDeploy": "AutoDeploy",
        "description": "Description",
        "stageVariables": "StageVariables",
        "accessLogSettings": Sub("AccessLogSettings", {"destinationArn": "DestinationArn", "format": "Format"}),
        "defaultRouteSettings": Sub("DefaultRouteSettings", _ROUTE_SETTINGS),
        "routeSettings": Sub("RouteSettings", _ROUTE_SETTINGS | {"routeKey": "routeKey"}),
        "tags": "Tags",
    }
    fixed = frozenset({"apiId", "name"})

    def find(self, it: Resource) -> str | None:
        """By name."""
        with if_there():
            return it.aws.apigateway.get_stage(ApiId=it.inputs["apiId"], StageName=it.physical)["StageName"]
        return None

    def create(self, it: Resource) -> str:
        """In one call."""
        return it.aws.apigateway.create_stage(**_stage(it) | it.pick("Tags"))["StageName"]

    def update(self, it: Resource) -> None:
        """Throttling, access logs, variables, tags."""
        defaults = {"Description": "", "AutoDeploy": False, "StageVariables": {}, "DefaultRouteSettings": {}}
        it.aws.apigateway.update_stage(**it.with_defaults(defaults) | _stage(it))
        if "accessLogSettings" in it.before and "accessLogSettings" not in it.inputs:
            it.aws.apigateway.delete_access_log_settings(ApiId=it.inputs["apiId"], StageName=it.id)
        _sync_tags(it, f"{_arn(it.aws, it.inputs['apiId'])}/stages/{it.id}")

    def delete(self, it: Resource) -> None:
        """The API answers no longer there."""
        with if_there():
            it.aws.apigateway.delete_stage(ApiId=it.inputs["apiId"], StageName=it.id)

    def outputs(self, it: Resource) -> dict[str, Any]:
        """ARNs and the URL of the stage."""
        api = it.inputs["apiId"]
        path = "" if it.id == "$default" else it.id
        return super().outputs(it) | {
            "name": it.id,
            "arn": f"{_arn(it.aws, api)}/stages/{it.id}",
            "executionArn": f"{_execution_arn(it.aws, api)}/{it.id}",
            "invokeUrl": f"{_endpoint(it.aws, api)}/{path}",
        }


def _stage(it: Resource) -> dict[str, Any]:
    request = {k: v for k, v in it.params.items() if k != "Tags"} | {"StageName": it.physical}
    if "RouteSettings" in request:
        request["RouteSettings"] = {
            item["routeKey"]: {k: v for k, v in item.items() if k != "routeKey"} for item in request["RouteSettings"]
        }
    return request


def _endpoint(aws: Aws, api: str) -> str:
    return f"{aws.endpoint}/_aws/execute-api/{api}"


def _arn(aws: Aws, api: str) -> str:
    return f"arn:aws:apigateway:{aws.region}::/apis/{api}"


def _execution_arn(aws: Aws, api: str) -> str:
    return f"arn:aws:execute-api:{aws.region}:{aws.account}:{api}"


def _sync_tags(it: Resource, arn: str) -> None:
    sync_tags(
        it,
        lambda tags: it.aws.apigateway.tag_resource(ResourceArn=arn, Tags=tags),
        lambda keys: it.aws.apigateway.untag_resource(ResourceArn=arn, TagKeys=keys),
    )
