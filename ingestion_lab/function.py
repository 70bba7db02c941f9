"""For Lambda functions: a queue's worker, idempotency, batches that fail in part, requests, errors with a meaning.

It imports botocore, and nothing of the program.
"""

from handlers.aws.clients import AWS_ERRORS, client
from handlers.aws.eventbridge import Event
from handlers.aws.eventbridge import put as put_events
from handlers.aws.sqs import Attribute, Outgoing, SendReport, send_messages
from handlers.deadline import seconds_to_work, time_limit
from handlers.env import EnvError
from handlers.env import load as load_env
from handlers.errors import (
    DeadlineExceededError,
    Detail,
    DownstreamError,
    IdempotencyConflictError,
    IngestionError,
    PermanentError,
    SchemaValidationError,
    TransientError,
)
from handlers.http.errors import HttpError
from handlers.http.request import Request
from handlers.http.router import Answer, answer, serve
from handlers.idempotency.claims import Claim, Completion, KeyRequest, Lease, Standing, Status
from handlers.idempotency.store import StateStore
from handlers.jsontext import Json, JsonObject, checksum
from handlers.observability import LambdaContext, logger, start_invocation
from handlers.worker.messages import PLAIN, Form
from handlers.worker.trip_wire import TripWire
from handlers.worker.worker import BatchResponse, Process, Worker, WorkerEnv, make_worker

__all__ = [
    "AWS_ERRORS",
    "PLAIN",
    "Answer",
    "Attribute",
    "BatchResponse",
    "Claim",
    "Completion",
    "DeadlineExceededError",
    "Detail",
    "DownstreamError",
    "EnvError",
    "Event",
    "Form",
    "HttpError",
    "IdempotencyConflictError",
    "IngestionError",
    "Json",
    "JsonObject",
    "KeyRequest",
    "LambdaContext",
    "Lease",
    "Outgoing",
    "PermanentError",
    "Process",
    "Request",
    "SchemaValidationError",
    "SendReport",
    "Standing",
    "StateStore",
    "Status",
    "TransientError",
    "TripWire",
    "Worker",
    "WorkerEnv",
    "answer",
    "checksum",
    "client",
    "load_env",
    "logger",
    "make_worker",
    "put_events",
    "seconds_to_work",
    "send_messages",
    "serve",
    "start_invocation",
    "time_limit",
]
