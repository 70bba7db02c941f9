"""The deployer against moto, an emulator written by others: its parameters are checked a second time."""

from pathlib import Path

from ops.local.deployer import deploy
from ops.local.deployer.kinds import KINDS
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


def test_deployed_to_moto(moto_url: str, tmp_path: Path) -> None:
    """Most types are accepted, and found again by a second run; tuning is not shown: moto lacks most updates."""
    state_file = tmp_path / "moto.json"
    first = deploy(FIXTURE, "local", endpoint=moto_url, state_file=state_file, config=_WITHOUT).changes
    second = deploy(FIXTURE, "local", endpoint=moto_url, state_file=state_file, config=_WITHOUT).changes
    assert {key.partition("::")[0] for key in first.created} == set(KINDS) - _MISSING
    assert sorted([*second.unchanged, *_UNSEEN]) == sorted(first.created)
    assert (second.created, second.updated, second.replaced, second.deleted) == (_UNSEEN, [], [], [])
