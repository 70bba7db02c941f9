"""What the redrive tests share: two queues, the two tables, the API and the runner on them, and a worker's part."""

import json
import math
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, cast

import botocore.loaders
import botocore.session
import pytest
from moto import mock_aws

from handlers import jsontext
from handlers.aws.control_table import ControlTable
from handlers.control.redrive.api.routes import Api, Services
from handlers.control.redrive.ledger import Entry, States
from handlers.control.redrive.run.record import Run
from handlers.control.redrive.run.runner import Runner
from handlers.control.redrive.run.store import Runs
from handlers.control.redrive.sqs.target import Target
from tests.gateway import http_event
from tests.handlers.conftest import FakeClock
from tests.handlers.control.redrive.fake_dynamodb import FakeDynamoDB
from tests.handlers.control.redrive.fake_sqs import FakeSqs
from tests.handlers.control.redrive.fakes import FakeFunctions, Hub, Inline, Wire

MAIN, DLQ = "https://main", "https://dlq"
FIFO_MAIN, FIFO_DLQ = "https://main.fifo", "https://dlq.fifo"
TARGETS = {
    "events": Target("events", MAIN, DLQ),
    "ordered": Target("ordered", FIFO_MAIN, FIFO_DLQ),
}
MAX_REDRIVES = 3
MINUTE_MS = 60_000


def text(value: str) -> dict[str, str]:
    """A String attribute as the API has it."""
    return {"DataType": "String", "StringValue": value}


def counts(**some: int) -> dict[str, int]:
    """All counts, 0 where not given."""
    names = ("examined", "moved", "skipped", "failed", "parked", "uncertain", "wouldMove")
    return {name: some.get(name, 0) for name in names}


@dataclass
class Lab:
    """A redrive's whole world."""

    clock: FakeClock
    dynamodb: Any
    tables: tuple[str, str]
    hub: Hub = field(default_factory=Hub)
    pool: Executor = field(default_factory=Inline)
    functions: FakeFunctions = field(default_factory=FakeFunctions)
    seconds_left: Callable[[], float] = lambda: 900.0
    pauses: list[float] = field(default_factory=list)
    on_pause: Callable[[], object] = lambda: None
    targets: dict[str, Target] = field(default_factory=lambda: dict(TARGETS))

    def __post_init__(self) -> None:
        self.sqs = FakeSqs(self.clock, {url: [] for url in (MAIN, DLQ, FIFO_MAIN, FIFO_DLQ)})

    def _wire(self, client: Any) -> Any:
        return Wire(client, self.hub)

    @property
    def runs(self) -> Runs:
        return Runs(ControlTable(self._wire(self.dynamodb), self.tables[0]))

    @property
    def api(self) -> Api:
        return Api(
            Services(
                targets=self.targets,
                runs=self.runs,
                states=States(self._wire(self.dynamodb), self.tables[1]),
                sqs=self._wire(self.sqs),
                receiver=self._wire(self.sqs),
                pool=self.pool,
                functions=self._wire(self.functions),
                runner_name="redrive",
                max_redrives=MAX_REDRIVES,
            )
        )

    @property
    def runner(self) -> Runner:
        return Runner(
            targets=self.targets,
            runs=self.runs,
            states=States(self._wire(self.dynamodb), self.tables[1]),
            sqs=self._wire(self.sqs),
            once=self._wire(self.sqs),
            pool=self.pool,
            max_redrives=MAX_REDRIVES,
            pause=self._pause,
        )

    def tick(self, redrive_id: str = "") -> Any:
        """One invocation of the runner: by its schedule, or for one run."""
        return self.runner.handle({"redriveId": redrive_id} if redrive_id else {}, self._seconds_left)

    def _seconds_left(self) -> float:
        return self.seconds_left()

    def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.clock.advance(math.ceil(seconds * 1000))  # a pause always ends
        self.on_pause()

    def tick_until_ended(self, redrive_id: str) -> Run:
        """The schedule, minute by minute, until the run has ended."""
        for _ in range(30):
            self.tick()
            run = self.run(redrive_id)
            if run.finished_at:
                return run
            self.clock.advance(MINUTE_MS)
        raise AssertionError(f"still {run}")

    def letter(self, name: str, *, url: str = DLQ, error: str = "DownstreamError", **options: Any) -> str:
        """Puts a dead letter of event ``name`` as the worker would have sent it; ``error`` "" as SQS would move it."""
        attributes = {"idempotencyKey": text(name)}
        if error:
            attributes |= {"errorType": text(error), "originalMessageId": text(f"first-{name}")}
        attributes |= options.pop("attributes", {})
        body = options.pop("body", json.dumps({"n": name}))
        return self.sqs.put(url, body, attributes, age_ms=options.pop("age_ms", 1000), **options)

    def record(
        self, name: str, status: str = "FAILED", *, attempts: int = 1, message_id: str = "", **more: Any
    ) -> None:
        """Puts the state record of event ``name``."""
        item = {
            "idempotencyKey": {"S": name},
            "status": {"S": status},
            "checksum": {"S": jsontext.checksum({"n": name})},
            "attempts": {"N": str(attempts)},
            "messageId": {"S": message_id or f"first-{name}"},
            "expiresAt": {"N": str(self.clock.ms // 1000 + 86400)},
        }
        self.dynamodb.put_item(TableName=self.tables[1], Item=item | more)

    def work(self, *, fail: str = "", url: str = MAIN) -> None:
        """The worker's part: empties the main queue into state records; ``fail`` names what fails again."""
        for message in self.sqs.queues[url]:
            name = message.attributes["idempotencyKey"]["StringValue"]
            failed = name == fail
            more = {"errorType": {"S": "DownstreamError"}} if failed else {}
            self.record(name, "FAILED" if failed else "SUCCEEDED", attempts=2, message_id=message.id, **more)
            if failed:
                self.sqs.put(url.replace("main", "dlq"), message.body, message.attributes)
        self.sqs.queues[url] = []

    def ask(self, route: str, body: Any = None, *, query: dict[str, str] | None = None, **path: str) -> tuple[int, Any]:
        """One request to the API."""
        sent = body if isinstance(body, str) else None if route.startswith("GET ") else json.dumps(body)
        answer = self.api.handle(http_event(route, sent, path=path, query=query))
        return answer["statusCode"], json.loads(answer["body"])

    def start(self, **request: Any) -> str:
        """Starts a run that nobody works on yet; returns its id."""
        status, answer = self.ask("POST /redrive/start", request)
        assert status == 202, answer
        return cast("str", answer["redriveId"])

    def go(self, **request: Any) -> Run:
        """Starts a run and works on it once."""
        redrive_id = self.start(**request)
        self.tick(redrive_id)
        return self.run(redrive_id)

    def run(self, redrive_id: str) -> Run:
        run = self.runs.get(redrive_id)
        assert run is not None
        return run

    def ledger(self, redrive_id: str) -> list[Entry]:
        return [entry for wave in self.runs.waves(redrive_id) for entry in wave.entries]

    def outcomes(self, redrive_id: str) -> dict[str, tuple[str, str]]:
        """State and reason by key."""
        return {entry.key: (entry.state.value, entry.reason) for entry in self.ledger(redrive_id)}

    def on(self, url: str) -> list[str]:
        """The keys of the messages of a queue, in order, whether they can be seen or not."""
        return [message.attributes["idempotencyKey"]["StringValue"] for message in self.sqs.queues[url]]

    def seen(self, url: str) -> list[str]:
        """Those that can be seen."""
        return [message.attributes["idempotencyKey"]["StringValue"] for message in self.sqs.visible(url)]

    def control_items(self) -> set[tuple[str, str]]:
        """The keys of the control table, but those that a list of runs reads, which stay for 30 days."""
        items = self.dynamodb.scan(TableName=self.tables[0])["Items"]
        return {(item["id"]["S"], item["item"]["S"]) for item in items if item["id"]["S"] != "runs#all"}


def _create_table(client: Any, name: str, *keys: str) -> str:
    client.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


def make_lab(clock: FakeClock, client: Any) -> Lab:
    """An empty world on a DynamoDB."""
    control = _create_table(client, "control", "id", "item")
    return Lab(clock, client, (control, _create_table(client, "state", "idempotencyKey")))


@pytest.fixture
def lab(fake_clock: FakeClock) -> Lab:
    """An empty world."""
    return make_lab(fake_clock, FakeDynamoDB())


@pytest.fixture
def moto_lab(fake_clock: FakeClock) -> Iterator[Lab]:
    """An empty world on moto's DynamoDB."""
    with mock_aws():
        session = botocore.session.get_session()
        client = session.create_client(
            "dynamodb", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test"
        )
        yield make_lab(fake_clock, client)
