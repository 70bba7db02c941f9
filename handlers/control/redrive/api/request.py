"""What an operator asks of a redrive, validated: every fault at once, each with its JSON pointer."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from handlers import jsontext
from handlers.control.redrive.run.record import RedriveRequest
from handlers.control.redrive.sqs.target import DEFAULT_PIPELINE, Target
from handlers.errors import Detail, SchemaValidationError

_ERROR_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,127}")
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}")
_ALIAS = "filterErrorType"
_RETENTION_SECONDS = 14 * 24 * 3600  # no letter is older: the longest that SQS keeps a message
_MAX_LISTED = 100
_MAX_DELAY_SECONDS = 900  # SQS's limit of DelaySeconds
_MIN_RATE, _MAX_RATE = 0.001, 1000  # a second; slower than one in a quarter of an hour is not a rate but an end

# A check returns what is wrong with a value, "" where nothing is.
Check = Callable[[jsontext.Json], str]


def read_start(body: jsontext.Json, targets: Mapping[str, Target]) -> RedriveRequest:
    """Reads the body of `POST /redrive/start`.

    Raises:
        SchemaValidationError: it is none.
    """
    given = jsontext.integral(body)
    if not isinstance(given, dict):
        raise SchemaValidationError(Detail("", f"must be an object, got {jsontext.describe(given)}"))
    return _read(given, _START, targets, default_messages=100)


def read_preview(query: Mapping[str, str], targets: Mapping[str, Target]) -> RedriveRequest:
    """Reads the query of `GET /redrive/preview`.

    Raises:
        SchemaValidationError: it is none.
    """
    values: jsontext.JsonObject = {name: _number_or_text(text) for name, text in query.items()}
    return _read(values, _PREVIEW, targets, default_messages=20)


def read_list(query: Mapping[str, str]) -> int:
    """Reads the query of `GET /redrive`: how many runs to list.

    Raises:
        SchemaValidationError: it is none.
    """
    details = [Detail(jsontext.pointer(name), "is not known") for name in sorted(query.keys() - {"limit"})]
    limit = _number_or_text(query.get("limit", "20"))
    if not isinstance(limit, int) or not 1 <= limit <= _MAX_LISTED:
        details.append(Detail("/limit", f"must be an integer from 1 to {_MAX_LISTED}"))
    if details or not isinstance(limit, int):
        raise SchemaValidationError(*details)
    return limit


def read_cancel(body: jsontext.Json) -> str:
    """Reads the body of `POST /redrive/cancel`: the id of a redrive, in whatever form; "" where it names none.

    Raises:
        SchemaValidationError: it is none.
    """
    if not isinstance(body, dict):
        raise SchemaValidationError(Detail("", f"must be an object, got {jsontext.describe(body)}"))
    details = [Detail(jsontext.pointer(name), "is not known") for name in sorted(body.keys() - {"redriveId"})]
    redrive_id = body.get("redriveId", "")
    if "redriveId" in body and not redrive_id:
        details.append(Detail("/redriveId", "must be the id of a redrive; left out, it is the one that runs"))
    elif not isinstance(redrive_id, str):
        details.append(Detail("/redriveId", "must be the id of a redrive"))
    if details or not isinstance(redrive_id, str):
        raise SchemaValidationError(*details)
    return redrive_id


def _number_or_text(text: str) -> jsontext.Json:
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else text


def _integer(low: int, high: int) -> Check:
    def check(value: jsontext.Json) -> str:
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return ""
        return f"must be an integer from {low} to {high}, got {_got(value)}"

    return check


def _rate(value: jsontext.Json) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool) and _MIN_RATE <= value <= _MAX_RATE:
        return ""
    return f"must be a number from {_MIN_RATE} to {_MAX_RATE}, got {_got(value)}"


def _boolean(value: jsontext.Json) -> str:
    return "" if isinstance(value, bool) else f"must be true or false, got {_got(value)}"


def _error_type(value: jsontext.Json) -> str:
    if isinstance(value, str) and _ERROR_TYPE.fullmatch(value):
        return ""
    return "must be the name of an error type: a letter, then at most 127 letters, digits, _ and ."


def _text(value: jsontext.Json) -> str:
    return "" if isinstance(value, str) else f"must be a string, got {jsontext.describe(value)}"


def _got(value: jsontext.Json) -> str:
    """A number as it is, else its type: what the caller sent is not echoed."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value)[:32] if is_number else jsontext.describe(value)


_FILTERS: dict[str, Check] = {
    "pipeline": _text,
    "errorType": _error_type,
    _ALIAS: _error_type,
    "minAgeSeconds": _integer(0, _RETENTION_SECONDS),
}
_PREVIEW = _FILTERS | {"maxMessages": _integer(1, 1000)}
_START = _FILTERS | {
    "maxMessages": _integer(1, 100_000),
    "perMessageDelayJitter": _integer(0, _MAX_DELAY_SECONDS),
    "ratePerSecond": _rate,
    "canary": _integer(0, 100),
    "dryRun": _boolean,
}


def _read(
    values: jsontext.JsonObject, checks: Mapping[str, Check], targets: Mapping[str, Target], *, default_messages: int
) -> RedriveRequest:
    given: dict[str, Any] = values
    details = [
        Detail(jsontext.pointer(name), fault)
        for name, value in given.items()
        if (fault := checks[name](value) if name in checks else f"is not known; known are {', '.join(checks)}")
    ]
    pipeline = given.get("pipeline", _default_pipeline(targets))
    if isinstance(pipeline, str) and pipeline not in targets:
        details.append(Detail("/pipeline", f"must be one of {', '.join(sorted(targets))}"))
    elif isinstance(pipeline, str) and targets[pipeline].fifo and given.get("perMessageDelayJitter"):
        details.append(Detail("/perMessageDelayJitter", "must be 0: a FIFO queue takes no delay of a single message"))
    alias = given.get(_ALIAS, given.get("errorType"))
    if alias != given.get("errorType", alias):
        details.append(Detail(f"/{_ALIAS}", "differs from errorType"))
    if details:
        raise SchemaValidationError(*details)
    return RedriveRequest(
        pipeline=pipeline,
        max_messages=given.get("maxMessages", default_messages),
        error_type=alias or "",
        min_age_seconds=given.get("minAgeSeconds", 0),
        jitter=given.get("perMessageDelayJitter", 0),
        rate=given.get("ratePerSecond", 0),
        canary=given.get("canary", 0),
        dry_run=given.get("dryRun", False),
    )


def _default_pipeline(targets: Mapping[str, Target]) -> str:
    """`events`, or the first that leads to the only queue; "" (no pipeline's name) asks the caller to choose."""
    if DEFAULT_PIPELINE in targets:
        return DEFAULT_PIPELINE
    return next(iter(targets)) if len({one.queue_url for one in targets.values()}) == 1 else ""
