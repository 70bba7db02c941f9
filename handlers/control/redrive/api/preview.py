"""A look at a dead-letter queue that leaves it as it was: each letter once, and all handed back."""

import base64
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from handlers import clock, jsontext
from handlers.aws.sqs import Attribute
from handlers.control.redrive.ledger import StateRecord, States
from handlers.control.redrive.run import plan
from handlers.control.redrive.run.plan import Action, Decision, Terms
from handlers.control.redrive.run.record import RedriveRequest
from handlers.control.redrive.run.store import Runs
from handlers.control.redrive.sqs.inbox import Box, Counts, Inbox
from handlers.control.redrive.sqs.letter import Letter

_BODY_CHARACTERS = 1024
_MESSAGE_CHARACTERS = 512
_TYPE_CHARACTERS = 128
_KEY_CHARACTERS = 2048
_MAX_EXAMINED = 10_000
_MAX_EXAMINED_CHARACTERS = 32 * 1024 * 1024  # of bodies, in a function that has little memory
_MAX_GROUPS = 100
# Of an answer; Lambda takes 6 MB, and its groups and statistics come on top.
_MAX_LISTED_BYTES = 4 * 1024 * 1024
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")
_HEXADECIMAL = re.compile(r"\b(?=[0-9a-fA-F-]*[0-9])[0-9a-fA-F]{4,}(?:-[0-9a-fA-F]{4,})*\b")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Finding:
    """A letter, its key's record and what a redrive would do with it."""

    letter: Letter
    record: StateRecord | None
    decision: Decision

    @property
    def error_type(self) -> str:
        """Why it is a dead letter."""
        return self.letter.error_type(self.record)[:_TYPE_CHARACTERS]

    @property
    def error_message(self) -> str:
        """That in words, cut."""
        return self.letter.error_message(self.record)[:_MESSAGE_CHARACTERS]

    @property
    def is_wanted(self) -> bool:
        """Whether the filters take it."""
        return self.decision.action is not Action.SKIP

    def as_json(self, now: int) -> jsontext.JsonObject:
        """As the API shows it."""
        message = self.letter.message
        return {
            "messageId": self.letter.id,
            "idempotencyKey": message.key[:_KEY_CHARACTERS],
            "errorType": self.error_type,
            "errorMessage": self.error_message,
            "ageSeconds": _age(self.letter, now),
            "redriveCount": self.letter.redrive_count,
            "action": self.decision.action,
            "reason": self.decision.reason,
            "attributes": {name: _shown(attribute) for name, attribute in message.attributes.items()},
            "body": message.body[:_BODY_CHARACTERS],
        }


@dataclass(frozen=True, slots=True)
class Look:
    """What was found. `complete`: nothing more came, which a FIFO queue also says where a group is held."""

    findings: list[Finding]
    complete: bool

    def denies(self, error_type: str, total: int) -> bool:
        """Whether no letter has this error type: known only after a look at all `total` of them."""
        seen = any(one.error_type == error_type for one in self.findings)
        return not seen and self.complete and len(self.findings) >= total


class Preview:
    """Looks through one dead-letter queue for a limited time."""

    def __init__(self, box: Box, states: States, runs: Runs, *, seconds_left: Callable[[], float]) -> None:
        self._box = box
        self._runs = runs
        self._states = states
        self._seconds_left = seconds_left

    def look(self, terms: Terms, limit: int) -> "Look":
        """Examines letters until `limit` are wanted, all have been seen or the time is up; gives all back.

        Raises:
            InterruptedRedriveError: SQS or the state table would not go on.
        """
        inbox = Inbox(self._box)
        findings: dict[str, Finding] = {}
        wanted = size = 0
        try:
            while (
                wanted < limit
                and len(findings) < _MAX_EXAMINED
                and size < _MAX_EXAMINED_CHARACTERS
                and self._seconds_left() > 0
            ):
                letters = [one for one in inbox.receive(plan.WAVE_MESSAGES) if one.id not in findings]
                judged = self._judge(letters, terms)
                findings |= {one.letter.id: one for one in judged}
                wanted += sum(one.is_wanted for one in judged)
                size += sum(len(letter.message.body) for letter in letters)
                if inbox.is_drained:
                    break
        finally:
            inbox.hand_back()
        return Look(list(findings.values()), complete=inbox.is_drained)

    def _judge(self, letters: list[Letter], terms: Terms) -> list[Finding]:
        records = self._states.lookup(letter.message.key for letter in letters)
        counted = self._runs.counted(letters, dlq_url=self._box.url)
        found = [(letter, records.get(letter.message.key)) for letter in counted]
        return [Finding(letter, record, plan.decide(letter, record, terms)) for letter, record in found]


def fingerprint(error_type: str, message: str) -> str:
    """The error without what differs from one event to the next: quoted text, ids and numbers."""
    text = _QUOTED.sub("<text>", message)
    text = _NUMBER.sub("<n>", _HEXADECIMAL.sub("<id>", text))
    return f"{error_type}: {text}" if text else error_type


def groups(findings: Iterable[Finding]) -> list[jsontext.Json]:
    """Counts by fingerprint, the largest first, at most 100, and what would happen to each."""
    by_print: dict[str, list[Finding]] = {}
    for one in findings:
        by_print.setdefault(fingerprint(one.error_type, one.error_message), []).append(one)
    largest = sorted(by_print.items(), key=lambda item: -len(item[1]))[:_MAX_GROUPS]
    return [_group(text, members) for text, members in largest]


def _group(text: str, members: list[Finding]) -> jsontext.JsonObject:
    going = sum(one.decision.action in (Action.MOVE, Action.NO_OP) for one in members)
    reasons = Counter(one.decision.reason for one in members if one.decision.reason)
    return {
        "errorType": members[0].error_type,
        "fingerprint": text,
        "count": len(members),
        "wouldMove": going,
        "wouldSkip": len(members) - going,
        "reasons": dict(reasons),
    }


def report(findings: list[Finding], counts: Counts, request: RedriveRequest) -> jsontext.JsonObject:
    """The answer to a preview: `{dlqStats, groups, messages, filters}`.

    `messages` ends where an answer would get too long; `dlqStats.matching` counts them all, `dlqStats.unseen` the
    letters that were not examined: they are in somebody's hands, or past the limits of a preview.
    """
    now = clock.now_ms()
    ages = [_age(one.letter, now) for one in findings]
    wanted = [one for one in findings if one.is_wanted]
    return {
        "dlqStats": {
            "totalMessages": counts.visible,
            "notVisible": counts.not_visible,
            "delayed": counts.delayed,
            "examined": len(findings),
            "unseen": max(0, counts.total - len(findings)),
            "matching": len(wanted),
            "oldestAgeSeconds": max(ages, default=None),
        },
        "groups": groups(findings),
        "messages": _listed(wanted[: request.max_messages], now),
        "filters": request.filters(),
    }


def _listed(findings: list[Finding], now: int) -> list[jsontext.Json]:
    """As many as an answer has room for, the first in any case."""
    listed: list[jsontext.Json] = []
    room = _MAX_LISTED_BYTES
    for one in findings:
        shown = one.as_json(now)
        room -= len(jsontext.compact(shown))
        if room < 0 and listed:
            break
        listed.append(shown)
    return listed


def _age(letter: Letter, now: int) -> int:
    return max(0, (now - letter.sent_at) // 1000)


def _shown(attribute: Attribute) -> jsontext.JsonObject:
    """An attribute as JSON; bytes as base64."""
    value = attribute.value
    text = value if isinstance(value, str) else base64.b64encode(value).decode()
    return {"type": attribute.data_type, "value": text[:_BODY_CHARACTERS]}
