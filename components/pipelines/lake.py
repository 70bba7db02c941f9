"""The lake: objects in a bucket to chunks on a queue, chunks to Parquet in another bucket."""

from collections.abc import Mapping, Sequence

import pulumi
from pulumi_aws import get_caller_identity_output

from components.compute import layers, packaging
from components.compute.function import InstrumentedFunction, InstrumentedFunctionArgs
from components.config.settings import NO_LAYER
from components.control.backfill import Backfill, BackfillArgs
from components.messaging.consumer import QueueConsumer, QueueConsumerArgs
from components.messaging.function_rule import FunctionRule, FunctionRuleArgs
from components.messaging.queue import ReliableQueue, ReliableQueueArgs
from components.messaging.queue_access import QueueSenders, limit_senders
from components.pipelines.base import Pipeline, PipelineArgs
from components.pipelines.worker_spec import WorkerSpec
from components.security import policies
from components.storage.catalog import LakeCatalog, LakeCatalogArgs
from components.storage.lake_buckets import BRONZE_PREFIX, LakeStorage, LakeStorageArgs, notify_of_objects
from components.storage.lake_ledger import LakeLedger
from components.storage.table_bucket import LakeTableBucket, TableBucketArgs
from components.storage.types import record_types

_MIB = 1024 * 1024
_SOURCE = "myapp.lake"
_HELD_SHARE = 8  # of the gate's memory; grouping by a business key takes several times what is grouped
_BACKLOG = 500  # messages for each object that is ingested at once: minutes of work, so that new objects wait no longer
_BATCH = 2  # a chunk is work for seconds: a failed neighbour costs more time than a larger batch saves in calls


class LakePipeline(Pipeline):
    """Buckets, the function that cuts objects into chunks, queue, and the worker that writes Parquet.

    Where it is wanted, another function checks each day of silver that something has come into, and a state machine
    announces objects again.
    """

    storage: LakeStorage
    notices: ReliableQueue

    def __init__(self, name: str, args: PipelineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:pipelines:Lake", name, args, opts)
        settings = args.shared.settings
        self.group_by = settings.lake_group_by
        storage_args = LakeStorageArgs(kms_key_arn=args.shared.kms_key_arn, disposable=not settings.keeps_data)
        self.storage = LakeStorage(name, storage_args, self.child)
        layers = self._layers()
        self.ledger = LakeLedger(f"{name}-ledger", args.shared.table_args, self.child) if self._has_tables else None
        self._make_worker(self._worker_spec(layers))
        self.notices = ReliableQueue(f"{name}-notices", self._notices_args(), self.child)
        self.dead_letters[f"{name}-notices"] = self.notices.dead_letters()
        ingest = self._make_producer("ingest", self._ingest_args(self.notices))
        QueueConsumer(f"{name}-ingest", self._consumer_args(self.notices, ingest), self.child)
        if settings.lake_quality_gate:
            self._make_gate(layers)
        if settings.lake_backfill:
            self._make_backfill()
        types = record_types()  # read without a catalog, too: a type that breaks every chunk stops the program
        catalog: LakeCatalog | LakeTableBucket | None = None
        if settings.has_table_bucket:
            catalog = self._table_bucket()
        elif settings.glue_database:
            catalog = self._catalog(settings.glue_database, {} if self.ledger else types)
        if self.ledger and catalog:
            self._make_committer(self.ledger, catalog, layers)
        self._finish(
            {
                "bronzeBucket": self.storage.bronze.id,
                "silverBucket": self.storage.silver.id,
                "noticesUrl": self.notices.queue_url,
                "noticesDlqUrl": self.notices.dlq_url,
                **({"ledgerTableName": self.ledger.table.name} if self.ledger else {}),
            }
        )

    def admit_senders(self, others: Sequence[pulumi.Input[str]]) -> None:
        """Close the queues, that of notices to all but S3 and these; and then let S3 notify."""
        super().admit_senders([self.worker.role.arn, *others])  # parts of a chunk are messages of the worker's own
        senders = QueueSenders(
            queue=[*([self.backfill.function.role.arn] if self.backfill else []), *others],
            dlq=[self.producers["ingest"].role.arn],
            bucket=self.storage.bronze.arn,
            account_id=get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=self)).account_id,
        )
        policy = limit_senders(self.notices, senders)
        notify_of_objects(self.storage, self.notices.queue_arn, policy)

    @property
    def _has_tables(self) -> bool:
        return self.shared.settings.lake_format == "iceberg"

    def _catalog(self, database: str, types: Mapping[str, Mapping[str, str]]) -> LakeCatalog:
        args = LakeCatalogArgs(
            database=database,
            bucket=self.storage.silver.id,
            types=types,
            start_date=self.shared.settings.lake_start_date,
        )
        return LakeCatalog(f"{self.name}-catalog", args, self.child)

    def _table_bucket(self) -> LakeTableBucket:
        args = TableBucketArgs(
            namespace=self.name.replace("-", "_"),
            kms_key_arn=self.shared.kms_key_arn,
            disposable=not self.shared.settings.keeps_data,
        )
        return LakeTableBucket(f"{self.name}-tables", args, self.child)

    def _layers(self) -> Sequence[pulumi.Input[str]]:
        settings = self.shared.settings
        if settings.lake_layer_arn == NO_LAYER:
            return ()
        if settings.lake_layer_arn:
            return (settings.lake_layer_arn,)
        archive = layers.built(settings.architecture, packaging.LAKE)
        return (self.shared.platform.layer(packaging.LAKE.name, archive),)

    def _make_committer(
        self, ledger: LakeLedger, catalog: LakeCatalog | LakeTableBucket, layers: Sequence[pulumi.Input[str]]
    ) -> None:
        name = f"{self.name}-committer"
        self.tables["ledger"] = ledger.table.name
        args = self._committer_args(ledger, catalog, [*layers, *self._table_layers()])
        self.committer = self.functions[name] = InstrumentedFunction(name, args, self.child)
        rule = FunctionRuleArgs(
            function=self.committer.function,
            description=f"Lets what the pipeline {self.name} has written become part of its tables",
            schedule="rate(1 minute)",
        )
        FunctionRule(name, rule, self.child)

    def _committer_args(
        self, ledger: LakeLedger, catalog: LakeCatalog | LakeTableBucket, layers: Sequence[pulumi.Input[str]]
    ) -> InstrumentedFunctionArgs:
        shared = self.shared
        in_bucket = isinstance(catalog, LakeTableBucket)
        return InstrumentedFunctionArgs(
            handler="handlers.lake.iceberg.commit.handler",
            platform=shared.platform,
            timeout_seconds=shared.settings.lake_transform_timeout_seconds,
            memory_mb=shared.settings.lake_transform_memory_mb,
            reserved_concurrency=1,  # two would be right, too; but one of them would work for nothing
            environment={
                "PIPELINE": self.name,
                "TABLE_NAME": shared.state_table.table.name,
                "LEDGER_NAME": ledger.table.name,
                "SILVER_BUCKET": self.storage.silver.id,
                **catalog.environment(),
                "EVENT_BUS_NAME": shared.bus.bus.name,
            },
            statements=[
                *self.storage.commits_silver(metadata=not in_bucket),
                *catalog.commits(),
                policies.allow("State", ["dynamodb:BatchGetItem"], shared.state_table.table.arn),
                policies.allow(
                    "Ledger",
                    ["dynamodb:BatchGetItem", "dynamodb:DeleteItem", "dynamodb:Query", "dynamodb:UpdateItem"],
                    ledger.table.arn,
                ),
                policies.allow("Ready", ["events:PutEvents"], shared.bus.bus.arn),
                *shared.platform.table_key(),
            ],
            layer_arns=layers,
            async_failure_queue_arn=shared.control.failures.arn,
        )

    def _table_layers(self) -> Sequence[pulumi.Input[str]]:
        """Return the layer with pyiceberg; on a laptop whose Python has pyarrow it has that, too."""
        settings = self.shared.settings
        if settings.lake_layer_arn == NO_LAYER:
            return ()
        archive = layers.built(settings.architecture, packaging.ICEBERG)
        return (self.shared.platform.layer(packaging.ICEBERG.name, archive),)

    def _make_gate(self, layers: Sequence[pulumi.Input[str]]) -> None:
        name = f"{self.name}-gate"
        self.gate = self.functions[name] = InstrumentedFunction(name, self._gate_args(layers), self.child)
        rule = FunctionRuleArgs(
            function=self.gate.function,
            description=f"Lets the days of silver be checked that the pipeline {self.name} has written to",
            pattern={
                "source": [_SOURCE],
                "detail-type": ["SilverPartitionReady"],
                "detail": {"pipeline": [self.name]},
            },
            bus_name=self.shared.bus.bus.name,
        )
        self.rules["gate"] = FunctionRule(name, rule, self.child).rule.name

    def _gate_args(self, layers: Sequence[pulumi.Input[str]]) -> InstrumentedFunctionArgs:
        settings = self.shared.settings
        memory = settings.lake_transform_memory_mb
        return InstrumentedFunctionArgs(
            handler="handlers.lake.gate.handler",
            platform=self.shared.platform,
            timeout_seconds=settings.lake_transform_timeout_seconds,
            memory_mb=memory,
            # events of one day come by the hundred: the first is checked, and all that came meanwhile with the next
            reserved_concurrency=1,
            environment={
                "PIPELINE": self.name,
                "TABLE_NAME": self.shared.state_table.table.name,
                "SILVER_BUCKET": self.storage.silver.id,
                "EVENT_BUS_NAME": self.shared.bus.bus.name,
                "HELD_MEBIBYTES": str(memory // _HELD_SHARE),
            },
            statements=[
                *self.storage.gates_silver(),
                policies.allow("State", ["dynamodb:Scan"], self.shared.state_table.table.arn),
                policies.allow("Verdicts", ["events:PutEvents"], self.shared.bus.bus.arn),
                *self.shared.platform.table_key(),
            ],
            layer_arns=layers,
            async_failure_queue_arn=self.shared.control.failures.arn,
        )

    def _make_backfill(self) -> None:
        settings = self.shared.settings
        args = BackfillArgs(
            platform=self.shared.platform,
            pipeline=self.name,
            handler="handlers.lake.backfill.handler",
            bucket=self.storage.bronze.id,
            bucket_arn=self.storage.bronze.arn,
            prefix=BRONZE_PREFIX,
            notices=self.notices,
            queue=self.queue,
            backlog=_BACKLOG * settings.lake_ingest_max_concurrency,
        )
        self.backfill = Backfill(f"{self.name}-backfill", args, self.child)
        self.functions[f"{self.name}-backfill"] = self.backfill.function

    def _worker_spec(self, layers: Sequence[pulumi.Input[str]]) -> WorkerSpec:
        settings = self.shared.settings
        return WorkerSpec(
            handler="handlers.lake.worker.handler",
            event_source=_SOURCE,
            timeout_seconds=settings.lake_transform_timeout_seconds,
            batch_size=_BATCH,
            batching_window_seconds=0,  # chunks come in bursts, so batches fill by themselves
            memory_mb=settings.lake_transform_memory_mb,
            max_concurrency=settings.worker_max_concurrency,
            objective_seconds=settings.lake_objective_seconds,
            environment={
                "BRONZE_BUCKET": self.storage.bronze.id,
                "SILVER_BUCKET": self.storage.silver.id,
                "LAKE_START_DATE": settings.lake_start_date,
                **self._grouping(),
                **({"LEDGER_NAME": self.ledger.table.name} if self.ledger else {}),
            },
            statements=[
                *self.storage.reads_bronze(),
                *self.storage.writes_silver(),
                *([policies.allow("Notes", ["dynamodb:PutItem"], self.ledger.table.arn)] if self.ledger else []),
                # to publish the stored result again
                policies.allow("Result", ["dynamodb:GetItem"], self.shared.state_table.table.arn),
            ],
            layer_arns=layers,
        )

    def _worker_statements(self, spec: WorkerSpec) -> list[policies.Statement]:
        return [*super()._worker_statements(spec), policies.allow("Parts", ["sqs:SendMessage"], self.queue.queue_arn)]

    def _grouping(self) -> dict[str, pulumi.Input[str]]:
        return {"GROUP_BY": self.group_by} if self.group_by else {}

    def _notices_args(self) -> ReliableQueueArgs:
        settings = self.shared.settings
        return ReliableQueueArgs(
            consumer_timeout_seconds=settings.lake_ingest_timeout_seconds,
            max_receive_count=settings.max_receive_count,
            retention_seconds=settings.message_retention_seconds,
            dlq_retention_seconds=settings.dlq_retention_seconds,
            kms_key_arn=self.shared.kms_key_arn,
            senders_follow=True,
        )

    def _consumer_args(self, notices: ReliableQueue, ingest: InstrumentedFunction) -> QueueConsumerArgs:
        return QueueConsumerArgs(
            queue_arn=notices.queue_arn,
            function_arn=ingest.function.arn,
            batch_size=1,  # an object may be work for minutes
            batching_window_seconds=0,
            max_concurrency=self.shared.settings.lake_ingest_max_concurrency,
        )

    def _ingest_args(self, notices: ReliableQueue) -> InstrumentedFunctionArgs:
        settings = self.shared.settings
        return InstrumentedFunctionArgs(
            handler="handlers.lake.ingest.handler",
            platform=self.shared.platform,
            timeout_seconds=settings.lake_ingest_timeout_seconds,
            memory_mb=settings.lake_ingest_memory_mb,
            environment={
                **self._environment(),
                "QUEUE_URL": self.queue.queue_url,
                **self._grouping(),
                "BRONZE_BUCKET": self.storage.bronze.id,
                "CHUNK_BYTES": str(settings.lake_chunk_mebibytes * _MIB),
                "NOTICES_QUEUE_URL": notices.queue_url,
                "NOTICES_DLQ_URL": notices.dlq_url,
                "RETRY_BACKOFF_MAX_SECONDS": str(settings.retry_backoff_max_seconds),
                "MAX_RECEIVE_COUNT": str(settings.max_receive_count),
                "OUTAGE_SECONDS": str(notices.outage_seconds),
            },
            statements=[
                *self.storage.reads_bronze(without_version=settings.lake_backfill),
                policies.allow("Notices", policies.RECEIVE, notices.queue_arn),
                policies.allow("DeadLetters", ["sqs:SendMessage"], notices.dlq_arn),
                policies.allow("Queue", ["sqs:SendMessage"], self.queue.queue_arn),
                policies.allow(
                    "State",
                    [
                        "dynamodb:BatchGetItem",
                        "dynamodb:GetItem",
                        "dynamodb:PartiQLInsert",
                        "dynamodb:PartiQLUpdate",
                    ],
                    self.shared.state_table.table.arn,
                ),
                *self._queue_statements(),
            ],
        )
