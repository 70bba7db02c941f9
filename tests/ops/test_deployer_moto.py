"""The deployer against moto, an emulator written by others: its parameters are checked a second time."""

from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient

from ops.local.deployer import deploy
from ops.local.deployer.kinds import KINDS
from ops.rights.actions import MAPPED, RIGHTS
from tests.ops.stack import FIXTURE

# No PutCompositeAlarm, no GetAuthorizers, nothing of a table bucket's settings.
_WITHOUT: dict[str, object] = {"composite": False, "authorizers": False, "tableBucket": False}
_MISSING = {
    "aws:cloudwatch/compositeAlarm:CompositeAlarm",
    "aws:apigatewayv2/authorizer:Authorizer",
    *(f"aws:s3tables/{kind}" for kind in ("tableBucket:TableBucket", "namespace:Namespace")),
    "aws:s3tables/tableBucketPolicy:TableBucketPolicy",
}
_UNSEEN = ["aws:sqs/redriveAllowPolicy:RedriveAllowPolicy::dlq-allow"]  # moto takes this attribute and never shows it


_NAMED_OTHERWISE = {  # by IAM, than the call is
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "s3:GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "s3:GetBucketNotificationConfiguration": "s3:GetBucketNotification",
    "s3:PutBucketEncryption": "s3:PutEncryptionConfiguration",
    "s3:PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "s3:PutBucketNotificationConfiguration": "s3:PutBucketNotification",
    "s3:PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
}
_SERVICES = {"stepfunctions": "states"}
# Who has no state of Pulumi's looks by name; the provider knows the id.
_LOOKS = {"lambda:ListEventSourceMappings", "sns:ListSubscriptionsByTopic", "sqs:GetQueueUrl", "sts:GetCallerIdentity"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The calls that are made, as IAM names them; all of API Gateway's are requests of five methods."""
    found: set[str] = set()
    client_class: Any = BaseClient  # whose stubs leave out what its clients call
    made = client_class._make_api_call

    def call(client: Any, operation: str, params: Any) -> Any:
        service = client.meta.service_model.service_name
        name = f"{_SERVICES.get(service, service)}:{operation}"
        found.update({_NAMED_OTHERWISE.get(name, name)} if service != "apigatewayv2" else ())
        return made(client, operation, params)

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    return found


def test_deployed_to_moto(moto_url: str, tmp_path: Path, asked: set[str]) -> None:
    """Every type but two is accepted, and found again by a second run; tuning is not shown: moto lacks most updates.

    Whoever deploys such resources may do all that this takes (`lab rights`), whether or not the provider does it so.
    """
    state_file = tmp_path / "moto.json"
    first = deploy(FIXTURE, "local", endpoint=moto_url, state_file=state_file, config=_WITHOUT).changes
    second = deploy(FIXTURE, "local", endpoint=moto_url, state_file=state_file, config=_WITHOUT).changes
    assert {key.partition("::")[0] for key in first.created} == set(KINDS) - _MISSING
    assert sorted([*second.unchanged, *_UNSEEN]) == sorted(first.created)
    assert (second.created, second.updated, second.replaced, second.deleted) == (_UNSEEN, [], [], [])
    granted = {action for one in RIGHTS.values() for action in (*one.actions, *one.anywhere, *one.known_by_tags)}
    assert len(asked) > 70
    assert asked - granted - {*MAPPED} == _LOOKS
