"""The orders pipeline end to end on the emulator: API, bus, rule, queue, worker, table, archive; IAM enforced."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from ops.local.deployer import deploy
from ops.local.emulator import Emulator
from tests.pipelines.conftest import CONFIG
from tests.pipelines.lab import ROOT, Lab, wait_for

ITEMS = [{"sku": "SKU-1", "qty": 2}, {"sku": "SKU-2", "qty": 1}]


class Desk:
    """The orders pipeline as a customer and an operator see it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.outputs: dict[str, str] = lab.outputs["orders"]

    def place(self, order: Any = None, **headers: str) -> tuple[int, Any]:
        """Places an order."""
        return self.lab.call("POST", "/orders", {"items": ITEMS} if order is None else order, **headers)

    def shown(self, order_id: str, status: str) -> dict[str, Any]:
        """The order, once it has that status."""

        def probe() -> dict[str, Any]:
            code, body = self.lab.call("GET", f"/orders/{order_id}")
            return body if code == 200 and body["status"] == status else {}

        return wait_for(f"order {order_id} {status}", probe)

    def quiet(self) -> None:
        """Returns when nothing is in the queue, so all that was delivered has been worked on."""
        wait_for("an empty queue", lambda: self.lab.depth(self.outputs["queueUrl"]) == 0)

    def tell(self, *entries: dict[str, Any]) -> None:
        """Puts events on the bus as another service of the account may."""
        bus = self.lab.outputs["EventBusName"]
        told = [
            {
                "EventBusName": bus,
                "Source": "myapp.orders",
                "DetailType": "OrderCreated",
                "Detail": json.dumps(detail),
            }
            for detail in entries
        ]
        assert self.lab.client("events").put_events(Entries=told)["FailedEntryCount"] == 0


@pytest.fixture
def desk(lab: Lab) -> Desk:
    """The desk, with its queues empty."""
    found = Desk(lab)
    for name in ("queueUrl", "dlqUrl", "undeliveredUrl"):
        lab.client("sqs").purge_queue(QueueUrl=found.outputs[name])
    return found


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A stack of which orders is the only pipeline."""
    home = tmp_path_factory.mktemp("orders")
    config = CONFIG | {"pipelines": ["orders"]}
    with Emulator.start(home) as emulator:
        deployment = deploy(ROOT, "local", endpoint=emulator.endpoint, state_file=home / "local.json", config=config)
        yield Desk(Lab(emulator, home, deployment))


def test_an_order_is_processed(desk: Desk) -> None:
    """202 with both ids; through bus, rule and queue into the table; its event is idempotent by `eventId`."""
    with desk.lab.events("orders") as ear:
        status, placed = desk.place({"customerId": "c-1", "items": ITEMS})
        found = desk.shown(placed["orderId"], "PROCESSED")
        (told,) = ear.wait(1)

    assert status == 202
    assert placed.keys() == {"orderId", "eventId"}
    assert found == {
        "orderId": placed["orderId"],
        "eventId": placed["eventId"],
        "status": "PROCESSED",
        "createdAt": found["createdAt"],
        "processedAt": found["processedAt"],
        "customerId": "c-1",
        "items": ITEMS,
    }
    assert (told["source"], told["detail"]["idempotencyKey"]) == ("myapp.orders", placed["eventId"])
    assert desk.lab.order_record(placed["eventId"])["attempts"] == 1


def test_the_same_idempotency_key_is_the_same_order(desk: Desk) -> None:
    """Twice the same key and order: the same ids, one order, worked on once; another order under it is 409."""
    key = f"k-{uuid4()}"
    first = desk.place(idempotency_key=key)
    found = desk.shown(first[1]["orderId"], "PROCESSED")
    second = desk.place(idempotency_key=key)
    marker = desk.place()[1]["orderId"]  # queued behind the duplicate
    desk.shown(marker, "PROCESSED")
    desk.quiet()

    assert second == first
    assert desk.lab.call("GET", f"/orders/{first[1]['orderId']}") == (200, found)
    assert desk.lab.order_record(first[1]["eventId"])["attempts"] == 1
    assert desk.lab.depth(desk.outputs["dlqUrl"]) == 0
    assert desk.place({"items": ITEMS[:1]}, idempotency_key=key)[0] == 409


def test_an_order_that_fails_is_dead_lettered_and_redriven(desk: Desk) -> None:
    """The SKU FAIL-ME: FAILED and on the DLQ with its cause; the redrive finds it by its key; then it is PROCESSED."""
    placed = desk.place({"items": [{"sku": "FAIL-ME", "qty": 1}]})[1]
    failed = desk.shown(placed["orderId"], "FAILED")
    wait_for("a dead letter", lambda: desk.lab.depth(desk.outputs["dlqUrl"]) == 1)
    _, preview = desk.lab.call("GET", "/redrive/preview?pipeline=orders")
    (letter,) = preview["messages"]
    status, started = desk.lab.call("POST", "/redrive/start", {"pipeline": "orders"})
    mended = desk.shown(placed["orderId"], "PROCESSED")
    run = wait_for("the end of the run", lambda: _ended(desk, started["redriveId"]))

    assert (failed["errorType"], failed["errorMessage"]) == ("FailingSkuError", "an item has the SKU FAIL-ME")
    assert (letter["idempotencyKey"], letter["errorType"]) == (placed["eventId"], "FailingSkuError")
    assert (letter["action"], letter["reason"]) == ("move", "")
    assert (status, run["state"], run["counts"]["moved"]) == (202, "SUCCEEDED", 1)
    assert mended.keys() & {"errorType", "errorMessage"} == set()
    assert desk.lab.depth(desk.outputs["dlqUrl"]) == 0


def _ended(desk: Desk, redrive_id: str) -> Any:
    run = desk.lab.call("GET", f"/redrive/{redrive_id}")[1]
    return run if run["state"] not in ("QUEUED", "RUNNING") else None


def test_poison_is_dead_lettered_as_that_of_events_is(desk: Desk) -> None:
    """The failure lab disturbs orders, too, and their table says so."""
    order_id = f"o-{uuid4()}"
    fault = json.dumps({"mode": "poison_payload", "match": {"orderId": order_id}})
    desk.lab.client("ssm").put_parameter(Name="/ingestion/failure_mode", Value=fault, Type="String", Overwrite=True)
    desk.lab.restart("orders-api", "orders-worker")
    desk.place({"orderId": order_id, "items": ITEMS})
    failed = desk.shown(order_id, "FAILED")

    assert failed["errorType"] == "SchemaValidationError"
    wait_for("a dead letter", lambda: desk.lab.depth(desk.outputs["dlqUrl"]) == 1)
    desk.lab.switch("none")
    desk.lab.restart("orders-api", "orders-worker")  # else the next test's replay may meet the mode that they have read


def test_a_replay_from_the_archive_changes_nothing(desk: Desk) -> None:
    """Everything is told again, and every order stands as it stood: no attempt, no time and no letter more."""
    placed = [desk.place()[1] for _ in range(7)]
    before = [desk.shown(one["orderId"], "PROCESSED") for one in placed]
    records = [desk.lab.order_record(one["eventId"]) for one in placed]
    desk.quiet()
    events, name = desk.lab.client("events"), f"replay-{uuid4()}"
    now = datetime.now(UTC)
    events.start_replay(
        ReplayName=name,
        EventSourceArn=desk.outputs["archiveArn"],
        EventStartTime=now - timedelta(hours=1),
        EventEndTime=now + timedelta(minutes=1),
        Destination={"Arn": _bus_arn(desk), "FilterArns": [desk.outputs["ruleArn"]]},
    )
    wait_for("the replay", lambda: events.describe_replay(ReplayName=name)["State"] == "COMPLETED")
    desk.shown(desk.place()[1]["orderId"], "PROCESSED")  # queued behind all that was replayed
    desk.quiet()

    assert [desk.lab.call("GET", f"/orders/{one['orderId']}")[1] for one in placed] == before
    assert [desk.lab.order_record(one["eventId"]) for one in placed] == records
    assert desk.lab.depth(desk.outputs["dlqUrl"]) == 0


def _bus_arn(desk: Desk) -> str:
    arn: str = desk.lab.client("events").describe_event_bus(Name=desk.lab.outputs["EventBusName"])["Arn"]
    return arn


def test_an_older_event_does_not_overwrite_a_newer(desk: Desk) -> None:
    """Two events of one order, the newer worked on first: the late one changes nothing and is no failure."""
    order_id, newer, older = f"o-{uuid4()}", str(uuid4()), str(uuid4())
    common = {"schemaVersion": "1.0", "orderId": order_id, "items": ITEMS}
    desk.tell(common | {"eventId": newer, "createdAt": "2026-01-02T00:00:00.000Z"})
    found = desk.shown(order_id, "PROCESSED")
    desk.tell(common | {"eventId": older, "createdAt": "2026-01-01T00:00:00.000Z", "items": ITEMS[:1]})
    result: Any = wait_for("SUCCEEDED", lambda: desk.lab.order_record(older).get("result"))

    assert result["superseded"] is True
    assert desk.lab.call("GET", f"/orders/{order_id}") == (200, found)


def test_what_is_no_order_is_dead_lettered(desk: Desk) -> None:
    """Whoever may put events may put nonsense: it is told from orders, and fails for good."""
    desk.tell({"eventId": str(uuid4()), "orderId": "o-1", "schemaVersion": "2.0"}, {"what": "is this"})

    wait_for("two dead letters", lambda: desk.lab.depth(desk.outputs["dlqUrl"]) == 2)
    assert desk.lab.call("GET", "/orders/o-1")[0] == 404


def test_undelivered_events_are_brought_to_the_queue(desk: Desk) -> None:
    """An event as EventBridge leaves it in the rule's queue is redriven to the orders queue and worked on."""
    order_id, event_id = f"o-{uuid4()}", str(uuid4())
    event = {
        "version": "0",
        "id": str(uuid4()),
        "detail-type": "OrderCreated",
        "source": "myapp.orders",
        "account": "000000000000",
        "time": "2026-01-02T00:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": {
            "schemaVersion": "1.0",
            "eventId": event_id,
            "orderId": order_id,
            "createdAt": "2026-01-02T00:00:00.000Z",
            "items": ITEMS,
        },
    }
    said = {"ERROR_CODE": "NO_PERMISSIONS", "RULE_ARN": desk.outputs["ruleArn"], "TARGET_ARN": "arn"}
    _undeliver(desk, json.dumps(event), said)
    _, preview = desk.lab.call("GET", "/redrive/preview?pipeline=orders-undelivered")
    status, started = desk.lab.call("POST", "/redrive/start", {"pipeline": "orders-undelivered"})
    desk.shown(order_id, "PROCESSED")

    assert [letter["idempotencyKey"] for letter in preview["messages"]] == [event_id]
    assert status == 202
    wait_for("the end of the run", lambda: _ended(desk, started["redriveId"]))
    assert desk.lab.depth(desk.outputs["undeliveredUrl"]) == 0


def _undeliver(desk: Desk, body: str, attributes: dict[str, str]) -> None:
    """What EventBridge does on AWS: the emulator has no dead-letter queues of targets. Nobody else may send here."""
    sqs, url = desk.lab.client("sqs"), desk.outputs["undeliveredUrl"]
    policy = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"]
    said = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
    with pytest.raises(sqs.exceptions.ClientError, match="AccessDenied"):
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=said)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=said)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})


def test_operators_may_send_to_the_main_queue_by_hand(desk: Desk) -> None:
    """The principals of operatorRoleArns reach the orders queue, and not its dead-letter queue."""
    sqs = desk.lab.client("sqs")

    assert sqs.send_message(QueueUrl=desk.outputs["queueUrl"], MessageBody="{}")["MessageId"]
    with pytest.raises(sqs.exceptions.ClientError, match="AccessDenied"):
        sqs.send_message(QueueUrl=desk.outputs["dlqUrl"], MessageBody="{}")
    with pytest.raises(sqs.exceptions.ClientError, match="AccessDenied"):
        desk.lab.client("sqs", role="events-ingest").send_message(QueueUrl=desk.outputs["queueUrl"], MessageBody="{}")
    wait_for("the letter of what is no event", lambda: desk.lab.depth(desk.outputs["dlqUrl"]) == 1)


def test_history_is_newest_first_and_paged(alone: Desk) -> None:
    """Pages of any size put together are every order once, by time; a token of somebody's making is refused."""
    placed = [alone.place({"orderId": f"history-{number:02}", "items": ITEMS})[1] for number in range(11)]
    found = [alone.shown(one["orderId"], "PROCESSED") for one in placed]
    newest_first = sorted(found, key=lambda one: (one["createdAt"], one["orderId"]), reverse=True)

    for limit in (1, 4, 11, 100):
        pages = list(_pages(alone, limit))
        mine = [one for page in pages for one in page if one["orderId"].startswith("history-")]
        assert mine == newest_first
        assert max(map(len, pages)) <= limit

    token = alone.lab.call("GET", "/orders?limit=4")[1]["nextToken"]
    for wrong in (token[:-1], token + "A", "x", token[1:], "é"):
        status, body = alone.lab.call("GET", f"/orders?limit=4&nextToken={quote(wrong)}")
        assert (status, body["details"][0]["pointer"]) == (400, "/nextToken")


def _pages(desk: Desk, limit: int) -> Iterator[list[dict[str, Any]]]:
    token = ""
    while True:
        status, body = desk.lab.call("GET", f"/orders?limit={limit}" + (f"&nextToken={quote(token)}" if token else ""))
        assert status == 200
        yield body["orders"]
        if not (token := body["nextToken"] or ""):
            return


def test_orders_alone_have_a_whole_api(alone: Desk) -> None:
    """Without events: health, unknown paths and wrong methods are answered, and the outputs are those of orders."""
    placed = alone.place()[1]
    alone.shown(placed["orderId"], "PROCESSED")
    health = alone.lab.call("GET", "/health")

    assert (health[0], health[1]["status"]) == (200, "healthy")
    assert alone.lab.call("GET", "/nowhere")[0] == 404
    assert alone.lab.call("DELETE", "/orders")[0] == 405
    assert alone.lab.call("POST", "/events", {})[0] == 404
    assert alone.lab.outputs["MainQueueUrl"] == alone.outputs["queueUrl"]
    assert "events" not in alone.lab.outputs


def test_the_outage_of_a_downstream_opens_the_breaker(alone: Desk) -> None:
    """While it lasts the queue keeps the orders; then they are processed, and none is a dead letter."""
    lab = alone.lab
    lab.client("ssm").put_parameter(
        Name="/ingestion/failure_mode", Value="downstream_outage", Type="String", Overwrite=True
    )
    lab.restart("orders-api", "orders-worker")
    placed = [alone.place()[1] for _ in range(4)]
    key = {"id": {"S": "breaker#orders"}, "item": {"S": "state"}}
    table = lab.outputs["ControlTableName"]

    def state() -> str:
        return str(lab.client("dynamodb").get_item(TableName=table, Key=key).get("Item", {}).get("state", {}).get("S"))

    wait_for("an open breaker", lambda: state() == "OPEN")
    lab.client("ssm").put_parameter(Name="/ingestion/failure_mode", Value="none", Type="String", Overwrite=True)
    lab.restart("orders-api", "orders-worker")
    wait_for("a closed breaker", lambda: lab.invoke("orders-breaker")["state"] == "CLOSED")
    for one in placed:
        alone.shown(one["orderId"], "PROCESSED")

    assert lab.depth(alone.outputs["dlqUrl"]) == 0
