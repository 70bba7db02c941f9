"""Databases and tables of the Glue catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ops.local.deployer.aws import if_there
from ops.local.deployer.kinds.base import Keeper, Kind, Resource, sync_tags
from ops.local.deployer.translate import Fields, Sub

if TYPE_CHECKING:
    from ops.local.deployer.aws import Aws

_COLUMN = {"name": "Name", "type": "Type"}


class CatalogDatabase(Keeper):
    """aws:glue/catalogDatabase:CatalogDatabase."""

    fields: ClassVar[Fields] = {"name": "Name", "description": "Description", "tags": "Tags"}
    fixed = frozenset({"name"})

    def find(self, it: Resource) -> str | None:
        """By name."""
        with if_there():
            it.aws.glue.get_database(Name=it.physical)
            return _database_id(it)
        return None

    def create(self, it: Resource) -> str:
        """In the account's own catalog."""
        it.aws.glue.create_database(DatabaseInput=_described(it), **it.pick("Tags"))
        return _database_id(it)

    def update(self, it: Resource) -> None:
        """Description and tags."""
        it.aws.glue.update_database(Name=it.physical, DatabaseInput=_described(it))
        arn = _arn(it.aws, it.physical)
        sync_tags(
            it,
            lambda tags: it.aws.glue.tag_resource(ResourceArn=arn, TagsToAdd=tags),
            lambda keys: it.aws.glue.untag_resource(ResourceArn=arn, TagsToRemove=keys),
        )

    def delete(self, it: Resource) -> None:
        """With the tables that it still has, as AWS does it; their files stay."""
        with if_there():
            it.aws.glue.delete_database(Name=it.physical)

    def outputs(self, it: Resource) -> dict[str, Any]:
        """ARN, name, catalog."""
        return super().outputs(it) | {
            "arn": _arn(it.aws, it.physical),
            "name": it.physical,
            "catalogId": it.aws.account,
        }

    def holds(self, it: Resource) -> str:
        """Iceberg tables, which the program did not make: what files they have is known nowhere else."""
        with if_there():
            pages = it.aws.glue.get_paginator("get_tables").paginate(DatabaseName=it.physical)
            found = (one.get("Parameters", {}) for page in pages for one in page["TableList"])
            return "tables" if any("metadata_location" in one for one in found) else ""
        return ""


class CatalogTable(Kind):
    """aws:glue/catalogTable:CatalogTable."""

    fields: ClassVar[Fields] = {
        "name": "Name",
        "databaseName": "DatabaseName",
        "tableType": "TableType",
        "parameters": "Parameters",
        "partitionKeys": Sub("PartitionKeys", _COLUMN),
        "storageDescriptor": Sub(
            "StorageDescriptor",
            {
                "location": "Location",
                "inputFormat": "InputFormat",
                "outputFormat": "OutputFormat",
                "serDeInfo": Sub("SerdeInfo", {"serializationLibrary": "SerializationLibrary"}),
                "columns": Sub("Columns", _COLUMN),
            },
        ),
    }
    fixed = frozenset({"name", "databaseName"})

    def find(self, it: Resource) -> str | None:
        """By database and name."""
        with if_there():
            it.aws.glue.get_table(DatabaseName=it.inputs["databaseName"], Name=it.physical)
            return _table_id(it)
        return None

    def create(self, it: Resource) -> str:
        """In one call."""
        it.aws.glue.create_table(DatabaseName=it.inputs["databaseName"], TableInput=_table(it))
        return _table_id(it)

    def update(self, it: Resource) -> None:
        """The whole definition."""
        it.aws.glue.update_table(DatabaseName=it.inputs["databaseName"], TableInput=_table(it))

    def delete(self, it: Resource) -> None:
        """The definition; the files stay."""
        with if_there():
            it.aws.glue.delete_table(DatabaseName=it.inputs["databaseName"], Name=it.physical)

    def outputs(self, it: Resource) -> dict[str, Any]:
        """ARN, name, catalog."""
        database = it.inputs["databaseName"]
        arn = f"arn:aws:glue:{it.aws.region}:{it.aws.account}:table/{database}/{it.physical}"
        return {"arn": arn, "name": it.physical, "catalogId": it.aws.account}


def _described(it: Resource) -> Any:  # noqa: ANN401 - a TypedDict
    return {"Name": it.physical} | it.with_defaults({"Description": ""})


def _table(it: Resource) -> Any:  # noqa: ANN401 - a TypedDict
    return {"Name": it.physical} | it.pick("TableType", "Parameters", "PartitionKeys", "StorageDescriptor")


def _database_id(it: Resource) -> str:
    return f"{it.aws.account}:{it.physical}"


def _table_id(it: Resource) -> str:
    return f"{it.aws.account}:{it.inputs['databaseName']}:{it.physical}"


def _arn(aws: Aws, database: str) -> str:
    return f"arn:aws:glue:{aws.region}:{aws.account}:database/{database}"
