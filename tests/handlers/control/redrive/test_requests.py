"""What the redrive API refuses: every bad request gets a 4xx with each fault and its reason, and changes nothing."""

import json
from typing import Any

import pytest

from handlers.control.redrive.sqs import target
from handlers.errors import SchemaValidationError
from tests.handlers.control.redrive.conftest import DLQ, FIFO_DLQ, MAIN, MINUTE_MS, Lab

START, CANCEL = "POST /redrive/start", "POST /redrive/cancel"
PREVIEW, SHOW = "GET /redrive/preview", "GET /redrive/{redriveId}"
_NAMED = "must be the name of an error type: a letter, then at most 127 letters, digits, _ and ."
_KNOWN = "pipeline, errorType, filterErrorType, minAgeSeconds, maxMessages"


def details(body: Any) -> list[tuple[str, str]]:
    """Pointer and message of each fault."""
    return [(detail["pointer"], detail["message"]) for detail in body["details"]]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ([], [("", "must be an object, got array")]),
        ({"maxMessages": 0}, [("/maxMessages", "must be an integer from 1 to 100000, got 0")]),
        ({"maxMessages": -5}, [("/maxMessages", "must be an integer from 1 to 100000, got -5")]),
        ({"maxMessages": 100_001}, [("/maxMessages", "must be an integer from 1 to 100000, got 100001")]),
        ({"maxMessages": 10**400}, [("/maxMessages", f"must be an integer from 1 to 100000, got 1{'0' * 31}")]),
        ({"maxMessages": True}, [("/maxMessages", "must be an integer from 1 to 100000, got boolean")]),
        ({"maxMessages": 1.5}, [("/maxMessages", "must be an integer from 1 to 100000, got 1.5")]),
        ({"maxMessages": "10"}, [("/maxMessages", "must be an integer from 1 to 100000, got string")]),
        ({"maxMessages": None}, [("/maxMessages", "must be an integer from 1 to 100000, got null")]),
        ({"perMessageDelayJitter": 901}, [("/perMessageDelayJitter", "must be an integer from 0 to 900, got 901")]),
        ({"perMessageDelayJitter": -1}, [("/perMessageDelayJitter", "must be an integer from 0 to 900, got -1")]),
        ({"minAgeSeconds": -1}, [("/minAgeSeconds", "must be an integer from 0 to 1209600, got -1")]),
        ({"ratePerSecond": 0}, [("/ratePerSecond", "must be a number from 0.001 to 1000, got 0")]),
        ({"ratePerSecond": 1000.5}, [("/ratePerSecond", "must be a number from 0.001 to 1000, got 1000.5")]),
        ({"ratePerSecond": True}, [("/ratePerSecond", "must be a number from 0.001 to 1000, got boolean")]),
        ({"canary": 101}, [("/canary", "must be an integer from 0 to 100, got 101")]),
        ({"dryRun": 1}, [("/dryRun", "must be true or false, got 1")]),
        ({"pipeline": "lake"}, [("/pipeline", "must be one of events, ordered")]),
        ({"pipeline": 7}, [("/pipeline", "must be a string, got number")]),
        ({"errorType": ""}, [("/errorType", _NAMED)]),
        ({"errorType": "a b"}, [("/errorType", _NAMED)]),
        ({"filterErrorType": 7}, [("/filterErrorType", _NAMED)]),
        ({"errorType": "A", "filterErrorType": "B"}, [("/filterErrorType", "differs from errorType")]),
        (
            {"errorType": "NoSuchError"},
            [("/errorType", "is unknown: no pipeline raises it, no dead letter has it")],
        ),
        (
            {"pipeline": "ordered", "perMessageDelayJitter": 1},
            [("/perMessageDelayJitter", "must be 0: a FIFO queue takes no delay of a single message")],
        ),
        (
            {"a/b": 1, "canary": -1},
            [
                ("/a~1b", f"is not known; known are {_KNOWN}, perMessageDelayJitter, ratePerSecond, canary, dryRun"),
                ("/canary", "must be an integer from 0 to 100, got -1"),
            ],
        ),
    ],
)
def test_a_start_that_is_refused(lab: Lab, body: Any, expected: list[tuple[str, str]]) -> None:
    """400 with every fault at once, and nothing is started."""
    lab.letter("k")

    status, answer = lab.ask(START, body)

    assert (status, answer["errorType"], details(answer)) == (400, "SchemaValidationError", expected)
    assert (lab.control_items(), lab.functions.invoked, len(lab.seen(DLQ))) == (set(), [], 1)


@pytest.mark.parametrize("body", ["", "{", '{"ratePerSecond": NaN}', '{"canary": 1e999}'])
def test_a_start_that_is_not_json(lab: Lab, body: str) -> None:
    """400, as anywhere."""
    assert lab.ask(START, body)[0] == 400


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"maxMessages": "1001"}, [("/maxMessages", "must be an integer from 1 to 1000, got 1001")]),
        ({"maxMessages": "-1"}, [("/maxMessages", "must be an integer from 1 to 1000, got -1")]),
        ({"maxMessages": "ten"}, [("/maxMessages", "must be an integer from 1 to 1000, got string")]),
        ({"maxMessages": "9" * 5000}, [("/maxMessages", "must be an integer from 1 to 1000, got string")]),
        ({"minAgeSeconds": "1.5"}, [("/minAgeSeconds", "must be an integer from 0 to 1209600, got string")]),
        ({"errorType": "7"}, [("/errorType", _NAMED)]),
        (
            {"errorType": "NoSuchError"},
            [("/errorType", "is unknown: no pipeline raises it, no dead letter has it")],
        ),
        ({"pipeline": "lake"}, [("/pipeline", "must be one of events, ordered")]),
        (
            {"canary": "1"},
            [("/canary", f"is not known; known are {_KNOWN}")],
        ),
    ],
)
def test_a_preview_that_is_refused(lab: Lab, query: dict[str, str], expected: list[tuple[str, str]]) -> None:
    """The same, of a query."""
    lab.letter("k")

    status, answer = lab.ask(PREVIEW, query=query)

    assert (status, details(answer), len(lab.seen(DLQ))) == (400, expected, 1)


@pytest.mark.parametrize("error", ["DownstreamError", "Unknown", "KeyError", "OfALetter", "OfARecord"])
def test_error_types_that_are_known(lab: Lab, error: str) -> None:
    """Ours, Python's, and any that a letter or its record has; all letters can be seen afterwards."""
    lab.letter("k", error="OfALetter")
    lab.letter("l", error="")
    lab.record("l", errorType={"S": "OfARecord"})

    assert lab.ask(START, {"filterErrorType": error})[0] == 202
    assert len(lab.seen(DLQ)) == 2


def test_an_error_type_that_the_look_does_not_get_to_is_taken_on_trust(lab: Lab) -> None:
    """A letter in another's hands might have it."""
    lab.letter("k")
    lab.letter("hidden", error="Rare")
    lab.sqs.queues[DLQ][1].visible_at = lab.clock.ms + MINUTE_MS
    lab.sqs.get_queue_attributes = lambda **_: {  # type: ignore[method-assign]
        "Attributes": {
            f"ApproximateNumberOfMessages{kind}": "2" if not kind else "0" for kind in ("", "NotVisible", "Delayed")
        }
    }

    assert lab.ask(START, {"errorType": "Rare"})[0] == 202


@pytest.mark.parametrize("redrive_id", ["rd-20270115080000-00000000", "x", "../run", "rd-1#run"])
def test_an_unknown_run(lab: Lab, redrive_id: str) -> None:
    """404, whether it could be an id or not."""
    assert lab.ask(SHOW, redriveId=redrive_id)[0] == 404
    assert lab.ask(CANCEL, {"redriveId": redrive_id})[0] == 404


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ([], [("", "must be an object, got array")]),
        ({"redriveId": ""}, [("/redriveId", "must be the id of a redrive; left out, it is the one that runs")]),
        ({"redriveId": 7}, [("/redriveId", "must be the id of a redrive")]),
        ({"redriveId": ["x"], "all/": 1}, [("/all~1", "is not known"), ("/redriveId", "must be the id of a redrive")]),
        ({"all": True}, [("/all", "is not known")]),
    ],
)
def test_a_cancel_that_names_no_run(lab: Lab, body: Any, expected: list[tuple[str, str]]) -> None:
    """400 with every fault."""
    status, answer = lab.ask(CANCEL, body)

    assert (status, details(answer)) == (400, expected)


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "1001"}, {"limit": "x"}, {"cursor": "1"}, {"page": "2"}])
def test_a_page_that_is_refused(lab: Lab, query: dict[str, str]) -> None:
    """400 with the pointer."""
    status, body = lab.ask(SHOW, query=query, redriveId=lab.start())

    assert (status, [pointer for pointer, _ in details(body)]) == (400, [f"/{next(iter(query))}"])


@pytest.mark.parametrize(
    ("queues", "chosen"),
    [
        ({"events": (MAIN, DLQ), "orders": (MAIN, FIFO_DLQ)}, "events"),
        ({"orders": (MAIN, DLQ)}, "orders"),
        ({"orders": (MAIN, DLQ), "orders-undelivered": (MAIN, FIFO_DLQ)}, "orders"),
        ({"a": (MAIN, DLQ), "b": ("https://other", FIFO_DLQ)}, None),
    ],
)
def test_the_default_pipeline(lab: Lab, queues: dict[str, tuple[str, str]], chosen: str | None) -> None:
    """`events`, else the first of the only queue; of several others the caller must choose."""
    urls = {name: {"queueUrl": main, "dlqUrl": dlq} for name, (main, dlq) in queues.items()}
    lab.targets = target.parse(json.dumps(urls))

    status, body = lab.ask(START, {})

    if chosen is None:
        assert (status, details(body)) == (400, [("/pipeline", "must be one of a, b")])
    else:
        assert lab.run(body["redriveId"]).request.pipeline == chosen


@pytest.mark.parametrize("queues", ["{}", "[]", "x", '{"a": 1}', '{"a": {"queueUrl": "u", "dlqUrl": ""}}'])
def test_queues_that_are_none(queues: str) -> None:
    """The function's configuration is refused as a whole."""
    with pytest.raises(SchemaValidationError):
        target.parse(queues)


def test_whole_numbers_are_integers(lab: Lab) -> None:
    """JSON knows 5.0 as one."""
    run = lab.run(lab.start(maxMessages=5.0, canary=1.0, ratePerSecond=2.0))

    assert (run.request.max_messages, run.request.canary, run.request.rate) == (5, 1, 2)
