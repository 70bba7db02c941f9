"""The resource types that the laptop's deployer knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.local.deployer.kinds import (
    apigateway,
    authorizers,
    cloudwatch,
    dynamodb,
    events,
    functions,
    glue,
    iam,
    invocations,
    kms,
    logs,
    s3,
    s3_notifications,
    s3_settings,
    s3tables,
    sns,
    sqs,
    ssm,
    stepfunctions,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ops.local.deployer.kinds.base import Kind

KINDS: Mapping[str, Kind] = {
    "aws:apigatewayv2/api:Api": apigateway.Api(),
    "aws:apigatewayv2/authorizer:Authorizer": authorizers.Authorizer(),
    "aws:apigatewayv2/integration:Integration": apigateway.Integration(),
    "aws:apigatewayv2/route:Route": apigateway.Route(),
    "aws:apigatewayv2/stage:Stage": apigateway.Stage(),
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": cloudwatch.CompositeAlarm(),
    "aws:cloudwatch/dashboard:Dashboard": cloudwatch.Dashboard(),
    "aws:cloudwatch/eventArchive:EventArchive": events.EventArchive(),
    "aws:cloudwatch/eventBus:EventBus": events.EventBus(),
    "aws:cloudwatch/eventRule:EventRule": events.EventRule(),
    "aws:cloudwatch/eventTarget:EventTarget": events.EventTarget(),
    "aws:cloudwatch/logGroup:LogGroup": logs.LogGroup(),
    "aws:cloudwatch/logMetricFilter:LogMetricFilter": logs.LogMetricFilter(),
    "aws:cloudwatch/metricAlarm:MetricAlarm": cloudwatch.MetricAlarm(),
    "aws:cloudwatch/queryDefinition:QueryDefinition": logs.QueryDefinition(),
    "aws:dynamodb/table:Table": dynamodb.Table(),
    "aws:glue/catalogDatabase:CatalogDatabase": glue.CatalogDatabase(),
    "aws:glue/catalogTable:CatalogTable": glue.CatalogTable(),
    "aws:iam/role:Role": iam.Role(),
    "aws:iam/rolePolicy:RolePolicy": iam.RolePolicy(),
    "aws:kms/alias:Alias": kms.Alias(),
    "aws:kms/key:Key": kms.Key(),
    "aws:lambda/eventSourceMapping:EventSourceMapping": invocations.EventSourceMapping(),
    "aws:lambda/function:Function": functions.Function(),
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": invocations.FunctionEventInvokeConfig(),
    "aws:lambda/layerVersion:LayerVersion": functions.LayerVersion(),
    "aws:lambda/permission:Permission": invocations.Permission(),
    "aws:s3/bucket:Bucket": s3.Bucket(),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": s3_settings.BucketLifecycleConfiguration(),
    "aws:s3/bucketNotification:BucketNotification": s3_notifications.BucketNotification(),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": s3_settings.BucketOwnershipControls(),
    "aws:s3/bucketPolicy:BucketPolicy": s3_settings.BucketPolicy(),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": s3_settings.BucketPublicAccessBlock(),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        s3_settings.BucketServerSideEncryptionConfiguration()
    ),
    "aws:s3/bucketVersioning:BucketVersioning": s3_settings.BucketVersioning(),
    "aws:s3tables/namespace:Namespace": s3tables.Namespace(),
    "aws:s3tables/tableBucket:TableBucket": s3tables.TableBucket(),
    "aws:s3tables/tableBucketPolicy:TableBucketPolicy": s3tables.TableBucketPolicy(),
    "aws:sfn/stateMachine:StateMachine": stepfunctions.StateMachine(),
    "aws:sns/topic:Topic": sns.Topic(),
    "aws:sns/topicPolicy:TopicPolicy": sns.TopicPolicy(),
    "aws:sns/topicSubscription:TopicSubscription": sns.TopicSubscription(),
    "aws:sqs/queue:Queue": sqs.Queue(),
    "aws:sqs/queuePolicy:QueuePolicy": sqs.QueuePolicy(),
    "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy": sqs.RedriveAllowPolicy(),
    "aws:ssm/parameter:Parameter": ssm.Parameter(),
}
