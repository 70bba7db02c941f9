"""What the AWS provider (7) does with resources of each type, as IAM has it, from creation to deletion.

Made of the provider's sources and of AWS's Service Authorization Reference, which says what an action is checked on.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Kind:
    """What has an ARN of its own: which ones, with `{name}` for the name, and the inputs that name it, if one does."""

    sid: str
    arns: Sequence[str]
    named_by: str = "name"
    begun_by: str = "namePrefix"  # the provider adds 26 characters


@dataclass(frozen=True, slots=True)
class Rights:
    """Actions on resources of the type `of`, and those that AWS grants on everything of an account or not at all.

    `known_by_tags` are on those alone that have the stack's tags, because their ids are not known beforehand.
    """

    of: str
    actions: Sequence[str]
    anywhere: Sequence[str] = ()
    known_by_tags: Sequence[str] = ()


_HERE = "{region}:{account}"
KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "aws:apigatewayv2/api:Api": Kind(
            "Apis", ("apigateway:{region}::/apis", "apigateway:{region}::/apis/*", "apigateway:{region}::/tags/*")
        ),
        "aws:cloudwatch/compositeAlarm:CompositeAlarm": Kind(
            "SumsOfAlarms", (f"cloudwatch:{_HERE}:alarm:{{name}}",), "alarmName"
        ),
        "aws:cloudwatch/dashboard:Dashboard": Kind(
            "Dashboards", ("cloudwatch::{account}:dashboard/{name}",), "dashboardName"
        ),
        "aws:cloudwatch/eventArchive:EventArchive": Kind("Archives", (f"events:{_HERE}:archive/{{name}}",)),
        "aws:cloudwatch/eventBus:EventBus": Kind("Buses", (f"events:{_HERE}:event-bus/{{name}}",)),
        "aws:cloudwatch/eventRule:EventRule": Kind("Rules", (f"events:{_HERE}:rule/{{name}}",)),
        "aws:cloudwatch/logGroup:LogGroup": Kind(
            "Logs", (f"logs:{_HERE}:log-group:{{name}}", f"logs:{_HERE}:log-group:{{name}}:*")
        ),
        "aws:cloudwatch/metricAlarm:MetricAlarm": Kind("Alarms", (f"cloudwatch:{_HERE}:alarm:{{name}}",)),
        "aws:dynamodb/table:Table": Kind("Tables", (f"dynamodb:{_HERE}:table/{{name}}",)),
        "aws:glue/catalogDatabase:CatalogDatabase": Kind(
            "Catalog",
            (
                f"glue:{_HERE}:catalog",
                f"glue:{_HERE}:database/{{name}}",
                f"glue:{_HERE}:table/{{name}}/*",
                f"glue:{_HERE}:userDefinedFunction/{{name}}/*",
            ),
        ),
        "aws:iam/role:Role": Kind("Roles", ("iam::{account}:role/{name}",)),
        "aws:kms/alias:Alias": Kind("KeyAliases", (f"kms:{_HERE}:{{name}}",)),
        "aws:kms/key:Key": Kind("Keys", (f"kms:{_HERE}:key/*",)),
        "aws:lambda/eventSourceMapping:EventSourceMapping": Kind(
            "Mappings", (f"lambda:{_HERE}:event-source-mapping:*",)
        ),
        "aws:lambda/function:Function": Kind("Functions", (f"lambda:{_HERE}:function:{{name}}",)),
        "aws:lambda/layerVersion:LayerVersion": Kind(
            "Layers", (f"lambda:{_HERE}:layer:{{name}}", f"lambda:{_HERE}:layer:{{name}}:*"), "layerName"
        ),
        "aws:s3/bucket:Bucket": Kind("Buckets", ("s3:::{name}",), "bucket", "bucketPrefix"),
        "aws:s3tables/tableBucket:TableBucket": Kind(
            "TableBuckets", (f"s3tables:{_HERE}:bucket/{{name}}", f"s3tables:{_HERE}:bucket/{{name}}/table/*")
        ),
        "aws:sfn/stateMachine:StateMachine": Kind("StateMachines", (f"states:{_HERE}:stateMachine:{{name}}",)),
        "aws:sns/topic:Topic": Kind("Topics", (f"sns:{_HERE}:{{name}}",)),
        "aws:sqs/queue:Queue": Kind("Queues", (f"sqs:{_HERE}:{{name}}",)),
        "aws:ssm/parameter:Parameter": Kind("Parameters", (f"ssm:{_HERE}:parameter/{{name}}",)),
    }
)

_API = "aws:apigatewayv2/api:Api"
_BUCKET = "aws:s3/bucket:Bucket"
_DATABASE = "aws:glue/catalogDatabase:CatalogDatabase"
_FUNCTION = "aws:lambda/function:Function"
_GROUP = "aws:cloudwatch/logGroup:LogGroup"
_QUEUE = "aws:sqs/queue:Queue"
_ROLE = "aws:iam/role:Role"
_RULE = "aws:cloudwatch/eventRule:EventRule"
_TABLE_BUCKET = "aws:s3tables/tableBucket:TableBucket"
_TOPIC = "aws:sns/topic:Topic"
_HTTP = tuple(f"apigateway:{verb}" for verb in ("DELETE", "GET", "PATCH", "POST", "PUT"))


def _of(service: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{service}:{name}" for name in names)


_ALARM_TAGS = _of("cloudwatch", "ListTagsForResource", "TagResource", "UntagResource")
_EVENT_TAGS = _of("events", "ListTagsForResource", "TagResource", "UntagResource")
_LAMBDA_TAGS = _of("lambda", "ListTags", "TagResource", "UntagResource")
RIGHTS: Mapping[str, Rights] = MappingProxyType(
    {
        "aws:apigatewayv2/api:Api": Rights(_API, _HTTP),
        "aws:apigatewayv2/authorizer:Authorizer": Rights(_API, _HTTP),
        "aws:apigatewayv2/integration:Integration": Rights(_API, _HTTP),
        "aws:apigatewayv2/route:Route": Rights(_API, _HTTP),
        "aws:apigatewayv2/stage:Stage": Rights(
            _API,
            _HTTP,
            # what API Gateway asks of whoever switches access logs on
            _of("logs", "CreateLogDelivery", "DeleteLogDelivery", "DescribeResourcePolicies", "GetLogDelivery")
            + _of("logs", "ListLogDeliveries", "PutResourcePolicy", "UpdateLogDelivery"),
        ),
        "aws:cloudwatch/compositeAlarm:CompositeAlarm": Rights(
            "aws:cloudwatch/compositeAlarm:CompositeAlarm",
            _of("cloudwatch", "DeleteAlarms", "DisableAlarmActions", "EnableAlarmActions", "PutCompositeAlarm")
            + _ALARM_TAGS,
            _of("cloudwatch", "DescribeAlarms"),
        ),
        "aws:cloudwatch/dashboard:Dashboard": Rights(
            "aws:cloudwatch/dashboard:Dashboard", _of("cloudwatch", "DeleteDashboards", "GetDashboard", "PutDashboard")
        ),
        "aws:cloudwatch/eventArchive:EventArchive": Rights(
            "aws:cloudwatch/eventArchive:EventArchive",
            _of("events", "CreateArchive", "DeleteArchive", "DescribeArchive", "UpdateArchive"),
        ),
        "aws:cloudwatch/eventBus:EventBus": Rights(
            "aws:cloudwatch/eventBus:EventBus",
            _of("events", "CreateArchive", "CreateEventBus", "DeleteEventBus", "DescribeEventBus", "UpdateEventBus")
            + _EVENT_TAGS,
        ),
        "aws:cloudwatch/eventRule:EventRule": Rights(
            _RULE, _of("events", "DeleteRule", "DescribeRule", "DisableRule", "EnableRule", "PutRule") + _EVENT_TAGS
        ),
        "aws:cloudwatch/eventTarget:EventTarget": Rights(
            _RULE, _of("events", "ListTargetsByRule", "PutTargets", "RemoveTargets")
        ),
        "aws:cloudwatch/logGroup:LogGroup": Rights(
            _GROUP,
            _of(
                "logs",
                "AssociateKmsKey",
                "CreateLogGroup",
                "DeleteLogGroup",
                "DeleteRetentionPolicy",
                "DisassociateKmsKey",
            )
            + _of("logs", "ListTagsForResource", "PutRetentionPolicy", "TagResource", "UntagResource"),
            _of("logs", "DescribeLogGroups"),
        ),
        "aws:cloudwatch/logMetricFilter:LogMetricFilter": Rights(
            _GROUP, _of("logs", "DeleteMetricFilter", "DescribeMetricFilters", "PutMetricFilter")
        ),
        "aws:cloudwatch/metricAlarm:MetricAlarm": Rights(
            "aws:cloudwatch/metricAlarm:MetricAlarm",
            _of("cloudwatch", "DeleteAlarms", "PutMetricAlarm") + _ALARM_TAGS,
            _of("cloudwatch", "DescribeAlarms"),
        ),
        "aws:cloudwatch/queryDefinition:QueryDefinition": Rights(
            "", (), _of("logs", "DeleteQueryDefinition", "DescribeQueryDefinitions", "PutQueryDefinition")
        ),
        "aws:dynamodb/table:Table": Rights(
            "aws:dynamodb/table:Table",
            _of(
                "dynamodb",
                "CreateTable",
                "DeleteTable",
                "DescribeContinuousBackups",
                "DescribeTable",
                "DescribeTimeToLive",
            )
            + _of(
                "dynamodb",
                "ListTagsOfResource",
                "TagResource",
                "UntagResource",
                "UpdateContinuousBackups",
                "UpdateTable",
            )
            + _of("dynamodb", "UpdateTimeToLive"),
        ),
        "aws:glue/catalogDatabase:CatalogDatabase": Rights(
            _DATABASE,
            _of("glue", "CreateDatabase", "DeleteDatabase", "GetDatabase", "GetTags", "TagResource", "UntagResource")
            + _of("glue", "UpdateDatabase"),
        ),
        "aws:glue/catalogTable:CatalogTable": Rights(
            _DATABASE, _of("glue", "CreateTable", "DeleteTable", "GetPartitionIndexes", "GetTable", "UpdateTable")
        ),
        "aws:iam/role:Role": Rights(
            _ROLE,
            _of(
                "iam",
                "CreateRole",
                "DeleteRole",
                "DeleteRolePermissionsBoundary",
                "GetRole",
                "ListAttachedRolePolicies",
            )
            + _of("iam", "ListInstanceProfilesForRole", "ListRolePolicies", "PutRolePermissionsBoundary", "TagRole")
            + _of("iam", "UntagRole", "UpdateAssumeRolePolicy", "UpdateRole"),
        ),
        "aws:iam/rolePolicy:RolePolicy": Rights(
            _ROLE, _of("iam", "DeleteRolePolicy", "GetRolePolicy", "PutRolePolicy")
        ),
        "aws:kms/alias:Alias": Rights(
            "aws:kms/alias:Alias", _of("kms", "CreateAlias", "DeleteAlias", "UpdateAlias"), _of("kms", "ListAliases")
        ),
        "aws:kms/key:Key": Rights(
            "aws:kms/key:Key",
            _of("kms", "TagResource"),  # of a key that has no tags yet
            _of("kms", "CreateKey"),
            _of(
                "kms",
                "CreateAlias",
                "DeleteAlias",
                "DescribeKey",
                "DisableKeyRotation",
                "EnableKeyRotation",
                "GetKeyPolicy",
            )
            + _of(
                "kms",
                "GetKeyRotationStatus",
                "ListResourceTags",
                "PutKeyPolicy",
                "ScheduleKeyDeletion",
                "UntagResource",
            )
            + _of("kms", "UpdateAlias", "UpdateKeyDescription")
            # AWS asks for these of whoever names the key for a table, a bus, a parameter or a function
            + _of("kms", "CreateGrant", "Decrypt", "Encrypt", "GenerateDataKey"),
        ),
        "aws:lambda/eventSourceMapping:EventSourceMapping": Rights(
            "aws:lambda/eventSourceMapping:EventSourceMapping",
            _LAMBDA_TAGS,
            (),
            _of("lambda", "DeleteEventSourceMapping", "GetEventSourceMapping", "UpdateEventSourceMapping"),
        ),
        "aws:lambda/function:Function": Rights(
            _FUNCTION,
            _of("lambda", "CreateFunction", "DeleteFunction", "DeleteFunctionConcurrency", "GetFunction")
            + _of("lambda", "GetFunctionCodeSigningConfig", "GetFunctionConcurrency", "GetFunctionConfiguration")
            + _of("lambda", "ListVersionsByFunction", "PutFunctionConcurrency", "UpdateFunctionCode")
            + _of("lambda", "UpdateFunctionConfiguration")
            + _LAMBDA_TAGS,
        ),
        "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": Rights(
            _FUNCTION,
            _of(
                "lambda",
                "DeleteFunctionEventInvokeConfig",
                "GetFunctionEventInvokeConfig",
                "PutFunctionEventInvokeConfig",
            ),
        ),
        "aws:lambda/layerVersion:LayerVersion": Rights(
            "aws:lambda/layerVersion:LayerVersion",
            _of("lambda", "DeleteLayerVersion", "GetLayerVersion", "PublishLayerVersion"),
        ),
        "aws:lambda/permission:Permission": Rights(
            _FUNCTION, _of("lambda", "AddPermission", "GetPolicy", "RemovePermission")
        ),
        "aws:s3/bucket:Bucket": Rights(
            _BUCKET,
            _of("s3", "CreateBucket", "DeleteBucket", "GetAccelerateConfiguration", "GetBucketAcl", "GetBucketCORS")
            + _of("s3", "GetBucketLocation", "GetBucketLogging", "GetBucketObjectLockConfiguration", "GetBucketPolicy")
            + _of("s3", "GetBucketRequestPayment", "GetBucketTagging", "GetBucketVersioning", "GetBucketWebsite")
            + _of("s3", "GetEncryptionConfiguration", "GetLifecycleConfiguration", "GetReplicationConfiguration")
            + _of("s3", "ListBucket", "ListTagsForResource", "PutBucketTagging", "TagResource", "UntagResource"),
        ),
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": Rights(
            _BUCKET, _of("s3", "GetLifecycleConfiguration", "PutLifecycleConfiguration")
        ),
        "aws:s3/bucketNotification:BucketNotification": Rights(
            _BUCKET, _of("s3", "GetBucketNotification", "PutBucketNotification")
        ),
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls": Rights(
            _BUCKET, _of("s3", "GetBucketOwnershipControls", "PutBucketOwnershipControls")
        ),
        "aws:s3/bucketPolicy:BucketPolicy": Rights(
            _BUCKET, _of("s3", "DeleteBucketPolicy", "GetBucketPolicy", "PutBucketPolicy")
        ),
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": Rights(
            _BUCKET, _of("s3", "GetBucketPublicAccessBlock", "PutBucketPublicAccessBlock")
        ),
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": Rights(
            _BUCKET, _of("s3", "GetEncryptionConfiguration", "PutEncryptionConfiguration")
        ),
        "aws:s3/bucketVersioning:BucketVersioning": Rights(
            _BUCKET, _of("s3", "GetBucketVersioning", "PutBucketVersioning")
        ),
        "aws:s3tables/namespace:Namespace": Rights(
            _TABLE_BUCKET, _of("s3tables", "CreateNamespace", "DeleteNamespace", "GetNamespace")
        ),
        "aws:s3tables/tableBucket:TableBucket": Rights(
            _TABLE_BUCKET,
            _of("s3tables", "CreateTableBucket", "DeleteTableBucket", "DeleteTableBucketEncryption")
            + _of("s3tables", "GetTableBucket", "GetTableBucketEncryption", "GetTableBucketMaintenanceConfiguration")
            + _of("s3tables", "GetTableBucketStorageClass", "ListTagsForResource", "PutTableBucketEncryption")
            + _of("s3tables", "PutTableBucketMaintenanceConfiguration", "TagResource", "UntagResource"),
        ),
        "aws:s3tables/tableBucketPolicy:TableBucketPolicy": Rights(
            _TABLE_BUCKET, _of("s3tables", "DeleteTableBucketPolicy", "GetTableBucketPolicy", "PutTableBucketPolicy")
        ),
        "aws:sfn/stateMachine:StateMachine": Rights(
            "aws:sfn/stateMachine:StateMachine",
            _of(
                "states", "CreateStateMachine", "DeleteStateMachine", "DescribeStateMachine", "ListStateMachineVersions"
            )
            + _of("states", "ListTagsForResource", "TagResource", "UntagResource", "UpdateStateMachine"),
            _of("states", "ValidateStateMachineDefinition"),
        ),
        "aws:sns/topic:Topic": Rights(
            _TOPIC,
            _of("sns", "CreateTopic", "DeleteTopic", "GetTopicAttributes", "ListTagsForResource", "SetTopicAttributes")
            + _of("sns", "TagResource", "UntagResource"),
        ),
        "aws:sns/topicPolicy:TopicPolicy": Rights(_TOPIC, _of("sns", "GetTopicAttributes", "SetTopicAttributes")),
        "aws:sns/topicSubscription:TopicSubscription": Rights(
            _TOPIC,
            _of("sns", "Subscribe"),
            _of("sns", "GetSubscriptionAttributes", "SetSubscriptionAttributes", "Unsubscribe"),
        ),
        "aws:sqs/queue:Queue": Rights(
            _QUEUE,
            _of("sqs", "CreateQueue", "DeleteQueue", "GetQueueAttributes", "ListQueueTags", "SetQueueAttributes")
            + _of("sqs", "TagQueue", "UntagQueue"),
        ),
        "aws:sqs/queuePolicy:QueuePolicy": Rights(_QUEUE, _of("sqs", "GetQueueAttributes", "SetQueueAttributes")),
        "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy": Rights(
            _QUEUE, _of("sqs", "GetQueueAttributes", "SetQueueAttributes")
        ),
        "aws:ssm/parameter:Parameter": Rights(
            "aws:ssm/parameter:Parameter",
            _of("ssm", "AddTagsToResource", "DeleteParameter", "GetParameter", "GetParameters", "ListTagsForResource")
            + _of("ssm", "PutParameter", "RemoveTagsFromResource"),
            _of("ssm", "DescribeParameters"),
        ),
    }
)
EMPTIED = _of("s3", "DeleteObject", "DeleteObjectVersion", "ListBucketVersions")  # a bucket that goes with its objects
DROPPED = _of("s3tables", "DeleteNamespace", "DeleteTable", "ListNamespaces", "ListTables")  # and its tables
NETWORK = _of("ec2", "DescribeSecurityGroups", "DescribeSubnets", "DescribeVpcs")  # Lambda, of who puts functions there
MAPPED = _of("lambda", "CreateEventSourceMapping")  # of the stack's functions
BOUND = _of("iam", "CreateRole", "PutRolePermissionsBoundary", "PutRolePolicy")  # with the boundary, where there is one
UNBOUND = _of("iam", "DeleteRolePermissionsBoundary")  # without one
