"""`lab invoke`: call one function with an event of yours, and see all that came of it."""

from __future__ import annotations

import base64
import json
import re
import sys
import time
import uuid
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.cli import loglines, output, target
from ops.cli.target import TargetError
from ops.local.cloudwatch import logs as laptop
from ops.local.cloudwatch.logs import LogEvent
from ops.local.emulator import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ops.cli.target import Target

SAMPLES = ROOT / "ops" / "events"
FRESH = "NEW-ID"  # in a sample, replaced by an id that no earlier invocation had
_TAIL_BYTES = 4096  # of its log, Lambda returns no more with an answer
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<function>\S+)')
_OWN = re.compile(r".*/(?=handlers/)")
_REFUSED = 400  # from this status on an answer of the API is a failure

FunctionArgument = Annotated[
    str,
    typer.Argument(
        help="A function of the stack, as lab status shows it.", autocompletion=lambda: sorted(loglines.FUNCTIONS)
    ),
]
EventOption = Annotated[
    str,
    typer.Option(
        "--event",
        help="A file with JSON, - for stdin, or a sample by its name.",
        autocompletion=lambda: sorted(path.stem for path in SAMPLES.glob("*.json")),
    ),
]


def invoke(
    function: FunctionArgument,
    event: EventOption,
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Invoke a function with an event, and show its answer, its error and its log.

    Samples are in ops/events; each NEW-ID in an event becomes a new id, so that it is new work every time. Exits with
    1 when the function raised, handed a message back, or answered with 400 or more. Needs lambda:InvokeFunction.

    Example: lab invoke events-worker --event sqs-event
    """
    payload = _event(event)
    found = target.find(stack)
    name = _physical(found, function)
    answer = found.client("lambda").invoke(FunctionName=name, Payload=payload.encode(), LogType="Tail")
    text = answer["Payload"].read().decode()
    result = json.loads(text) if text else None
    error = _error(result) if answer.get("FunctionError") else None
    log = base64.b64decode(answer.get("LogResult", ""))
    events = [_line(row) for row in log.decode(errors="replace").splitlines() if row.strip()]
    why = _failure(result) if error is None else f"{error['place'] + ': ' if error['place'] else ''}{error['message']}"
    if as_json:
        lines = [laptop.fields(one.message) or one.message for one in events]
        output.as_json(
            {"function": function, "answer": None if error else result, "error": error, "failed": why, "log": lines}
        )
    else:
        for row in (row for one in events for row in _shown(function, one, found)):
            output.say(row)
        if len(log) >= _TAIL_BYTES:
            output.say(f"that is the end of the log; all of it: lab logs tail --function {function} --since 1m")
        for row in error["trace"] if error else []:
            output.say(f"    {row}")
        if error is None:
            output.result([json.dumps(result, indent=2, ensure_ascii=False)])
    if why:
        output.fail(f"{function}: {why}")


def _event(given: str) -> str:
    """The event as JSON text, with new ids."""
    sample = SAMPLES / f"{given}.json"
    try:
        if given == "-":
            text = sys.stdin.read()
        else:
            text = (sample if sample.is_file() else Path(given)).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join(sorted(path.stem for path in SAMPLES.glob("*.json")))
        output.misuse(f"--event {given} can't be read ({error}); samples: {known}")
    try:
        json.loads(text)
    except ValueError as error:
        output.misuse(f"--event {given} is not JSON: {error}")
    return text.replace(FRESH, str(uuid.uuid4()))


def _physical(found: Target, function: str) -> str:
    """The name that Lambda knows it by: of the functions, the one that writes to its log group.

    Raises:
        TargetError: the stack has no such function.
    """
    _, group = loglines.group_of(found, function)
    for page in found.client("lambda").get_paginator("list_functions").paginate():
        for one in page["Functions"]:
            if one.get("LoggingConfig", {}).get("LogGroup") == group:
                return str(one["FunctionName"])
    raise TargetError(f"no function writes to {group}")


def _error(result: Any) -> dict[str, Any]:  # noqa: ANN401 - as free as JSON
    """What Lambda says of an exception: type, message, the calls that led there, and the last of our own code."""
    document = result if isinstance(result, dict) else {}
    trace = [_call(frame) for frame in document.get("stackTrace") or []]
    own = [frame for frame in trace if frame.startswith("handlers/")]
    kind, message = document.get("errorType", "Error"), document.get("errorMessage", "")
    return {
        "type": kind,
        "message": f"{kind}: {message}",
        "place": own[-1].partition(" in ")[0] if own else "",
        "trace": trace,
    }


def _call(frame: object) -> str:
    found = _FRAME.search(str(frame))
    if not found:
        return str(frame).strip()
    return f"{_OWN.sub('', found['file'])}:{found['line']} in {found['function']}"


def _failure(result: Any) -> str:  # noqa: ANN401 - as free as JSON
    """Why an answer without an error is a failure, "" where it is none."""
    document: Mapping[str, Any] = result if isinstance(result, dict) else {}
    if back := document.get("batchItemFailures"):
        return f"{len(back)} messages were handed back: {', '.join(str(one.get('itemIdentifier')) for one in back)}"
    status = document.get("statusCode", 0)
    return f"the answer has the status {status}" if isinstance(status, int) and status >= _REFUSED else ""


def _line(text: str) -> LogEvent:
    said = str(laptop.fields(text).get("timestamp", ""))
    try:
        moment = datetime.fromisoformat(said).timestamp()
    except ValueError:
        moment = time.time()
    return LogEvent("", "", int(moment * 1000), text)


def _shown(function: str, event: LogEvent, found: Target) -> list[str]:
    sources = ROOT if found.emulator else None  # of what is on AWS nobody knows that it is this code
    return loglines.mishap(function, event, sources) or loglines.shown(function, event)
