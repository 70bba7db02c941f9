"""Pipelines in the programs of others, who call nothing after they have made one."""

import pulumi
import pytest

from components.config.settings import Settings
from components.pipelines.base import Pipeline, PipelineArgs
from components.pipelines.events import EventsPipeline
from components.pipelines.lake import LakePipeline
from components.pipelines.orders import OrdersPipeline
from components.shared_services import make_shared_services
from tests.components.recording import Recording, run, statements


def _alone(kind: type[EventsPipeline | OrdersPipeline | LakePipeline], *operators: str) -> Recording:
    def program() -> Pipeline:
        shared = make_shared_services(Settings(stack=pulumi.get_stack()))
        return kind("own", PipelineArgs(shared=shared, senders=operators))

    return run(program)


@pytest.mark.parametrize("kind", [EventsPipeline, OrdersPipeline, LakePipeline])
def test_each_queue_is_closed(kind: type[EventsPipeline | OrdersPipeline | LakePipeline]) -> None:
    """To plain HTTP, and to all who are not the pipeline's own."""
    recording = _alone(kind)
    closed = {
        policy.inputs["queueUrl"]: {statement["Sid"] for statement in statements([policy.inputs["policy"]])}
        for policy in recording.of("QueuePolicy")
    }

    assert closed.keys() == {f"https://{queue.name}" for queue in recording.of("Queue")}
    assert all(sids >= {"TlsOnly"} for sids in closed.values())
    assert all("NamedProducersOnly" in sids for url, sids in closed.items() if "control" not in url)


def test_the_lake_is_told_of_objects() -> None:
    """The bucket announces them to a queue that takes them from the bucket only, and from whoever is named."""
    recording = _alone(LakePipeline, "arn:operator")
    policy = recording.inputs("QueuePolicy", "own-notices-queue-policy")["policy"]

    assert [made.name for made in recording.of("BucketNotification")] == ["own-bronze-notification"]
    denied = next(one for one in statements([policy]) if one["Sid"] == "NamedProducersOnly")
    assert denied["Condition"]["ArnNotEquals"] == {"aws:PrincipalArn": ["arn:operator"]}
