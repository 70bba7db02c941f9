"""Authorizers of HTTP APIs."""

from __future__ import annotations

from typing import Any, ClassVar

from ops.local.deployer.aws import if_there
from ops.local.deployer.kinds.base import Kind, Resource
from ops.local.deployer.translate import Fields, Sub


class Authorizer(Kind):
    """aws:apigatewayv2/authorizer:Authorizer, of tokens (JWT) or by a function (REQUEST)."""

    fields: ClassVar[Fields] = {
        "apiId": "ApiId",
        "name": "Name",
        "authorizerType": "AuthorizerType",
        "authorizerUri": "AuthorizerUri",
        "authorizerPayloadFormatVersion": "AuthorizerPayloadFormatVersion",
        "authorizerResultTtlInSeconds": "AuthorizerResultTtlInSeconds",
        "enableSimpleResponses": "EnableSimpleResponses",
        "identitySources": "IdentitySource",
        "jwtConfiguration": Sub("JwtConfiguration", {"issuer": "Issuer", "audiences": "Audience"}),
    }
    fixed = frozenset({"apiId", "authorizerType"})

    def find(self, it: Resource) -> str | None:
        """By its recorded id, else by name."""
        api = it.inputs["apiId"]
        with if_there():
            if it.id:
                return it.aws.apigateway.get_authorizer(ApiId=api, AuthorizerId=it.id)["AuthorizerId"]
            items = it.aws.apigateway.get_authorizers(ApiId=api, MaxResults="500")["Items"]
            return next((a["AuthorizerId"] for a in items if a["Name"] == it.physical), None)
        return None

    def create(self, it: Resource) -> str:
        """In one call."""
        return it.aws.apigateway.create_authorizer(**(it.params | {"Name": it.physical}))["AuthorizerId"]

    def update(self, it: Resource) -> None:
        """All settings; the time for which answers are kept has API Gateway's default where it is no longer given."""
        settings = it.params | it.with_defaults({"AuthorizerResultTtlInSeconds": 300, "EnableSimpleResponses": False})
        it.aws.apigateway.update_authorizer(AuthorizerId=it.id, **(settings | {"Name": it.physical}))

    def delete(self, it: Resource) -> None:
        """After the routes that ask it have turned to another."""
        with if_there():
            it.aws.apigateway.delete_authorizer(ApiId=it.inputs["apiId"], AuthorizerId=it.id)

    def outputs(self, it: Resource) -> dict[str, Any]:
        """Its name."""
        return super().outputs(it) | {"name": it.physical}
