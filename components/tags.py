"""Tags of every resource, set once for the whole program."""

from collections.abc import Mapping

import pulumi
from pulumi.runtime import register_stack_transformation

from components.config.settings import Settings


def tag_resources(settings: Settings) -> None:
    """Tag every resource that is made from here on, unless the account forbids tagging.

    Pulumi applies a stack transformation in the program itself, so it holds for the engine, previews and mocks alike.
    """
    if settings.tag_restricted:
        return
    tags = {"Project": pulumi.get_project(), "Stack": pulumi.get_stack(), **settings.resource_tags}
    register_stack_transformation(lambda args: _tagged(args, tags))


def _tagged(
    args: pulumi.ResourceTransformationArgs, tags: Mapping[str, str]
) -> pulumi.ResourceTransformationResult | None:
    # the provider's classes pass on every input that they know, None included: those without `tags` do not take any
    if "tags" not in args.props:
        return None
    own = args.props["tags"]
    if own is None:
        merged: pulumi.Input[Mapping[str, str]] = tags
    elif isinstance(own, Mapping):
        merged = {**tags, **own}
    else:
        merged = pulumi.Output.from_input(own).apply(lambda known: {**tags, **(known or {})})
    return pulumi.ResourceTransformationResult({**args.props, "tags": merged}, args.opts)
