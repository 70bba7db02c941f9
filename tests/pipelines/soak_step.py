"""The soak's business step: it stands in the worker's zip for `handlers/events/step.py`, with PLACE filled in.

What an event does is said by its `drill`, which its sender chose. The side effect is a line of a log, written whole or
not at all, so that what was done can be counted without asking the pipeline.
"""

import os
import time
from pathlib import Path

from handlers import jsontext
from handlers.errors import DownstreamError, PermanentError, TransientError

PLACE = Path("@PLACE@")


class BrokenError(PermanentError):
    """What nobody repairs."""


class RepairableError(PermanentError):
    """What is repaired before the redrive."""


class FlakyError(TransientError):
    """What a second attempt gets past."""


def process(event: jsontext.JsonObject) -> jsontext.Json:
    """Does what the event's drill says."""
    name, drill = str(event["orderId"]), event["drill"]
    if drill == "large" and (PLACE / "outage").exists():
        _note("met", name)
        raise DownstreamError(name)
    if drill == "broken":
        raise BrokenError(name)
    if drill == "repairable" and not (PLACE / "repaired").exists():
        raise RepairableError(name)
    if drill == "flaky" and _first(name):
        raise FlakyError(name)
    if drill == "dies before" and _first(name):
        os._exit(1)
    _note("effects", name)
    if drill == "dies after" and _first(name):
        os._exit(1)
    return {"did": name}


def _first(name: str) -> bool:
    """Whether it is the first attempt; whoever asks has made it."""
    try:
        (PLACE / "tried" / name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _note(log_name: str, name: str) -> None:
    log = os.open(PLACE / log_name, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(log, f"{name} {time.time_ns() // 1_000_000}\n".encode())
    os.close(log)
