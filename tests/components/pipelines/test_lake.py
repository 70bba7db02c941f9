"""The parts of the lake and how they are connected."""

import json

import pytest

from tests.components.config.configuring import problems
from tests.components.recording import ACCOUNT, REGION, Recording, grants, run_main, variables

_LAKE: dict[str, object] = {"pipelines": ["lake"]}
_BACKFILL: dict[str, object] = {"pipelines": ["lake"], "lakeBackfill": True}
_TABLES: dict[str, object] = {"lakeFormat": "iceberg", "glueDatabase": "lake"}
_IN_BUCKET: dict[str, object] = {"lakeFormat": "iceberg", "lakeCatalog": "s3tables"}
_LAYER = "arn:aws:lambda:eu-central-1:123456789012:layer:pyarrow:7"
_STATE_READ_AND_WRITTEN = {
    "dynamodb:BatchGetItem",
    "dynamodb:GetItem",
    "dynamodb:PartiQLInsert",
    "dynamodb:PartiQLUpdate",
}
_BUCKET_PARTS = {
    ("aws:s3/bucket:Bucket", ""),
    ("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration", "-lifecycle"),
    ("aws:s3/bucketOwnershipControls:BucketOwnershipControls", "-ownership"),
    ("aws:s3/bucketPolicy:BucketPolicy", "-policy"),
    ("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "-private"),
    ("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration", "-encryption"),
    ("aws:s3/bucketVersioning:BucketVersioning", "-versioning"),
}


@pytest.fixture(scope="module")
def lake() -> Recording:
    """The dev stack with the lake alone."""
    return run_main("dev", _LAKE)


@pytest.fixture(scope="module")
def closed() -> Recording:
    """The same with a customer key."""
    return run_main("dev", _LAKE | {"useKmsCmk": True})


@pytest.mark.parametrize("preview", [False, True])
def test_what_the_lake_has_that_events_do_not(preview: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Two buckets, a queue of notices and a layer; the rest is what every pipeline has, under its own name."""
    lake = run_main("dev", _LAKE, preview=preview).names()
    events = {(t, n.replace("events", "lake")) for t, n in run_main("dev", preview=preview).names()}

    assert lake - events == {
        ("lab:pipelines:Lake", "lake"),
        ("lab:storage:LakeStorage", "lake"),
        ("aws:lambda/layerVersion:LayerVersion", "lake"),
        ("aws:s3/bucketNotification:BucketNotification", "lake-bronze-notification"),
        ("lab:messaging:ReliableQueue", "lake-notices"),
        *(
            (token, name.replace("events", "lake-notices"))
            for token, name in run_main("dev").names()
            if token.startswith("aws:sqs/") and name.startswith("events-")
        ),
        ("lab:messaging:QueueConsumer", "lake-ingest"),
        ("aws:lambda/eventSourceMapping:EventSourceMapping", "lake-ingest-mapping"),
        *(
            ("aws:cloudwatch/metricAlarm:MetricAlarm", f"lake-notices-{name}")
            for name in ("dead", "stalled", "backlog")
        ),
        ("aws:cloudwatch/metricAlarm:MetricAlarm", "lake-objects-ignored"),
        *((token, f"lake-{role}{part}") for role in ("bronze", "silver") for token, part in _BUCKET_PARTS),
    }


def test_lake_alone_has_no_routes_but_the_controls(lake: Recording) -> None:
    """What is not of events' API is there; nothing answers for the lake."""
    routes = {route.inputs["routeKey"].partition(" ")[2].split("/")[1] for route in lake.of("Route")}

    assert routes <= {"redrive", "failure-mode"}
    assert {integration.name for integration in lake.of("Integration")} <= {
        "redrive-api-integration",
        "failure-mode-integration",
    }


def test_ingest_function(lake: Recording) -> None:
    """It reads an object to its end, so it may run for as long as Lambda lets it; without pyarrow it starts quickly."""
    function = lake.inputs("Function", "lake-ingest")

    assert function["handler"] == "handlers.lake.ingest.handler"
    assert (function["timeout"], function["memorySize"], function["layers"]) == (900, 512, ["arn:dependencies"])
    assert variables(lake, "lake-ingest") == {
        "ENVIRONMENT": "dev",
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "POWERTOOLS_SERVICE_NAME": "ingestion-lab",
        "PIPELINE": "lake",
        "QUEUE_URL": "https://lake-queue",
        "TABLE_NAME": "ingestion_state",
        "TTL_DAYS": "7",
        "BRONZE_BUCKET": "id:lake-bronze",
        "CHUNK_BYTES": "16777216",
        "FAILURE_MODE_PARAMETER": "/ingestion/failure_mode",
        "NOTICES_QUEUE_URL": "https://lake-notices-queue",
        "NOTICES_DLQ_URL": "https://lake-notices-dlq",
        "RETRY_BACKOFF_MAX_SECONDS": "300",
        "MAX_RECEIVE_COUNT": "5",
        "OUTAGE_SECONDS": "81000",
    }


def test_objects_wait_in_a_queue(lake: Recording) -> None:
    """S3 tells a queue of them; so many are ingested at once, and what ingest gives up is kept for a redrive."""
    mapping, queue = (
        lake.inputs("EventSourceMapping", "lake-ingest-mapping"),
        lake.inputs("Queue", "lake-notices-queue"),
    )

    assert {name: value for name, value in mapping.items() if name != "tags"} == {
        "eventSourceArn": "arn:lake-notices-queue",
        "functionName": "arn:lake-ingest",
        "batchSize": 1,
        "maximumBatchingWindowInSeconds": 0,
        "functionResponseTypes": ["ReportBatchItemFailures"],
        "scalingConfig": {"maximumConcurrency": 2},
    }
    assert queue["visibilityTimeoutSeconds"] == 6 * 900
    assert json.loads(queue["redrivePolicy"]) == {"deadLetterTargetArn": "arn:lake-notices-dlq", "maxReceiveCount": 5}
    (notification,) = lake.of("BucketNotification")
    assert notification.inputs["queues"][0]["queueArn"] == "arn:lake-notices-queue"
    assert "lake-notices-queue-policy" in notification.depends_on


def test_only_the_bucket_redrive_and_operators_may_give_notice() -> None:
    """S3 for this bucket of this account; dead letters come from ingest alone."""
    operator = "arn:aws:iam::123456789012:role/oncall"
    recording = run_main("dev", _LAKE | {"operatorRoleArns": [operator]})
    statements = {
        role: {one["Sid"]: one for one in json.loads(recording.inputs("QueuePolicy", name)["policy"])["Statement"]}
        for role, name in {"queue": "lake-notices-queue-policy", "dlq": "lake-notices-dlq-policy"}.items()
    }
    named = {
        role: found["NamedProducersOnly"]["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]
        for role, found in statements.items()
    }

    assert named == {"queue": ["arn:redrive-role", operator], "dlq": ["arn:lake-ingest-role"]}
    assert statements["queue"]["BucketNotifies"] == {
        "Sid": "BucketNotifies",
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": ["sqs:SendMessage"],
        "Resource": "arn:lake-notices-queue",
        "Condition": {
            "ArnEquals": {"aws:SourceArn": "arn:lake-bronze"},
            "StringEquals": {"aws:SourceAccount": ACCOUNT},
        },
    }
    assert "BucketNotifies" not in statements["dlq"]


def test_worker_function_and_its_queue(lake: Recording) -> None:
    """Two chunks at a time, time for both, and six times that until they come again."""
    function = lake.inputs("Function", "lake-worker")
    mapping = lake.inputs("EventSourceMapping", "lake-worker-mapping")

    assert function["handler"] == "handlers.lake.worker.handler"
    assert (function["timeout"], function["memorySize"]) == (300, 1024)
    assert function["layers"] == ["arn:dependencies", "arn:lake"]
    environment = variables(lake, "lake-worker")
    assert (environment["BRONZE_BUCKET"], environment["SILVER_BUCKET"]) == ("id:lake-bronze", "id:lake-silver")
    assert environment["OBJECTIVE_SECONDS"] == "900"
    assert (mapping["batchSize"], mapping["maximumBatchingWindowInSeconds"]) == (2, 0)
    assert lake.inputs("Queue", "lake-queue")["visibilityTimeoutSeconds"] == 1800


def test_settings_reach_the_functions() -> None:
    """Chunk size, times and memories follow the configuration, the visibility timeout the worker's time."""
    chosen = {
        "lakeChunkMebibytes": 3,
        "lakeIngestTimeoutSeconds": 60,
        "lakeTransformTimeoutSeconds": 20,
        "lakeIngestMemoryMb": 300,
        "lakeIngestMaxConcurrency": 7,
        "lakeTransformMemoryMb": 2000,
    }
    recording = run_main("dev", _LAKE | chosen)
    ingest, worker = (recording.inputs("Function", f"lake-{role}") for role in ("ingest", "worker"))

    assert variables(recording, "lake-ingest")["CHUNK_BYTES"] == str(3 * 1024 * 1024)
    assert (ingest["timeout"], ingest["memorySize"]) == (60, 300)
    assert (worker["timeout"], worker["memorySize"]) == (20, 2000)
    assert recording.inputs("Queue", "lake-queue")["visibilityTimeoutSeconds"] == 120
    assert recording.inputs("Queue", "lake-notices-queue")["visibilityTimeoutSeconds"] == 360
    mapping = recording.inputs("EventSourceMapping", "lake-ingest-mapping")
    assert mapping["scalingConfig"] == {"maximumConcurrency": 7}


def test_least_rights(lake: Recording) -> None:
    """Ingest reads bronze and fills the queue; the worker reads bronze and results, writes silver and quarantine."""
    bronze = {
        "Bronze": ({"s3:GetObjectVersion"}, "arn:lake-bronze/bronze/*"),
        "BronzeMissing": ({"s3:ListBucket"}, "arn:lake-bronze"),
    }
    ingest, worker = grants(lake, "lake-ingest"), grants(lake, "lake-worker")

    assert {sid: ingest[sid] for sid in (*bronze, "Queue", "State", "Notices", "DeadLetters")} == bronze | {
        "Queue": ({"sqs:SendMessage"}, "arn:lake-queue"),
        "State": (_STATE_READ_AND_WRITTEN, "arn:ingestion_state"),
        "Notices": (
            {"sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"},
            "arn:lake-notices-queue",
        ),
        "DeadLetters": ({"sqs:SendMessage"}, "arn:lake-notices-dlq"),
    }
    assert {sid: worker[sid] for sid in (*bronze, "Silver", "StaleQuarantine", "Result")} == bronze | {
        "Silver": ({"s3:PutObject"}, ["arn:lake-silver/silver/*", "arn:lake-silver/quarantine/*"]),
        "StaleQuarantine": ({"s3:DeleteObject"}, "arn:lake-silver/quarantine/*"),
        "Result": ({"dynamodb:GetItem"}, "arn:ingestion_state"),
    }
    assert [sid for sid in ingest if "Silver" in sid] == []


def test_customer_key_reaches_buckets_and_roles(closed: Recording) -> None:
    """Both buckets are encrypted with it; the reader may decrypt, the worker encrypt too."""
    keys = {
        rule["applyServerSideEncryptionByDefault"]["kmsMasterKeyId"]
        for setting in closed.of("BucketServerSideEncryptionConfiguration")
        for rule in setting.inputs["rules"]
    }
    assert keys == {"arn:ingestion-key"}
    assert {sid for sid in grants(closed, "lake-ingest") if "Bucket" in sid} == {"ReadBucketKey"}
    assert {sid for sid in grants(closed, "lake-worker") if "Bucket" in sid} == {"ReadBucketKey", "WriteBucketKey"}


def test_production_keeps_the_buckets_and_no_other_stack_does() -> None:
    """A destroy of production stops at them; those of others go with all they hold."""
    stacks = {stack: run_main(stack, _LAKE).of("Bucket") for stack in ("prod", "dev", "local")}

    assert {stack: {(b.protect, b.inputs["forceDestroy"]) for b in made} for stack, made in stacks.items()} == {
        "prod": {(True, False)},
        "dev": {(False, True)},
        "local": {(False, True)},
    }


def test_only_the_lake_redrive_and_operators_may_fill_the_queue() -> None:
    """The queue takes chunks from the ingest function, parts from the worker, a redrive, those who replay by hand."""
    operator = "arn:aws:iam::123456789012:role/oncall"
    recording = run_main("dev", _LAKE | {"operatorRoleArns": [operator]})
    statements = json.loads(recording.inputs("QueuePolicy", "lake-queue-policy")["policy"])["Statement"]
    (named,) = [s for s in statements if s["Sid"] == "NamedProducersOnly"]

    assert named["Condition"]["ArnNotEquals"]["aws:PrincipalArn"] == [
        "arn:lake-ingest-role",
        "arn:lake-breaker-role",
        "arn:lake-worker-role",
        "arn:redrive-role",
        operator,
    ]


def test_outputs(lake: Recording) -> None:
    """What tools need to find the lake."""
    assert lake.outputs["lake"] == {
        "queueUrl": "https://lake-queue",
        "dlqUrl": "https://lake-dlq",
        "ingestFunctionName": "lake-ingest",
        "workerFunctionName": "lake-worker",
        "breakerFunctionName": "lake-breaker",
        "failureTopicArn": "arn:lake-failure",
        "bronzeBucket": "id:lake-bronze",
        "silverBucket": "id:lake-silver",
        "noticesUrl": "https://lake-notices-queue",
        "noticesDlqUrl": "https://lake-notices-dlq",
    }


def test_layer_is_the_programs_own_or_another() -> None:
    """It is built for the functions' processor, unless the configuration names one; the laptop's Python needs none."""
    own, other = run_main("dev", _LAKE), run_main("dev", _LAKE | {"lakeLayerArn": _LAYER})
    laptop = run_main("local", _LAKE)

    assert own.inputs("LayerVersion", "lake") == {
        "layerName": "ingestion-lab-dev-lake",
        "code": "archive of lake",
        "compatibleArchitectures": ["arm64"],
        "compatibleRuntimes": ["python3.13"],
    }
    assert other.inputs("Function", "lake-worker")["layers"] == ["arn:dependencies", _LAYER]
    assert laptop.inputs("Function", "lake-worker")["layers"] == ["arn:dependencies"]
    assert [layer.name for r in (other, laptop) for layer in r.of("LayerVersion")] == ["dependencies"] * 2


def test_keys_that_do_not_fit_the_rest_are_refused() -> None:
    """No layer at all is for the laptop; a catalog is of the lake."""
    assert problems({"lakeLayerArn": "none"}) == [
        "lakeLayerArn must be an ARN or empty except on the stack local: Lambda's Python has no pyarrow; got 'none'"
    ]
    assert problems({"glueDatabase": "lab"}) == [
        "glueDatabase must be empty unless pipelines has lake, whose tables it holds; got 'lab'"
    ]


def test_the_quality_gate_is_made_where_it_is_wanted(lake: Recording) -> None:
    """One check at a time; the rule is for files of silver only, and what Lambda gives up is kept."""
    gated = run_main("dev", _LAKE | {"lakeQualityGate": True})
    function = gated.inputs("Function", "lake-gate")

    assert gated.names() - lake.names() == {
        ("lab:compute:InstrumentedFunction", "lake-gate"),
        ("aws:lambda/function:Function", "lake-gate"),
        ("aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig", "lake-gate-async"),
        ("aws:cloudwatch/logGroup:LogGroup", "lake-gate-logs"),
        ("aws:iam/role:Role", "lake-gate-role"),
        ("aws:iam/rolePolicy:RolePolicy", "lake-gate-policy"),
        ("lab:control:RuleTrigger", "lake-gate"),
        ("aws:cloudwatch/eventRule:EventRule", "lake-gate"),
        ("aws:cloudwatch/eventTarget:EventTarget", "lake-gate-target"),
        ("aws:lambda/permission:Permission", "lake-gate-invocation"),
        ("aws:cloudwatch/metricAlarm:MetricAlarm", "lake-quality-failed"),
        ("aws:cloudwatch/metricAlarm:MetricAlarm", "lake-gate-errors"),
    }
    assert (function["handler"], function["layers"]) == ("handlers.lake.gate.handler", ["arn:dependencies", "arn:lake"])
    assert (function["timeout"], function["memorySize"], function["reservedConcurrentExecutions"]) == (300, 1024, 1)
    assert variables(gated, "lake-gate")["HELD_MEBIBYTES"] == "128"
    assert json.loads(gated.inputs("EventRule", "lake-gate")["eventPattern"]) == {
        "source": ["myapp.lake"],
        "detail-type": ["SilverPartitionReady"],
        "detail": {"pipeline": ["lake"]},
    }
    assert gated.outputs["lake"]["gateFunctionName"] == "lake-gate"
    assert problems({"lakeQualityGate": True}) == [
        "lakeQualityGate must be false unless pipelines has lake, whose days it checks; got 'true'"
    ]


def test_rights_of_the_quality_gate() -> None:
    """It reads silver and marks, lists days, puts marks and tells verdicts; with a key, that of buckets and tables."""
    gated = run_main("dev", _LAKE | {"lakeQualityGate": True, "useKmsCmk": True})
    found = grants(gated, "lake-gate")

    assert {sid: found[sid] for sid in ("Silver", "SilverDays", "Marks", "State", "Verdicts")} == {
        "Silver": ({"s3:GetObject"}, ["arn:lake-silver/silver/*", "arn:lake-silver/gate/*"]),
        "SilverDays": ({"s3:ListBucket"}, "arn:lake-silver"),
        "Marks": ({"s3:PutObject"}, "arn:lake-silver/gate/*"),
        "State": ({"dynamodb:Scan"}, "arn:ingestion_state"),
        "Verdicts": ({"events:PutEvents"}, "arn:ingestion-bus"),
    }
    assert {"ReadBucketKey", "WriteBucketKey", "TableKey", "FailedInvocations"} <= found.keys()
    assert not {"Bronze", "Queue", "QueueKey"} & found.keys()


def test_the_backfill_is_made_where_it_is_wanted(lake: Recording) -> None:
    """A state machine that lists bronze and invokes a function by batches; ingest may read what has no version."""
    recording = run_main("dev", _BACKFILL)
    machine = recording.inputs("StateMachine", "lake-backfill")
    (state,) = json.loads(machine["definition"])["States"].values()
    announce = state["ItemProcessor"]["States"]["Announce"]

    assert recording.names() - lake.names() == {
        ("lab:control:Backfill", "lake-backfill"),
        ("lab:compute:InstrumentedFunction", "lake-backfill"),
        ("aws:lambda/function:Function", "lake-backfill"),
        ("aws:cloudwatch/logGroup:LogGroup", "lake-backfill-logs"),
        ("aws:iam/role:Role", "lake-backfill-role"),
        ("aws:iam/rolePolicy:RolePolicy", "lake-backfill-policy"),
        ("aws:sfn/stateMachine:StateMachine", "lake-backfill"),
        ("aws:iam/role:Role", "lake-backfill-machine-role"),
        ("aws:iam/rolePolicy:RolePolicy", "lake-backfill-machine-policy"),
        ("aws:cloudwatch/metricAlarm:MetricAlarm", "lake-backfill-failed"),
        ("aws:cloudwatch/metricAlarm:MetricAlarm", "lake-backfill-errors"),
    }
    assert (machine["type"], machine["roleArn"]) == ("STANDARD", "arn:lake-backfill-machine-role")
    assert state["ItemReader"]["Parameters"] == {"Bucket": "id:lake-bronze", "Prefix.$": "$.prefix"}
    assert (state["ItemProcessor"]["ProcessorConfig"]["Mode"], state["ResultPath"]) == ("DISTRIBUTED", None)
    assert announce["Parameters"] == {"FunctionName": "arn:lake-backfill", "Payload.$": "$"}
    assert variables(recording, "lake-backfill")["BACKLOG"] == "1000"  # 500 for each of two
    assert recording.outputs["lake"]["backfillArn"] == "arn:lake-backfill"
    assert recording.outputs["lake"]["backfillFunctionName"] == "lake-backfill"
    assert grants(recording, "lake-ingest")["Bronze"][0] == {"s3:GetObject", "s3:GetObjectVersion"}
    assert problems({"lakeBackfill": True}) == [
        "lakeBackfill must be false unless pipelines has lake, whose objects it announces; got 'true'"
    ]


def test_rights_of_the_backfill() -> None:
    """The function sends notices and sees how much waits; the machine lists bronze, invokes it, and runs its map."""
    recording = run_main("dev", _BACKFILL)
    policy = json.loads(recording.inputs("RolePolicy", "lake-backfill-machine-policy")["policy"])["Statement"]
    trust = json.loads(recording.inputs("Role", "lake-backfill-machine-role")["assumeRolePolicy"])["Statement"]
    senders = json.loads(recording.inputs("QueuePolicy", "lake-notices-queue-policy")["policy"])["Statement"]
    runs = ["arn:lake-backfill:*", "arn:lake-backfill/Objects:*"]  # where the real ARN says "execution"

    assert {sid: of for sid, of in grants(recording, "lake-backfill").items() if sid in {"Notices", "Backlog"}} == {
        "Notices": ({"sqs:SendMessage"}, "arn:lake-notices-queue"),
        "Backlog": ({"sqs:GetQueueAttributes"}, ["arn:lake-notices-queue", "arn:lake-queue"]),
    }
    assert {one["Sid"]: (one["Action"], one["Resource"], one.get("Condition")) for one in policy} == {
        "Objects": (["s3:ListBucket"], "arn:lake-bronze", {"StringLike": {"s3:prefix": "bronze/*"}}),
        "Batches": (["lambda:InvokeFunction"], "arn:lake-backfill", None),
        "Run": (["states:StartExecution"], "arn:lake-backfill", None),
        "Runs": (["states:DescribeExecution", "states:StopExecution"], runs, None),
        "Redrive": (["states:RedriveExecution"], runs[1], None),
        "Tracing": (["xray:PutTelemetryRecords", "xray:PutTraceSegments"], "*", None),
    }
    assert [(one["Principal"], one["Condition"]) for one in trust] == [
        ({"Service": "states.amazonaws.com"}, {"StringEquals": {"aws:SourceAccount": ACCOUNT}})
    ]
    named = next(one for one in senders if one["Sid"] == "NamedProducersOnly")["Condition"]["ArnNotEquals"]
    assert "arn:lake-backfill-role" in named["aws:PrincipalArn"]


def test_tables_are_made_where_they_are_wanted(lake: Recording) -> None:
    """One committer, every minute; a ledger; of Glue the database alone, since the committer makes the tables."""
    tables = run_main("dev", _LAKE | _TABLES)
    function = tables.inputs("Function", "lake-committer")

    assert tables.names() - lake.names() == {
        ("lab:compute:InstrumentedFunction", "lake-committer"),
        ("aws:lambda/function:Function", "lake-committer"),
        ("aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig", "lake-committer-async"),
        ("aws:cloudwatch/logGroup:LogGroup", "lake-committer-logs"),
        ("aws:iam/role:Role", "lake-committer-role"),
        ("aws:iam/rolePolicy:RolePolicy", "lake-committer-policy"),
        ("lab:control:RuleTrigger", "lake-committer"),
        ("aws:cloudwatch/eventRule:EventRule", "lake-committer"),
        ("aws:cloudwatch/eventTarget:EventTarget", "lake-committer-target"),
        ("aws:lambda/permission:Permission", "lake-committer-invocation"),
        ("aws:cloudwatch/metricAlarm:MetricAlarm", "lake-committer-errors"),
        ("aws:cloudwatch/metricAlarm:MetricAlarm", "lake-committer-silent"),
        ("aws:lambda/layerVersion:LayerVersion", "iceberg"),
        ("lab:storage:LakeLedger", "lake-ledger"),
        ("aws:dynamodb/table:Table", "lake-ledger"),
        ("lab:storage:LakeCatalog", "lake-catalog"),
        ("aws:glue/catalogDatabase:CatalogDatabase", "lake-catalog-database"),
    }
    assert (function["handler"], function["layers"]) == (
        "handlers.lake.iceberg.commit.handler",
        ["arn:dependencies", "arn:lake", "arn:iceberg"],
    )
    assert (function["timeout"], function["memorySize"], function["reservedConcurrentExecutions"]) == (300, 1024, 1)
    assert tables.inputs("EventRule", "lake-committer")["scheduleExpression"] == "rate(1 minute)"
    ledger = tables.inputs("Table", "lake-ledger")
    assert (ledger["hashKey"], ledger["rangeKey"], "ttl" in ledger) == ("scope", "name", False)
    assert variables(tables, "lake-worker")["LEDGER_NAME"] == "lake-ledger"
    assert "LEDGER_NAME" not in variables(lake, "lake-worker")
    assert tables.outputs["lake"]["committerFunctionName"] == "lake-committer"
    assert run_main("local", _LAKE | _TABLES).inputs("Function", "lake-committer")["layers"] == ["arn:dependencies"]
    assert problems({"lakeFormat": "iceberg"}) == [
        "lakeFormat must be parquet unless pipelines has lake, whose silver it is of; got 'iceberg'",
        "lakeFormat must be parquet unless lakeCatalog is s3tables or glueDatabase names a database; got 'iceberg'",
    ]


def test_a_table_bucket_in_place_of_a_database() -> None:
    """It is made with one namespace, refuses plain HTTP, and removes what no table names; Glue has nothing of it."""
    tables = run_main("dev", _LAKE | _IN_BUCKET | {"useKmsCmk": True})
    in_glue = run_main("dev", _LAKE | _TABLES | {"useKmsCmk": True})

    assert tables.names() - in_glue.names() == {
        ("lab:storage:LakeTableBucket", "lake-tables"),
        ("aws:s3tables/tableBucket:TableBucket", "lake-tables"),
        ("aws:s3tables/namespace:Namespace", "lake-tables-namespace"),
        ("aws:s3tables/tableBucketPolicy:TableBucketPolicy", "lake-tables-policy"),
    }
    assert in_glue.names() - tables.names() == {
        ("lab:storage:LakeCatalog", "lake-catalog"),
        ("aws:glue/catalogDatabase:CatalogDatabase", "lake-catalog-database"),
    }
    bucket = dict(tables.inputs("TableBucket", "lake-tables"))
    bucket.pop("tags")
    assert bucket == {
        "encryptionConfiguration": {"sseAlgorithm": "aws:kms", "kmsKeyArn": "arn:ingestion-key"},
        "maintenanceConfiguration": {
            "icebergUnreferencedFileRemoval": {
                "status": "enabled",
                "settings": {"unreferencedDays": 3, "nonCurrentDays": 10},
            }
        },
        "forceDestroy": True,
    }
    assert tables.inputs("Namespace", "lake-tables-namespace") == {
        "namespace": "lake",
        "tableBucketArn": "arn:lake-tables",
    }
    (denied,) = json.loads(tables.inputs("TableBucketPolicy", "lake-tables-policy")["resourcePolicy"])["Statement"]
    assert (denied["Sid"], denied["Resource"]) == ("TlsOnly", ["arn:lake-tables", "arn:lake-tables/table/*"])
    found = variables(tables, "lake-committer")
    assert (found["NAMESPACE"], found["TABLE_BUCKET_ARN"]) == ("lake", "arn:lake-tables")
    assert "TABLE_BUCKET_ARN" not in variables(in_glue, "lake-committer")
    plain = run_main("dev", _LAKE | _IN_BUCKET).inputs("TableBucket", "lake-tables")
    assert "encryptionConfiguration" not in plain
    assert problems({**_LAKE, "lakeCatalog": "s3tables"}) == [
        "lakeCatalog must be glue unless lakeFormat is iceberg; got 's3tables'"
    ]
    assert problems({**_LAKE, **_IN_BUCKET, "glueDatabase": "lake"}) == [
        "glueDatabase must be empty where lakeCatalog is s3tables, whose tables are in no database; got 'lake'"
    ]


def test_rights_of_the_committer_in_a_table_bucket() -> None:
    """It makes tables and commits to them, deletes none, and puts nothing into silver; the key is for tables alone."""
    tables = run_main("dev", _LAKE | _IN_BUCKET | {"useKmsCmk": True})
    found = grants(tables, "lake-committer")
    statements = {
        one["Sid"]: one
        for one in json.loads(tables.inputs("RolePolicy", "lake-committer-policy")["policy"])["Statement"]
    }

    assert {sid: found[sid] for sid in ("Silver", "Missing", "TableBucket", "Tables", "TablesKey")} == {
        "Silver": ({"s3:GetObject"}, "arn:lake-silver/silver/*"),
        "Missing": ({"s3:ListBucket"}, "arn:lake-silver"),
        "TableBucket": ({"s3tables:CreateTable", "s3tables:GetTableBucket"}, "arn:lake-tables"),
        "Tables": (
            {
                "s3tables:CreateTable",
                "s3tables:GetTableData",
                "s3tables:GetTableMetadataLocation",
                "s3tables:PutTableData",
                "s3tables:UpdateTableMetadataLocation",
            },
            "arn:lake-tables/table/*",
        ),
        "TablesKey": ({"kms:Decrypt", "kms:GenerateDataKey"}, "arn:ingestion-key"),
    }
    assert statements["TablesKey"]["Condition"] == {
        "StringLike": {"kms:EncryptionContext:aws:s3:arn": "arn:lake-tables/table/*"}
    }
    assert not {"Metadata", "WriteBucketKey"} & found.keys()
    assert "ReadBucketKey" in found
    policy = json.loads(tables.inputs("Key", "ingestion-key")["policy"])["Statement"]
    (maintenance,) = [one for one in policy if one["Sid"] == "MaintenanceOfTables"]
    assert maintenance == {
        "Sid": "MaintenanceOfTables",
        "Effect": "Allow",
        "Principal": {"Service": ["maintenance.s3tables.amazonaws.com"]},
        "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
        "Resource": "*",
        "Condition": {
            "StringLike": {"kms:EncryptionContext:aws:s3:arn": [f"arn:aws:s3tables:{REGION}:{ACCOUNT}:bucket/*"]}
        },
    }


def test_rights_of_the_committer() -> None:
    """It reads silver and puts metadata, and deletes neither; of Glue it has the tables of its database."""
    tables = run_main("dev", _LAKE | _TABLES | {"useKmsCmk": True})
    found = grants(tables, "lake-committer")
    glue = f"arn:aws:glue:{REGION}:{ACCOUNT}"

    assert {sid: found[sid] for sid in ("Silver", "Missing", "Metadata", "Tables", "State", "Ledger", "Ready")} == {
        "Silver": ({"s3:GetObject"}, ["arn:lake-silver/silver/*", "arn:lake-silver/tables/*"]),
        "Missing": ({"s3:ListBucket"}, "arn:lake-silver"),
        "Metadata": ({"s3:PutObject"}, "arn:lake-silver/tables/*"),
        "Tables": (
            {"glue:CreateTable", "glue:GetDatabase", "glue:GetTable", "glue:UpdateTable"},
            [
                f"{glue}:catalog",
                f"{glue}:database/lake",
                f"{glue}:table/lake/*",
            ],
        ),
        "State": ({"dynamodb:BatchGetItem"}, "arn:ingestion_state"),
        "Ledger": (
            {"dynamodb:BatchGetItem", "dynamodb:DeleteItem", "dynamodb:Query", "dynamodb:UpdateItem"},
            "arn:lake-ledger",
        ),
        "Ready": ({"events:PutEvents"}, "arn:ingestion-bus"),
    }
    assert {"ReadBucketKey", "WriteBucketKey", "TableKey", "FailedInvocations"} <= found.keys()
    assert grants(tables, "lake-worker")["Notes"] == ({"dynamodb:PutItem"}, "arn:lake-ledger")
