"""Tags of every resource, set once for the whole program."""

from collections.abc import Mapping

import pulumi
import pytest
from pulumi_aws import apigatewayv2, lambda_, sns, sqs

from components.config.settings import Settings
from components.tags import tag_resources
from tests.components.recording import Recording, run

_STACK = {"Project": "ingestion-lab", "Stack": "dev"}


class _Group(pulumi.ComponentResource):
    def __init__(self, name: str, tags: pulumi.Input[Mapping[str, str] | None]) -> None:
        super().__init__("lab:test:Group", name)
        sns.Topic(f"{name}-topic", tags=tags, opts=pulumi.ResourceOptions(parent=self))


def _tagged(
    settings: Settings, own: Mapping[str, str] | None = None, *, late: bool = False, preview: bool = False
) -> Recording:
    def program() -> None:
        sqs.Queue("before")
        tag_resources(settings)
        tags = pulumi.Output.from_input(own) if late else own
        sqs.Queue("queue", sqs.QueueArgs(tags=tags))
        _Group("group", tags)
        lambda_.Permission("permission", action="a", function="f", principal="p")
        apigatewayv2.Integration("integration", api_id="a", integration_type="AWS_PROXY")

    return run(program, preview=preview)


@pytest.mark.parametrize("preview", [False, True], ids=["update", "preview"])
def test_resources_that_aws_tags_get_the_tags(preview: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Children of components too; what is no resource of AWS, or takes no tags, has none; nothing made before has."""
    recording = _tagged(Settings(stack="dev", resource_tags={"CostCenter": "42"}), preview=preview)
    tags = {**_STACK, "CostCenter": "42"}

    assert {r.name: r.inputs.get("tags") for r in recording.resources} == {
        "before": None,
        "queue": tags,
        "group": None,
        "group-topic": tags,
        "permission": None,
        "integration": None,
    }


@pytest.mark.parametrize("late", [False, True], ids=["known", "output"])
def test_tags_of_a_resource_are_kept(late: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """A resource's own tags are merged with the stack's and win over them, whether they are known at once or later."""
    own = {"Stack": "theirs", "Owner": "team-a"}
    recording = _tagged(Settings(stack="dev"), own, late=late)

    expected = {"Project": "ingestion-lab", "Stack": "theirs", "Owner": "team-a"}
    assert recording.inputs("Queue", "queue")["tags"] == recording.inputs("Topic", "group-topic")["tags"] == expected


def test_accounts_that_forbid_tagging_get_none() -> None:
    """With tagRestricted nothing is added, and a resource's own tags are its own affair."""
    recording = _tagged(Settings(stack="dev", tag_restricted=True, resource_tags={"CostCenter": "42"}))

    assert [r.name for r in recording.resources if "tags" in r.inputs] == []
