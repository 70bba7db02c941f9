"""Table buckets, their namespaces and policies; the emulator keeps a table's files in a bucket of that name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from ops.local.deployer.aws import if_there
from ops.local.deployer.emulator_iam import resource_policy
from ops.local.deployer.errors import DeployError
from ops.local.deployer.kinds.base import Attached, Keeper, Kind, Resource, sync_tags
from ops.local.deployer.translate import Fields, Sub

if TYPE_CHECKING:
    from collections.abc import Iterator

_REMOVAL = "icebergUnreferencedFileRemoval"
_DAYS = {"unreferencedDays": "unreferencedDays", "nonCurrentDays": "nonCurrentDays"}


class TableBucket(Keeper):
    """aws:s3tables/tableBucket:TableBucket."""

    fields: ClassVar[Fields] = {
        "name": "name",
        "encryptionConfiguration": Sub(
            "encryptionConfiguration", {"sseAlgorithm": "sseAlgorithm", "kmsKeyArn": "kmsKeyArn"}
        ),
        "maintenanceConfiguration": Sub(
            "maintenance", {_REMOVAL: Sub(_REMOVAL, {"status": "status", "settings": Sub("settings", _DAYS)})}
        ),
        "forceDestroy": "forceDestroy",  # minded when it leaves the program
        "tags": "tags",
    }
    fixed = frozenset({"name"})

    def find(self, it: Resource) -> str | None:
        """By its ARN, which its name gives."""
        with if_there():
            it.aws.client("s3tables").get_table_bucket(tableBucketARN=_arn(it))
            return _arn(it)
        return None

    def create(self, it: Resource) -> str:
        """With its encryption and tags; maintenance is a call of its own."""
        given = it.pick("encryptionConfiguration", "tags")
        made: str = it.aws.client("s3tables").create_table_bucket(name=it.physical, **given)["arn"]
        self._maintain(it)
        return made

    def update(self, it: Resource) -> None:
        """Encryption of tables to come, maintenance, tags."""
        tables = it.aws.client("s3tables")
        if it.touches("encryptionConfiguration"):
            if given := it.pick("encryptionConfiguration"):
                tables.put_table_bucket_encryption(tableBucketARN=_arn(it), **given)
            elif "encryptionConfiguration" in it.before:
                tables.delete_table_bucket_encryption(tableBucketARN=_arn(it))
        self._maintain(it)
        sync_tags(
            it,
            lambda tags: tables.tag_resource(resourceArn=_arn(it), tags=tags),
            lambda keys: tables.untag_resource(resourceArn=_arn(it), tagKeys=keys),
        )

    def delete(self, it: Resource) -> None:
        """When it has no table, or with all of them where the program said so before.

        Raises:
            DeployError: it has tables that the program did not give up.
        """
        tables = it.aws.client("s3tables")
        with if_there():
            if it.inputs.get("forceDestroy"):
                for one in _tables(it):
                    tables.delete_table(tableBucketARN=it.id, namespace=one["namespace"][0], name=one["name"])
            elif self.holds(it):
                raise DeployError(
                    f"{it.type} {it.name!r} has left the program but has tables, and forceDestroy was not set; "
                    f"delete the tables of {it.id}, then deploy again"
                )
            tables.delete_table_bucket(tableBucketARN=it.id)

    def outputs(self, it: Resource) -> dict[str, Any]:
        """ARN, name, owner."""
        return super().outputs(it) | {"arn": _arn(it), "name": it.physical, "ownerAccountId": it.aws.account}

    def holds(self, it: Resource) -> str:
        """Its tables."""
        with if_there():
            return "tables" if any(_tables(it)) else ""
        return ""

    def _maintain(self, it: Resource) -> None:
        for type_, value in it.params.get("maintenance", {}).items():
            wanted = {"status": value["status"], "settings": {type_: value["settings"]}}
            it.aws.client("s3tables").put_table_bucket_maintenance_configuration(
                tableBucketARN=_arn(it), type=type_, value=wanted
            )


class Namespace(Kind):
    """aws:s3tables/namespace:Namespace."""

    fields: ClassVar[Fields] = {"namespace": "namespace", "tableBucketArn": "tableBucketARN"}
    fixed = frozenset({"namespace", "tableBucketArn"})

    def find(self, it: Resource) -> str | None:
        """By bucket and name."""
        with if_there():
            it.aws.client("s3tables").get_namespace(**it.params)
            return self._id(it)
        return None

    def create(self, it: Resource) -> str:
        """Its name is a list of one."""
        it.aws.client("s3tables").create_namespace(**it.params | {"namespace": [it.params["namespace"]]})
        return self._id(it)

    def update(self, it: Resource) -> None:
        """It has nothing that could change."""

    def delete(self, it: Resource) -> None:
        """What is in it goes, or stays, with its bucket."""
        with if_there():
            it.aws.client("s3tables").delete_namespace(**it.params)

    def _id(self, it: Resource) -> str:
        return f"{it.inputs['tableBucketArn']};{it.inputs['namespace']}"


class TableBucketPolicy(Attached):
    """aws:s3tables/tableBucketPolicy:TableBucketPolicy; one that only demands TLS leaves nothing for the emulator."""

    fields: ClassVar[Fields] = {"tableBucketArn": "tableBucketARN", "resourcePolicy": "resourcePolicy"}
    fixed = frozenset({"tableBucketArn"})

    def find(self, it: Resource) -> str | None:
        """As it stands; where it has nothing to say only the state file knows of it."""
        if not self._says(it):
            return it.id or None
        with if_there():
            it.aws.client("s3tables").get_table_bucket_policy(tableBucketARN=it.inputs["tableBucketArn"])
            return str(it.inputs["tableBucketArn"])
        return None

    def put(self, it: Resource) -> str:
        """The whole policy."""
        arn: str = it.inputs["tableBucketArn"]
        if policy := self._says(it):
            it.aws.client("s3tables").put_table_bucket_policy(tableBucketARN=arn, resourcePolicy=policy)
        else:
            self.delete(it)
        return arn

    def delete(self, it: Resource) -> None:
        """No policy."""
        with if_there():
            it.aws.client("s3tables").delete_table_bucket_policy(tableBucketARN=it.inputs["tableBucketArn"])

    def _says(self, it: Resource) -> str:
        policy = resource_policy(it.inputs["resourcePolicy"])
        return policy if json.loads(policy)["Statement"] else ""


def _tables(it: Resource) -> Iterator[dict[str, Any]]:
    for page in it.aws.client("s3tables").get_paginator("list_tables").paginate(tableBucketARN=it.id):
        yield from page["tables"]


def _arn(it: Resource) -> str:
    return f"arn:aws:s3tables:{it.aws.region}:{it.aws.account}:bucket/{it.physical}"
