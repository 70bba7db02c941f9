#!/usr/bin/env bash
# pulumi 3.272.0: under set_mocks a transform of register_resource_transform is accepted and never run.
#
# Valid input: one transform and one stack transformation, each of which adds an input to every resource.
# Seen: {'size': 1.0, 'by_transformation': True}. `by_transform` is missing, and nothing is raised or logged. The engine
# runs both; Pulumi's documentation recommends transforms and calls transformations their predecessor. (MockResourceArgs
# says of a resource's own transforms that mocks do not run them; nothing says it of the stack's.)
#
# Why it matters: tags set by a transform would be missing from every test of the program, or tested by nothing.
# components/tags.py therefore registers a stack transformation; the right value is held by
# tests/components/test_tags.py::test_resources_that_aws_tags_get_the_tags.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pulumi==3.272.0

cat > "$folder/case.py" <<'PY'
import asyncio
import sys

import pulumi
from pulumi.runtime.stack import run_pulumi_func

seen = {}


class Mocks(pulumi.runtime.Mocks):
    def new_resource(self, args):
        seen.update(args.inputs)
        return f"{args.name}-id", dict(args.inputs)

    def call(self, args):
        return {}


class Thing(pulumi.CustomResource):
    def __init__(self, name):
        super().__init__("test:index:Thing", name, {"size": 1})


def transformation(args):
    return pulumi.ResourceTransformationResult({**args.props, "by_transformation": True}, args.opts)


def transform(args):
    return pulumi.ResourceTransformResult({**args.props, "by_transform": True}, args.opts)


async def program():
    pulumi.runtime.register_stack_transformation(transformation)
    pulumi.runtime.register_resource_transform(transform)
    Thing("thing")


async def main():
    pulumi.runtime.set_mocks(Mocks())
    await run_pulumi_func(program)


asyncio.run(main())
print("inputs that the mocks were given:", seen)
sys.exit(seen != {"size": 1, "by_transformation": True})
PY
"$folder/venv/bin/python" "$folder/case.py"
