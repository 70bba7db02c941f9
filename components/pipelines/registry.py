"""The pipelines that a stack may have."""

from components.pipelines.base import Pipeline, PipelineArgs
from components.pipelines.events import EventsPipeline
from components.pipelines.lake import LakePipeline
from components.pipelines.orders import OrdersPipeline
from components.shared_services import SharedServices

_PIPELINES: dict[str, type[EventsPipeline | OrdersPipeline | LakePipeline]] = {
    "events": EventsPipeline,
    "orders": OrdersPipeline,
    "lake": LakePipeline,
}


def make_pipelines(shared: SharedServices) -> dict[str, Pipeline]:
    """Make the configured pipelines, by name. The first one with routes serves those that every API has as well.

    Their queues have no policies yet: `admit_senders` of each makes them.
    """
    names = shared.settings.pipelines
    with_routes = [name for name, pipeline in _PIPELINES.items() if name in names and pipeline.ROUTES]
    made: dict[str, Pipeline] = {}
    for name in names:
        # a redrive sends to the queues, and is made of them
        args = PipelineArgs(shared=shared, serves_common_routes=with_routes[:1] == [name], senders=None)
        made[name] = _PIPELINES[name](name, args)
    return made
