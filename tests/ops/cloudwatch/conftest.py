"""A small stack with every kind of source, and the laptop's CloudWatch beside it, ticked by the test itself."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ops.local.cloudwatch.__main__ import clients
from ops.local.cloudwatch.daemon import Daemon, Place
from tests.ops.stack import Stack, small_program

HERE = Path(__file__).parent


@dataclass
class Beside:
    """A deployed stack and a daemon for it. The daemon's clock may run ahead, so that no test waits for a period."""

    stack: Stack
    root: Path
    ahead: float = 0

    def __post_init__(self) -> None:
        self.outputs = self.stack.deploy(self.root).outputs
        self.daemon = self.started()

    def started(self) -> Daemon:
        """A new daemon, as after the death of the one before."""
        emulator = self.stack.emulator
        cursor = self.stack.state_file.with_name("cursor.json")
        place = Place(emulator.endpoint, self.stack.state_file, emulator.log, cursor)
        return Daemon(place, clients(emulator.endpoint), time.time() + self.ahead)

    def tick(self) -> None:
        """One look at everything."""
        self.daemon.tick(time.time() + self.ahead)

    def until(self, what: str, condition: Callable[[], Any], seconds: float = 20) -> Any:
        """Tick until `condition` holds, and return what it returned."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
            self.tick()
            time.sleep(0.05)
        return found

    def later(self, seconds: float) -> None:
        """Let the daemon's clock run ahead, a look each second on the way."""
        for _ in range(int(seconds)):
            self.ahead += 1
            self.tick()

    def state(self, alarm: str) -> str:
        """State of an alarm, as `aws cloudwatch describe-alarms` says it."""
        found = self.stack.client("cloudwatch").describe_alarms(
            AlarmNames=[alarm], AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )
        return str([*found["MetricAlarms"], *found["CompositeAlarms"]][0]["StateValue"])

    def total(self, namespace: str, name: str, statistic: str = "Sum", **dimensions: str) -> float:
        """A statistic over everything, as `aws cloudwatch get-metric-statistics` says it."""
        answer = self.stack.client("cloudwatch").get_metric_statistics(
            Namespace=namespace,
            MetricName=name,
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
            StartTime="2020-01-01T00:00:00Z",
            EndTime="2099-01-01T00:00:00Z",
            Period=100_000_000,
            Statistics=[statistic],
        )
        return float(sum(point[statistic] for point in answer["Datapoints"]))

    def invoke(self, **event: object) -> None:
        """Invoke the function directly."""
        self.stack.client("lambda").invoke(FunctionName="worker", Payload=json.dumps(event).encode())

    def send(self, queue: str, *bodies: object) -> None:
        """Put messages into a queue."""
        sqs = self.stack.client("sqs")
        url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        for body in bodies:
            sqs.send_message(QueueUrl=url, MessageBody=json.dumps(body))

    def heard(self) -> list[tuple[str, str]]:
        """What the topic was told since the last time: alarm and new state."""
        sqs = self.stack.client("sqs")
        url = sqs.get_queue_url(QueueName="heard")["QueueUrl"]
        found: list[tuple[str, str]] = []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                told = json.loads(message["Body"])
                found += [(told["AlarmName"], told["NewStateValue"])] if "AlarmName" in told else []
        return found

    def empty(self, queue: str) -> None:
        """Take every message out of a queue."""
        sqs = self.stack.client("sqs")
        sqs.purge_queue(QueueUrl=sqs.get_queue_url(QueueName=queue)["QueueUrl"])


@pytest.fixture
def beside(stack: Stack, tmp_path: Path) -> Beside:
    """Deployed anew for each test."""
    root = small_program(tmp_path / "program", "")
    for name, source in {"__main__.py": "program.py", "worker.py": "worker.py"}.items():
        (root / name).write_text((HERE / source).read_text())
    return Beside(stack, root)
