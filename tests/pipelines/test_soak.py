"""The soak at a small size; `make soak` runs it at 20,000 events. A file of its own: it waits while others run."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.pipelines import soak
from tests.pipelines.conftest import CONFIG
from tests.pipelines.lab import Lab
from tests.pipelines.soak_ledger import Accepted, Facts, Ledger, Record

_PLAN = soak.Plan(
    size=300, seconds=420, outage=0, every=20, kills=2, victims=("events-breaker", "events-ingest", "events-worker")
)  # `test_redrive_many` kills the redrive, whose lease lasts too long for here


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
        [("c", "BrokenError"), ("c", "BrokenError"), ("d", "RepairableError")],
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
            {"letters": [*_EVEN.facts.letters, ("b", "DownstreamError")]},
            ["b is good and dead with ['DownstreamError']"],
        ),
        ({"letters": _EVEN.facts.letters[:2]}, ["d is lost: neither SUCCEEDED nor dead-lettered"]),
        (
            {"letters": [*_EVEN.facts.letters, ("d", "")]},
            ["d ended otherwise than dead with RepairableError: ['', 'RepairableError']"],
        ),
        ({"letters": [*_EVEN.facts.letters, ("e", "BrokenError")]}, ["e was found and never accepted"]),
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


@pytest.mark.parametrize(("is_final", "faults"), [(False, []), (True, ["b is good and dead with ['DownstreamError']"])])
def test_who_was_felled_by_deaths_is_no_fault(is_final: bool, faults: list[str]) -> None:  # noqa: FBT001 - a case
    """SQS moved it, and nobody had lived to write how its last attempt ended; where somebody did, it is a fault."""
    record = Record("FAILED", 5, 10, "DownstreamError", is_final)
    facts = replace(
        _EVEN.facts,
        records={**_EVEN.facts.records, "key-b": record},
        letters=[*_EVEN.facts.letters, ("b", "")],
        told=[one for one in _EVEN.facts.told if one[0] != "key-b"],
    )
    assert replace(_EVEN, facts=facts).faults() == faults
