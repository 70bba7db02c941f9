"""The soak: everything goes wrong at once, and then every accepted event must be accounted for (`make soak`).

Of its events 5 % are poison, 20 % fail at first, 10 % are sent twice; in the middle come large ones, too, and for those
alone the downstream is out; a few kill their worker, before their side effect or after it. Meanwhile processes of the
worker, of ingest, of the breaker and of the redrive are killed at random. `soak_ledger` tells what must come of it.
"""

import argparse
import io
import json
import random
import resource
import signal
import sys
import tempfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Self

import psutil

from components.compute.packaging import handlers_zip
from handlers.aws.clients import AWS_ERRORS
from ops.local import lambdas
from ops.local.deployer import deploy
from ops.local.emulator import Emulator
from tests.pipelines.lab import ROOT, Ear, Lab, wait_for
from tests.pipelines.soak_ledger import DIED, Accepted, Facts, Ledger, Letter, Record, receives

CONFIG: dict[str, Any] = {
    "retryBackoffBaseSeconds": 1,
    "retryBackoffMaxSeconds": 2,
    "breakerHoldSeconds": 5,
}
_LARGE = "x" * 150_000  # more than a state record keeps
_MOST_LARGE = 200  # all of them wait at once
_BATCH = 100
_COLD_START_SECONDS = 1.5  # whoever is killed before never gets to work
_TICK_SECONDS = 2.0  # the breaker's minute
_TELL_SECONDS = 15.0
_KILLER_LOOKS_SECONDS = 0.2
_MOST_WAITING = 2000  # messages, so that what is sent is worked soon, and kills hit all functions at all times
_MOST_RATE = 100  # letters a second, of a redrive
_WEIGH_SECONDS = 5.0
_TRIES = 50
_LOOK_SECONDS = 0.5
_REDRIVE_SECONDS = 180
_READING_SECONDS = 120  # that letters stay out of sight for while all are read


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How large and how rough. ``seconds`` bounds the whole soak.

    ``every`` is how many events are sent or worked on average between two kills: by time, a slow machine would do
    nothing but start processes. ``kills`` is how many there are at most of a function's processes, ``outage`` how long
    the outage of the large ones lasts (seconds; 0: until each has met it). ``may_waste`` is the ledger's.
    """

    size: int
    seconds: float
    outage: float
    every: int
    kills: int
    victims: tuple[str, ...]
    kills_redrive: bool = False  # once, in the middle of a run
    may_waste: int = 1
    seed: int = 7

    def events(self) -> list[dict[str, Any]]:
        """What is sent, each once."""
        chance = random.Random(self.seed)  # noqa: S311 - to be repeatable is the point
        drills = [
            *["dies before", "dies after"] * max(1, self.size // 1000),
            *["large"] * min(_MOST_LARGE, max(6, self.size // 100)),
            *["broken"] * (self.size // 100),
            *["repairable"] * (self.size * 4 // 100),
            *["flaky"] * (self.size // 5),
        ]
        drills += ["good"] * (self.size - len(drills))
        chance.shuffle(drills)
        made = [{"orderId": f"soak-{i:06}", "amount": i, "drill": drill} for i, drill in enumerate(drills)]
        for event in made:
            if event["drill"] == "large":
                event["note"] = _LARGE
            if chance.random() < 0.5:  # the others have their checksum for a key
                event["idempotencyKey"] = f"key-of-{event['orderId']}"
        return made


@dataclass
class Killing:
    """Kills one process after another, at random, for as long as it is used as a context."""

    emulator: Emulator
    plan: Plan
    done: Callable[[], int]  # how many events have been sent, and worked
    killed: Counter[str] = field(default_factory=Counter)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        due = 0
        while not self._stop.wait(_KILLER_LOOKS_SECONDS):
            if self.done() < due:
                continue
            due = self.done() + random.randrange(2 * self.plan.every)  # noqa: S311 - chaos needs no secrecy
            # Whoever was killed least comes first: some run for a moment only.
            for function in sorted(self.plan.victims, key=lambda name: self.killed[name]):
                running = lambdas.running(self.emulator, function)
                old = [one for one in running if time.time() - one.create_time() > _COLD_START_SECONDS]
                if old and self.killed[function] < self.plan.kills:
                    random.choice(old).kill()  # noqa: S311
                    self.killed[function] += 1
                    break


class Weight(NamedTuple):
    """Bytes of memory at one moment; `worker` is the largest of its processes, 0 where there is none."""

    emulator: int
    worker: int


def memory(weights: Sequence[Weight], *, events: int) -> list[str]:
    """What became of it: the emulator keeps all it is told; processes of a worker should stay as they are."""
    if not weights:
        return []
    emulator, workers = [one.emulator for one in weights], [one.worker for one in weights]
    third = max(1, len(workers) // 3)
    most, at_first, early, late = map(
        _mebibytes, (max(emulator), emulator[0], max(workers[:third]), max(workers[-third:]))
    )
    left = (emulator[-1] - emulator[0]) / events / 1024
    return [
        f"the emulator {most} at most, {at_first} at first: {left:.0f} KiB an event",
        f"a worker's process {_mebibytes(max(workers))} at most; {early} in the first third, {late} in the last",
    ]


def _mebibytes(count: int) -> str:
    return f"{count / (1 << 20):.0f} MiB"


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:  # killed meanwhile
        return 0


def _own_peak() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@dataclass
class Soak:
    """One soak of a stack; `tell` hears how it goes on."""

    lab: Lab
    plan: Plan
    place: Path
    tell: Callable[[str], None]
    accepted: dict[str, Accepted] = field(default_factory=dict)
    sent: int = 0
    killed: Counter[str] = field(default_factory=Counter)
    weights: list[Weight] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    _told: float = 0.0
    _outage_began: float = 0.0  # 0: there is none
    _large: int = 0

    def run(self) -> tuple[Ledger, Ledger]:
        """The ledgers before and after the redrive of what was repaired."""
        (self.place / "tried").mkdir()
        for log in ("effects", "met"):
            (self.place / log).touch()
        known = self._records().keys()
        with (
            self._step(),
            self.lab.events(keep=_told) as ear,
            self._again_and_again(self._tick, _TICK_SECONDS),
            self._again_and_again(self._weigh, _WEIGH_SECONDS),
            self._hearing(ear),
        ):
            killing = Killing(self.lab.emulator, self.plan, self._done, self.killed)
            with killing:
                self._send()
            self._drain()
            first = Ledger(self.accepted, self._facts(ear, known), may_waste=self.plan.may_waste)
            self._tell("before the redrive", first)
            (self.place / "repaired").touch()
            with killing:
                for cause in sorted({cause or "Unknown" for cause in first.felled().values()}):
                    self._redrive(cause)
                self._redrive("RepairableError", kills=self.plan.kills_redrive)
            self._drain()
            second = replace(first, facts=self._facts(ear, known), repaired=True)
            self._tell("after the redrive", second)
        self._say(f"{len(self.accepted)} events in {self.sent} messages; processes killed: {dict(self.killed)}")
        self._say("\n  ".join(["figures:", *self._figures()]))
        return first, second

    def _figures(self) -> Iterator[str]:
        took = time.monotonic() - self.began
        yield f"{len(self.accepted) / took:.1f} events a second, outage, drains and redrive included"
        yield from memory(self.weights, events=len(self.accepted))
        yield f"this process {_mebibytes(_own_peak())} at most"

    def _weigh(self) -> None:
        """How much memory the emulator has, and the largest process of a worker."""
        workers = [_resident(one) for one in lambdas.running(self.lab.emulator, "events-worker")]
        emulator = psutil.Process(self.lab.emulator.pid)
        self.weights.append(Weight(_resident(emulator), max(workers, default=0)))

    def _tell(self, when: str, ledger: Ledger) -> None:
        self._say("\n  ".join([f"ledger {when}:", *ledger.lines(), *ledger.obituaries()]))

    def _say(self, text: str) -> None:
        self.tell(f"{time.monotonic() - self.began:4.0f} s  {text}")

    @contextmanager
    def _step(self) -> Iterator[None]:
        """The soak's business step in the deployed zip, as whoever adopts the pipeline puts in his own."""
        original, made = handlers_zip().read_bytes(), io.BytesIO()
        text = (Path(__file__).parent / "soak_step.py").read_text().replace("@PLACE@", str(self.place))
        with zipfile.ZipFile(io.BytesIO(original)) as old, zipfile.ZipFile(made, "w") as new:
            for entry in old.infolist():
                new.writestr(entry, text if entry.filename == "handlers/events/step.py" else old.read(entry))
        functions = self.lab.client("lambda")
        functions.update_function_code(FunctionName="events-worker", ZipFile=made.getvalue())
        seconds = functions.get_function_configuration(FunctionName="redrive")["Timeout"]
        # A run keeps what it skips out of sight for as long as its process has left, and cannot give it back if killed.
        functions.update_function_configuration(FunctionName="redrive", Timeout=_REDRIVE_SECONDS)
        try:
            yield
        finally:
            functions.update_function_code(FunctionName="events-worker", ZipFile=original)
            functions.update_function_configuration(FunctionName="redrive", Timeout=seconds)

    def _send(self) -> None:
        """Small events; then large ones among others, while the downstream of the large ones is out; then the rest."""
        events = self.plan.events()
        large = [event for event in events if event["drill"] == "large"]
        small = [event for event in events if event["drill"] != "large"]
        third = len(small) // 3
        others = third + 5 * len(large)
        middle = [*large, *small[third:others]]
        random.Random(self.plan.seed).shuffle(middle)  # noqa: S311
        self._post_all(small[:third])
        (self.place / "outage").touch()
        self._outage_began, self._large = time.monotonic(), len(large)
        self._say(f"outage of the large ones, {len(large)}: begins")
        self._post_all(middle)
        self._post_all(small[others:])
        wait_for("the end of the outage", self._is_over, seconds=self._left())

    def _is_over(self) -> bool:
        self._progress()
        time.sleep(_LOOK_SECONDS)
        return not self._outage_began

    def _end_outage(self) -> None:
        """Ends it when it has lasted for as long as was planned, or where no time is, once every large event met it."""
        lasted = time.monotonic() - self._outage_began
        met = Counter(line.split()[0] for line in (self.place / "met").read_text().splitlines())
        if lasted < self.plan.outage or (not self.plan.outage and len(met) < self._large):
            return
        (self.place / "outage").unlink()
        self._outage_began = 0.0
        most = max(met.values(), default=0)
        self._say(f"outage: over after {lasted:.0f} s; {len(met)} have met it, {met.total()} times, {most} at most")

    def _post_all(self, events: Sequence[dict[str, Any]]) -> None:
        chance = random.Random(self.plan.seed)  # noqa: S311
        twice = [event for event in events if chance.random() < 0.1]
        waiting = [*events]
        for event in twice:  # in the same batch as its first, or in another
            waiting.insert(chance.randrange(len(waiting)), event)
        for batch in _batches(waiting):
            self._post(batch)
            self._progress()
            while self.lab.depth(self.lab.outputs["MainQueueUrl"]) > _MOST_WAITING:
                self._progress()
                time.sleep(_LOOK_SECONDS)

    def _post(self, events: Sequence[dict[str, Any]]) -> None:
        """Sends until every event has its 202, as a caller must: an answer may be lost with ingest's process."""
        left = [*events]
        for _ in range(_TRIES):
            try:
                status, body = self.lab.call("POST", "/events/batch", left)
            except (OSError, ValueError):
                continue
            if "results" not in body:
                assert status >= 500, body  # nobody has called wrongly
                continue
            for event, result in zip(left, body["results"], strict=True):
                if result["status"] == 202:
                    self.sent += 1
                    self._accept(event, result["idempotencyKey"])
            left = [e for e, result in zip(left, body["results"], strict=True) if result["status"] != 202]
            if not left:
                return
        raise AssertionError(f"{len(left)} events were not accepted in {_TRIES} tries")

    def _accept(self, event: dict[str, Any], key: str) -> None:
        found = self.accepted.setdefault(event["orderId"], Accepted(event["drill"], key))
        assert found.key == key, f"{event['orderId']} has two keys: {found.key}, {key}"

    def _tick(self) -> None:
        """The breaker's minute, a shorter one, whether its process lives or not."""
        self.lab.client("lambda").invoke(FunctionName="events-breaker", InvocationType="Event", Payload=b"{}")

    def _hearing(self, ear: Ear) -> AbstractContextManager[None]:
        """Hears events as they come: a queue of 20,000 takes the emulator longer to read than to fill."""
        return self._again_and_again(ear.heard, _LOOK_SECONDS)

    @contextmanager
    def _again_and_again(self, what: Callable[[], object], seconds: float) -> Iterator[None]:
        """Does something every so many seconds beside all else; what fails is done again the next time."""
        stop = threading.Event()

        def run() -> None:
            while not stop.wait(seconds):
                with suppress(*AWS_ERRORS):
                    what()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _done(self) -> int:
        return self.sent + (self.place / "effects").read_bytes().count(b"\n")

    def _left(self) -> float:
        """Seconds until the soak has taken too long."""
        return max(1.0, self.began + self.plan.seconds - time.monotonic())

    def _progress(self, what: str = "") -> None:
        """Goes on with what depends on the time, and says now and then how far it is, and what it is waiting for."""
        if self._outage_began:
            self._end_outage()
        if time.monotonic() - self._told < _TELL_SECONDS:
            return
        self._told = time.monotonic()
        sent, depth = self.sent, self.lab.depth(self.lab.outputs["MainQueueUrl"])
        key = {"id": {"S": "breaker#events"}, "item": {"S": "state"}}
        item = self.lab.client("dynamodb").get_item(TableName=self.lab.outputs["ControlTableName"], Key=key).get("Item")
        breaker = item["state"]["S"] if item else "CLOSED"
        self._say(
            f"sent {sent}, {depth} on the queue, breaker {breaker}, killed {dict(self.killed)}; {what}".rstrip("; ")
        )

    def _drain(self) -> None:
        """Waits until nothing is on the queue."""

        def empty() -> bool:
            self._progress()
            time.sleep(_LOOK_SECONDS)
            return self.lab.depth(self.lab.outputs["MainQueueUrl"]) == 0

        wait_for("an empty queue", empty, seconds=self._left())

    def _redrive(self, cause: str, *, kills: bool = False) -> None:
        """Brings the letters of one cause back; a run whose process was killed is taken up again by the tick."""
        rate = min(_MOST_RATE, max(1, len(self._letters()) // 20))  # so that there is a middle to be killed in
        body = {"maxMessages": 100_000, "errorType": cause, "ratePerSecond": rate}
        started = wait_for("a start", lambda: self._asked("POST", "/redrive/start", body), seconds=self._left())

        def ended() -> dict[str, Any]:
            self._progress()
            self.lab.client("lambda").invoke(FunctionName="redrive", InvocationType="Event", Payload=b"{}")
            time.sleep(_LOOK_SECONDS)
            found = self._asked("GET", f"/redrive/{started['redriveId']}?limit=1")
            moved = found.get("counts", {}).get("moved", 0)
            if kills and not self.killed["redrive"] and found.get("state") == "RUNNING" and moved:
                self.killed["redrive"] += lambdas.kill(self.lab.emulator, "redrive")
                self._say(f"redrive of {cause}: killed, {moved} were moved; its lease lapses in 90 s")
            return {} if found.get("state", "RUNNING") == "RUNNING" else found

        run = wait_for("the end of the redrive", ended, seconds=self._left())
        self._say(f"redrive of {cause}: {run['state']} {run['counts']}")
        assert run["state"] == "SUCCEEDED"
        if run["counts"]["uncertain"]:  # what the killed process may have sent stays a dead letter, for the next run
            self._redrive(cause)

    def _asked(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """The answer to a request; {} where there is none, for the function that answers may have been killed."""
        try:
            status, found = self.lab.call(method, path, body)
        except (OSError, ValueError):
            return {}
        if status == 409 and method == "POST":  # its first answer was lost
            return {"redriveId": found["redriveId"]}
        return dict(found) if status < 300 else {}

    def _facts(self, ear: Ear, known: Any) -> Facts:
        lab = self.lab
        effects = [line.split() for line in (self.place / "effects").read_text().splitlines()]
        records = {key: record for key, record in self._records().items() if key not in known}
        succeeded = sum(record.status == "SUCCEEDED" for record in records.values())
        told = self._heard(ear, succeeded)
        return Facts(
            records,
            [(name, int(at)) for name, at in effects],
            self._letters(),
            [(key, event_id) for _, key, event_id in told],
            lab.depth(lab.outputs["MainQueueUrl"]),
        )

    def _heard(self, ear: Ear, count: int) -> list[tuple[str, str, str]]:
        """As many success events, or more."""

        def heard() -> list[tuple[str, str, str]]:
            time.sleep(_LOOK_SECONDS)
            found = [event for event in ear.heard() if event[0] == "IngestionSuccess"]
            self._progress(f"{len(found)} of {count} success events heard")
            return found if len(found) >= count else []

        return wait_for("the success events", heard, seconds=self._left()) if count else []

    def _records(self) -> dict[str, Record]:
        scan = self.lab.client("dynamodb").get_paginator("scan")
        return {
            item["idempotencyKey"]["S"]: Record(
                item["status"]["S"],
                int(item["attempts"]["N"]),
                _ms(item.get("processedAt", {}).get("S", "")),
                item.get("errorType", {}).get("S", ""),
                item["status"]["S"] == "SUCCEEDED" or item.get("final", {}).get("BOOL", False),
            )
            for page in scan.paginate(TableName=self.lab.outputs["DynamoTableName"])
            for item in page["Items"]
            if "attempts" in item
        }

    def _letters(self) -> list[Letter]:
        """Every dead letter, which stays where it is."""
        sqs, url, found = self.lab.client("sqs"), self.lab.outputs["DlqUrl"], list[dict[str, Any]]()
        self._wait_for_letters(url)
        while more := sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=_READING_SECONDS,
            MessageAttributeNames=["errorType", "originalMessageId"],
        ).get("Messages"):
            found += more
            self._progress(f"{len(found)} letters read")
        for batch in _batches(found, 10):
            entries = [
                {"Id": str(i), "ReceiptHandle": one["ReceiptHandle"], "VisibilityTimeout": 0}
                for i, one in enumerate(batch)
            ]
            sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)
        assert len(found) == self.lab.depth(url)
        with self.lab.emulator.log.open() as log:
            told = receives(log, {_original(one) for one in found})
        assert told or not found, "no worker has told of anything: nobody could say how a good event has died"
        queue = sqs.get_queue_attributes(QueueUrl=self.lab.outputs["MainQueueUrl"], AttributeNames=["RedrivePolicy"])
        most = int(json.loads(queue["Attributes"]["RedrivePolicy"])["maxReceiveCount"])
        return [_letter(one, told, most) for one in found]

    def _wait_for_letters(self, url: str) -> None:
        """Waits for letters that a run held whose process was killed: they show again when its visibility ends."""

        def all_show() -> bool:
            if held := self.lab.depth(url) - self.lab.visible(url):
                self._progress(f"waiting for {held} letters that a killed redrive held")
            return not held

        wait_for("what a killed run held", all_show, seconds=self._left())


def _told(event: Mapping[str, Any]) -> tuple[str, str, str]:
    """All that the ledger asks of an outcome event."""
    return event["detail-type"], event["detail"]["idempotencyKey"], event["detail"]["eventId"]


def _original(message: Mapping[str, Any]) -> str:
    """The id of the message that became a letter: the worker sends one of its own, SQS moves the message itself."""
    texts = _texts(message)
    return texts.get("originalMessageId", "") if texts.get("errorType") else str(message["MessageId"])


def _texts(message: Mapping[str, Any]) -> dict[str, str]:
    return {name: one["StringValue"] for name, one in message.get("MessageAttributes", {}).items()}


def _letter(message: Mapping[str, Any], told: Mapping[str, Mapping[int, str]], max_receive_count: int) -> Letter:
    cause = _texts(message).get("errorType", "")
    ends = told.get(_original(message), {})
    count = max(ends, default=0) if cause else max_receive_count
    name = json.loads(message["Body"])["orderId"]
    return Letter(name, cause, tuple(ends.get(number, DIED) for number in range(1, count + 1)))


def _batches(items: Sequence[dict[str, Any]], size: int = _BATCH) -> Iterator[Sequence[dict[str, Any]]]:
    """In batches of so many, large events in smaller ones: a request has a limit, too."""
    batch: list[dict[str, Any]] = []
    for item in items:
        batch.append(item)
        large = sum(one.get("drill") == "large" for one in batch)
        if len(batch) == size or large == 5:
            yield batch
            batch = []
    if batch:
        yield batch


def _ms(iso: str) -> int:
    return round(datetime.fromisoformat(iso).timestamp() * 1000) if iso else 0


def main() -> int:
    """Starts a local cloud of its own, soaks it, prints the ledgers and stops it; 1 where they do not come out even."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--size", type=int, default=20_000, help="events (default %(default)s)")
    parser.add_argument("--minutes", type=float, help="for all of it at most (default 25, and 10 for each 10,000)")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: its cloud does not outlive it
    plan = Plan(
        size=given.size,
        seconds=60 * (given.minutes or 25 + given.size / 1000),
        outage=450,  # three times maxReceiveCount x visibility: 5 x 30 s
        kills=given.size,
        every=200,
        victims=("events-breaker", "events-ingest", "events-worker"),
        kills_redrive=True,
    )
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        home = Path(folder)
        (home / "soak").mkdir()
        with Emulator.start(home / "lab") as emulator:
            deployment = deploy(
                ROOT, "local", endpoint=emulator.endpoint, state_file=home / "lab" / "local.json", config=CONFIG
            )
            lab = Lab(emulator, home / "lab", deployment)
            try:
                ledgers = Soak(lab, plan, home / "soak", _say).run()
            except KeyboardInterrupt:
                _say("stopped")
                return 130
            except AssertionError as exc:
                _say(f"not finished: {exc}")
                return 1
    faults = [fault for ledger in ledgers for fault in ledger.faults()]
    _say("\n  ".join([f"{len(faults)} faults", *faults[:50]]))
    return int(bool(faults))


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command


if __name__ == "__main__":
    sys.exit(main())
