"""The soak at a small size; `make soak` runs it at 20,000 events. A file of its own: it waits while others run."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.pipelines import soak
from tests.pipelines.conftest import CONFIG
from tests.pipelines.lab import Lab
from tests.pipelines.soak_ledger import Accepted, Facts, Ledger, Letter, Record, receives

_PLAN = soak.Plan(
    size=300,
    seconds=420,
    outage=0,
    every=20,
    kills=2,
    victims=("events-breaker", "events-ingest", "events-worker"),  # `test_redrive_many` kills the redrive
    may_waste=4,  # of workers with two seconds on a busy machine: the ledger of `make soak` allows one
)


@pytest.fixture
def soaked(lab: Lab) -> Iterator[Lab]:
    """The stack as the soak wants it."""
    lab.deploy(**CONFIG | soak.CONFIG)
    yield lab
    lab.deploy(**CONFIG)


def test_three_hundred_events(soaked: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing lost, nothing twice, every letter explained; and the repaired ones succeed after a redrive."""
    said: list[str] = []
    one = soak.Soak(soaked, _PLAN, tmp_path, said.append)
    first, second = one.run()
    with capsys.disabled():
        print("\n  " + "\n  ".join(said))  # noqa: T201 - the figures are part of what the test shows

    assert len(one.accepted) == _PLAN.size
    assert set(one.killed) == set(_PLAN.victims)
    assert first.faults() == []
    assert second.faults() == []


_EVEN = Ledger(
    {
        "a": Accepted("good", "key-a"),
        "b": Accepted("large", "key-b"),
        "c": Accepted("broken", "key-c"),
        "d": Accepted("repairable", "key-d"),
    },
    Facts(
        {
            "key-a": Record("SUCCEEDED", 1, 10),
            "key-b": Record("SUCCEEDED", 2, 10),
            "key-c": Record("FAILED", 1, 10),
            "key-d": Record("FAILED", 1, 10),
        },
        [("a", 9), ("b", 8), ("b", 10)],
        [Letter("c", "BrokenError"), Letter("c", "BrokenError"), Letter("d", "RepairableError")],
        [("key-a", "id-a"), ("key-a", "id-a"), ("key-b", "id-b")],
        0,
    ),
)


@pytest.mark.parametrize(
    ("planted", "fault"),
    [
        ({}, []),
        (
            {"records": {key: one for key, one in _EVEN.facts.records.items() if key != "key-a"}},
            ["a is lost: neither SUCCEEDED nor dead-lettered", "the success of key-a was told under 1 ids"],
        ),
        ({"effects": [*_EVEN.facts.effects, ("a", 9)]}, ["a had 2 side effects in 1 attempts"]),
        (
            {"effects": [("a", 11), *_EVEN.facts.effects[1:]]},
            ["a was worked after it had SUCCEEDED"],
        ),
        ({"effects": _EVEN.facts.effects[1:]}, ["a had 0 side effects in 1 attempts"]),
        ({"told": [*_EVEN.facts.told, ("key-a", "another")]}, ["the success of key-a was told under 2 ids"]),
        ({"told": _EVEN.facts.told[2:]}, ["the success of key-a was told under 0 ids"]),
        (
            {"letters": [*_EVEN.facts.letters, Letter("b", "DownstreamError")]},
            ["b is good and dead with ['DownstreamError']"],
        ),
        ({"letters": _EVEN.facts.letters[:2]}, ["d is lost: neither SUCCEEDED nor dead-lettered"]),
        (
            {"letters": [*_EVEN.facts.letters, Letter("d", "")]},
            ["d ended otherwise than dead with RepairableError: ['', 'RepairableError']"],
        ),
        ({"letters": [*_EVEN.facts.letters, Letter("e", "BrokenError")]}, ["e was found and never accepted"]),
        ({"waiting": 1}, ["1 messages are still waiting"]),
    ],
)
def test_the_ledger_sees_a_planted_fault(planted: dict[str, object], fault: list[str]) -> None:
    """A record dropped, an effect doubled, a letter nobody can explain: each is said, and nothing where all is even."""
    assert replace(_EVEN, facts=replace(_EVEN.facts, **planted)).faults() == fault  # type: ignore[arg-type]


def test_the_ledger_expects_what_was_repaired() -> None:
    """After the redrive a letter of what was repairable is a fault, and so is an event that the redrive has lost."""
    assert replace(_EVEN, repaired=True).faults() == ["d is good and dead with ['RepairableError']"]
    lost = replace(_EVEN.facts, letters=_EVEN.facts.letters[:2])
    assert replace(_EVEN, facts=lost, repaired=True).faults() == ["d is lost: neither SUCCEEDED nor dead-lettered"]


_OUT = "retried DownstreamError"


@pytest.mark.parametrize(
    ("cause", "ends", "explained"),
    [
        ("", (_OUT, _OUT, _OUT, _OUT, "died"), True),
        ("", ("held", "died", "retried FlakyError", "succeeded", "died"), True),
        ("", (_OUT, _OUT, _OUT, "died", "exhausted DownstreamError"), True),
        ("", ("died", "died", "died", "died", "exhausted DeadlineExceededError"), True),
        ("", ("died",) * 5, True),
        ("WorkerDiedError", ("died", "died", "dead_lettered WorkerDiedError"), True),
        ("", (_OUT, _OUT, "died", _OUT, "exhausted DownstreamError"), False),
        ("", ("held", "held", "died", "retried FlakyError", "died"), False),
        ("", ("died", "handed_back", "died", "died", "exhausted DeadlineExceededError"), False),
        ("", ("handed_back", "succeeded", "succeeded", "succeeded", "succeeded"), False),
        ("WorkerDiedError", ("died", "dead_lettered WorkerDiedError"), False),
        ("DownstreamError", (_OUT, "died", "dead_lettered DownstreamError"), False),
    ],
)
def test_only_deaths_explain_the_letter_of_a_good_event(
    cause: str,
    ends: tuple[str, ...],
    explained: bool,  # noqa: FBT001 - a case
) -> None:
    """Each receive is accounted for: a living worker that wastes them, or an outage not outlasted, is a fault."""
    record = Record("FAILED", 5, 10, "DownstreamError")
    facts = replace(
        _EVEN.facts,
        records={**_EVEN.facts.records, "key-b": record},
        letters=[*_EVEN.facts.letters, Letter("b", cause, ends)],
        told=[one for one in _EVEN.facts.told if one[0] != "key-b"],
    )
    ledger = replace(_EVEN, facts=facts)
    assert ledger.faults() == ([] if explained else [f"b is good and dead with {[cause or 'DownstreamError']}"])
    why = "by deaths" if explained else "UNEXPLAINED"
    says = f"letter {cause or 'by SQS'}; receives: {', '.join(ends)}; record FAILED DownstreamError, attempts 5"
    assert [*ledger.obituaries()] == [f"b (large) {why}: {says}"]


def test_a_good_event_with_one_letter_that_nobody_can_explain() -> None:
    """It was sent twice, and workers died of the other: that excuses one letter, not both."""
    letters = [Letter("b", "", (_OUT, "died")), Letter("b", "", ("handed_back",) * 5)]
    facts = replace(_EVEN.facts, letters=[*_EVEN.facts.letters, *letters])
    assert replace(_EVEN, facts=facts).faults() == ["b is good and dead with ['']"]


def test_how_receives_ended_is_read_from_the_log() -> None:
    """One line for each that a worker lived to tell of, among all that an emulator prints."""
    log = [
        "2026-11-28 11:42:17 INFO [lambda] ESM: Lambda events-worker output:\n",
        '{"level":"INFO","outcome":"held","messageId":"m1","receiveCount":1}\n',
        'x {"level":"ERROR","outcome":"retried","messageId":"m1","receiveCount":3,"errorType":"FlakyError"}\n',
        '{"level":"INFO","outcome":"succeeded","messageId":"m2","receiveCount":1}\n',
        '{"level":"INFO","outcome":"succeeded","messageId":"m2","receiveCount":2\n',
        '{"level":"INFO","outcome":"succeeded","messageId":"m3","receiveCount":1}\n',
    ]
    assert receives(log, {"m1", "m2"}) == {"m1": {1: "held", 3: "retried FlakyError"}, "m2": {1: "succeeded"}}


def test_what_memory_is_told_of() -> None:
    """The most of each, of a worker's process in the first and in the last third, and what an event leaves behind."""
    mib = 1 << 20
    weights = [soak.Weight(100 * mib, 50 * mib), soak.Weight(150 * mib, 0), soak.Weight(300 * mib, 52 * mib)]

    assert soak.memory(weights, events=1024) == [
        "the emulator 300 MiB at most, 100 MiB at first: 200 KiB an event",
        "a worker's process 52 MiB at most; 50 MiB in the first third, 52 MiB in the last",
    ]
    assert soak.memory([], events=1) == []
