"""What the program registers, written as CloudFormation resources: AWS publishes schemas of those, region by region.

`FORMS` is a table from Pulumi's type to CloudFormation's and to how the inputs are written there. What a form does not
name keeps its name with a capital, and the schemas refuse names that AWS doesn't have.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tests.components.recording import ACCOUNT, REGION, Registered
from tests.contract.linting import lint

Json = Any
Inputs = Mapping[str, Json]
Form = tuple[str, Callable[[Inputs], Json]]

# The unique end that the provider gives to names that the program only begins.
_UNIQUE = 26 * "0"
_CODE = {"S3Bucket": "deployment-artifacts", "S3Key": "code.zip"}
_UUID = "11111111-2222-4333-8444-555555555555"

_LINT = """
import gc, json, sys

gc.disable()  # a sixth of its time, for memory that it gives back anyway
from cfnlint.api import lint

found = lint(sys.stdin.read(), regions=sys.argv[1:])
print(json.dumps([[one.rule.id, one.message, list(getattr(one, "path", None) or [])] for one in found]))
"""
_OF_TEMPLATES = ("E3010", "E3019")  # 500 resources of different names to a template; here are those of many stacks
_STACK = re.compile(r"\b(dev|prod)\b")


REGIONS = ("eu-central-1", "cn-north-1", "us-gov-west-1")  # a commercial one, China, GovCloud

# Where more things of a name have an ARN, the first one here is meant.
_ARNS = {
    "aws:lambda/function:Function": "lambda:{region}:{account}:function:{name}",
    "aws:sqs/queue:Queue": "sqs:{region}:{account}:{name}",
    "aws:sns/topic:Topic": "sns:{region}:{account}:{name}",
    "aws:dynamodb/table:Table": "dynamodb:{region}:{account}:table/{name}",
    "aws:kms/key:Key": f"kms:{{region}}:{{account}}:key/{_UUID}",
    "aws:iam/role:Role": "iam::{account}:role/{name}",
    "aws:cloudwatch/logGroup:LogGroup": "logs:{region}:{account}:log-group:{name}",
    "aws:cloudwatch/eventBus:EventBus": "events:{region}:{account}:event-bus/{name}",
    "aws:cloudwatch/eventRule:EventRule": "events:{region}:{account}:rule/{name}",
    "aws:lambda/eventSourceMapping:EventSourceMapping": f"lambda:{{region}}:{{account}}:event-source-mapping:{_UUID}",
    "aws:lambda/layerVersion:LayerVersion": "lambda:{region}:{account}:layer:{name}:1",
    "aws:sfn/stateMachine:StateMachine": "states:{region}:{account}:stateMachine:{name}",
    "aws:ssm/parameter:Parameter": "ssm:{region}:{account}:parameter/{name}",
    "aws:s3/bucket:Bucket": "s3:::{name}",
    "aws:s3tables/tableBucket:TableBucket": "s3tables:{region}:{account}:bucket/{name}",
}


def _pascal(name: str) -> str:
    return name[:1].upper() + name[1:]


def _written(value: Json) -> Json:
    """Names with a capital, at any depth; whole numbers as such."""
    if isinstance(value, dict):
        return {_pascal(key): _written(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_written(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _pairs(values: Inputs, key: str = "Key") -> Json:
    return [{key: name, "Value": value} for name, value in values.items()]


_RULES: Mapping[str, Callable[[Json], Json]] = {  # by Pulumi's name, at the top of a resource
    "tags": _pairs,
    "policy": json.loads,
    "eventPattern": json.loads,
    "redrivePolicy": json.loads,
    "redriveAllowPolicy": json.loads,
    "assumeRolePolicy": json.loads,
}


def _plain(
    names: Mapping[str, str] | None = None,
    more: Inputs | None = None,
    drop: Iterable[str] = (),
    rules: Mapping[str, Callable[[Json], Json]] | None = None,
) -> Callable[[Inputs], Json]:
    """A form that renames, adds, leaves out, and writes some values by rules of their own."""
    renamed, left_out, own = dict(names or {}), set(drop), {**_RULES, **(rules or {})}

    def form(inputs: Inputs) -> Json:
        kept = {key: value for key, value in inputs.items() if key not in left_out}
        given = {
            renamed.get(key, _pascal(key)): own[key](value) if key in own else _written(value)
            for key, value in kept.items()
        }
        return {**(more or {}), **given}

    return form


def _same(value: Json) -> Json:
    return value


def _variables(environment: Inputs) -> Json:
    return {"Variables": environment["variables"]}


def _metric(query: Inputs) -> Json:
    given = {_pascal(key): _written(value) for key, value in query.items() if key != "metric"}
    if "metric" not in query:
        return given
    metric = query["metric"]
    what = {"Namespace": metric["namespace"], "MetricName": metric["metricName"]}
    what["Dimensions"] = _pairs(metric.get("dimensions", {}), "Name")
    return {**given, "MetricStat": {"Metric": what, "Period": int(metric["period"]), "Stat": metric["stat"]}}


def _transformations(made: Inputs) -> Json:
    given = {
        "MetricName": made["name"],
        "MetricNamespace": made["namespace"],
        "MetricValue": made["value"],
        "Unit": made["unit"],
    }
    if "defaultValue" in made:
        given["DefaultValue"] = float(made["defaultValue"])
    if "dimensions" in made:
        given["Dimensions"] = _pairs(made["dimensions"])
    return [given]


def _keys(index: Inputs) -> Json:
    kinds = (("hashKey", "HASH"), ("rangeKey", "RANGE"))
    return [{"AttributeName": index[key], "KeyType": kind} for key, kind in kinds if key in index]


def _table(inputs: Inputs) -> Json:
    encryption = inputs.get("serverSideEncryption", {})
    recovery = inputs["pointInTimeRecovery"]
    rest = _plain(
        drop=(
            "hashKey",
            "rangeKey",
            "attributes",
            "ttl",
            "pointInTimeRecovery",
            "serverSideEncryption",
            "globalSecondaryIndexes",
        )
    )(inputs)
    indexes = [
        {"IndexName": i["name"], "KeySchema": _keys(i), "Projection": {"ProjectionType": i["projectionType"]}}
        for i in inputs.get("globalSecondaryIndexes", [])
    ]
    given = {
        **rest,
        "KeySchema": _keys(inputs),
        "AttributeDefinitions": [
            {"AttributeName": a["name"], "AttributeType": a["type"]} for a in inputs["attributes"]
        ],
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": recovery["enabled"]},
        **({"GlobalSecondaryIndexes": indexes} if indexes else {}),
    }
    if "ttl" in inputs:
        given["TimeToLiveSpecification"] = _written(inputs["ttl"])
    if encryption:
        given["SSESpecification"] = {
            "SSEEnabled": encryption["enabled"],
            "SSEType": "KMS",
            "KMSMasterKeyId": encryption["kmsKeyArn"],
        }
    return given


def _target(inputs: Inputs) -> Json:
    target = {"Id": inputs.get("targetId", "target")}
    target |= _plain(drop=("targetId", "rule", "eventBusName"))(inputs)
    pattern = {"source": ["any"]} if "eventBusName" in inputs else None
    rule = {"EventBusName": inputs["eventBusName"]} if "eventBusName" in inputs else {}
    when = {"EventPattern": pattern} if pattern else {"ScheduleExpression": "rate(1 minute)"}
    return {**rule, **when, "Targets": [target]}


def _lifecycle(inputs: Inputs) -> Json:
    rules = []
    for rule in inputs["rules"]:
        given = _plain(drop=("filter", "expiration"), rules={"id": _same})(rule)
        given["Prefix"] = rule.get("filter", {}).get("prefix", "")
        expiration = rule.get("expiration", {})
        if "days" in expiration:
            given["ExpirationInDays"] = int(expiration["days"])
        if "expiredObjectDeleteMarker" in expiration:
            given["ExpiredObjectDeleteMarker"] = expiration["expiredObjectDeleteMarker"]
        rules.append(given)
    return {"LifecycleConfiguration": {"Rules": rules}}


def _notification(inputs: Inputs) -> Json:
    found: dict[str, list[Json]] = {}
    for key, kind, whom, arn in (
        ("lambdaFunctions", "LambdaConfigurations", "Function", "lambdaFunctionArn"),
        ("queues", "QueueConfigurations", "Queue", "queueArn"),
    ):
        for each in inputs.get(key, []):
            rules = [
                {"Name": side, "Value": each[f"filter{_pascal(side)}"]}
                for side in ("prefix", "suffix")
                if f"filter{_pascal(side)}" in each
            ]
            found.setdefault(kind, []).extend(
                {"Event": event, whom: each[arn], "Filter": {"S3Key": {"Rules": rules}}} for event in each["events"]
            )
    return {"NotificationConfiguration": found}


def _encryption(inputs: Inputs) -> Json:
    rules = []
    for rule in inputs["rules"]:
        default = rule["applyServerSideEncryptionByDefault"]
        how = {"SSEAlgorithm": default["sseAlgorithm"]}
        if "kmsMasterKeyId" in default:
            how["KMSMasterKeyID"] = default["kmsMasterKeyId"]
        rules.append({"ServerSideEncryptionByDefault": how, "BucketKeyEnabled": rule.get("bucketKeyEnabled", False)})
    return {"BucketEncryption": {"ServerSideEncryptionConfiguration": rules}}


def _catalog_table(inputs: Inputs) -> Json:
    table = _plain(drop=("databaseName", "storageDescriptor"), rules={"parameters": _same})(inputs)
    stored = _written(inputs["storageDescriptor"])
    stored["SerdeInfo"] = stored.pop("SerDeInfo")
    return {
        "CatalogId": ACCOUNT,
        "DatabaseName": inputs["databaseName"],
        "TableInput": {**table, "StorageDescriptor": stored},
    }


def _table_bucket(inputs: Inputs) -> Json:
    removal = inputs["maintenanceConfiguration"]["icebergUnreferencedFileRemoval"]
    key = inputs.get("encryptionConfiguration")
    return {
        "TableBucketName": f"tables-{_UNIQUE}",
        "UnreferencedFileRemoval": {
            "Status": removal["status"].capitalize(),
            "UnreferencedDays": removal["settings"]["unreferencedDays"],
            "NoncurrentDays": removal["settings"]["nonCurrentDays"],
        },
        **(
            {"EncryptionConfiguration": {"SSEAlgorithm": key["sseAlgorithm"], "KMSKeyArn": key["kmsKeyArn"]}}
            if key
            else {}
        ),
    }


def _only(name: str, value: Callable[[Inputs], Json]) -> Callable[[Inputs], Json]:
    """One property: what is a resource of its own with Pulumi is a part of the bucket with CloudFormation."""
    return lambda inputs: {name: value(inputs)}


def _role(inputs: Inputs) -> Json:
    given = _plain({"assumeRolePolicy": "AssumeRolePolicyDocument"}, drop=("namePrefix",))(inputs)
    return {**given, **({"RoleName": f"{inputs['namePrefix']}{_UNIQUE}"} if "namePrefix" in inputs else {})}


def _parameter(inputs: Inputs) -> Json:
    """CloudFormation makes no SecureString, and takes no key."""
    return {**_plain(drop=("keyId",), rules={"tags": _same})(inputs), "Type": "String"}


_QUEUE_NAMES = {
    "visibilityTimeoutSeconds": "VisibilityTimeout",
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "maxMessageSize": "MaximumMessageSize",
    "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
}

FORMS: Mapping[str, Form] = {
    "aws:apigatewayv2/api:Api": ("AWS::ApiGatewayV2::Api", _plain(more={"Name": "api"}, rules={"tags": _same})),
    "aws:apigatewayv2/authorizer:Authorizer": (
        "AWS::ApiGatewayV2::Authorizer",
        _plain(
            {"identitySources": "IdentitySource"},
            {"Name": "authorizer"},
            rules={"jwtConfiguration": lambda jwt: {"Audience": jwt["audiences"], "Issuer": jwt["issuer"]}},
        ),
    ),
    "aws:apigatewayv2/integration:Integration": ("AWS::ApiGatewayV2::Integration", _plain()),
    "aws:apigatewayv2/route:Route": ("AWS::ApiGatewayV2::Route", _plain()),
    "aws:apigatewayv2/stage:Stage": ("AWS::ApiGatewayV2::Stage", _plain({"name": "StageName"}, rules={"tags": _same})),
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": (
        "AWS::CloudWatch::CompositeAlarm",
        _plain({"okActions": "OKActions"}),
    ),
    "aws:cloudwatch/dashboard:Dashboard": ("AWS::CloudWatch::Dashboard", _plain()),
    "aws:cloudwatch/eventArchive:EventArchive": (
        "AWS::Events::Archive",
        _plain({"eventSourceArn": "SourceArn", "name": "ArchiveName"}),
    ),
    "aws:cloudwatch/eventBus:EventBus": ("AWS::Events::EventBus", _plain(more={"Name": "bus"})),
    "aws:cloudwatch/eventRule:EventRule": ("AWS::Events::Rule", _plain()),
    "aws:cloudwatch/eventTarget:EventTarget": ("AWS::Events::Rule", _target),
    "aws:cloudwatch/logGroup:LogGroup": ("AWS::Logs::LogGroup", _plain({"name": "LogGroupName"})),
    "aws:cloudwatch/logMetricFilter:LogMetricFilter": (
        "AWS::Logs::MetricFilter",
        _plain(
            {"pattern": "FilterPattern", "metricTransformation": "MetricTransformations", "name": "FilterName"},
            rules={"metricTransformation": _transformations},
        ),
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": (
        "AWS::CloudWatch::Alarm",
        _plain(
            {
                "name": "AlarmName",
                "okActions": "OKActions",
                "metricQueries": "Metrics",
                "evaluateLowSampleCountPercentiles": "EvaluateLowSampleCountPercentile",
            },
            rules={
                "dimensions": lambda values: _pairs(values, "Name"),
                "metricQueries": lambda queries: [_metric(query) for query in queries],
            },
        ),
    ),
    "aws:cloudwatch/queryDefinition:QueryDefinition": ("AWS::Logs::QueryDefinition", _plain()),
    "aws:dynamodb/table:Table": ("AWS::DynamoDB::Table", _table),
    "aws:glue/catalogDatabase:CatalogDatabase": (
        "AWS::Glue::Database",
        lambda inputs: {"CatalogId": ACCOUNT, "DatabaseInput": _plain(drop=("tags",))(inputs)},
    ),
    "aws:glue/catalogTable:CatalogTable": ("AWS::Glue::Table", _catalog_table),
    "aws:iam/role:Role": ("AWS::IAM::Role", _role),
    "aws:iam/rolePolicy:RolePolicy": (
        "AWS::IAM::RolePolicy",
        _plain({"role": "RoleName", "policy": "PolicyDocument"}, {"PolicyName": "policy"}),
    ),
    "aws:kms/alias:Alias": ("AWS::KMS::Alias", _plain({"name": "AliasName"})),
    "aws:kms/key:Key": (
        "AWS::KMS::Key",
        _plain({"policy": "KeyPolicy", "deletionWindowInDays": "PendingWindowInDays"}),
    ),
    "aws:lambda/eventSourceMapping:EventSourceMapping": ("AWS::Lambda::EventSourceMapping", _plain()),
    "aws:lambda/function:Function": (
        "AWS::Lambda::Function",
        _plain(rules={"code": lambda _: _CODE, "environment": _variables}),
    ),
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": (
        "AWS::Lambda::EventInvokeConfig",
        _plain(more={"Qualifier": "$LATEST"}),
    ),
    "aws:lambda/layerVersion:LayerVersion": (
        "AWS::Lambda::LayerVersion",
        _plain({"code": "Content"}, rules={"code": lambda _: _CODE}),
    ),
    "aws:lambda/permission:Permission": ("AWS::Lambda::Permission", _plain({"function": "FunctionName"})),
    "aws:s3/bucket:Bucket": (
        "AWS::S3::Bucket",
        lambda inputs: {
            "BucketName": f"{inputs['bucketPrefix']}{_UNIQUE}",
            **_plain(drop=("bucketPrefix", "forceDestroy"))(inputs),
        },
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": ("AWS::S3::Bucket", _lifecycle),
    "aws:s3/bucketNotification:BucketNotification": ("AWS::S3::Bucket", _notification),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": (
        "AWS::S3::Bucket",
        _only("OwnershipControls", lambda inputs: {"Rules": [_written(inputs["rule"])]}),
    ),
    "aws:s3/bucketPolicy:BucketPolicy": ("AWS::S3::BucketPolicy", _plain({"policy": "PolicyDocument"})),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": (
        "AWS::S3::Bucket",
        _only("PublicAccessBlockConfiguration", _plain(drop=("bucket",))),
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        "AWS::S3::Bucket",
        _encryption,
    ),
    "aws:s3/bucketVersioning:BucketVersioning": (
        "AWS::S3::Bucket",
        _only("VersioningConfiguration", lambda inputs: _written(inputs["versioningConfiguration"])),
    ),
    "aws:s3tables/namespace:Namespace": (
        "AWS::S3Tables::Namespace",
        lambda inputs: {"Namespace": inputs["namespace"], "TableBucketARN": inputs["tableBucketArn"]},
    ),
    "aws:s3tables/tableBucket:TableBucket": ("AWS::S3Tables::TableBucket", _table_bucket),
    "aws:s3tables/tableBucketPolicy:TableBucketPolicy": (
        "AWS::S3Tables::TableBucketPolicy",
        lambda inputs: {
            "TableBucketARN": inputs["tableBucketArn"],
            "ResourcePolicy": json.loads(inputs["resourcePolicy"]),
        },
    ),
    "aws:sfn/stateMachine:StateMachine": (
        "AWS::StepFunctions::StateMachine",
        _plain({"definition": "DefinitionString", "type": "StateMachineType"}),
    ),
    "aws:sns/topic:Topic": ("AWS::SNS::Topic", _plain()),
    "aws:sns/topicPolicy:TopicPolicy": (
        "AWS::SNS::TopicPolicy",
        lambda inputs: {"Topics": [inputs["arn"]], "PolicyDocument": json.loads(inputs["policy"])},
    ),
    "aws:sns/topicSubscription:TopicSubscription": ("AWS::SNS::Subscription", _plain({"topic": "TopicArn"})),
    "aws:sqs/queue:Queue": ("AWS::SQS::Queue", _plain(_QUEUE_NAMES)),
    "aws:sqs/queuePolicy:QueuePolicy": (
        "AWS::SQS::QueuePolicy",
        lambda inputs: {"Queues": [inputs["queueUrl"]], "PolicyDocument": json.loads(inputs["policy"])},
    ),
    "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy": ("AWS::SQS::Queue", _plain(drop=("queueUrl",))),
    "aws:ssm/parameter:Parameter": ("AWS::SSM::Parameter", _parameter),
}


def resources(registered: Iterable[Registered]) -> dict[str, Json]:
    """CloudFormation's resources by what is told of them, with whole ARNs in place of those that the mocks invent.

    Raises:
        KeyError: a type of AWS has no form.
    """
    all_ = list(registered)
    arns = _arns(all_)
    found = {}
    for each in all_:
        if each.type.startswith("aws:"):
            kind, form = FORMS[each.type]
            found[f"{each.type} {each.name}"] = {"Type": kind, "Properties": _real(form(each.inputs), arns)}
    return found


def distinct(named: Iterable[tuple[str, Json]]) -> dict[str, Json]:
    """Of resources that differ in nothing but their tags and the stack's name the first: linting is what costs."""
    found: dict[str, tuple[str, Json]] = {}
    for name, resource in named:
        untagged = {key: value for key, value in resource["Properties"].items() if key != "Tags"}
        text = _STACK.sub("stack", json.dumps([resource["Type"], untagged], sort_keys=True))
        found.setdefault(text, (name, resource))
    return dict(found.values())


def faults(found: Mapping[str, Json]) -> list[str]:
    """What the schemas of the three regions, which come with the linter, and its other rules find wrong.

    The linter's process takes the 200 MB of its schemas along when it ends.
    """
    names = {f"R{number}": name for number, name in enumerate(sorted(found))}  # in the same order in each run
    template = json.dumps({"Resources": {key: found[name] for key, name in names.items()}}, sort_keys=True)
    said = lint(_LINT, template, REGIONS)
    return [
        f"{names[str(path[1])]}: {'.'.join(map(str, path[3:]))}: {rule} {message}"
        for rule, message, path in json.loads(said)
        if rule not in _OF_TEMPLATES and path
    ]


def _arns(registered: Iterable[Registered]) -> Mapping[str, str]:
    order = list(_ARNS)
    known = sorted((r for r in registered if r.type in _ARNS), key=lambda r: -order.index(r.type))
    return {r.name: "arn:aws:" + _ARNS[r.type].format(name=r.name, region=REGION, account=ACCOUNT) for r in known}


def _real(value: Json, arns: Mapping[str, str]) -> Json:
    """The value with real forms of what the mocks invent: `arn:name`, `invoke:name`, `id:name`, `uuid:name`."""
    if isinstance(value, dict):
        return {key: _real(item, arns) for key, item in value.items()}
    if isinstance(value, list):
        return [_real(item, arns) for item in value]
    if not isinstance(value, str):
        return value

    def real(match: re.Match[str]) -> str:
        kind, name = match.groups()
        arn = arns.get(name, match[0])
        return {
            "arn": arn,
            "invoke": f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{arn}/invocations",
            "execute": f"arn:aws:execute-api:{REGION}:{ACCOUNT}:a1b2c3d4e5",
            "uuid": _UUID,
            "id": _UUID if name.endswith("-key") else name,
        }[kind]

    return re.sub(r"\b(arn|invoke|execute|uuid|id):([A-Za-z][A-Za-z0-9_-]*)", real, value)
