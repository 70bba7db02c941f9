"""A pipeline of one's own, with everything around it: API, circuit breaker, redrive, alarms and dashboard."""

from pathlib import Path
from typing import ClassVar

import pulumi

from ingestion_lab.program import (
    Access,
    Authorizers,
    HttpApi,
    HttpApiArgs,
    InstrumentedFunctionArgs,
    Pipeline,
    PipelineArgs,
    RedriveTool,
    RedriveToolArgs,
    Settings,
    WorkerSpec,
    allow,
    limit_failure_senders,
    make_notifications,
    make_shared_services,
    observe,
)


class InvoicesPipeline(Pipeline):
    """A function that accepts invoices, a queue, a worker, its circuit breaker and topics of the outcomes."""

    ROUTES: ClassVar = {"POST /invoices": Access.SUBMIT}

    def __init__(self, name: str, args: PipelineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("billing:pipelines:Invoices", name, args, opts)
        spec = WorkerSpec(
            handler="invoices.work",
            event_source="billing.invoices",
            timeout_seconds=30,
            batch_size=10,
            batching_window_seconds=2,
            memory_mb=256,
            max_concurrency=2,
        )
        self._make_worker(spec)
        accepts = InstrumentedFunctionArgs(
            handler="invoices.accept",
            platform=args.shared.platform,
            timeout_seconds=15,
            environment={"QUEUE_URL": self.queue.queue_url},
            statements=[
                allow("Queue", ["sqs:SendMessage"], self.queue.queue_arn),
                *args.shared.platform.queue_key(),
            ],
        )
        self._make_producer("accept", accepts)
        self._finish()


settings = Settings(stack=pulumi.get_stack(), alarm_email="billing@shop.example", use_kms_cmk=True)
# Queues are closed once all roles are known: that of the redrive, which is made of them, and of failing functions.
shared = make_shared_services(settings, own_code=Path(__file__).parent / "functions", senders_follow=True)
invoices = InvoicesPipeline("invoices", PipelineArgs(shared=shared, senders=None))
redrive = RedriveTool(
    "redrive",
    RedriveToolArgs(
        platform=shared.platform,
        control=shared.control,
        state_table=shared.state_table,
        queues=invoices.dead_letters,
        max_redrives=settings.max_redrives,
    ),
)
invoices.admit_senders([redrive.role_arn])
backends = [backend for backend in (invoices.backend, redrive.backend) if backend]
api = HttpApi(
    "billing-api",
    HttpApiArgs(
        backends=backends,
        authorizers=Authorizers(mode="iam"),
        throttle_rate=settings.throttle_rate,
        throttle_burst=settings.throttle_burst,
        kms_key_arn=shared.kms_key_arn,
    ),
)
notifications = make_notifications(shared)
functions = {**invoices.functions, **redrive.functions, **notifications.functions}
limit_failure_senders(shared.control, functions.values())
observed = observe(shared, {"invoices": invoices}, functions, api, notifications)
pulumi.export("apiEndpoint", api.api.api_endpoint)
pulumi.export("dashboardUrl", observed.dashboard_url)
