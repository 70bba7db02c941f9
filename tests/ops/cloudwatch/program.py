"""A stack with every kind of source, to watch."""

import json
from typing import Any

import pulumi
import pulumi_aws as aws

dead = aws.sqs.Queue("dead")
work = aws.sqs.Queue(
    "work",
    visibility_timeout_seconds=30,
    redrive_policy=pulumi.Output.json_dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 1}),
)
heard = aws.sqs.Queue("heard")
topic = aws.sns.Topic("alarms")
aws.sqs.QueuePolicy(
    "heard-policy",
    queue_url=heard.id,
    policy=pulumi.Output.json_dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "sns.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": heard.arn,
                    "Condition": {"ArnEquals": {"aws:SourceArn": topic.arn}},
                }
            ],
        }
    ),
)
aws.sns.TopicSubscription("ear", topic=topic.arn, protocol="sqs", endpoint=heard.arn, raw_message_delivery=True)
role = aws.iam.Role(
    "role",
    assume_role_policy=json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
            ],
        }
    ),
)
log_group = aws.cloudwatch.LogGroup("log", name="/watched/worker")
worker = aws.lambda_.Function(
    "worker",
    code=pulumi.AssetArchive({"worker.py": pulumi.FileAsset("worker.py")}),
    handler="worker.handler",
    runtime="python3.13",
    role=role.arn,
    timeout=2,
    logging_config=aws.lambda_.FunctionLoggingConfigArgs(log_format="JSON", log_group=log_group.name),
)
aws.lambda_.EventSourceMapping(
    "mapping",
    event_source_arn=work.arn,
    function_name=worker.arn,
    batch_size=10,
    function_response_types=["ReportBatchItemFailures"],
)
bus = aws.cloudwatch.EventBus("bus")
targets: dict[str, pulumi.Input[str]] = {"told": topic.arn, "lost": "arn:aws:sns:us-east-1:000000000000:gone"}
for name, target in targets.items():
    rule = aws.cloudwatch.EventRule(name, event_bus_name=bus.name, event_pattern=json.dumps({"detail-type": [name]}))
    aws.cloudwatch.EventTarget(name, event_bus_name=bus.name, rule=rule.name, arn=target)
api = aws.apigatewayv2.Api("api", protocol_type="HTTP")
integration = aws.apigatewayv2.Integration(
    "integration",
    api_id=api.id,
    integration_type="AWS_PROXY",
    integration_uri=worker.invoke_arn,
    payload_format_version="2.0",
)
aws.apigatewayv2.Route(
    "route", api_id=api.id, route_key="GET /{status}", target=pulumi.Output.format("integrations/{0}", integration.id)
)
aws.apigatewayv2.Stage("stage", name="$default", api_id=api.id, auto_deploy=True)
aws.cloudwatch.LogMetricFilter(
    "failures",
    name="failures",
    log_group_name=log_group.name,
    pattern='{ $.errorType = "*" }',
    metric_transformation=aws.cloudwatch.LogMetricFilterMetricTransformationArgs(
        name="Failures", namespace="Watched", value="1", dimensions={"errorType": "$.errorType"}
    ),
)


def alarm(name: str, **settings: Any) -> aws.cloudwatch.MetricAlarm:
    """Above 0 in one period of 10 seconds; no data is good."""
    given: dict[str, Any] = {
        "evaluation_periods": 1,
        "threshold": 0,
        "comparison_operator": "GreaterThanThreshold",
        "treat_missing_data": "notBreaching",
        "alarm_actions": [topic.arn],
        "ok_actions": [topic.arn],
    }
    return aws.cloudwatch.MetricAlarm(name, name=name, **given | settings)


letters = alarm(
    "dead-letters",
    namespace="AWS/SQS",
    metric_name="ApproximateNumberOfMessagesVisible",
    dimensions={"QueueName": dead.name},
    statistic="Maximum",
    period=10,
)
errors = alarm(
    "errors",
    namespace="AWS/Lambda",
    metric_name="Errors",
    dimensions={"FunctionName": worker.name},
    statistic="Sum",
    period=10,
)
alarm(
    "throttled",
    namespace="AWS/Lambda",
    metric_name="Throttles",
    dimensions={"FunctionName": worker.name},
    statistic="Sum",
    period=10,
)
alarm(
    "stalled",
    metric_queries=[
        {"id": "e", "expression": "IF(age > 5 AND FILL(deleted, 0) < 1, 1, 0)", "return_data": True},
        *(
            {
                "id": id_,
                "metric": {
                    "namespace": "AWS/SQS",
                    "metric_name": metric,
                    "dimensions": {"QueueName": dead.name},
                    "period": 10,
                    "stat": statistic,
                },
            }
            for id_, metric, statistic in (
                ("age", "ApproximateAgeOfOldestMessage", "Maximum"),
                ("deleted", "NumberOfMessagesDeleted", "Sum"),
            )
        ),
    ],
)
aws.cloudwatch.CompositeAlarm(
    "any", alarm_name="any", alarm_rule=pulumi.Output.format("ALARM({0}) OR ALARM({1})", letters.name, errors.name)
)

pulumi.export("api", api.api_endpoint)
