"""Table buckets as the deployer tunes, keeps and empties them."""

from pathlib import Path

import pytest

from ops.local.deployer import DataLossError, DeployError
from tests.ops.stack import Stack, small_program

_ARN = "arn:aws:s3tables:us-east-1:000000000000:bucket/small"
_BUCKET = """
b = aws.s3tables.TableBucket('small', force_destroy={force})
aws.s3tables.Namespace('n', namespace='lake', table_bucket_arn=b.arn)
aws.s3tables.TableBucketPolicy('p', table_bucket_arn=b.arn, resource_policy=json.dumps({{
    'Version': '2012-10-17', 'Statement': [{statement}]}}))
"""
_TLS_ONLY = (
    "{'Effect': 'Deny', 'Principal': '*', 'Action': 's3tables:*', 'Resource': '*',"
    " 'Condition': {'Bool': {'aws:SecureTransport': 'false'}}}"
)
_READS = "{'Effect': 'Allow', 'Principal': {'AWS': '000000000000'}, 'Action': 's3tables:GetTable', 'Resource': '*'}"


def _program(folder: Path, *, force: bool = True, statement: str = _TLS_ONLY) -> Path:
    return small_program(folder, "import json\n" + _BUCKET.format(force=force, statement=statement))


def test_a_table_bucket_with_tables_goes_only_where_it_was_given_up(stack: Stack, tmp_path: Path) -> None:
    """One without is deleted; of one with tables the program has to say so while it still has it."""
    empty = small_program(tmp_path / "empty", "")
    stack.deploy(_program(tmp_path / "small", force=False))
    tables = stack.client("s3tables")
    tables.create_table(tableBucketARN=_ARN, namespace="lake", name="things", format="ICEBERG")

    with pytest.raises(DataLossError, match="tables"):
        stack.deploy(empty)
    with pytest.raises(DeployError, match="has left the program but has tables"):
        stack.deploy(empty, lose_data=True)
    stack.deploy(_program(tmp_path / "small"))
    stack.deploy(empty, lose_data=True)

    assert tables.list_table_buckets()["tableBuckets"] == []


def test_its_policy_is_changed_in_place(stack: Stack, tmp_path: Path) -> None:
    """There is no TLS on loopback: a policy that demands nothing else is none."""
    tables = stack.client("s3tables")
    first = stack.deploy(_program(tmp_path / "small"))
    again = stack.deploy(_program(tmp_path / "small"))
    with pytest.raises(tables.exceptions.NotFoundException):
        tables.get_table_bucket_policy(tableBucketARN=_ARN)
    changed = stack.deploy(_program(tmp_path / "small", statement=_READS))

    assert sorted(first.changes.created) == sorted(again.changes.unchanged)
    assert [key.rpartition("::")[2] for key in changed.changes.updated] == ["p"]
    assert "s3tables:GetTable" in tables.get_table_bucket_policy(tableBucketARN=_ARN)["resourcePolicy"]
