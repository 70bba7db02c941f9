#!/usr/bin/env bash
# pulumi 3.272.0: a component of a component package gets every whole number as a float.
#
# Valid input: a component with an input that is annotated as `int`, of which the schema says "integer", and the number 3.
# Seen: 3.0. `ComponentProvider.map_input_properties` turns integers back ("Integers are sent as floats over the write.
# Convert to `int` here."), and its next line puts the float over the result.
#
# Why it matters: what is made a text of the number says "3.0". An SQS queue's redrive policy is such a text, and its
# `maxReceiveCount` is a whole number. ingestion_lab/plugin.py makes them whole; that is held by
# tests/components/test_plugin.py::test_numbers_are_whole_again.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pulumi==3.272.0

cat > "$folder/case.py" <<'PY'
import asyncio
import json
import sys
from typing import Optional, TypedDict

import pulumi
from pulumi.provider.experimental.component import ComponentProvider
from pulumi.runtime.stack import run_pulumi_func

seen = []


class Mocks(pulumi.runtime.Mocks):
    def new_resource(self, args):
        return f"{args.name}-id", dict(args.inputs)

    def call(self, args):
        return {}


class ThingInputs(TypedDict):
    count: int


class Thing(pulumi.ComponentResource):
    def __init__(self, name: str, args: ThingInputs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__("try:index:Thing", name, None, opts)
        seen.append(args["count"])


provider = ComponentProvider([Thing], "try", version="1.0.0")


async def program():
    provider.construct("thing", "try:index:Thing", {"count": 3.0})  # as protobuf brings every number


async def main():
    pulumi.runtime.set_mocks(Mocks())
    await run_pulumi_func(program)


asyncio.run(main())
schema = json.loads(str(provider.schema))["resources"]["try:index:Thing"]["inputProperties"]
print("the schema says", schema["count"]["type"], "and the component was given", repr(seen[0]))
sys.exit(not (schema["count"]["type"] == "integer" and isinstance(seen[0], float)))
PY
"$folder/venv/bin/python" "$folder/case.py"
