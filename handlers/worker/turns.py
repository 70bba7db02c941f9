"""Who of a batch is worked when, as a function of data alone.

A worker that dies (memory, native code, a time-out that no signal ends) takes its whole batch with it, and nobody says
whose fault it was: every claim that is found under a lapsed lease is a suspect. Suspects are worked one at a time, each
settled before the next begins, once everybody else has been settled. The second death then has one suspect only.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from handlers.errors import DeadlineExceededError
from handlers.idempotency.claims import Claim, Lease, Record, Standing, Status
from handlers.worker.messages import Message

# Deaths after which a suspect is given up: one with others, two by itself. That is the fourth of five receives.
MAX_DEATHS = 3


@dataclass(frozen=True, slots=True)
class Turn:
    """A message and where its key stands; None where its body is no payload. Repeats of a key follow its first."""

    message: Message
    claim: Claim | None
    is_repeat: bool = False
    deaths: int = 0  # of workers, with this message in hand

    @property
    def suspect(self) -> Record | None:
        """The record that a worker has died with, where this is the message to be worked for it."""
        is_one = self.claim is not None and self.claim.standing is Standing.SUSPECT and not self.is_repeat
        return self.claim.record if is_one and self.claim else None

    @property
    def lapsed(self) -> Lease | None:
        """The lease of the last worker that died with the suspect; None where there is none, or it was given up."""
        record = self.suspect
        if record is None or record.status is Status.FAILED:
            return None
        return Lease(record.key, record.attempts, record.lease_until)

    def condemned(self, max_receive_count: int) -> Lease | None:
        """The lease of the last worker that died, where the suspect is to be given up.

        That is after enough deaths, or where SQS would move the message without its cause: it has had its turn alone.
        """
        is_last = self.deaths > 1 and self.message.receive_count >= max_receive_count
        return self.lapsed if is_last or self.deaths >= MAX_DEATHS else None


@dataclass(frozen=True, slots=True)
class Schedule:
    """`together`: the turns that are settled in one go. `alone`: then these, in groups whose order counts."""

    together: list[Turn]
    alone: list[list[Turn]]


def most_received_first(received: Sequence[Message]) -> list[Message]:
    """Puts those first who have the fewest receives left.

    Who is not reached before the time is up is handed back, which costs a receive; so he comes early the next time.
    """
    return sorted(received, key=lambda message: -message.receive_count)


def turns(received: Sequence[Message], claims: Mapping[str, Claim]) -> list[Turn]:
    """The turns of a batch, in the order in which it was received; claims are by key."""
    taken: list[Turn] = []
    led: set[str] = set()
    for message in received:
        if message.fault is not None:
            taken.append(Turn(message, None))
            continue
        claim = claims[message.key]
        taken.append(Turn(message, claim, message.key in led, _deaths(message, claim)))
        led.add(message.key)
    return taken


def schedule(batch: Sequence[Turn], *, ordered: bool, max_receive_count: int) -> Schedule:
    """Puts suspects last, and with them what must not come before them: repeats and, if `ordered`, their groups' rest.

    Among them those who have died least come first, of these those who were received most, else in an order that
    changes from one receive to the next. A key whose last attempt took all the time that there was comes last of the
    others, where no order is to be kept, and so does one that another worker has, for which this one may wait.
    """
    together: list[Turn] = []
    alone: dict[str, list[Turn]] = {}
    for turn in batch:
        unit = turn.message.group_id if ordered else turn.message.key
        if unit in alone or (turn.suspect and not turn.condemned(max_receive_count)):
            alone.setdefault(unit, []).append(turn)
        else:
            together.append(turn)
    if not ordered:
        together.sort(key=_may_take_long)
    return Schedule(together, sorted(alone.values(), key=_place))


def _deaths(message: Message, claim: Claim) -> int:
    record = claim.record
    if claim.standing is not Standing.SUSPECT or record is None or record.status is Status.FAILED:
        return 0
    redriven = "redriveCount" in message.attributes and record.message_id != message.id
    return 0 if redriven else record.deaths + 1  # what is redriven counts as repaired


def _may_take_long(turn: Turn) -> bool:
    if turn.claim is None:
        return False
    record = turn.claim.record
    ran_out_of_time = record is not None and record.error_type == DeadlineExceededError.__name__
    return ran_out_of_time or turn.claim.standing is Standing.LIVE


def _place(unit: Sequence[Turn]) -> tuple[int, int, bytes]:
    first = unit[0].message
    shuffled = hashlib.sha256(f"{first.key}\n{first.receive_count}".encode("utf-8", "replace")).digest()
    return max(turn.deaths for turn in unit), -max(turn.message.receive_count for turn in unit), shuffled
