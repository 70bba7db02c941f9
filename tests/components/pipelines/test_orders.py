"""The orders pipeline: its parts, how they are connected, and what each of them may do."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.components.config.configuring import problems
from tests.components.recording import Recording, grants, run_main, variables

_BOTH: Mapping[str, object] = {"pipelines": ["events", "orders"]}
_ALONE: Mapping[str, object] = {"pipelines": ["orders"]}
_BUS, _QUEUE, _RULE = "arn:ingestion-bus", "arn:orders-queue", "arn:orders-created"
_UNDELIVERED = "arn:orders-created-undelivered"
_OPERATORS = ["arn:aws:iam::123456789012:role/operator", "arn:aws:iam::123456789012:user/ops/jane"]
_FUNCTIONS = ("orders-api", "orders-breaker", "orders-worker")
_QUEUES = ("orders-created-undelivered", "orders-dlq", "orders-queue")
_OUTCOMES = ("orders-failure", "orders-success")
_TRIGGERS = ("orders-breaker-tick", "orders-breaker-trip")
_RULES = (*_TRIGGERS, "orders-created", *_OUTCOMES)
_TARGETS = (*_TRIGGERS, "orders-created", "orders-failure")
_SUCCESSES = {
    ("aws:cloudwatch/eventTarget:EventTarget", "orders-success-target"),
    ("aws:sns/topic:Topic", "orders-success"),
    ("aws:sns/topicPolicy:TopicPolicy", "orders-success-policy"),
}
_ALARMS = (
    *(
        "api-errors",
        "breaker-errors",
        "breaker-open",
        "dlq-not-empty",
        "dlq-oldest-age",
        "error-rate",
        "event-delivery-failed",
    ),
    *("queue-age", "queue-backlog", "queue-stalled", "redrive-failed", "subscriber-failed", "throttles", "undelivered"),
    *("retry-storm", "worker-duration", "worker-errors"),
    *(f"objective-{pace}-burn-{window}" for pace in ("fast", "slow") for window in ("long", "short")),
)
_BURNS = ("orders-objective-fast-burn", "orders-objective-slow-burn")
_ROUTES = ("any-orders", "any-orders-orderid", "get-orders", "get-orders-orderid", "post-orders")
_PARTS = {
    *(("lab:compute:InstrumentedFunction", name) for name in _FUNCTIONS),
    *(("lab:control:RuleTrigger", name) for name in _TRIGGERS),
    *(("lab:messaging:OutcomeTopic", name) for name in _OUTCOMES),
    ("lab:control:CircuitBreaker", "orders-breaker"),
    ("lab:messaging:QueueConsumer", "orders-worker"),
    ("lab:messaging:QueueRule", "orders-created"),
    ("lab:messaging:ReliableQueue", "orders"),
    ("lab:pipelines:Orders", "orders"),
    ("lab:storage:OrdersTable", "orders-table"),
    *(("aws:apigatewayv2/route:Route", f"ingestion-api-{name}") for name in _ROUTES),
    *(("aws:cloudwatch/compositeAlarm:CompositeAlarm", name) for name in _BURNS),
    *(("aws:cloudwatch/eventRule:EventRule", name) for name in _RULES),
    *(("aws:cloudwatch/eventTarget:EventTarget", f"{name}-target") for name in _TARGETS),
    *(("aws:cloudwatch/logGroup:LogGroup", f"{name}-logs") for name in _FUNCTIONS),
    *(("aws:cloudwatch/metricAlarm:MetricAlarm", f"orders-{name}") for name in _ALARMS),
    *(("aws:iam/role:Role", f"{name}-role") for name in _FUNCTIONS),
    *(("aws:iam/rolePolicy:RolePolicy", f"{name}-policy") for name in _FUNCTIONS),
    *(("aws:lambda/function:Function", name) for name in _FUNCTIONS),
    *(("aws:lambda/permission:Permission", f"{name}-invocation") for name in ("orders-api", *_TRIGGERS)),
    ("aws:sns/topic:Topic", "orders-failure"),
    ("aws:sns/topicPolicy:TopicPolicy", "orders-failure-policy"),
    *(("aws:sqs/queue:Queue", name) for name in _QUEUES),
    *(("aws:sqs/queuePolicy:QueuePolicy", f"{name}-policy") for name in _QUEUES),
    ("aws:apigatewayv2/integration:Integration", "orders-api-integration"),
    ("aws:cloudwatch/eventArchive:EventArchive", "orders-archive"),
    ("aws:cloudwatch/logMetricFilter:LogMetricFilter", "orders-record-errors"),
    ("aws:cloudwatch/logMetricFilter:LogMetricFilter", "orders-records-processed"),
    ("aws:dynamodb/table:Table", "orders-table"),
    ("aws:lambda/eventSourceMapping:EventSourceMapping", "orders-worker-mapping"),
    ("aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig", "orders-breaker-async"),
    ("aws:sqs/redriveAllowPolicy:RedriveAllowPolicy", "orders-dlq-redrive-allow"),
}


def _program(**more: object) -> Recording:
    return run_main("dev", {**_BOTH, **more})


@pytest.fixture(scope="module")
def both() -> Recording:
    """The dev stack with events and orders."""
    return _program()


@pytest.fixture(scope="module")
def other() -> Recording:
    """Keys that do not meet, in one run."""
    return _program(operatorRoleArns=_OPERATORS, archiveRetentionDays=0, failureInjection=False, tracing=False)


@pytest.fixture(scope="module")
def alone() -> Recording:
    """The dev stack with orders only."""
    return run_main("dev", _ALONE)


@pytest.mark.parametrize("preview", [False, True], ids=["update", "preview"])
@pytest.mark.parametrize("stack", ["local", "dev", "prod"])
def test_orders_add_exactly_their_parts(stack: str, preview: bool) -> None:  # noqa: FBT001 - a parameter
    """Beside events nothing is left out, nothing is doubled, and nothing of events changes its name."""
    without = run_main(stack, {"pipelines": ["events"]}, preview=preview)
    recording = run_main(stack, _BOTH, preview=preview)

    parts = _PARTS | (_SUCCESSES if stack == "local" else set())

    assert recording.names() - without.names() == parts
    assert without.names() - recording.names() == set()
    assert len(recording.resources) == len(without.resources) + len(parts)


@pytest.mark.parametrize("preview", [False, True], ids=["update", "preview"])
def test_orders_alone_have_no_part_of_events(preview: bool) -> None:  # noqa: FBT001 - a parameter
    """All parts of orders are there, and the routes that every API has; of events there is nothing."""
    recording = run_main("dev", _ALONE, preview=preview)
    both = run_main("dev", _BOTH, preview=preview)

    assert recording.names() >= _PARTS
    assert both.names() - recording.names() == {
        (type_, name)
        for type_, name in both.names()
        if name.split("-")[0] == "events"
        or name.startswith(("ingestion-api-any-events", "ingestion-api-post-events"))
        or name == "ingestion-api-get-events-idempotencykey"
    }


def test_the_whole_api_is_there_without_events(alone: Recording) -> None:
    """Health and unknown paths are then the orders API's, with the right to look at the bus."""
    routes = {route.inputs["routeKey"]: route.inputs["target"] for route in alone.of("Route")}

    assert {key for key, to in routes.items() if to == "integrations/id:orders-api-integration"} == {
        *("POST /orders", "GET /orders", "GET /orders/{orderId}", "ANY /orders", "ANY /orders/{orderId}"),
        *("GET /health", "ANY /health", "$default"),
    }
    assert grants(alone, "orders-api")["Bus"] == ({"events:PutEvents", "events:DescribeEventBus"}, _BUS)


def test_the_api_leaves_common_routes_to_events(both: Recording) -> None:
    """One function each: the first pipeline's."""
    routes = {route.inputs["routeKey"]: route.inputs["target"] for route in both.of("Route")}

    assert {routes[key] for key in ("GET /health", "ANY /health", "$default")} == {
        "integrations/id:events-ingest-integration"
    }
    assert grants(both, "orders-api")["Bus"] == ({"events:PutEvents"}, _BUS)


def test_outputs(both: Recording, alone: Recording) -> None:
    """A group of its own; alone, its queues are the stack's."""
    assert (
        both.outputs["orders"]
        == alone.outputs["orders"]
        == {
            "queueUrl": "https://orders-queue",
            "dlqUrl": "https://orders-dlq",
            "apiFunctionName": "orders-api",
            "workerFunctionName": "orders-worker",
            "breakerFunctionName": "orders-breaker",
            "failureTopicArn": "arn:orders-failure",
            "tableName": "orders-table",
            "undeliveredUrl": "https://orders-created-undelivered",
            "ruleArn": _RULE,
            "archiveArn": "arn:orders-archive",
        }
    )
    assert both.outputs["MainQueueUrl"] == "https://events-queue"
    assert (alone.outputs["MainQueueUrl"], alone.outputs["DlqUrl"]) == ("https://orders-queue", "https://orders-dlq")


def test_the_rule_fills_the_queue(both: Recording) -> None:
    """Only OrderCreated of our source, as the whole event; an hour of tries, then the rule's own queue."""
    assert json.loads(both.inputs("EventRule", "orders-created")["eventPattern"]) == {
        "source": ["myapp.orders"],
        "detail-type": ["OrderCreated"],
    }
    target = both.one("EventTarget", "orders-created-target")
    assert target.inputs == {
        "eventBusName": "ingestion-bus",
        "rule": "orders-created",
        "targetId": "queue",
        "arn": _QUEUE,
        "deadLetterConfig": {"arn": _UNDELIVERED},
        "retryPolicy": {"maximumEventAgeInSeconds": 3600, "maximumRetryAttempts": 185},
    }
    assert target.depends_on >= {"orders-queue-policy", "orders-created-undelivered-policy"}


def _policy(recording: Recording, name: str) -> dict[str, Any]:
    document = json.loads(recording.inputs("QueuePolicy", name)["policy"])
    return {statement.pop("Sid"): statement for statement in document["Statement"]}


def test_the_queue_lets_the_rule_in_and_keeps_others_out(other: Recording) -> None:
    """EventBridge by an Allow for that rule; of principals the redrive and the operators; nothing else may send."""
    policy = _policy(other, "orders-queue-policy")

    assert policy.keys() == {"TlsOnly", "NamedProducersOnly", "RulesDeliver"}
    assert policy["RulesDeliver"] == {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": ["sqs:SendMessage"],
        "Resource": _QUEUE,
        "Condition": {"ArnEquals": {"aws:SourceArn": [_RULE]}},
    }
    assert policy["NamedProducersOnly"] == {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:SendMessage",
        "Resource": _QUEUE,
        "Condition": {
            "ArnNotEquals": {"aws:PrincipalArn": ["arn:orders-breaker-role", "arn:redrive-role", *_OPERATORS]},
            "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
        },
    }


def test_operators_may_send_to_every_main_queue(other: Recording) -> None:
    """And to no dead-letter queue: those who may are named in one key."""
    named = {
        name: _policy(other, f"{name}-policy")["NamedProducersOnly"]["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]
        for name in ("events-queue", "events-dlq", "orders-queue", "orders-dlq")
    }

    assert named == {
        "events-queue": ["arn:events-ingest-role", "arn:events-breaker-role", "arn:redrive-role", *_OPERATORS],
        "events-dlq": ["arn:events-worker-role"],
        "orders-queue": ["arn:orders-breaker-role", "arn:redrive-role", *_OPERATORS],
        "orders-dlq": ["arn:orders-worker-role"],
    }


def test_only_eventbridge_writes_what_it_could_not_deliver(both: Recording) -> None:
    """No principal at all may; the queue keeps its letters as long as SQS does."""
    policy = _policy(both, "orders-created-undelivered-policy")

    assert policy["RulesDeliver"]["Condition"] == {"ArnEquals": {"aws:SourceArn": [_RULE]}}
    assert policy["NamedProducersOnly"]["Condition"] == {"BoolIfExists": {"aws:PrincipalIsAWSService": "false"}}
    assert both.inputs("Queue", "orders-created-undelivered") == {
        "maxMessageSize": 1_048_576,
        "messageRetentionSeconds": 1_209_600,
        "sqsManagedSseEnabled": True,
        "tags": {"Project": "ingestion-lab", "Stack": "dev"},
    }


def test_the_archive_keeps_orders_only(both: Recording) -> None:
    """Of the stack's bus, for 14 days."""
    archive = dict(both.inputs("EventArchive", "orders-archive"))

    assert json.loads(archive.pop("eventPattern")) == {"source": ["myapp.orders"], "detail-type": ["OrderCreated"]}
    assert archive == {
        "description": "OrderCreated of myapp.orders, for lab orders replay",
        "eventSourceArn": _BUS,
        "retentionDays": 14,
    }


def test_no_days_are_no_archive(other: Recording) -> None:
    """With archiveRetentionDays 0 nothing is kept, and there is nothing to replay from."""
    assert other.of("EventArchive") == []
    assert "archiveArn" not in other.outputs["orders"]


def test_the_table_is_by_id_and_by_time(both: Recording) -> None:
    """On demand, restorable, with an index that is spread over shards; nothing in it expires."""
    table = both.one("Table", "orders-table")

    assert table.inputs == {
        "attributes": [{"name": name, "type": "S"} for name in ("orderId", "historyShard", "createdAtId")],
        "billingMode": "PAY_PER_REQUEST",
        "deletionProtectionEnabled": False,
        "globalSecondaryIndexes": [
            {"name": "newest", "hashKey": "historyShard", "rangeKey": "createdAtId", "projectionType": "ALL"}
        ],
        "hashKey": "orderId",
        "pointInTimeRecovery": {"enabled": True},
        "tags": {"Project": "ingestion-lab", "Stack": "dev"},
    }
    assert not table.protect


def test_production_protects_the_table_and_encrypts_everything() -> None:
    """Neither DynamoDB nor Pulumi deletes it; table, queues and archive are under the customer key."""
    prod = run_main("prod", _BOTH)
    table, key = prod.one("Table", "orders-table"), "arn:ingestion-key"

    assert (table.protect, table.inputs["deletionProtectionEnabled"]) == (True, True)
    assert table.inputs["serverSideEncryption"] == {"enabled": True, "kmsKeyArn": key}
    assert {prod.inputs("Queue", name)["kmsMasterKeyId"] for name in _QUEUES} == {key}
    assert prod.inputs("EventArchive", "orders-archive")["kmsKeyIdentifier"] == key


def test_the_consumer_has_its_own_numbers() -> None:
    """Batches of 5 and 30 s unless configured, whatever those of events are; the visibility follows."""
    for chosen, batch, seconds in (({}, 5, 30), ({"ordersBatchSize": 3, "ordersWorkerTimeoutSeconds": 60}, 3, 60)):
        recording = _program(**chosen, workerTimeoutSeconds=7, batchSize=9, queueVisibilitySeconds=500)

        assert recording.inputs("Function", "orders-worker")["timeout"] == seconds
        assert recording.inputs("Queue", "orders-queue")["visibilityTimeoutSeconds"] == 6 * seconds + 2
        mapping = recording.inputs("EventSourceMapping", "orders-worker-mapping")
        assert (mapping["batchSize"], mapping["eventSourceArn"]) == (batch, _QUEUE)


def test_the_functions_are_told_their_surroundings(other: Recording) -> None:
    """The API knows the bus and the tables, the worker its queues as well; the API has no queue."""
    common = {
        "ENVIRONMENT": "dev",
        "EVENT_BUS_NAME": "ingestion-bus",
        "ORDERS_TABLE_NAME": "orders-table",
        "PIPELINE": "orders",
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "POWERTOOLS_SERVICE_NAME": "ingestion-lab",
        "TABLE_NAME": "ingestion_state",
        "TTL_DAYS": "7",
    }

    assert variables(other, "orders-api") == common
    assert variables(other, "orders-worker") == common | {
        "BREAKER_HOLD_SECONDS": "60",
        "DLQ_URL": "https://orders-dlq",
        "MAX_RECEIVE_COUNT": "5",
        "OUTAGE_SECONDS": "2730",
        "OBJECTIVE_SECONDS": "60",
        "QUEUE_URL": "https://orders-queue",
        "RETRY_BACKOFF_BASE_SECONDS": "2",
        "RETRY_BACKOFF_MAX_SECONDS": "300",
    }


def test_grants_are_what_the_functions_need(other: Recording) -> None:
    """The API reads orders and writes none; the worker writes orders and reads none; redrive reaches both queues."""
    own_logs = {"logs:CreateLogStream", "logs:PutLogEvents"}

    assert grants(other, "orders-api") == {
        "Bus": ({"events:PutEvents"}, _BUS),
        "State": (
            {"dynamodb:BatchGetItem", "dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate"},
            "arn:ingestion_state",
        ),
        "Order": ({"dynamodb:GetItem"}, "arn:orders-table"),
        "Orders": ({"dynamodb:Query"}, "arn:orders-table/index/newest"),
        "OwnLogs": (own_logs, "arn:orders-api-logs:*"),
    }
    worker = grants(other, "orders-worker")
    assert worker["Orders"] == ({"dynamodb:PutItem"}, "arn:orders-table")
    assert worker["Queue"][1] == _QUEUE
    assert worker.keys() == {"Queue", "DeadLetters", "State", "Outcomes", "Orders", "OwnLogs"}
    redrive = grants(other, "redrive")
    assert redrive["DeadLetters"][1] == ["arn:events-dlq", "arn:orders-dlq", _UNDELIVERED]
    assert redrive["Queues"] == ({"sqs:SendMessage"}, ["arn:events-queue", _QUEUE])
    assert json.loads(variables(other, "redrive")["QUEUES"])["orders-undelivered"] == {
        "queueUrl": "https://orders-queue",
        "dlqUrl": "https://orders-created-undelivered",
    }


def _sums(recording: Recording, alarm: str) -> dict[str, Any]:
    queries = recording.inputs("MetricAlarm", alarm)["metricQueries"]
    return {q["id"]: q["metric"]["dimensions"] for q in queries if "metric" in q}


def test_what_is_not_delivered_is_an_alarm(both: Recording) -> None:
    """Critical at the first letter; and the rule that fills the queue, the API and both redrives are watched."""
    alarm = both.inputs("MetricAlarm", "orders-undelivered")

    asked = [query["metric"]["dimensions"] for query in alarm["metricQueries"] if "metric" in query]
    assert asked == [{"QueueName": "orders-created-undelivered"}] * 2
    assert alarm["threshold"] == 0
    assert (alarm["evaluationPeriods"], alarm["datapointsToAlarm"], alarm["treatMissingData"]) == (1, 1, "notBreaching")
    assert alarm["alarmActions"] == ["arn:alarms-critical"]
    assert {one["RuleName"] for one in _sums(both, "orders-event-delivery-failed").values()} == {
        *("orders-created", "orders-success", "orders-failure", "orders-breaker-trip"),
    }
    assert {one["FunctionName"] for one in _sums(both, "orders-throttles").values()} == {"orders-api", "orders-worker"}
    assert both.inputs("MetricAlarm", "orders-api-errors")["dimensions"] == {"FunctionName": "orders-api"}
    assert _sums(both, "orders-redrive-failed") == {
        "letters": {"pipeline": "orders"},
        "undelivered": {"pipeline": "orders-undelivered"},
    }
    assert {one["TableName"] for one in _sums(both, "table-throttles").values()} == {
        *("ingestion_state", "control-table", "orders-table"),
    }


def test_the_dashboard_shows_orders(both: Recording) -> None:
    """The same rows as events have, and the queue of the undelivered."""
    body = json.loads(both.inputs("Dashboard", "dashboard")["dashboardBody"])
    titles = {widget["properties"]["title"] for widget in body["widgets"]}
    of_events = {title.removeprefix("events: ") for title in titles if title.startswith("events: ")}
    of_orders = {title.removeprefix("orders: ") for title in titles if title.startswith("orders: ")}

    assert of_orders - of_events == {"undelivered", "duration of api, ms"}
    assert of_events - of_orders == {"duration of ingest, ms"}


def test_a_window_of_none_allows_ten_orders_at_most() -> None:
    """As for events, Lambda would refuse it."""
    chosen = {**_BOTH, "ordersBatchSize": 11, "maxBatchingWindowSeconds": 0}

    assert problems(dict(chosen)) == [
        "maxBatchingWindowSeconds must be at least 1 when ordersBatchSize is over 10 (11); got '0'"
    ]


def test_adopted_queues_are_those_of_events() -> None:
    """Where events are not built, an existing queue would be ignored: it is refused instead."""
    url, arn = (
        "https://sqs.eu-central-1.amazonaws.com/123456789012/theirs",
        "arn:aws:sqs:eu-central-1:123456789012:theirs",
    )
    chosen = {**_ALONE, "existingQueueUrl": url, "existingQueueArn": arn}

    assert problems(dict(chosen)) == [
        f"existingQueueUrl must be empty unless pipelines has events, whose queue it is; got '{url}'"
    ]
