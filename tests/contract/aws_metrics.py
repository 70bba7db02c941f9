"""The metrics of AWS that the program may use: name and dimensions as the documentation of the service gives them."""

_LAMBDA = "https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html"
_SQS = (
    "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html"
)
_API = "https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html"
_EVENTS = "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html"
_DYNAMODB = "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html"
_STATES = "https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html"
_SNS = "https://docs.aws.amazon.com/sns/latest/dg/sns-monitoring-using-cloudwatch.html"

# "Poison-pill messages", received three times or more and not deleted, are no part of ApproximateAgeOfOldestMessage; at
# the move to a dead-letter queue it starts again (same page).
POISON_RECEIVES = 3

# (namespace, metric) -> (its dimensions, where it is documented)
AWS_METRICS: dict[tuple[str, str], tuple[frozenset[str], str]] = {
    **{
        ("AWS/Lambda", name): (frozenset({"FunctionName"}), _LAMBDA)
        for name in ("Invocations", "Errors", "Throttles", "Duration")
    },
    **{
        ("AWS/SQS", name): (frozenset({"QueueName"}), _SQS)
        for name in (
            "ApproximateNumberOfMessagesVisible",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateAgeOfOldestMessage",
            "NumberOfMessagesSent",
            "NumberOfMessagesReceived",
            "NumberOfMessagesDeleted",
            # of standard queues whose messages have groups ("fair queues")
            "ApproximateNumberOfNoisyGroups",
            "ApproximateNumberOfMessagesVisibleInQuietGroups",
            "ApproximateNumberOfMessagesNotVisibleInQuietGroups",
            "ApproximateAgeOfOldestMessageInQuietGroups",
            # of FIFO queues
            "ApproximateNumberOfGroupsWithInflightMessages",
        )
    },
    # those of HTTP APIs; REST APIs have 4XXError and 5XXError
    **{("AWS/ApiGateway", name): (frozenset({"ApiId"}), _API) for name in ("Count", "4xx", "5xx", "Latency")},
    # both dimensions for a bus of one's own, RuleName alone for the default bus
    **{
        ("AWS/Events", name): (frozenset({"EventBusName", "RuleName"}), _EVENTS)
        for name in ("MatchedEvents", "FailedInvocations")
    },
    # of the table itself; an index has GlobalSecondaryIndexName as well
    **{
        ("AWS/DynamoDB", name): (frozenset({"TableName"}), _DYNAMODB)
        for name in ("ReadThrottleEvents", "WriteThrottleEvents")
    },
    ("AWS/States", "ExecutionsFailed"): (frozenset({"StateMachineArn"}), _STATES),
    ("AWS/SNS", "NumberOfNotificationsFailed"): (frozenset({"TopicName"}), _SNS),
}
