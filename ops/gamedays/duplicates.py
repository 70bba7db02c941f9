"""Every event is put on the queue twice: one record each, and one success."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ops.gamedays.model import Check, GameDay, Step, curl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.gamedays.context import Context
    from ops.gamedays.recording import Recording

_COUNT = 30


def _inject(context: Context) -> None:
    context.fault("duplicate_submit")


def _load(context: Context) -> None:
    context.settled(context.send(context.keys(_COUNT, "twice"), "twice"))
    context.send(context.keys(_COUNT, "twice"), "again")  # and their caller sends each once more


def _repair(context: Context) -> None:
    context.revert("failure mode")


def _verify(context: Context) -> None:
    context.look()
    context.quiet()


def _checks(recording: Recording) -> Iterator[Check]:
    final = recording.ledger()
    if not final:
        yield Check("one record for each payload", ok=False, evidence="nobody has looked")
        return
    records, calls = final.facts.records, sum(line["count"] for line in recording.of("accepted"))
    tried = Counter(record.attempts for record in records.values())
    yield Check(
        "one record for each payload, worked once",
        len(records) == len(final.accepted) == _COUNT and set(tried) == {1},
        f"{calls} submissions accepted, {len(records)} records; attempts: {dict(tried)}",
    )
    told = Counter(one.id for one in final.facts.told)
    yield Check(
        "as many success events as unique payloads",
        told == Counter(final.accepted),
        f"{sum(told.values())} success events for {len(final.accepted)} payloads",
    )


GAMEDAY = GameDay(
    name="duplicates",
    title="Everything is submitted twice",
    pipeline="events",
    hypothesis=(
        "When the producer sends each message twice under one key, and callers repeat their requests, there is one"
        " record for each payload, it is worked once, and there are as many success events as unique payloads."
    ),
    lesson=(
        "At-least-once delivery makes duplicates normal. A conditional write claims a key before it is worked, so the"
        " second message finds it done and is acknowledged, not processed. A caller that is in doubt may always repeat."
    ),
    claims=frozenset({"events", "failure mode"}),
    checks=_checks,
    steps=(
        Step(
            "inject",
            "ingest sends each message twice (failure mode duplicate_submit)",
            _inject,
            ("lab failure set duplicate_submit --ttl 600 --wait",),
        ),
        Step(
            "load",
            f"{_COUNT} events arrive, and their callers repeat each",
            _load,
            (
                curl("/events", '{"orderId":"gd-2","amount":1}', "Idempotency-Key: gd-2"),
                'curl -fsS "$API_URL/events/gd-2"',
            ),
        ),
        Step("repair", "each message goes out a single time again", _repair, ("lab failure reset --wait",)),
        Step(
            "verify",
            "one record and one success each (docs/laptop.md says how to count success events by hand)",
            _verify,
            ("lab logs query duplicates", "lab status"),
        ),
    ),
)
