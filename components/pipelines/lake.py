"""The lake: objects in a bucket to chunks on a queue, chunks to Parquet in another bucket."""

from collections.abc import Sequence

import pulumi

from components.compute import packaging
from components.compute.function import InstrumentedFunctionArgs
from components.config.settings import NO_LAYER
from components.pipelines.base import Pipeline
from components.pipelines.worker_spec import Work
from components.security import policies
from components.shared_services import Foundation
from components.storage.catalog import LakeCatalog, LakeCatalogArgs
from components.storage.lake_buckets import LakeStorage, LakeStorageArgs
from components.storage.types import record_types

_MIB = 1024 * 1024
_BATCH = 2  # a chunk is work for seconds: what a batch saves in calls, a bad neighbour would cost in time


class LakePipeline(Pipeline):
    """Buckets, the function that cuts objects into chunks, queue, and the worker that makes Parquet of them."""

    storage: LakeStorage

    def __init__(self, name: str, base: Foundation, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lab:pipelines:Lake", name, base, opts)
        shared = base.platform.args
        args = LakeStorageArgs(
            kms_key_arn=shared.kms_key_arn,
            protected=base.settings.is_production,
            disposable=base.settings.is_laptop,
            tags=shared.tags,
        )
        self.storage = LakeStorage(name, args, self.child)
        work = self._work()
        self.consume(work)
        ingest = self.front("ingest", self._ingest_args())
        self.storage.notify(ingest.function)
        if base.settings.glue_database:
            self._catalog(base.settings.glue_database)
        self.finish(work, {"bronzeBucket": self.storage.bronze.id, "silverBucket": self.storage.silver.id})

    def _catalog(self, database: str) -> None:
        args = LakeCatalogArgs(
            database=database,
            bucket=self.storage.silver.id,
            types=record_types(),
            tags=self.base.platform.args.tags,
        )
        LakeCatalog(f"{self.name}-catalog", args, self.child)

    def _layers(self) -> Sequence[pulumi.Input[str]]:
        settings = self.base.settings
        if settings.lake_layer_arn == NO_LAYER:
            return ()
        if settings.lake_layer_arn:
            return (settings.lake_layer_arn,)
        archive = packaging.layer_zip(settings.architecture, layer=packaging.LAKE)
        return (self.base.platform.layer(packaging.LAKE.name, archive),)

    def _work(self) -> Work:
        settings = self.base.settings
        return Work(
            handler="handlers.lake.worker.handler",
            source="myapp.lake",
            timeout_seconds=settings.lake_transform_timeout_seconds,
            batch_size=_BATCH,
            batching_window_seconds=0,  # chunks come in bursts, so batches fill by themselves
            memory_mb=settings.lake_transform_memory_mb,
            max_concurrency=settings.worker_max_concurrency,
            environment={"BRONZE_BUCKET": self.storage.bronze.id, "SILVER_BUCKET": self.storage.silver.id},
            statements=[
                *self.storage.reads_bronze(),
                *self.storage.writes_silver(),
                policies.allow("Result", ["dynamodb:GetItem"], self.base.table.table.arn),  # to tell of its files again
            ],
            layer_arns=self._layers(),
        )

    def _ingest_args(self) -> InstrumentedFunctionArgs:
        settings = self.base.settings
        return InstrumentedFunctionArgs(
            handler="handlers.lake.ingest.handler",
            platform=self.base.platform,
            timeout_seconds=settings.lake_ingest_timeout_seconds,
            memory_mb=settings.lake_ingest_memory_mb,
            environment={
                **self.shared_environment(),
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
                    self.base.table.table.arn,
                ),
                *self.shared_statements(),
            ],
            async_failure_queue_arn=self.base.control.failures.arn,
        )
