"""A drill on the laptop beside the plan of it: ``python -m tests.bench.plan_drill [SECONDS] [--json FILE]``.

Events come at a steady rate; the downstream goes away for a while (60 s unless told otherwise) and comes back. Every
second the queue is counted: visible and in flight. The plan gets the configuration, the rate, the step's time, and what
an invocation takes besides, measured before the outage. It is compared twice: with what a plan assumes of the
breaker (30 s until the pause, a minute until it closes), and with the two times as they were, which leaves the error of
the rest. Prints both curves and their errors; docs/scaling.md is made of what the file holds.
"""

import io
import json
import statistics
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from components.compute.packaging import handlers_zip
from ops.local.deployer import deploy, rehearse
from ops.local.emulator import Emulator
from ops.plan.model import Load, Pipeline
from ops.plan.simulation import Course, simulate
from ops.plan.stack import pipelines
from tests.bench.report import Row, conclude, json_file, row
from tests.pipelines.lab import ROOT, Lab

_RATE = 5
_STEP_MS = 100
_BEFORE = 30  # seconds of traffic
_CONFIG: dict[str, Any] = {
    "pipelines": ["events"],
    "workerMaxConcurrency": 2,
    "observabilityEnabled": False,
}
_SLOW = """import time
from handlers.events import real_step


def process(event):
    time.sleep({seconds})
    return real_step.process(event)
"""


def _with_slow_step() -> bytes:
    """The worker's zip with a business step that takes its time, as whoever adopts the pipeline puts in his own."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(handlers_zip().read_bytes())) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            new.writestr("handlers/events/real_step.py" if name == "handlers/events/step.py" else name, old.read(name))
        new.writestr("handlers/events/step.py", _SLOW.format(seconds=_STEP_MS / 1000))
    return made.getvalue()


class Drill:
    """Sends, counts, and switches the downstream off and on."""

    def __init__(self, lab: Lab) -> None:
        self._sqs = lab.client("sqs")
        self._url = lab.outputs["MainQueueUrl"]
        self._lab = lab
        self._stop = threading.Event()
        self.counted: list[tuple[float, int]] = []  # seconds since the beginning, messages
        self.sent = 0
        self._began = time.monotonic()

    def now(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    @contextmanager
    def running(self) -> Iterator[None]:
        """Traffic and counting."""
        threads = [threading.Thread(target=work, daemon=True) for work in (self._send, self._count)]
        self._began = time.monotonic()
        for thread in threads:
            thread.start()
        yield
        self._stop.set()
        for thread in threads:
            thread.join()

    def _send(self) -> None:
        while not self._stop.wait(max(0.0, self.sent / _RATE - self.now())):
            entries = [
                {"Id": str(number), "MessageBody": json.dumps({"orderId": uuid4().hex, "amount": 1})}
                for number in range(_RATE)
            ]
            self._sqs.send_message_batch(QueueUrl=self._url, Entries=entries)
            self.sent += _RATE

    def _count(self) -> None:
        while not self._stop.wait(1.0):
            self.counted.append((self.now(), self._lab.depth(self._url)))

    def wait_until(self, what: str, probe: Any, seconds: float) -> float:
        """When it happened."""
        deadline = time.monotonic() + seconds
        while not probe():
            if time.monotonic() > deadline:
                raise TimeoutError(what)
            time.sleep(0.5)
        return self.now()


def _batch_ms(lab: Lab) -> float:
    """What an invocation takes besides its step: the emulator's own account of each, with one event after another."""
    found = []
    for _ in range(15):
        record = {
            "messageId": uuid4().hex,
            "receiptHandle": "",
            "body": json.dumps({"orderId": uuid4().hex, "amount": 1}),
            "attributes": {"ApproximateReceiveCount": "1"},
            "messageAttributes": {},
        }
        before = time.monotonic()
        lab.invoke("events-worker", {"Records": [record]})
        found.append((time.monotonic() - before) * 1000 - _STEP_MS)
    return statistics.median(found)


def _drill(lab: Lab, outage: int) -> tuple[Drill, float, float, float, float]:
    lambdas = lab.client("lambda")
    lambdas.update_function_code(FunctionName="events-worker", ZipFile=_with_slow_step())
    batch_ms = _batch_ms(lab)
    (mapping,) = lambdas.list_event_source_mappings(FunctionName="events-worker")["EventSourceMappings"]
    ssm = lab.client("ssm")

    def switch(mode: str) -> None:
        ssm.put_parameter(Name="/ingestion/failure_mode", Value=mode, Type="String", Overwrite=True)

    def is_paused() -> bool:
        return bool(lambdas.get_event_source_mapping(UUID=mapping["UUID"])["State"] == "Disabled")

    drill = Drill(lab)
    with drill.running():
        time.sleep(_BEFORE)
        switch("downstream_outage")
        paused = drill.wait_until("the pause", is_paused, 60)
        time.sleep(max(0.0, _BEFORE + outage - drill.now()))
        switch("none")
        resumed = drill.wait_until("the end of the pause", lambda: not is_paused(), 120)
        url = lab.outputs["MainQueueUrl"]
        drained = drill.wait_until("the end of the backlog", lambda: lab.depth(url) <= 2 * _RATE, 300)
        time.sleep(5)
    return drill, batch_ms, paused, resumed, drained


def _planned(course: Course, second: float) -> float:
    return course.steps[min(int(second), len(course.steps) - 1)]


def _errors(name: str, counted: Sequence[tuple[float, int]], course: Course, drained: float) -> Iterator[Row]:
    """How far a plan is from what was counted: at the peak, at the end, and on the way."""
    peak = max(count for _, count in counted)
    yield row(f"most waiting, {name} ÷ counted", [course.peak / peak], detail=f"{course.peak:,.0f} against {peak:,}")
    if course.drained is not None:
        told = f"{course.drained} s against {drained:.0f}"
        yield row(f"worked off after, {name} ÷ counted", [course.drained / drained], detail=told)
    off = statistics.mean(abs(_planned(course, second) - count) for second, count in counted)
    yield row(f"mean distance of the {name} curve ÷ peak", [off / peak], detail=f"{off:.1f} of {peak:,}")


def main(arguments: list[str]) -> int:
    """Runs it."""
    rest, file = json_file(arguments)
    outage = int(rest[0]) if rest else 60
    (pipeline,) = pipelines(rehearse(ROOT, "local", None, _CONFIG)).values()
    with tempfile.TemporaryDirectory() as folder, Emulator.start(home := Path(folder)) as emulator:
        made = deploy(ROOT, "local", endpoint=emulator.endpoint, state_file=home / "local.json", config=_CONFIG)
        drill, batch_ms, paused, resumed, drained = _drill(Lab(emulator, home, made), outage)
    assumed, real = _courses(pipeline, outage, batch_ms, (paused, resumed), int(drill.now()) + 300)
    told = (
        f"{drill.sent / drill.counted[-1][0]:.2f} events/s of {_STEP_MS} ms, {batch_ms:.0f} ms an invocation besides; "
        f"an outage of {outage} s after {_BEFORE} s; the consumer was paused {paused - _BEFORE:.0f} s after its "
        f"beginning and back {resumed - _BEFORE - outage:.0f} s after its end"
    )
    curve = [
        [round(second), count, round(_planned(assumed, second)), round(_planned(real, second))]
        for second, count in drill.counted[::10]
    ]
    out = sys.stdout.write
    out(f"{told}\nsecond  counted  planned  planned with the breaker's times\n")
    for second, *counts in curve:
        out(f"{second:>6} {counts[0]:>8,} {counts[1]:>8,} {counts[2]:>8,}\n")
    rows = [
        *_errors("planned", drill.counted, assumed, drained),
        *_errors("planned with the breaker's times", drill.counted, real, drained),
    ]
    return conclude("plan_drill", rows, file, more={"drill": {"told": told, "curve": curve}})


def _courses(
    pipeline: Pipeline, outage: int, batch_ms: float, pause: tuple[float, float], until: int
) -> tuple[Course, Course]:
    """The plan as `lab plan` makes it, and with the breaker's times as they were."""
    load = Load(rate=_RATE, worker_ms=_STEP_MS, batch_ms=batch_ms, outage_at=_BEFORE, outage=outage)
    real = replace(load, pause=round(pause[0]) - _BEFORE, probe=max(0, round(pause[1]) - _BEFORE - outage))
    return simulate(pipeline, load, step=1, until=until), simulate(pipeline, real, step=1, until=until)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
