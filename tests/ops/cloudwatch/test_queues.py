"""What looking at queues tells of them, with a fake client."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from ops.local.cloudwatch.sources.queues import Queues, Settled


class _Sqs:
    """Queues whose depths the test sets: visible, in flight, delayed."""

    class exceptions:  # noqa: N801 - as boto3 has it
        QueueDoesNotExist = KeyError

    def __init__(self) -> None:
        self.depths: dict[str, tuple[int, int, int]] = {}
        self.messages: dict[str, list[Mapping[str, Any]]] = {}

    def get_queue_attributes(self, QueueUrl: str, AttributeNames: list[str]) -> Any:
        return {"Attributes": dict(zip(AttributeNames, map(str, self.depths[QueueUrl]), strict=True))}


def _letter(id_: str, sent: float, *, received: int = 0, source: str = "") -> Mapping[str, Any]:
    moved = {"DeadLetterQueueSourceArn": f"arn:aws:sqs:us-east-1:0:{source}"} if source else {}
    return {"MessageId": id_, "ReceiveCount": received, "Attributes": {"SentTimestamp": str(sent * 1000)} | moved}


class _Looks:
    """Looks at queues, and what they gave."""

    def __init__(self) -> None:
        self.sqs = _Sqs()
        self.queues = Queues(self.sqs, lambda url: self.sqs.messages.get(url, []))

    def at(self, now: float, *names: str, **settled: Settled) -> dict[str, dict[str, float]]:
        """Queue -> metric -> value."""
        found: dict[str, dict[str, float]] = {}
        for datum in self.queues.look({name: name for name in names}, settled, now):
            found.setdefault(dict(datum.metric.dimensions)["QueueName"], {})[datum.metric.name] = datum.point.value
        return found


@pytest.fixture
def looks() -> _Looks:
    """Nothing looked at yet."""
    return _Looks()


def test_depths(looks: _Looks) -> None:
    """The three numbers as SQS gives them; a queue that is gone has no data."""
    looks.sqs.depths["q"] = (3, 2, 1)
    assert looks.at(100, "q", "gone") == {
        "q": {
            "ApproximateNumberOfMessagesVisible": 3,
            "ApproximateNumberOfMessagesNotVisible": 2,
            "ApproximateNumberOfMessagesDelayed": 1,
            "NumberOfMessagesSent": 0,
            "NumberOfMessagesReceived": 0,
            "NumberOfMessagesDeleted": 0,
            "ApproximateAgeOfOldestMessage": 0,
        }
    }


def _flows(looks: _Looks, steps: Iterable[tuple[int, int]], name: str = "q") -> list[tuple[float, float]]:
    """Sent and deleted after each step: how many messages there are, how many a mapping has just deleted."""
    found = []
    for at, (depth, deleted) in enumerate(steps):
        looks.sqs.depths[name] = (depth, 0, 0)
        values = looks.at(at, name, **{name: Settled(deleted, deleted)})[name]
        found.append((values["NumberOfMessagesSent"], values["NumberOfMessagesDeleted"]))
    return found


def test_flows(looks: _Looks) -> None:
    """What came is told a look late; what a mapping took at once; what came and went between two looks is not lost."""
    steps = [(0, 0), (4, 0), (4, 0), (0, 4), (0, 7), (0, 0)]
    assert _flows(looks, steps) == [(0, 0), (0, 0), (4, 0), (0, 4), (0, 7), (7, 0)]


def test_a_look_between_deletion_and_notice(looks: _Looks) -> None:
    """A mapping's deletion that the depth shows before the log tells of it counts once, and as no send."""
    steps = [(4, 0), (4, 0), (0, 0), (0, 4), (0, 0), (0, 0)]
    assert _flows(looks, steps) == [(0, 0), (0, 0), (0, 0), (0, 4), (0, 0), (0, 0)]


def test_deleted_by_others(looks: _Looks) -> None:
    """What goes and stays gone was deleted."""
    assert _flows(looks, [(3, 0), (1, 0), (1, 0)]) == [(0, 0), (0, 0), (0, 2)]


def test_moves_are_neither(looks: _Looks) -> None:
    """A message that SQS moves to the dead-letter queue was neither deleted here nor sent there."""
    looks.sqs.depths = {"main": (1, 0, 0), "dead": (0, 0, 0)}
    looks.at(0, "main", "dead")
    looks.sqs.depths = {"main": (0, 0, 0), "dead": (1, 0, 0)}
    looks.sqs.messages["dead"] = [_letter("1", 0, received=5, source="main")]
    found = [looks.at(at, "main", "dead") for at in (1, 2, 3)]
    flows = [(q, n) for one in found for q in one for n, v in one[q].items() if n.startswith("NumberOf") and v]
    assert flows == []


def test_age(looks: _Looks) -> None:
    """Of the oldest message, in whole seconds; without those that were received three times or more."""
    looks.sqs.depths["q"] = (3, 0, 0)
    looks.sqs.messages["q"] = [_letter("1", 10, received=3), _letter("2", 20.5, received=2), _letter("3", 30)]
    assert looks.at(100, "q")["q"]["ApproximateAgeOfOldestMessage"] == 79
    looks.sqs.depths["q"] = (0, 0, 0)
    assert looks.at(101, "q")["q"]["ApproximateAgeOfOldestMessage"] == 0


def test_age_of_dead_letters(looks: _Looks) -> None:
    """A message that SQS moved counts from the move, however often it was received; one that was sent from the send."""
    looks.sqs.depths["dead"] = (1, 0, 0)
    looks.sqs.messages["dead"] = [_letter("1", 0, received=5, source="main")]
    ages = [looks.at(at, "dead")["dead"]["ApproximateAgeOfOldestMessage"] for at in (1000, 1060)]
    looks.sqs.messages["dead"].append(_letter("2", 500))
    assert [*ages, looks.at(1100, "dead")["dead"]["ApproximateAgeOfOldestMessage"]] == [0, 60, 600]


def test_previews_hide_the_age_of_dead_letters(looks: _Looks) -> None:
    """A letter that was looked at three times since it was moved is left out, as a poison message is."""
    looks.sqs.depths["dead"] = (1, 0, 0)
    ages = []
    for at, received in ((1000, 5), (1060, 7), (1120, 8)):
        looks.sqs.messages["dead"] = [_letter("1", 0, received=received, source="main")]
        ages.append(looks.at(at, "dead")["dead"]["ApproximateAgeOfOldestMessage"])
    assert ages == [0, 60, 0]
