"""Sending: every message ends as sent, as refused, as not sent, or as uncertain."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from handlers.aws import retry
from handlers.aws.clients import was_not_taken
from handlers.aws.sqs import Outgoing, SendReport, batches, is_fifo, rounds, send_messages

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# Refusals of a whole call for which one entry may be to blame (SQS API reference, SendMessageBatch).
_ABOUT_A_MESSAGE = frozenset({"BatchRequestTooLong", "InvalidMessageContents", "InvalidParameterValue"})


@dataclass(slots=True)
class MoveReport:
    """Ids of messages by what became of them; each message is in one of the four.

    `sent` gives the new message id, `refused` and `uncertain` SQS's code. `unsent` were not sent for a reason
    that is not theirs ("" where they stand behind another of their group), so they may be tried again.
    """

    sent: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    uncertain: dict[str, str] = field(default_factory=dict)
    unsent: dict[str, str] = field(default_factory=dict)

    def merge(self, other: "MoveReport") -> None:
        """Adds another's."""
        self.sent |= other.sent
        self.refused |= other.refused
        self.uncertain |= other.uncertain
        self.unsent |= other.unsent

    def interruption(self) -> str:
        """Why some were not sent, "" where nothing kept us from it."""
        return next((code for code in self.unsent.values() if code), "")


@dataclass(frozen=True, slots=True)
class Mover:
    """Sends to a main queue. `sender` is a client that repeats nothing: a repetition could be a second message."""

    url: str
    sender: "SQSClient"
    pool: Executor

    def move(self, messages: Sequence[Outgoing]) -> MoveReport:
        """Sends messages in parallel.

        On a FIFO queue those of a group go one after the other, and none past one that did not arrive.
        """
        if not is_fifo(self.url):
            return self._send_all(messages)
        report = MoveReport()
        for part in rounds(messages):
            blocked = {m.group_id for m in messages if m.group_id and self._is_stuck(m, report)}
            ready = [message for message in part if message.group_id not in blocked]
            report.unsent |= {message.id: "" for message in part if message.group_id in blocked}
            report.merge(self._send_all(ready))
        return report

    def _send_all(self, messages: Sequence[Outgoing]) -> MoveReport:
        report = MoveReport()
        for future in [self.pool.submit(self._send, batch) for batch in batches(messages)]:
            report.merge(future.result())
        return report

    @staticmethod
    def _is_stuck(message: Outgoing, report: MoveReport) -> bool:
        return message.id in report.refused or message.id in report.uncertain or message.id in report.unsent

    def _send(self, batch: list[Outgoing]) -> MoveReport:
        """One batch; a call that SQS certainly did not take is made again, up to 3 times.

        Where the call was refused for what one message is, each goes by itself, so that only that one stays.
        """
        report = MoveReport()
        pending = batch
        for _ in retry.attempts():
            attempt = _sorted(send_messages(self.sender, self.url, pending))
            pending = [message for message in pending if message.id in attempt.unsent]
            report.unsent = {}
            report.merge(attempt)
            if not pending:
                break
        if not _is_about_a_message(report):
            return report
        if len(batch) == 1:
            return MoveReport(refused=report.unsent)
        report.unsent = {}
        for message in pending:
            report.merge(self._send([message]))
        return report


def _sorted(sent: SendReport) -> MoveReport:
    report = MoveReport(sent=sent.sent)
    for one, code in sent.failed.items():
        if one not in sent.errors:
            report.refused[one] = code
        elif was_not_taken(sent.errors[one]):
            report.unsent[one] = code
        else:
            report.uncertain[one] = code
    return report


def _is_about_a_message(report: MoveReport) -> bool:
    return any(code.rpartition(".")[2] in _ABOUT_A_MESSAGE for code in report.unsent.values())
