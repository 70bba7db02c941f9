"""Every function has the rights that it needs and no others; seen with `pytest -s tests/live/test_privileges.py`."""

import io
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from handlers.control.redrive.run import entry
from handlers.control.redrive.run.runner import Runner
from handlers.control.redrive.sqs import inbox
from handlers.observability import logger
from tests.contract.policies import ALL_PIPELINES
from tests.live.authorization import Need, needs
from tests.live.privileges import DOC, Grant, Inspection
from tests.live.stage import Stage, staged
from tests.live.uses import USES, Uses
from tests.live.wire import Call

_EVERYTHING = {
    "pipelines": ALL_PIPELINES,
    "useKmsCmk": True,
    "tracing": True,
    "vpcSubnetIds": ["subnet-0123456789abcdef0"],
    "vpcSecurityGroupIds": ["sg-0123456789abcdef0"],
}
_SECRET = "arn:aws:secretsmanager:us-east-1:000000000000:secret:keys-AbCdEf"
_TABLE = "arn:aws:dynamodb:us-east-1:000000000000:table/t"


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage with every option that adds a grant, whose functions have been used in every way."""
    with (
        pytest.MonkeyPatch.context() as patch,
        staged(tmp_path_factory.mktemp("privileges"), **_EVERYTHING) as stage,
    ):
        patch.setattr(inbox, "_WAIT_SECONDS", 0)
        patch.setattr(entry, "Runner", partial(Runner, pause=stage.pause))
        patch.setattr(logger, "stream", io.StringIO())
        Uses(stage).mode("none")  # which ends what is still warm from another stage
        for use in USES:
            use(Uses(stage))
        yield stage


@pytest.fixture(scope="module")
def inspection(used: Stage) -> Inspection:
    """Its grants and needs."""
    return Inspection.of(used)


def test_every_function_was_used(used: Stage) -> None:
    """None is left out: whoever adds a function says in uses.py how it is used."""
    assert {call.function for call in used.wire.calls} == set(used.names())


def test_every_call_is_granted(used: Stage, inspection: Inspection) -> None:
    """By the policies as AWS reads them, and by the emulator's IAM, which has refused none."""
    refused = [(call.function, call.operation) for call in used.wire.calls if call.status in (401, 403)]

    assert inspection.missing() == set()
    assert refused == []


def test_every_grant_is_used_or_has_a_reason(inspection: Inspection) -> None:
    """What nobody needs is not granted."""
    assert [(grant.function, grant.action, grant.resource) for grant in inspection.grants if not grant.why] == []


def test_the_document_says_so(inspection: Inspection) -> None:
    """docs/privileges.md is what was seen; UPDATE_DOCS=1 writes it."""
    found = inspection.document()
    print(f"\n{found}")  # noqa: T201 - the list, with -s
    if os.environ.get("UPDATE_DOCS") == "1":
        DOC.write_text(found, encoding="utf-8")

    assert DOC.read_text(encoding="utf-8") == found


def test_what_only_other_configurations_grant_is_used_too(tmp_path: Path) -> None:
    """An API key that others keep as a secret, and orders without events, whose API then answers for the bus."""
    config = {"pipelines": ["orders"], "apiKey": "", "apiKeySecretArn": _SECRET}
    with staged(tmp_path, **config) as stage:
        Uses(stage).mode("none")
        for use in (Uses.orders, Uses.health, Uses.authorizer):
            use(Uses(stage))
        seen = Inspection.of(stage)

    assert seen.missing() == set()
    assert {"events:DescribeEventBus", "secretsmanager:GetSecretValue"} <= {
        need.action for needed in seen.needed.values() for need in needed
    }
    assert [(g.function, g.action) for g in seen.grants if g.function in seen.needed and not g.why] == []


def test_too_little_would_be_seen() -> None:
    """A call on another resource than the granted one, or by another function, is missing its grant."""
    grant = Grant("f", "arn:aws:s3:::b/bronze/*", "", "s3:GetObjectVersion", "Bronze")
    covered, outside = (Need("s3:GetObjectVersion", f"arn:aws:s3:::b/{key}") for key in ("bronze/x", "silver/x"))
    seen = Inspection([grant], {"f": {covered, outside}, "g": {covered}})

    assert seen.missing() == {("f", outside), ("g", covered)}


@pytest.mark.parametrize(
    ("service", "operation", "params", "expected"),
    [
        (
            "dynamodb",
            "BatchExecuteStatement",
            {
                "Statements": [
                    {"Statement": "INSERT INTO \"t\" VALUE {'id': ?}"},
                    {"Statement": 'UPDATE "t" SET a=?\nWHERE id=?'},
                    {"Statement": 'SELECT id FROM "t" WHERE id=?'},
                    {"Statement": 'DELETE FROM "t" WHERE id=?'},
                ]
            },
            {Need(f"dynamodb:PartiQL{verb}", _TABLE) for verb in ("Insert", "Update", "Select", "Delete")},
        ),
        (
            "dynamodb",
            "TransactWriteItems",
            {"TransactItems": [{"Put": {"TableName": "t"}}, {"ConditionCheck": {"TableName": "t"}}]},
            {Need("dynamodb:PutItem", _TABLE), Need("dynamodb:ConditionCheckItem", _TABLE)},
        ),
        (
            "dynamodb",
            "Query",
            {"TableName": "t", "IndexName": "i"},
            {Need("dynamodb:Query", f"{_TABLE}/index/i")},
        ),
        (
            "sqs",
            "SendMessageBatch",
            {"QueueUrl": "http://127.0.0.1:1/000000000000/q"},
            {Need("sqs:SendMessage", "arn:aws:sqs:us-east-1:000000000000:q")},
        ),
        (
            "s3",
            "GetObject",
            {"Bucket": "b", "Key": "k", "VersionId": "1"},
            {Need("s3:GetObjectVersion", "arn:aws:s3:::b/k")},
        ),
    ],
)
def test_what_aws_checks(service: str, operation: str, params: dict[str, object], expected: set[Need]) -> None:
    """Not the call's name: the single actions of batches, statements and transactions, on what they name."""
    assert needs(Call("f", service, operation, params, 1, 1)) == expected
