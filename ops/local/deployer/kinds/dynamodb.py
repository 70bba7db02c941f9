"""Tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ops.local.deployer.aws import if_there
from ops.local.deployer.kinds.base import Keeper, Resource, sync_tags, tag_list
from ops.local.deployer.translate import Fields, Sub

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import WaiterConfigTypeDef

    from ops.local.deployer.aws import Aws

_WAIT: WaiterConfigTypeDef = {"Delay": 1, "MaxAttempts": 60}


class Table(Keeper):
    """aws:dynamodb/table:Table; keys and indexes can't be changed here once it holds items."""

    fields: ClassVar[Fields] = {
        "name": "TableName",
        "attributes": Sub("AttributeDefinitions", {"name": "AttributeName", "type": "AttributeType"}),
        "hashKey": "hashKey",
        "rangeKey": "rangeKey",
        "billingMode": "BillingMode",
        "readCapacity": "ReadCapacityUnits",
        "writeCapacity": "WriteCapacityUnits",
        "globalSecondaryIndexes": Sub(
            "GlobalSecondaryIndexes",
            {
                "name": "IndexName",
                "hashKey": "hashKey",
                "rangeKey": "rangeKey",
                "keySchemas": Sub("KeySchema", {"attributeName": "AttributeName", "keyType": "KeyType"}),
                "projectionType": "ProjectionType",
                "nonKeyAttributes": "NonKeyAttributes",
            },
        ),
        "streamEnabled": "StreamEnabled",
        "streamViewType": "StreamViewType",
        "ttl": Sub("Ttl", {"attributeName": "AttributeName", "enabled": "Enabled"}),
        "pointInTimeRecovery": Sub(
            "Pitr", {"enabled": "PointInTimeRecoveryEnabled", "recoveryPeriodInDays": "RecoveryPeriodInDays"}
        ),
        "serverSideEncryption": Sub("Sse", {"enabled": "Enabled", "kmsKeyArn": "KMSMasterKeyId"}),
        "deletionProtectionEnabled": "DeletionProtectionEnabled",
        "tableClass": "TableClass",
        "tags": "Tags",
    }
    fixed = frozenset({"name", "hashKey", "rangeKey", "attributes", "globalSecondaryIndexes"})

    def find(self, it: Resource) -> str | None:
        """By name."""
        with if_there():
            return it.aws.dynamodb.describe_table(TableName=it.physical)["Table"]["TableName"]
        return None

    def create(self, it: Resource) -> str:
        """Wait until it is active, then set what CreateTable does not take."""
        request = _settings(it) | it.pick("AttributeDefinitions")
        request["KeySchema"] = _key_schema(it.inputs)
        if indexes := it.params.get("GlobalSecondaryIndexes"):
            request["GlobalSecondaryIndexes"] = [_index(index) for index in indexes]
        if tags := it.inputs.get("tags"):
            request["Tags"] = tag_list(tags)
        it.aws.dynamodb.create_table(TableName=it.physical, **request)
        self._await(it)
        self._extras(it)
        return it.physical

    def update(self, it: Resource) -> None:
        """Billing, stream, encryption, protection, TTL, recovery, tags; the items stay."""
        if it.touches(*_IN_UPDATE_TABLE):
            it.aws.dynamodb.update_table(TableName=it.id, **_settings(it))
            self._await(it)
        self._extras(it)
        arn = _arn(it.aws, it.id)
        sync_tags(
            it,
            lambda tags: it.aws.dynamodb.tag_resource(ResourceArn=arn, Tags=tag_list(tags)),
            lambda keys: it.aws.dynamodb.untag_resource(ResourceArn=arn, TagKeys=keys),
        )

    def delete(self, it: Resource) -> None:
        """With its items; AWS refuses while deletion protection is on."""
        with if_there():
            it.aws.dynamodb.delete_table(TableName=it.id)
            it.aws.dynamodb.get_waiter("table_not_exists").wait(TableName=it.id, WaiterConfig=_WAIT)

    def outputs(self, it: Resource) -> dict[str, Any]:
        """ARN, name, and the stream's ARN where there is one."""
        plain = super().outputs(it) | {"arn": _arn(it.aws, it.id), "name": it.id}
        if not it.inputs.get("streamEnabled"):
            return plain
        table = it.aws.dynamodb.describe_table(TableName=it.id)["Table"]
        return plain | {"streamArn": table["LatestStreamArn"], "streamLabel": table["LatestStreamLabel"]}

    def holds(self, it: Resource) -> str:
        """Its items (the item count that DynamoDB keeps is hours old, so one is looked for)."""
        with if_there():
            return "items" if it.aws.dynamodb.scan(TableName=it.id, Limit=1)["Count"] else ""
        return ""

    def _extras(self, it: Resource) -> None:
        name = it.physical
        if it.touches("ttl") and (ttl := _ttl(it)):
            it.aws.dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=ttl)  # type: ignore[arg-type]
        if it.touches("pointInTimeRecovery"):
            recovery = it.params.get("Pitr", {"PointInTimeRecoveryEnabled": False})
            it.aws.dynamodb.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=recovery)

    def _await(self, it: Resource) -> None:
        it.aws.dynamodb.get_waiter("table_exists").wait(TableName=it.physical, WaiterConfig=_WAIT)


_IN_UPDATE_TABLE = (
    *("billingMode", "readCapacity", "writeCapacity", "streamEnabled", "streamViewType"),
    *("serverSideEncryption", "deletionProtectionEnabled", "tableClass"),
)


def _settings(it: Resource) -> dict[str, Any]:
    """What CreateTable and UpdateTable have in common."""
    settings = it.pick("BillingMode", "TableClass")
    settings.update(it.with_defaults({"DeletionProtectionEnabled": False}))
    if throughput := it.pick("ReadCapacityUnits", "WriteCapacityUnits"):
        settings["ProvisionedThroughput"] = throughput
    if "StreamEnabled" in it.params and it.touches("streamEnabled", "streamViewType"):
        settings["StreamSpecification"] = it.pick("StreamEnabled", "StreamViewType")
    if it.touches("serverSideEncryption") and ("Sse" in it.params or "serverSideEncryption" in it.before):
        sse = it.params.get("Sse", {"Enabled": False})
        settings["SSESpecification"] = sse | ({"SSEType": "KMS"} if sse["Enabled"] else {})
    return settings


def _ttl(it: Resource) -> dict[str, Any] | None:
    """The specification to send: off under the former attribute where the program no longer has one."""
    now = it.params.get("Ttl")
    before = it.before.get("ttl")
    if now is None and before is not None:
        return {"AttributeName": before["attributeName"], "Enabled": False}
    return {"Enabled": True} | now if now else None


def _key_schema(keys: Any) -> list[dict[str, str]]:  # noqa: ANN401 - a table's or an index's inputs
    schema = [{"AttributeName": keys["hashKey"], "KeyType": "HASH"}]
    return schema + ([{"AttributeName": keys["rangeKey"], "KeyType": "RANGE"}] if "rangeKey" in keys else [])


def _index(index: dict[str, Any]) -> dict[str, Any]:
    projection = {key: index[key] for key in ("ProjectionType", "NonKeyAttributes") if key in index}
    keys = index.get("KeySchema") or _key_schema(index)  # hashKey and rangeKey are the older way to say it
    return {"IndexName": index["IndexName"], "KeySchema": keys, "Projection": projection}


def _arn(aws: Aws, name: str) -> str:
    return f"arn:aws:dynamodb:{aws.region}:{aws.account}:table/{name}"
