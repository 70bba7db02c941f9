"""Pipelines as they are deployed, drawn with what is in them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from ops.console import topology
from ops.console.pages.overview import Picture, pictures
from ops.console.snapshot import Snapshot
from tests.ops.console.served import FakeStack

_QUEUE = "arn:aws:sqs:eu-west-1:1:orders-queue"


class _Pages:
    """A paginator of a call: nothing on the first page, then what there is one by one, as AWS may answer."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def paginate(self, **given: str) -> Iterator[Any]:
        what, found = self._call(**given)
        yield {what: []}
        for one in found:
            yield {what: [one]}


class _Aws:
    """What AWS says of a pipeline like orders: a function, a rule, a queue with dead letters, a worker."""

    def get_paginator(self, call: str) -> _Pages:
        return _Pages(getattr(self, f"_{call}"))

    def _get_integrations(self, ApiId: str) -> Any:
        assert ApiId == "a1"
        of = "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-west-1:1:function:"
        return "Items", [{"IntegrationUri": f"{of}redrive-api"}, {"IntegrationUri": f"{of}orders-api/invocations"}]

    def _list_rules(self, EventBusName: str) -> Any:
        assert EventBusName == "bus"
        return "Rules", [{"Name": "created"}, {"Name": "failed"}]

    def _list_targets_by_rule(self, Rule: str, EventBusName: str) -> Any:
        assert EventBusName == "bus"
        return "Targets", [{"Arn": _QUEUE if Rule == "created" else "arn:aws:sns:eu-west-1:1:orders-failure"}]

    def _list_event_source_mappings(self, FunctionName: str) -> Any:
        return "EventSourceMappings", [{"EventSourceArn": _QUEUE}] if FunctionName == "orders-worker" else []

    def get_function_configuration(self, FunctionName: str) -> Any:
        variables = {
            "orders-api": {"EVENT_BUS_NAME": "bus", "LEVEL": "INFO"},
            "orders-worker": {
                "QUEUE_URL": "https://sqs/1/orders-queue",
                "DLQ_URL": "https://sqs/1/orders-dlq",
                "TABLE_NAME": "state",
                "EVENT_BUS_NAME": "bus",
            },
        }
        return {"Environment": {"Variables": variables[FunctionName]}}

    def get_queue_attributes(self, QueueUrl: str, AttributeNames: list[str]) -> Any:
        assert (QueueUrl, AttributeNames) == ("https://sqs/1/orders-queue", ["RedrivePolicy"])
        policy = '{"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:1:orders-dlq", "maxReceiveCount": 5}'
        return {"Attributes": {"RedrivePolicy": policy}}


def _drawing() -> topology.Drawing:
    stack: Any = FakeStack(
        DynamoTableName="state",
        EventBusName="bus",
        orders={
            "queueUrl": "https://sqs/1/orders-queue",
            "dlqUrl": "https://sqs/1/orders-dlq",
            "apiFunctionName": "orders-api",
            "workerFunctionName": "orders-worker",
            "breakerFunctionName": "orders-breaker",
            "failureTopicArn": "arn:aws:sns:eu-west-1:1:orders-failure",
            "successTopicArn": "arn:aws:sns:eu-west-1:1:orders-success",
        },
    )
    aws = _Aws()
    (graph,) = topology.read(stack, lambda _: aws)
    return topology.drawn(graph)


def test_it_is_drawn_as_it_is_connected() -> None:
    """In the order of the way through it; dead letters below their queue; the bus again where the worker sends to it.

    What nothing leads to (a topic without a rule) is not drawn, nor what a worker only takes from as its target.
    """
    drawing = _drawing()

    assert {key: (spot.column, spot.row) for key, spot in drawing.spots.items()} == {
        "HTTP API": (0, 0),
        "orders-api": (1, 0),
        "bus": (2, 0),
        "orders-queue": (3, 0),
        "orders-dlq": (3, 1),
        "orders-failure": (3, 2),
        "orders-worker": (4, 0),
        "state": (5, 0),
        "bus, again": (5, 1),
    }
    assert sorted(drawing.ways) == [
        ("HTTP API", "orders-api"),
        ("bus", "orders-failure"),
        ("bus", "orders-queue"),
        ("orders-api", "bus"),
        ("orders-queue", "orders-dlq"),
        ("orders-queue", "orders-worker"),
        ("orders-worker", "bus, again"),
        ("orders-worker", "orders-dlq"),
        ("orders-worker", "state"),
    ]


def _picture(*, dead: int = 0, flying: int = 0, errors: int = 0, consumer: str = "Enabled") -> Picture:
    now = Snapshot(
        at=datetime.now(UTC),
        queues={
            "orders": {
                "main": {"visible": 0, "inFlight": flying, "delayed": 0},
                "dlq": {"visible": dead, "inFlight": 0, "delayed": 0},
            }
        },
        functions={"orders-worker": {"invocations": 50, "errors": errors, "throttles": 0}},
        consumers={"orders": consumer},
        breakers={"orders": "CLOSED" if consumer == "Enabled" else "OPEN"},
        alarms=[],
        failure=None,
    )
    (picture,) = pictures([_drawing()], now)
    return picture


def test_what_is_broken_is_red() -> None:
    """Dead letters, a function's errors; in words as well, for who sees no colour."""
    picture = _picture(dead=2, errors=1)

    assert {box.name for box in picture.boxes if box.state == "bad"} == {"orders-dlq", "orders-worker"}
    assert picture.trouble == ["orders-dlq: 2 waiting", "orders-worker: 1 errors, 50 runs in 5 min"]
    assert picture.dead == 2
    assert not _picture(flying=3).trouble


def test_what_flows_stands_on_the_way() -> None:
    """Messages in flight between queue and worker, over no box; a paused consumer in place of them.

    Runs are told in the function's box, with the time that they are counted over.
    """
    picture = _picture(flying=3)
    (label,) = [way for way in picture.ways if way.label]
    assert not [
        box for box in picture.boxes if box.y - 4 < label.y < box.y + 54 + 10 and abs(box.x + 75 - label.x) < 110
    ]
    assert label.y > 12
    assert [box.told for box in picture.boxes if box.kind == "function"] == ["0 runs in 5 min", "50 runs in 5 min"]
    assert [way.label for way in _picture(flying=3).ways if way.label] == ["3 in flight"]
    paused = _picture(flying=3, consumer="Disabled")
    assert [(way.label, way.state) for way in paused.ways if way.label] == [("paused", "paused")]
    assert paused.trouble == ["circuit breaker OPEN"]
