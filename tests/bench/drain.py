"""How fast the laptop's worker empties its queue, beside a function that does nothing: ``python -m tests.bench.drain``.

The events pipeline on an emulator, and on the same emulator a queue whose mapping, batch size and concurrency equal its
own, with a handler that prints a line and returns. In turn each queue is filled while its mapping is off, and emptied.
CPU is that of the emulator and all functions.
"""

import io
import json
import statistics
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from ops.local import processes
from ops.local.deployer import deploy
from ops.local.emulator import Emulator
from tests.bench.report import Row, conclude, json_file, row
from tests.pipelines.lab import ROOT, Lab

_MESSAGES = 1000
_ROUNDS = 5
_BAR = "≥ 0.6 x"
_PATIENCE_SECONDS = 120
_CONFIG: dict[str, Any] = {"pipelines": ["events"], "observabilityEnabled": False}
_NO_OP = "def handler(event, context):\n    print('worked', len(event['Records']))\n"
_TRUST = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}


@dataclass(frozen=True, slots=True)
class Side:
    """A queue and its mapping."""

    url: str
    mapping: str


def _worker(lab: Lab) -> Side:
    url = str(lab.outputs["MainQueueUrl"])
    return Side(url, str(_mapping(lab, url)["UUID"]))


def _mapping(lab: Lab, url: str) -> dict[str, Any]:
    asked = lab.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    (found,) = lab.client("lambda").list_event_source_mappings(EventSourceArn=asked["QueueArn"])["EventSourceMappings"]
    return dict(found)


def _no_op(lab: Lab) -> Side:
    """With the worker's own settings."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("index.py", _NO_OP)
    document = json.dumps({"Version": "2012-10-17", "Statement": [_TRUST]})
    role = lab.client("iam").create_role(RoleName="no-op", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    lab.client("lambda").create_function(
        FunctionName="no-op",
        Runtime="python3.13",
        Handler="index.handler",
        Role=role,
        Code={"ZipFile": code.getvalue()},
    )
    sqs = lab.client("sqs")
    url = sqs.create_queue(QueueName="no-op", Attributes={"VisibilityTimeout": "60"})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    like = _mapping(lab, str(lab.outputs["MainQueueUrl"]))
    settings = {name: like[name] for name in ("BatchSize", "FunctionResponseTypes", "ScalingConfig") if name in like}
    made = lab.client("lambda").create_event_source_mapping(EventSourceArn=arn, FunctionName="no-op", **settings)
    return Side(url, made["UUID"])


def _drain(lab: Lab, side: Side, count: int) -> tuple[float, float]:
    """Wall and CPU seconds from the moment in which the mapping is on until the queue is empty."""
    functions, sqs = lab.client("lambda"), lab.client("sqs")
    functions.update_event_source_mapping(UUID=side.mapping, Enabled=False)
    for first in range(0, count, 10):
        bodies = [json.dumps({"orderId": uuid4().hex, "amount": 42.5}) for _ in range(min(10, count - first))]
        entries = [{"Id": str(i), "MessageBody": body} for i, body in enumerate(bodies)]
        assert not sqs.send_message_batch(QueueUrl=side.url, Entries=entries).get("Failed")
    cpu, wall = _cpu(lab), time.perf_counter()
    functions.update_event_source_mapping(UUID=side.mapping, Enabled=True)
    while lab.depth(side.url):
        assert time.perf_counter() - wall < _PATIENCE_SECONDS, side
        time.sleep(0.02)
    return time.perf_counter() - wall, _cpu(lab) - cpu


def _cpu(lab: Lab) -> float:
    return sum(sum(one.cpu_times()[:4]) for one in processes.marked(lab.home))


def _rows(lab: Lab, rounds: int) -> list[Row]:
    sides = {"worker": _worker(lab), "no-op": _no_op(lab)}
    for side in sides.values():
        _drain(lab, side, 100)  # starts its processes
    found = [{name: _drain(lab, side, _MESSAGES) for name, side in sides.items()} for _ in range(rounds)]
    told = "; ".join(
        f"{name}: {_MESSAGES / statistics.median(one[name][0] for one in found):.0f} messages a second, "
        f"{statistics.median(one[name][1] for one in found) * 1000 / _MESSAGES:.2f} ms CPU each"
        for name in sides
    )
    speeds = [one["no-op"][0] / one["worker"][0] for one in found]
    cpus = [one["no-op"][1] / one["worker"][1] for one in found]
    what = f"{_MESSAGES:,} messages, worker ÷ no-op"
    return [row(f"{what}, messages a second", speeds, _BAR, told), row(f"{what}, messages for a second of CPU", cpus)]


def main(arguments: list[str]) -> int:
    """Prints the ratio; see the module."""
    rest, file = json_file(arguments)
    with tempfile.TemporaryDirectory() as scratch, Emulator.start(Path(scratch) / "home") as emulator:
        state = emulator.home / "local.json"
        made = deploy(ROOT, "local", endpoint=emulator.endpoint, state_file=state, config=_CONFIG)
        rows = _rows(Lab(emulator, emulator.home, made), int(rest[0]) if rest else _ROUNDS)
    return conclude("drain", rows, file, note=_NOTE)


_NOTE = """The emulator answers the worker's three calls for ten messages on the same processors: the function itself
takes about 0.5 ms a message, the emulator the rest, a third of it for the table's statements and a tenth for the bus.
The no-op makes no call, so the bar leaves the calls less than the function takes alone. Tried with effect: the
emulator takes a statement's text apart once, which saved a seventh."""

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
