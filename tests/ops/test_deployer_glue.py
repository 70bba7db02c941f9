"""Glue's databases as the deployer keeps them, on moto."""

from pathlib import Path

import boto3
import pytest

from ops.local.deployer import DataLossError, deploy
from tests.ops.stack import small_program


def test_a_database_with_iceberg_tables_goes_only_when_that_is_agreed_to(moto_url: str, tmp_path: Path) -> None:
    """The program did not make those, and does not make them again; a table of its own kind is no loss."""
    database = "d = aws.glue.CatalogDatabase('small', name='small')"
    full, empty = small_program(tmp_path / "full", database), small_program(tmp_path / "empty", "")

    def run(root: Path, *, lose_data: bool = False) -> list[str]:
        at = {"endpoint": moto_url, "state_file": tmp_path / "state.json"}
        return deploy(root, "local", **at, config={}, notify=print, lose_data=lose_data).changes.deleted  # type: ignore[arg-type]

    run(full)
    keys = {"region_name": "us-east-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}
    glue = boto3.client("glue", endpoint_url=moto_url, **keys)  # type: ignore[call-overload]
    glue.create_table(DatabaseName="small", TableInput={"Name": "plain"})
    assert len(run(empty)) == 1

    run(full)
    of_iceberg = {"table_type": "ICEBERG", "metadata_location": "s3://silver/tables/things/0.json"}
    glue.create_table(DatabaseName="small", TableInput={"Name": "things", "Parameters": of_iceberg})
    with pytest.raises(DataLossError, match=r"'small': tables"):
        run(empty)
    assert len(run(empty, lose_data=True)) == 1
