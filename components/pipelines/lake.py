"""The lake: objects in a bucket to chunks on a queue, chunks to Parquet in another bucket."""

from collections.abc import Sequence

import pulumi

from components.compute import packaging
from components.compute.function import InstrumentedFunctionArgs
from components.config.settings import NO_LAYER
from components.pipelines.base import Pipeline, PipelineArgs
from components.pipelines.worker_spec import WorkerSpec
from components.security import policies
from components.storage.catalog import LakeCatalog, LakeCatalogArgs
from components.storage.lake_buckets import LakeStorage, LakeStorageArgs, notify_of_objects
from components.storage.types import record_types

_MIB = 1024 * 1024
_BATCH = 2  # a chunk is work for seconds: a failed neighbour costs more time than a larger batch saves in calls


class LakePipeline(Pipeline):
    """Buckets, the function that cuts objects into chunks, queue, and the worker that writes Parquet."""

    storage: LakeStorage

    def __init__(self, name: str, args: PipelineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:pipelines:Lake", name, args, opts)
        settings = args.shared.settings
        storage_args = LakeStorageArgs(kms_key_arn=args.shared.kms_key_arn, disposable=not settings.keeps_data)
        self.storage = LakeStorage(name, storage_args, self.child)
        self._make_worker(self._worker_spec())
        ingest = self._make_producer("ingest", self._ingest_args())
        notify_of_objects(self.storage, ingest.function)
        if settings.glue_database:
            self._catalog(settings.glue_database)
        self._finish({"bronzeBucket": self.storage.bronze.id, "silverBucket": self.storage.silver.id})

    def _catalog(self, database: str) -> None:
        args = LakeCatalogArgs(
            database=database,
            bucket=self.storage.silver.id,
            types=record_types(),
            start_date=self.shared.settings.lake_start_date,
        )
        LakeCatalog(f"{self.name}-catalog", args, self.child)

    def _layers(self) -> Sequence[pulumi.Input[str]]:
        settings = self.shared.settings
        if settings.lake_layer_arn == NO_LAYER:
            return ()
        if settings.lake_layer_arn:
            return (settings.lake_layer_arn,)
        archive = packaging.layer_zip(settings.architecture, layer=packaging.LAKE)
        return (self.shared.platform.layer(packaging.LAKE.name, archive),)

    def _worker_spec(self) -> WorkerSpec:
        settings = self.shared.settings
        return WorkerSpec(
            handler="handlers.lake.worker.handler",
            event_source="myapp.lake",
            timeout_seconds=settings.lake_transform_timeout_seconds,
            batch_size=_BATCH,
            batching_window_seconds=0,  # chunks come in bursts, so batches fill by themselves
            memory_mb=settings.lake_transform_memory_mb,
            max_concurrency=settings.worker_max_concurrency,
            environment={
                "BRONZE_BUCKET": self.storage.bronze.id,
                "SILVER_BUCKET": self.storage.silver.id,
                "LAKE_START_DATE": settings.lake_start_date,
            },
            statements=[
                *self.storage.reads_bronze(),
                *self.storage.writes_silver(),
                # to publish the stored result again
                policies.allow("Result", ["dynamodb:GetItem"], self.shared.state_table.table.arn),
            ],
            layer_arns=self._layers(),
        )

    def _ingest_args(self) -> InstrumentedFunctionArgs:
        settings = self.shared.settings
        return InstrumentedFunctionArgs(
            handler="handlers.lake.ingest.handler",
            platform=self.shared.platform,
            timeout_seconds=settings.lake_ingest_timeout_seconds,
            memory_mb=settings.lake_ingest_memory_mb,
            environment={
                **self._environment(),
                "QUEUE_URL": self.queue.queue_url,
                "BRONZE_BUCKET": self.storage.bronze.id,
                "CHUNK_BYTES": str(settings.lake_chunk_mebibytes * _MIB),
            },
            statements=[
                *self.storage.reads_bronze(),
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
            async_failure_queue_arn=self.shared.control.failures.arn,
        )
