"""The whole program, as each stack's YAML configures it."""

import json

import pytest

from tests.components.recording import Recording, run_main, stack_config

_COMPONENTS = {
    ("lab:api:HttpApi", "ingestion-api"),
    ("lab:compute:FunctionPlatform", "platform"),
    ("lab:compute:InstrumentedFunction", "events-ingest"),
    ("lab:compute:InstrumentedFunction", "events-worker"),
    ("lab:messaging:EventBus", "ingestion-bus"),
    ("lab:messaging:OutcomeTopic", "events-failure"),
    ("lab:messaging:OutcomeTopic", "events-success"),
    ("lab:messaging:QueueConsumer", "events-worker"),
    ("lab:messaging:ReliableQueue", "events"),
    ("lab:pipelines:Events", "events"),
    ("lab:storage:StateTable", "ingestion_state"),
}
_RESOURCES = {
    ("aws:apigatewayv2/api:Api", "ingestion-api"),
    ("aws:apigatewayv2/integration:Integration", "events-ingest-integration"),
    ("aws:apigatewayv2/route:Route", "ingestion-api-default"),
    ("aws:apigatewayv2/route:Route", "ingestion-api-get-events-idempotencykey"),
    ("aws:apigatewayv2/route:Route", "ingestion-api-get-health"),
    ("aws:apigatewayv2/route:Route", "ingestion-api-post-events"),
    ("aws:apigatewayv2/route:Route", "ingestion-api-post-events-batch"),
    ("aws:apigatewayv2/stage:Stage", "ingestion-api-stage"),
    ("aws:cloudwatch/eventBus:EventBus", "ingestion-bus"),
    ("aws:cloudwatch/eventRule:EventRule", "events-failure"),
    ("aws:cloudwatch/eventRule:EventRule", "events-success"),
    ("aws:cloudwatch/eventTarget:EventTarget", "events-failure-target"),
    ("aws:cloudwatch/eventTarget:EventTarget", "events-success-target"),
    ("aws:cloudwatch/logGroup:LogGroup", "events-ingest-logs"),
    ("aws:cloudwatch/logGroup:LogGroup", "events-worker-logs"),
    ("aws:cloudwatch/logGroup:LogGroup", "ingestion-api-access-logs"),
    ("aws:dynamodb/table:Table", "ingestion_state"),
    ("aws:iam/role:Role", "events-ingest-role"),
    ("aws:iam/role:Role", "events-worker-role"),
    ("aws:iam/rolePolicy:RolePolicy", "events-ingest-policy"),
    ("aws:iam/rolePolicy:RolePolicy", "events-worker-policy"),
    ("aws:lambda/eventSourceMapping:EventSourceMapping", "events-worker-mapping"),
    ("aws:lambda/function:Function", "events-ingest"),
    ("aws:lambda/function:Function", "events-worker"),
    ("aws:lambda/layerVersion:LayerVersion", "dependencies"),
    ("aws:lambda/permission:Permission", "events-ingest-invocation"),
    ("aws:sns/topic:Topic", "events-failure"),
    ("aws:sns/topic:Topic", "events-success"),
    ("aws:sns/topicPolicy:TopicPolicy", "events-failure-policy"),
    ("aws:sns/topicPolicy:TopicPolicy", "events-success-policy"),
    ("aws:sqs/queue:Queue", "events-dlq"),
    ("aws:sqs/queue:Queue", "events-queue"),
    ("aws:sqs/queuePolicy:QueuePolicy", "events-dlq-policy"),
    ("aws:sqs/queuePolicy:QueuePolicy", "events-queue-policy"),
    ("aws:sqs/redriveAllowPolicy:RedriveAllowPolicy", "events-dlq-redrive-allow"),
}
_CUSTOMER_KEY = {
    ("lab:security:CustomerKey", "ingestion"),
    ("aws:kms/key:Key", "ingestion-key"),
    ("aws:kms/alias:Alias", "ingestion-alias"),
}
_BY_STACK = {
    "local": _COMPONENTS | _RESOURCES,
    "dev": _COMPONENTS | _RESOURCES,
    "prod": _COMPONENTS | _RESOURCES | _CUSTOMER_KEY,
}


@pytest.mark.parametrize("preview", [False, True], ids=["update", "preview"])
@pytest.mark.parametrize("stack", ["local", "dev", "prod"])
def test_each_stack_registers_exactly_its_resources(stack: str, preview: bool) -> None:  # noqa: FBT001 - a parameter
    """Every stack's YAML loads and gives exactly these resources, whether outputs are known or not."""
    recording = run_main(stack, preview=preview)

    assert recording.names() == _BY_STACK[stack]
    assert len(recording.resources) == len(_BY_STACK[stack])


def test_every_resource_belongs_to_a_component(dev: Recording) -> None:
    """Nothing but components hangs on the stack itself."""
    components = {name for _, name in _COMPONENTS}

    assert {r.name for r in dev.resources if r.parent not in components} == {
        "events",
        "ingestion-api",
        "ingestion-bus",
        "ingestion_state",
        "platform",
    }


def test_outputs(dev: Recording) -> None:
    """The stack's outputs, and one group for the pipeline."""
    assert dev.outputs == {
        "ApiEndpoint": "https://api.ingestion-api",
        "EventBusName": "ingestion-bus",
        "MainQueueUrl": "https://events-queue",
        "DlqUrl": "https://events-dlq",
        "DynamoTableName": "ingestion_state",
        "events": {
            "queueUrl": "https://events-queue",
            "dlqUrl": "https://events-dlq",
            "ingestFunctionName": "events-ingest",
            "workerFunctionName": "events-worker",
            "successTopicArn": "arn:events-success",
            "failureTopicArn": "arn:events-failure",
        },
    }


def test_prod_protects_the_table_and_nothing_else() -> None:
    """In prod both DynamoDB and Pulumi refuse to delete the state table."""
    recording = run_main("prod")

    assert recording.inputs("Table", "ingestion_state")["deletionProtectionEnabled"] is True
    assert [r.name for r in recording.resources if r.protect] == ["ingestion_state"]


def test_tags_reach_everything_that_takes_them() -> None:
    """The stack's tags and the configured ones are on every resource that has tags at all."""
    untagged = {
        *("EventTarget", "Integration", "LayerVersion", "Permission", "QueuePolicy"),
        *("RedriveAllowPolicy", "RolePolicy", "Route", "TopicPolicy"),
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

    assert {key: value for key, value in config.items() if ":" not in key} == {
        "workerTimeoutSeconds": 5,
        "maxBatchingWindowSeconds": 0,
        "tracing": False,
    }
    assert set(endpoints.values()) == {"http://127.0.0.1:4566"}
