"""The whole program, as each stack's YAML configures it."""

import json
import os
import subprocess
import sys

import pytest

from tests.components.observability.alarm_table import ALARMS, BURNS
from tests.components.recording import REGION, ROOT, SHARED, Recording, run_main, stack_config, variables

_COMPONENTS = {
    ("lab:api:HttpApi", "ingestion-api"),
    ("lab:compute:FunctionPlatform", "platform"),
    ("lab:compute:InstrumentedFunction", "events-ingest"),
    ("lab:compute:InstrumentedFunction", "events-worker"),
    ("lab:compute:InstrumentedFunction", "redrive"),
    ("lab:compute:InstrumentedFunction", "redrive-api"),
    ("lab:control:ControlPlane", "control"),
    ("lab:control:RedriveTool", "redrive"),
    ("lab:control:RuleTrigger", "redrive-tick"),
    ("lab:messaging:EventBus", "ingestion-bus"),
    ("lab:messaging:OutcomeTopic", "events-failure"),
    ("lab:messaging:OutcomeTopic", "events-success"),
    ("lab:messaging:QueueConsumer", "events-worker"),
    ("lab:messaging:ReliableQueue", "events"),
    ("lab:observability:Notifications", "alarms"),
    ("lab:observability:ObservabilityPack", "observability"),
    ("lab:pipelines:Events", "events"),
    ("lab:storage:StateTable", "ingestion_state"),
}
_RESOURCES = {
    ("aws:apigatewayv2/api:Api", "ingestion-api"),
    ("aws:apigatewayv2/integration:Integration", "events-ingest-integration"),
    ("aws:apigatewayv2/integration:Integration", "redrive-api-integration"),
    ("aws:apigatewayv2/route:Route", "ingestion-api-any-events"),
    ("aws:apigatewayv2/route:Route", "ingestion-api-any-events-idempotencykey"),
    ("aws:apigatewayv2/route:Route", "ingestion-api-any-health"),
    ("aws:apigatewayv2/route:Route", "ingestion-api-any-redrive"),
    ("aws:apigatewayv2/route:Route", "ingestion-api-any-redrive-redriveid"),
    ("aws:apigatewayv2/route:Route", "ingestion-api-default"),
    ("aws:apigatewayv2/route:Route", "ingestion-api-get-events-idempotencykey"),
    ("aws:apigatewayv2/route:Route", "ingestion-api-get-health"),
    ("aws:apigatewayv2/route:Route", "ingestion-api-get-redrive"),
    ("aws:apigatewayv2/route:Route", "ingestion-api-get-redrive-preview"),
    ("aws:apigatewayv2/route:Route", "ingestion-api-get-redrive-redriveid"),
    ("aws:apigatewayv2/route:Route", "ingestion-api-post-events"),
    ("aws:apigatewayv2/route:Route", "ingestion-api-post-events-batch"),
    ("aws:apigatewayv2/route:Route", "ingestion-api-post-redrive-cancel"),
    ("aws:apigatewayv2/route:Route", "ingestion-api-post-redrive-start"),
    ("aws:apigatewayv2/stage:Stage", "ingestion-api-stage"),
    ("aws:cloudwatch/eventBus:EventBus", "ingestion-bus"),
    ("aws:cloudwatch/eventRule:EventRule", "events-failure"),
    ("aws:cloudwatch/eventRule:EventRule", "events-success"),
    ("aws:cloudwatch/eventRule:EventRule", "redrive-tick"),
    ("aws:cloudwatch/eventTarget:EventTarget", "events-failure-target"),
    ("aws:cloudwatch/eventTarget:EventTarget", "redrive-tick-target"),
    ("aws:cloudwatch/logGroup:LogGroup", "events-ingest-logs"),
    ("aws:cloudwatch/logGroup:LogGroup", "events-worker-logs"),
    ("aws:cloudwatch/logGroup:LogGroup", "ingestion-api-access-logs"),
    ("aws:cloudwatch/logGroup:LogGroup", "redrive-api-logs"),
    ("aws:cloudwatch/logGroup:LogGroup", "redrive-logs"),
    ("aws:dynamodb/table:Table", "control-table"),
    ("aws:dynamodb/table:Table", "ingestion_state"),
    ("aws:iam/role:Role", "events-ingest-role"),
    ("aws:iam/role:Role", "events-worker-role"),
    ("aws:iam/role:Role", "redrive-api-role"),
    ("aws:iam/role:Role", "redrive-role"),
    ("aws:iam/rolePolicy:RolePolicy", "events-ingest-policy"),
    ("aws:iam/rolePolicy:RolePolicy", "events-worker-policy"),
    ("aws:iam/rolePolicy:RolePolicy", "redrive-api-policy"),
    ("aws:iam/rolePolicy:RolePolicy", "redrive-policy"),
    ("aws:lambda/eventSourceMapping:EventSourceMapping", "events-worker-mapping"),
    ("aws:lambda/function:Function", "events-ingest"),
    ("aws:lambda/function:Function", "events-worker"),
    ("aws:lambda/function:Function", "redrive"),
    ("aws:lambda/function:Function", "redrive-api"),
    ("aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig", "redrive-async"),
    ("aws:lambda/layerVersion:LayerVersion", "dependencies"),
    ("aws:lambda/permission:Permission", "events-ingest-invocation"),
    ("aws:lambda/permission:Permission", "redrive-api-invocation"),
    ("aws:lambda/permission:Permission", "redrive-tick-invocation"),
    ("aws:sns/topic:Topic", "events-failure"),
    ("aws:sns/topicPolicy:TopicPolicy", "events-failure-policy"),
    ("aws:sqs/queue:Queue", "control-failures"),
    ("aws:sqs/queue:Queue", "events-dlq"),
    ("aws:sqs/queue:Queue", "events-queue"),
    ("aws:sqs/queuePolicy:QueuePolicy", "control-failures-policy"),
    ("aws:sqs/queuePolicy:QueuePolicy", "events-dlq-policy"),
    ("aws:sqs/queuePolicy:QueuePolicy", "events-queue-policy"),
    ("aws:sqs/redriveAllowPolicy:RedriveAllowPolicy", "events-dlq-redrive-allow"),
}
_BREAKER_ALARMS = ("events-breaker-open", "events-breaker-errors")
_QUERIES = {"duplicates", "failures-by-type", "latency", "one-event", "redrive-audit", "slowest"}
_OBSERVABILITY = {
    ("aws:cloudwatch/compositeAlarm:CompositeAlarm", "critical"),
    ("aws:cloudwatch/compositeAlarm:CompositeAlarm", "warning"),
    *(("aws:cloudwatch/compositeAlarm:CompositeAlarm", name) for name in BURNS),
    *(("aws:cloudwatch/metricAlarm:MetricAlarm", f"{name}-{one}") for name in BURNS for one in ("long", "short")),
    ("aws:cloudwatch/dashboard:Dashboard", "dashboard"),
    ("aws:cloudwatch/logMetricFilter:LogMetricFilter", "events-record-errors"),
    ("aws:cloudwatch/logMetricFilter:LogMetricFilter", "events-records-processed"),
    ("aws:sns/topic:Topic", "alarms-critical"),
    ("aws:sns/topic:Topic", "alarms-warning"),
    ("aws:sns/topicPolicy:TopicPolicy", "alarms-critical-policy"),
    ("aws:sns/topicPolicy:TopicPolicy", "alarms-warning-policy"),
    *(("aws:cloudwatch/metricAlarm:MetricAlarm", name) for name in ALARMS if name not in _BREAKER_ALARMS),
    *(("aws:cloudwatch/queryDefinition:QueryDefinition", f"query-{name}") for name in _QUERIES),
}
_WITHOUT_OPTIONS = _COMPONENTS | _RESOURCES | _OBSERVABILITY
_BREAKER = {
    *(("aws:cloudwatch/metricAlarm:MetricAlarm", name) for name in _BREAKER_ALARMS),
    ("lab:compute:InstrumentedFunction", "events-breaker"),
    ("lab:control:CircuitBreaker", "events-breaker"),
    ("lab:control:RuleTrigger", "events-breaker-tick"),
    ("lab:control:RuleTrigger", "events-breaker-trip"),
    ("aws:cloudwatch/eventRule:EventRule", "events-breaker-tick"),
    ("aws:cloudwatch/eventRule:EventRule", "events-breaker-trip"),
    ("aws:cloudwatch/eventTarget:EventTarget", "events-breaker-tick-target"),
    ("aws:cloudwatch/eventTarget:EventTarget", "events-breaker-trip-target"),
    ("aws:cloudwatch/logGroup:LogGroup", "events-breaker-logs"),
    ("aws:iam/role:Role", "events-breaker-role"),
    ("aws:iam/rolePolicy:RolePolicy", "events-breaker-policy"),
    ("aws:lambda/function:Function", "events-breaker"),
    ("aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig", "events-breaker-async"),
    ("aws:lambda/permission:Permission", "events-breaker-tick-invocation"),
    ("aws:lambda/permission:Permission", "events-breaker-trip-invocation"),
}
_SUCCESSES = {
    ("aws:cloudwatch/eventTarget:EventTarget", "events-success-target"),
    ("aws:sns/topic:Topic", "events-success"),
    ("aws:sns/topicPolicy:TopicPolicy", "events-success-policy"),
}
_FAILURE_LAB = {
    ("lab:compute:InstrumentedFunction", "failure-mode"),
    ("lab:control:FailureSwitch", "failure-mode"),
    ("lab:control:RuleTrigger", "failure-mode-expiry"),
    ("aws:apigatewayv2/integration:Integration", "failure-mode-integration"),
    ("aws:apigatewayv2/route:Route", "ingestion-api-any-failure-mode"),
    ("aws:apigatewayv2/route:Route", "ingestion-api-any-failure-mode-reset"),
    ("aws:apigatewayv2/route:Route", "ingestion-api-get-failure-mode"),
    ("aws:apigatewayv2/route:Route", "ingestion-api-post-failure-mode"),
    ("aws:apigatewayv2/route:Route", "ingestion-api-post-failure-mode-reset"),
    ("aws:cloudwatch/eventRule:EventRule", "failure-mode-expiry"),
    ("aws:cloudwatch/eventTarget:EventTarget", "failure-mode-expiry-target"),
    ("aws:cloudwatch/logGroup:LogGroup", "failure-mode-logs"),
    ("aws:iam/role:Role", "failure-mode-role"),
    ("aws:iam/rolePolicy:RolePolicy", "failure-mode-policy"),
    ("aws:lambda/function:Function", "failure-mode"),
    ("aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig", "failure-mode-async"),
    ("aws:lambda/permission:Permission", "failure-mode-expiry-invocation"),
    ("aws:lambda/permission:Permission", "failure-mode-invocation"),
    ("aws:ssm/parameter:Parameter", "failure-mode-parameter"),
}
_CUSTOMER_KEY = {
    ("lab:security:CustomerKey", "ingestion"),
    ("aws:kms/key:Key", "ingestion-key"),
    ("aws:kms/alias:Alias", "ingestion-alias"),
    ("aws:cloudwatch/metricAlarm:MetricAlarm", "bus-unreadable"),
    ("aws:sqs/queue:Queue", "ingestion-bus-unreadable"),
    ("aws:sqs/queuePolicy:QueuePolicy", "ingestion-bus-unreadable-policy"),
}
_MAIL = {("aws:sns/topicSubscription:TopicSubscription", f"alarms-{s}-email") for s in ("critical", "warning")}
_BY_STACK = {
    "local": _WITHOUT_OPTIONS | _BREAKER | _FAILURE_LAB | _SUCCESSES,
    "dev": _WITHOUT_OPTIONS | _BREAKER | _FAILURE_LAB,
    "prod": _WITHOUT_OPTIONS | _BREAKER | _CUSTOMER_KEY | _MAIL,
}


@pytest.mark.parametrize("preview", [False, True], ids=["update", "preview"])
@pytest.mark.parametrize("stack", ["local", "dev", "prod"])
def test_each_stack_registers_exactly_its_resources(stack: str, preview: bool) -> None:  # noqa: FBT001 - a parameter
    """Every stack's YAML gives exactly these resources for the events pipeline, whether outputs are known or not."""
    recording = run_main(stack, {"pipelines": ["events"]}, preview=preview)

    assert recording.names() == _BY_STACK[stack]
    assert len(recording.resources) == len(_BY_STACK[stack])


def test_every_resource_belongs_to_a_component(dev: Recording) -> None:
    """Nothing but components hangs on the stack itself."""
    components = {r.name for r in dev.resources if r.type.startswith("lab:")}

    assert {(r.type.partition(":")[0], r.name) for r in dev.resources if r.parent not in components} == {
        ("lab", "alarms"),
        ("lab", "control"),
        ("lab", "events"),
        ("lab", "failure-mode"),
        ("lab", "ingestion-api"),
        ("lab", "ingestion-bus"),
        ("lab", "ingestion_state"),
        ("lab", "observability"),
        ("lab", "platform"),
        ("lab", "redrive"),
    }


def test_no_hold_builds_no_breaker() -> None:
    """With breakerHoldSeconds 0 there is no breaker, and the worker holds nothing back."""
    recording = run_main("dev", {"breakerHoldSeconds": 0})

    assert recording.names() == _WITHOUT_OPTIONS | _FAILURE_LAB
    assert variables(recording, "events-worker")["BREAKER_HOLD_SECONDS"] == "0"


def test_outputs(dev: Recording) -> None:
    """The stack's outputs, and one group for the pipeline."""
    assert dev.outputs == {
        "ApiEndpoint": "https://api.ingestion-api",
        "AuthMode": "iam",
        "Production": False,
        "EventBusName": "ingestion-bus",
        "MainQueueUrl": "https://events-queue",
        "DlqUrl": "https://events-dlq",
        "DynamoTableName": "ingestion_state",
        "ControlTableName": "control-table",
        "ControlFailuresUrl": "https://control-failures",
        "RedriveFunctionName": "redrive",
        "DashboardUrl": (
            f"https://{REGION}.console.aws.amazon.com/cloudwatch/home?region={REGION}"
            "#dashboards/dashboard/IngestionLab-dev"
        ),
        "FailureResetFunctionName": "failure-mode",
        "events": {
            "queueUrl": "https://events-queue",
            "dlqUrl": "https://events-dlq",
            "ingestFunctionName": "events-ingest",
            "workerFunctionName": "events-worker",
            "breakerFunctionName": "events-breaker",
            "failureTopicArn": "arn:events-failure",
        },
    }


_WHOLE = {"pipelines": ["events", "orders", "lake"], "glueDatabase": "lake"}
_IN_BUCKET = {"glueDatabase": "", "lakeFormat": "iceberg", "lakeCatalog": "s3tables"}
_HOLDING_DATA = ("Table", "Bucket", "Key", "Queue", "EventArchive", "CatalogDatabase")


def test_production_protects_all_that_holds_data_and_nothing_else() -> None:
    """Pulumi refuses to delete or replace it, DynamoDB its tables too; freed by hand it is forgotten, not deleted."""
    recording = run_main("prod", _WHOLE)
    holding = {(r.type, r.name) for kind in _HOLDING_DATA for r in recording.of(kind)}

    assert {(r.type, r.name) for r in recording.resources if r.protect} == holding
    assert {(r.type, r.name) for r in recording.resources if r.retained} == holding
    assert {kind.rpartition(":")[2] for kind, _ in holding} == set(_HOLDING_DATA)
    assert {table.inputs["deletionProtectionEnabled"] for table in recording.of("Table")} == {True}
    tables = run_main("prod", {**_WHOLE, **_IN_BUCKET}).one("TableBucket", "lake-tables")
    assert (tables.protect, tables.retained, tables.inputs["forceDestroy"]) == (True, True, False)


@pytest.mark.parametrize(("stack", "config"), [("prod", {"deletionAllowed": True}), ("dev", {})])
def test_what_may_be_deleted_is_not_protected(stack: str, config: dict[str, object]) -> None:
    """A stack for trying things, and production that is to be taken down: `destroy` goes through, full buckets too."""
    recording = run_main(stack, {**_WHOLE, **config})

    assert [r.name for r in recording.resources if r.protect or r.retained] == []
    assert {table.inputs["deletionProtectionEnabled"] for table in recording.of("Table")} == {False}
    assert {bucket.inputs["forceDestroy"] for bucket in recording.of("Bucket")} == {True}


def test_tags_reach_everything_that_takes_them() -> None:
    """The stack's tags and the configured ones are on every resource that has tags at all."""
    untagged = {
        *("Dashboard", "EventTarget", "FunctionEventInvokeConfig", "Integration", "LayerVersion", "LogMetricFilter"),
        *("Permission", "QueryDefinition", "QueuePolicy", "RedriveAllowPolicy", "RolePolicy", "Route", "TopicPolicy"),
    }
    recording = run_main("dev", {"resourceTags": {"CostCenter": "42"}})
    resources = [r for r in recording.resources if r.type.startswith("aws:")]

    assert {r.type.rpartition(":")[2] for r in resources if "tags" not in r.inputs} == untagged
    for resource in resources:
        assert resource.inputs.get("tags") in (None, {"Project": "ingestion-lab", "Stack": "dev", "CostCenter": "42"})


def test_tag_restricted_accounts_get_no_tags() -> None:
    """With tagRestricted nothing is tagged, whatever else is configured."""
    recording = run_main("prod", {"tagRestricted": True, "resourceTags": {"CostCenter": "42"}})

    assert [r.name for r in recording.resources if "tags" in r.inputs] == []


def test_laptop_stack_is_quick_and_points_the_provider_at_the_laptop() -> None:
    """The local YAML shortens the waits and sends the real provider, too, to loopback addresses only."""
    config = stack_config("local")
    (endpoints,) = json.loads(json.dumps(config["aws:endpoints"]))

    assert config.pop("pipelines") == ["events", "orders", "lake"]
    assert {key: value for key, value in config.items() if ":" not in key} == {
        "operatorRoleArns": ["arn:aws:iam::000000000000:root"],
        "workerTimeoutSeconds": 5,
        "ordersWorkerTimeoutSeconds": 5,
        "lakeChunkMebibytes": 1,
        "lakeIngestTimeoutSeconds": 60,
        "lakeTransformTimeoutSeconds": 60,
        "lakeLayerArn": "none",
        "workerMaxConcurrency": 5,
        "authMode": "none",
        "maxBatchingWindowSeconds": 0,
        "tracing": False,
        "failureInjection": True,
        "breakerHoldSeconds": 10,
        "publishSuccesses": True,
        "objectiveSeconds": 15,
        "lakeObjectiveSeconds": 60,
        "alarms": {
            "periodSeconds": 5,
            "evaluationPeriods": 2,
            "dlqAgeSeconds": 10,
            "queueAgeSeconds": 15,
            "backlog": 100,
            "objectiveWindowSeconds": 30,
        },
    }
    assert set(endpoints.values()) == {"http://127.0.0.1:4566"}


def test_two_runs_register_the_same(prod: Recording) -> None:
    """Another process, whose sets have another order, gives the same inputs: the engine sees no change."""
    code = "import sys; from tests.components.test_program import registered; sys.stdout.write(registered('prod'))"
    environment = {key: value for key, value in os.environ.items() if key != SHARED}
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    other = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**environment, "PYTHONHASHSEED": seed},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=600,
    )

    assert len(prod.resources) > 100
    assert json.loads(other.stdout) == json.loads(registered("prod"))


def registered(stack: str) -> str:
    """What a run registers, by type and name, as JSON."""
    made = {f"{one.type} {one.name}": one.inputs for one in run_main(stack).resources}
    return json.dumps(made, sort_keys=True)
