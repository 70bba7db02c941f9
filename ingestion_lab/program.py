"""For Pulumi programs: components that are safe as they are made, and the packaging of functions.

Each class has its arguments in a class of its name and `Args`, which refuses at once what AWS would refuse later.
"""

from components.api.authorizers import ApiKeys, ApiKeysArgs, Authorizers
from components.api.http_api import FunctionRoutes, HttpApi, HttpApiArgs
from components.compute.function import InstrumentedFunction, InstrumentedFunctionArgs
from components.compute.packaging import LAKE, LayerError, handlers_zip, layer_zip
from components.compute.platform import FunctionPlatform, FunctionPlatformArgs
from components.config.access import Access
from components.config.alarm_limits import AlarmLimits
from components.config.settings import Settings
from components.control.breaker import CircuitBreaker, CircuitBreakerArgs
from components.control.control_table import ControlPlane, ControlPlaneArgs, limit_failure_senders
from components.control.redrive import RedriveTool, RedriveToolArgs
from components.messaging.bus import EventBus, EventBusArgs, OutcomeTopic, OutcomeTopicArgs
from components.messaging.consumer import QueueConsumer, QueueConsumerArgs
from components.messaging.queue import DeadLetters, ExistingQueue, ReliableQueue, ReliableQueueArgs
from components.messaging.queue_access import QueueSenders, limit_senders
from components.messaging.queue_rule import QueueRule, QueueRuleArgs
from components.observability.alarms.model import PipelineTargets, StackTargets
from components.observability.notifications import Notifications, NotificationsArgs
from components.observability.observe import make_notifications, observe, pipeline_targets
from components.observability.pack import ObservabilityPack, ObservabilityPackArgs
from components.pipelines.base import Pipeline, PipelineArgs
from components.pipelines.lake import LakePipeline as Lake
from components.pipelines.worker_spec import WorkerSpec, WorkerWiring
from components.security.policies import allow
from components.shared_services import SharedServices, make_shared_services
from components.storage.state_table import StateTable
from components.storage.table import TableArgs

__all__ = [
    "LAKE",
    "Access",
    "AlarmLimits",
    "ApiKeys",
    "ApiKeysArgs",
    "Authorizers",
    "CircuitBreaker",
    "CircuitBreakerArgs",
    "ControlPlane",
    "ControlPlaneArgs",
    "DeadLetters",
    "EventBus",
    "EventBusArgs",
    "ExistingQueue",
    "FunctionPlatform",
    "FunctionPlatformArgs",
    "FunctionRoutes",
    "HttpApi",
    "HttpApiArgs",
    "InstrumentedFunction",
    "InstrumentedFunctionArgs",
    "Lake",
    "LayerError",
    "Notifications",
    "NotificationsArgs",
    "ObservabilityPack",
    "ObservabilityPackArgs",
    "OutcomeTopic",
    "OutcomeTopicArgs",
    "Pipeline",
    "PipelineArgs",
    "PipelineTargets",
    "QueueConsumer",
    "QueueConsumerArgs",
    "QueueRule",
    "QueueRuleArgs",
    "QueueSenders",
    "RedriveTool",
    "RedriveToolArgs",
    "ReliableQueue",
    "ReliableQueueArgs",
    "Settings",
    "SharedServices",
    "StackTargets",
    "StateTable",
    "TableArgs",
    "WorkerSpec",
    "WorkerWiring",
    "allow",
    "handlers_zip",
    "layer_zip",
    "limit_failure_senders",
    "limit_senders",
    "make_notifications",
    "make_shared_services",
    "observe",
    "pipeline_targets",
]
