"""The parts of the events pipeline and how they are connected."""

import json

import pytest

from tests.components.recording import ACCOUNT, REGION, Recording, run_main

_BOUNDARY = "arn:aws:iam::123456789012:policy/edge"


def test_ingest_function(dev: Recording) -> None:
    """Every input of the ingest function."""
    assert dev.inputs("Function", "events-ingest") == {
        "architectures": ["arm64"],
        "code": "archive of handlers",
        "environment": {
            "variables": {
                "ENVIRONMENT": "dev",
                "FAILURE_MODE_PARAMETER": "/ingestion/failure_mode",
                "PIPELINE": "events",
                "POWERTOOLS_LOG_LEVEL": "INFO",
                "POWERTOOLS_SERVICE_NAME": "ingestion-lab",
                "QUEUE_URL": "https://events-queue",
                "TABLE_NAME": "ingestion_state",
                "TTL_DAYS": "7",
            }
        },
        "handler": "handlers.events.ingest.handler",
        "layers": ["arn:dependencies"],
        "loggingConfig": {
            "applicationLogLevel": "INFO",
            "logFormat": "JSON",
            "logGroup": "/aws/lambda/ingestion-lab-dev-events-ingest",
            "systemLogLevel": "WARN",
        },
        "memorySize": 256,
        "role": "arn:events-ingest-role",
        "runtime": "python3.13",
        "tags": {"Project": "ingestion-lab", "Stack": "dev"},
        "timeout": 29,
        "tracingConfig": {"mode": "Active"},
    }


def test_worker_function_is_told_its_surroundings_and_limits() -> None:
    """The worker's environment, time-out, memory and reserved concurrency follow the configuration."""
    chosen = {
        "workerTimeoutSeconds": 60,
        "workerMemoryMb": 512,
        "workerReservedConcurrency": 7,
        "maxReceiveCount": 3,
        "breakerHoldSeconds": 45,
        "failureInjection": False,
        "objectiveSeconds": 45,
        "retryBackoffBaseSeconds": 4,
        "retryBackoffMaxSeconds": 99,
        "ttlDays": 2,
        "logLevel": "WARNING",
    }
    worker = run_main("dev", chosen).inputs("Function", "events-worker")

    assert worker["environment"]["variables"] == {
        "BREAKER_HOLD_SECONDS": "45",
        "DLQ_URL": "https://events-dlq",
        "ENVIRONMENT": "dev",
        "EVENT_BUS_NAME": "ingestion-bus",
        "MAX_RECEIVE_COUNT": "3",
        "OUTAGE_SECONDS": "3258",  # 3 x 3 receives x a visibility of 6 x 60 + 2
        "OBJECTIVE_SECONDS": "45",
        "PIPELINE": "events",
        "POWERTOOLS_LOG_LEVEL": "WARNING",
        "POWERTOOLS_SERVICE_NAME": "ingestion-lab",
        "QUEUE_URL": "https://events-queue",
        "RETRY_BACKOFF_BASE_SECONDS": "4",
        "RETRY_BACKOFF_MAX_SECONDS": "99",
        "TABLE_NAME": "ingestion_state",
        "TTL_DAYS": "2",
    }
    assert (worker["timeout"], worker["memorySize"], worker["reservedConcurrentExecutions"]) == (60, 512, 7)
    assert worker["loggingConfig"]["applicationLogLevel"] == "WARN"


@pytest.fixture(scope="module")
def tuned() -> Recording:
    """Keys that do not meet, in one run."""
    return run_main(
        "dev",
        {
            "queueVisibilitySeconds": 500,
            "maxReceiveCount": 3,
            "messageRetentionSeconds": 600,
            "dlqRetentionSeconds": 700,
            "batchSize": 25,
            "maxBatchingWindowSeconds": 3,
            "workerMaxConcurrency": 9,
            "iamNamePrefix": "team-a-",
            "permissionsBoundaryArn": _BOUNDARY,
            "ingestMemoryMb": 2048,
            "architecture": "x86_64",
            "corsOrigin": "https://shop.example",
        },
    )


def test_queues_have_the_configured_times_and_count(tuned: Recording) -> None:
    """Visibility, retentions and the receives before the dead-letter queue are those of the configuration."""
    main = tuned.inputs("Queue", "events-queue")

    assert json.loads(main["redrivePolicy"]) == {"deadLetterTargetArn": "arn:events-dlq", "maxReceiveCount": 3}
    assert (main["visibilityTimeoutSeconds"], main["messageRetentionSeconds"]) == (500, 600)
    assert tuned.inputs("Queue", "events-dlq")["messageRetentionSeconds"] == 700


def test_organization_rules_reach_every_role(tuned: Recording) -> None:
    """The configured name prefix and permissions boundary are on all functions' roles."""
    assert {(r.inputs["namePrefix"], r.inputs["permissionsBoundary"]) for r in tuned.of("Role")} == {
        ("team-a-events-breaker-", _BOUNDARY),
        ("team-a-events-ingest-", _BOUNDARY),
        ("team-a-events-worker-", _BOUNDARY),
        ("team-a-failure-mode-", _BOUNDARY),
        ("team-a-redrive-", _BOUNDARY),
        ("team-a-redrive-api-", _BOUNDARY),
    }


def test_ingest_has_its_own_memory(tuned: Recording) -> None:
    """The key ingestMemoryMb is the ingest function's and no other's."""
    assert {f.name: f.inputs["memorySize"] for f in tuned.of("Function")} == {
        "events-breaker": 256,
        "events-ingest": 2048,
        "events-worker": 256,
        "failure-mode": 256,
        "redrive": 1024,
        "redrive-api": 512,
    }


def test_consumer_takes_partial_batches_of_the_configured_size(tuned: Recording) -> None:
    """The mapping reports failures per message and has the configured batch size, window and concurrency."""
    assert tuned.inputs("EventSourceMapping", "events-worker-mapping") == {
        "batchSize": 25,
        "eventSourceArn": "arn:events-queue",
        "functionName": "arn:events-worker",
        "functionResponseTypes": ["ReportBatchItemFailures"],
        "maximumBatchingWindowInSeconds": 3,
        "scalingConfig": {"maximumConcurrency": 9},
        "tags": {"Project": "ingestion-lab", "Stack": "dev"},
    }


def test_pollers_take_the_place_of_a_maximum_concurrency() -> None:
    """Lambda takes one of the two; the pollers are for the events queue alone."""
    recording = run_main(
        "dev", {"provisionedPollers": {"minimum": 2, "maximum": 20}, "pipelines": ["events", "orders"]}
    )
    mapping = recording.inputs("EventSourceMapping", "events-worker-mapping")

    assert mapping["provisionedPollerConfig"] == {"minimumPollers": 2, "maximumPollers": 20}
    assert "scalingConfig" not in mapping
    assert recording.inputs("EventSourceMapping", "orders-worker-mapping")["scalingConfig"] == {"maximumConcurrency": 2}


def test_layer_follows_the_architecture(tuned: Recording) -> None:
    """The layer says for which runtime and processor it was built, and functions run on that processor."""
    assert tuned.inputs("LayerVersion", "dependencies") == {
        "code": "archive of dependencies",
        "compatibleArchitectures": ["x86_64"],
        "compatibleRuntimes": ["python3.13"],
        "layerName": "ingestion-lab-dev-dependencies",
    }
    assert [f.name for f in tuned.of("Function") if f.inputs["architectures"] != ["x86_64"]] == []


def test_state_table(dev: Recording) -> None:
    """On demand, by idempotency key, with TTL and point-in-time recovery; outside prod it may be deleted."""
    table = dev.one("Table", "ingestion_state")

    assert table.inputs == {
        "attributes": [{"name": "idempotencyKey", "type": "S"}],
        "billingMode": "PAY_PER_REQUEST",
        "deletionProtectionEnabled": False,
        "hashKey": "idempotencyKey",
        "pointInTimeRecovery": {"enabled": True},
        "tags": {"Project": "ingestion-lab", "Stack": "dev"},
        "ttl": {"attributeName": "expiresAt", "enabled": True},
    }
    assert not table.protect


def test_api(dev: Recording) -> None:
    """Each route leads to its function on one default stage, throttled, each request a JSON line; no CORS unasked."""
    stage = dev.inputs("Stage", "ingestion-api-stage")

    assert dev.inputs("Api", "ingestion-api") == {
        "protocolType": "HTTP",
        "tags": {"Project": "ingestion-lab", "Stack": "dev"},
    }
    assert {route.inputs["routeKey"]: route.inputs["target"] for route in dev.of("Route")} == {
        "POST /events": "integrations/id:events-ingest-integration",
        "POST /events/batch": "integrations/id:events-ingest-integration",
        "GET /events/{idempotencyKey}": "integrations/id:events-ingest-integration",
        "GET /health": "integrations/id:events-ingest-integration",
        "$default": "integrations/id:events-ingest-integration",
        "GET /redrive": "integrations/id:redrive-api-integration",
        "GET /redrive/preview": "integrations/id:redrive-api-integration",
        "POST /redrive/start": "integrations/id:redrive-api-integration",
        "GET /redrive/{redriveId}": "integrations/id:redrive-api-integration",
        "POST /redrive/cancel": "integrations/id:redrive-api-integration",
        "GET /failure-mode": "integrations/id:failure-mode-integration",
        "POST /failure-mode": "integrations/id:failure-mode-integration",
        "POST /failure-mode/reset": "integrations/id:failure-mode-integration",
        "ANY /events": "integrations/id:events-ingest-integration",
        "ANY /events/{idempotencyKey}": "integrations/id:events-ingest-integration",
        "ANY /health": "integrations/id:events-ingest-integration",
        "ANY /redrive": "integrations/id:redrive-api-integration",
        "ANY /redrive/{redriveId}": "integrations/id:redrive-api-integration",
        "ANY /failure-mode": "integrations/id:failure-mode-integration",
        "ANY /failure-mode/reset": "integrations/id:failure-mode-integration",
    }
    assert dev.inputs("Integration", "events-ingest-integration") == {
        "apiId": "id:ingestion-api",
        "integrationType": "AWS_PROXY",
        "integrationUri": "invoke:events-ingest",
        "payloadFormatVersion": "2.0",
    }
    assert (stage["name"], stage["autoDeploy"]) == ("$default", True)
    assert stage["defaultRouteSettings"] == {"throttlingBurstLimit": 200, "throttlingRateLimit": 100}
    assert stage["accessLogSettings"]["destinationArn"] == "arn:ingestion-api-access-logs"
    access_log = json.loads(stage["accessLogSettings"]["format"])
    assert access_log["status"] == "$context.status"
    assert {name: variable for name, variable in access_log.items() if name.startswith("caller")} == {
        "callerArn": "$context.identity.userArn",
        "callerSubject": "$context.authorizer.claims.sub",
        "callerKey": "$context.authorizer.keyName",
    }


def test_cors_is_for_the_one_origin(tuned: Recording) -> None:
    """Browsers of the configured origin, and of no other, may call the API, and show what the API asks for."""
    cors = tuned.inputs("Api", "ingestion-api")["corsConfiguration"]
    signed = ["authorization", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"]

    assert cors == {
        "allowHeaders": ["content-type", "idempotency-key", *signed],
        "allowMethods": ["GET", "POST"],
        "allowOrigins": ["https://shop.example"],
        "exposeHeaders": ["retry-after"],
        "maxAge": 600,
    }


def test_successes_are_published_where_that_is_wanted(dev: Recording) -> None:
    """Otherwise their rule counts them and goes nowhere: no topic that would stay silent, no output of it."""
    told = run_main("dev", {"publishSuccesses": True})

    assert told.outputs["events"]["successTopicArn"] == "arn:events-success"
    assert told.names() - dev.names() == {
        ("aws:cloudwatch/eventTarget:EventTarget", "events-success-target"),
        ("aws:sns/topic:Topic", "events-success"),
        ("aws:sns/topicPolicy:TopicPolicy", "events-success-policy"),
    }
    assert dev.inputs("EventRule", "events-success") == told.inputs("EventRule", "events-success")
    assert dev.outputs["events"].keys() == told.outputs["events"].keys() - {"successTopicArn"}


@pytest.mark.parametrize("outcome", ["success", "failure"])
def test_each_outcome_has_a_rule_to_its_topic(outcome: str) -> None:
    """The rule matches this outcome of this pipeline on the stack's own bus and targets the topic."""
    dev = run_main("dev", {"publishSuccesses": True})
    rule = dev.inputs("EventRule", f"events-{outcome}")

    assert json.loads(rule["eventPattern"]) == {
        "source": ["myapp.ingestion"],
        "detail-type": [f"Ingestion{outcome.title()}"],
        "detail": {"pipeline": ["events"]},
    }
    assert rule["eventBusName"] == "ingestion-bus"
    assert f"events-{outcome}-policy" in dev.one("EventTarget", f"events-{outcome}-target").depends_on
    assert dev.inputs("EventTarget", f"events-{outcome}-target") == {
        "arn": f"arn:events-{outcome}",
        "eventBusName": "ingestion-bus",
        "rule": f"events-{outcome}",
        "targetId": "topic",
    }


def test_log_groups_precede_their_functions(dev: Recording) -> None:
    """A function names its log group, which keeps lines as long as configured, so Lambda never makes one itself."""
    for function in dev.of("Function"):
        assert f"{function.name}-logs" in function.depends_on

    assert {group.inputs["name"]: group.inputs["retentionInDays"] for group in dev.of("LogGroup")} == {
        "/aws/lambda/ingestion-lab-dev-events-breaker": 7,
        "/aws/lambda/ingestion-lab-dev-events-ingest": 7,
        "/aws/lambda/ingestion-lab-dev-events-worker": 7,
        "/aws/lambda/ingestion-lab-dev-failure-mode": 7,
        "/aws/lambda/ingestion-lab-dev-redrive": 7,
        "/aws/lambda/ingestion-lab-dev-redrive-api": 7,
        "/aws/vendedlogs/ingestion-lab-dev-ingestion-api": 7,
    }


def test_a_fifo_queue_has_fifo_dead_letters_and_no_batching_window() -> None:
    """The queues of events alone: EventBridge and the lake have no order to keep. Ingest is told how to group."""
    chosen = {"queueType": "fifo", "groupBy": "/customerId", "pipelines": ["events", "orders", "lake"]}
    recording = run_main("dev", chosen)
    mapping = recording.inputs("EventSourceMapping", "events-worker-mapping")
    queue = recording.inputs("Queue", "events-queue")

    assert {one.name for one in recording.of("Queue") if one.inputs.get("fifoQueue")} == {"events-queue", "events-dlq"}
    assert (queue["visibilityTimeoutSeconds"], queue.get("contentBasedDeduplication")) == (180, None)
    assert (mapping["batchSize"], "maximumBatchingWindowInSeconds" in mapping) == (10, False)
    assert recording.inputs("Function", "events-ingest")["environment"]["variables"]["GROUP_BY"] == "/customerId"


@pytest.mark.parametrize("suffix", ["", ".fifo"])
def test_existing_queues_are_of_the_kind_of_queue_type(suffix: str) -> None:
    """A FIFO queue with its FIFO dead-letter queue is adopted like any other."""
    name = f"theirs{suffix}"
    chosen = {"existingQueueUrl": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}", "groupBy": "/a"}
    chosen |= {"existingQueueArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}", "queueType": suffix[1:] or "standard"}
    recording = run_main("dev", chosen)

    assert recording.inputs("EventSourceMapping", "events-worker-mapping")["eventSourceArn"].endswith(name)
    assert recording.inputs("Queue", "events-dlq").get("fifoQueue", False) == bool(suffix)
