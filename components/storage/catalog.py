"""The silver bucket as SQL tables: a Glue database for Athena and other readers."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import glue

from components.security import policies
from components.storage.lake_buckets import SILVER_PREFIX

_PARQUET = "org.apache.hadoop.hive.ql.io.parquet"
# As many as the worker takes: a row of a later day would be there and not be found until the day comes.
DAYS_AHEAD = 7


@dataclass(frozen=True, kw_only=True, slots=True)
class LakeCatalogArgs:
    """What the caller decides. `types` has the columns of each table, with Glue's types, in their order.

    It is empty where somebody else makes the tables.

    `start_date` is the first day that rows may be of.
    """

    database: str
    bucket: pulumi.Input[str]
    types: Mapping[str, Mapping[str, str]]
    start_date: str


class LakeCatalog(pulumi.ComponentResource):
    """A table for each type. Its days follow from their range, so that no new one has to be registered.

    Queries should name the days that they want (`WHERE dt BETWEEN …`), or every day of the range is looked for.
    """

    database: glue.CatalogDatabase

    def __init__(self, name: str, args: LakeCatalogArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:storage:LakeCatalog", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.database = glue.CatalogDatabase(
            f"{name}-database",
            name=args.database,
            description=f"The lake of {pulumi.get_project()}, stack {pulumi.get_stack()}",
            opts=child,
        )
        for kind, columns in args.types.items():
            place = pulumi.Output.format("s3://{0}/{1}{2}/", args.bucket, SILVER_PREFIX, kind)
            glue.CatalogTable(
                f"{name}-{kind}",
                name=kind,
                database_name=self.database.name,
                table_type="EXTERNAL_TABLE",
                parameters={"EXTERNAL": "TRUE", "classification": "parquet", **_projection(place, args.start_date)},
                partition_keys=[{"name": "dt", "type": "date"}],
                storage_descriptor={
                    "location": place,
                    "input_format": f"{_PARQUET}.MapredParquetInputFormat",
                    "output_format": f"{_PARQUET}.MapredParquetOutputFormat",
                    "ser_de_info": {"serialization_library": f"{_PARQUET}.serde.ParquetHiveSerDe"},
                    "columns": [{"name": column, "type": type_} for column, type_ in columns.items()],
                },
                opts=child,
            )
        self.register_outputs({"database": self.database.name})

    def environment(self) -> dict[str, pulumi.Input[str]]:
        """Return what tells a committer where its tables are."""
        return {"NAMESPACE": self.database.name}

    def commits(self) -> list[policies.Statement]:
        """Return what who makes and commits to Iceberg tables in the database may do."""
        catalog = self.database.arn.apply(lambda arn: arn.partition(":database/")[0])
        arns = [
            pulumi.Output.format("{0}:catalog", catalog),
            self.database.arn,
            pulumi.Output.format("{0}:table/{1}/*", catalog, self.database.name),
        ]
        return [
            policies.allow(
                "Tables", ["glue:CreateTable", "glue:GetDatabase", "glue:GetTable", "glue:UpdateTable"], arns
            )
        ]


def _projection(place: pulumi.Output[str], start_date: str) -> dict[str, pulumi.Input[str]]:
    return {
        "projection.enabled": "true",
        "projection.dt.type": "date",
        "projection.dt.format": "yyyy-MM-dd",
        "projection.dt.range": f"{start_date},NOW+{DAYS_AHEAD}DAYS",
        "projection.dt.interval": "1",
        "projection.dt.interval.unit": "DAYS",
        "storage.location.template": pulumi.Output.format("{0}dt=${{dt}}/", place),
    }
