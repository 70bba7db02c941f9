"""Dead letters: what is there and why, what a redrive would do, redrives at work, single letters."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from starlette.responses import Response

from ops.cli import letters, records
from ops.cli.letters import LetterError
from ops.console import calls
from ops.console.snapshot import effective
from ops.console.views import Desk, FieldError, Form, act, confirm, fragment, live, number, page, place, show, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

_SHOWN = 50  # letters of a preview, as one comes to the page
_MOST_SHOWN = 1000  # the most that the API looks at in one
_ENTRIES = 100  # of a ledger, the most that the API lists at once
_KEY = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")  # as made for an event that came without one
_LATEST = 10**11  # seconds: longer than any stack lives
_MOST_MOVED = 100_000
_LIFE_SECONDS = 14 * 24 * 3600
_POINTERS = {
    "/errorType": "errorType",
    "/minAgeSeconds": "minAge",
    "/maxMessages": "max",
    "/perMessageDelayJitter": "jitter",
    "/ratePerSecond": "rate",
    "/canary": "canary",
}


def _show(desk: Desk, request: Request) -> Response:
    found = desk.link.target
    names = list(letters.queues(found))
    query = request.query_params
    pipeline = query.get("pipeline") or names[0]
    if pipeline not in names:
        return _no_queue(desk, pipeline)
    values = {"pipeline": pipeline, "errorType": query.get("errorType", ""), "minAge": query.get("minAge", "")}
    errors: dict[str, str] = {}
    preview, most = None, _SHOWN
    try:
        most = whole(query, "most", 1, _MOST_SHOWN, _SHOWN)
        asked = {
            "pipeline": pipeline,
            "maxMessages": most,
            "minAgeSeconds": whole(values, "minAge", 0, _LIFE_SECONDS, 0),
        }
        asked |= {"errorType": values["errorType"].strip()} if values["errorType"].strip() else {}
        answer = calls.get(found, f"/redrive/preview?{urlencode(asked)}")
        preview = answer.body if answer.status == 200 else None
        errors = {} if preview else calls.refusals(answer, _POINTERS)
    except FieldError as error:
        errors = {error.field: str(error)}
    now = datetime.now(UTC)
    return page(
        desk,
        "letters.html",
        current="/letters",
        pipelines=names,
        filters=values,
        filter_errors=errors,
        preview=preview,
        most=most,
        seen_at=now,
        since=urlencode({"pipeline": pipeline, "at": now.timestamp()}),
        again=f"/letters?{urlencode(values | ({'most': str(most)} if most != _SHOWN else {}))}",
        more=f"/letters?{urlencode(values | {'most': str(_MOST_SHOWN)})}" if most < _MOST_SHOWN else "",
        mode=effective(desk.reader.failure()),
        **_form(values),
        **_runs(desk),
    )


def _since(desk: Desk, request: Request) -> Response:
    """What a look does not show: that a redrive has taken letters since. Another look would hide them for a while."""
    query = request.query_params
    at = number(query, "at", 0, _LATEST, 0)
    runs = [one for one in _latest(desk) if one["request"]["pipeline"] == query.get("pipeline")]
    ends = [datetime.fromisoformat(one["finishedAt"]).timestamp() for one in runs if one["finishedAt"]]
    is_stale = max(ends, default=0.0) > at
    return live(request, "_since.html", is_stale=is_stale, is_running=any(not one["finishedAt"] for one in runs))


def _no_queue(desk: Desk, pipeline: str) -> Response:
    return page(desk, "missing.html", current="/letters", what=f"dead-letter queue {pipeline}", back="/letters")


def _start(desk: Desk, _: Request, form: Form) -> Response:
    try:
        confirm(desk, form)
        body = _redrive(form)
    except FieldError as error:
        return fragment("_letters_form.html", place=place(desk.link), **_form(form, {error.field: str(error)}))
    answer = calls.post(desk.link.target, "/redrive/start", body)
    desk.reader.forget()
    if answer.status != 202:
        errors = calls.refusals(answer, _POINTERS)
        return fragment("_letters_form.html", place=place(desk.link), **_form(form, errors))
    started = str(answer.body["redriveId"])
    return fragment("_letters_form.html", place=place(desk.link), **_form(form, started=started))


def _redrive(form: Form) -> dict[str, Any]:
    """What `POST /redrive/start` takes.

    Raises:
        FieldError: something is no number.
    """
    body: dict[str, Any] = {
        "pipeline": form.get("pipeline", ""),
        "maxMessages": whole(form, "max", 1, _MOST_MOVED, 100),
        "minAgeSeconds": whole(form, "minAge", 0, _LIFE_SECONDS, 0),
        "perMessageDelayJitter": whole(form, "jitter", 0, 900, 0),
        "canary": whole(form, "canary", 0, 100, 0),
        "dryRun": form.get("dryRun") == "on",
    }
    if error_type := form.get("errorType", "").strip():
        body["errorType"] = error_type
    if rate := form.get("rate", "").strip():
        try:
            body["ratePerSecond"] = json.loads(rate)
        except ValueError:
            raise FieldError("rate", "A number, as in 10 or 0.5") from None
    return body


def _run(desk: Desk, request: Request) -> Response:
    """A run with its ledger, as a page of its own."""
    run = _asked(desk, request.path_params["run"], cursor := request.query_params.get("cursor", ""))
    if run is None:
        return page(desk, "missing.html", current="/letters", what="such redrive", back="/letters")
    return page(desk, "run.html", current="/letters", run=run, cursor=cursor)


def _run_live(desk: Desk, request: Request) -> Response:
    run = _asked(desk, request.path_params["run"], cursor := request.query_params.get("cursor", ""))
    return live(request, "_run.html", run=run, cursor=cursor) if run else Response(status_code=204)


def _asked(desk: Desk, run: str, cursor: str = "") -> dict[str, Any] | None:
    query = urlencode({"limit": _ENTRIES} | ({"cursor": cursor} if cursor else {}))
    found: dict[str, Any] | None = calls.find(desk.link.target, f"/redrive/{quote(run, safe='')}?{query}")
    return _brief(found) if found else None


def _cancel(desk: Desk, request: Request, _: Form) -> Response:
    run = request.path_params["run"]
    answer = calls.post(desk.link.target, "/redrive/cancel", {"redriveId": run})
    calls.must_be(answer, 200, 202, 404, 409)  # one that has ended meanwhile, or is gone, is shown so
    found = _asked(desk, run)
    return fragment("_run.html", run=found, cursor="") if found else Response(status_code=204)


def _runs_live(desk: Desk, request: Request) -> Response:
    return live(request, "_runs.html", **_runs(desk))


def _runs(desk: Desk) -> dict[str, object]:
    return {"runs": _latest(desk)}


def _latest(desk: Desk) -> list[dict[str, Any]]:
    answer = calls.get(desk.link.target, "/redrive?limit=10")
    calls.must_be(answer, 200)
    return [_brief(one) for one in answer.body["runs"]]


def _brief(run: Mapping[str, Any]) -> dict[str, Any]:
    """A run whose reason names keys by their beginning."""
    return {**run, "reason": _KEY.sub(r"\1…", run["reason"] or "")}


def _letter(desk: Desk, request: Request) -> Response:
    pipeline, message = request.path_params["pipeline"], request.path_params["message"]
    if pipeline not in letters.queues(desk.link.target):
        return _no_queue(desk, pipeline)
    try:
        letter = _held(desk, pipeline, message)
    except LetterError as error:
        return _gone(desk, pipeline, error)
    table, (reader, key) = desk.link.target.outputs["DynamoTableName"], letters.identity(pipeline, letter)
    record = records.one(desk.link.client("dynamodb"), table, reader, key)
    values = {"pipeline": pipeline, "letter": letters.document(letter), "key": key, "record": record, "errors": {}}
    return page(desk, "letter.html", current="/letters", **values)


def _download(desk: Desk, request: Request) -> Response:
    """The letter as a file, as `lab redrive show --json` prints it."""
    pipeline, message = request.path_params["pipeline"], request.path_params["message"]
    try:
        letter = letters.document(_held(desk, pipeline, message))
    except LetterError as error:
        return _gone(desk, pipeline, error)
    name = f"{pipeline}-{letter['messageId']}.json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    text = json.dumps(letter, indent=2, ensure_ascii=False)
    return Response(text, media_type="application/json", headers=headers)


def _gone(desk: Desk, pipeline: str, error: LetterError) -> Response:
    return page(desk, "gone.html", current="/letters", told=str(error), pipeline=pipeline)


def _held(desk: Desk, pipeline: str, message: str) -> dict[str, Any]:
    url = letters.queue_url(desk.link.target, pipeline)
    with letters.held(desk.link.client("sqs"), url, message) as letter:
        return letter


def _delete(desk: Desk, request: Request, form: Form) -> Response:
    pipeline, message = request.path_params["pipeline"], request.path_params["message"]
    try:
        confirm(desk, form)
        _be_sure(form)
    except FieldError as error:
        return fragment("_delete.html", pipeline=pipeline, message=message, **_deletion(desk, error))
    sqs, url = desk.link.client("sqs"), letters.queue_url(desk.link.target, pipeline)
    try:
        with letters.held(sqs, url, message) as letter:
            letters.delete(sqs, url, letter)
    except LetterError as error:
        told = FieldError("", f"Nothing was deleted: {error}")
        return fragment("_delete.html", pipeline=pipeline, message=message, **_deletion(desk, told))
    desk.reader.forget()
    return Response(headers={"HX-Redirect": f"/letters?{urlencode({'pipeline': pipeline})}"})


def _be_sure(form: Form) -> None:
    if form.get("sure") != "on":
        raise FieldError("sure", "Nothing brings it back: say that you are sure")


def _deletion(desk: Desk, error: FieldError | None = None) -> dict[str, Any]:
    return {"place": place(desk.link), "errors": {error.field: str(error)} if error else {}}


def _form(values: Mapping[str, Any], errors: Mapping[str, str] | None = None, started: str = "") -> dict[str, Any]:
    fresh = {"pipeline": "", "errorType": "", "minAge": "", "max": "100", "rate": "", "jitter": "0", "canary": "5"}
    return {"values": {**fresh, "dryRun": "", **values}, "errors": errors or {}, "started": started}


ROUTES = [
    show("/letters", _show),
    act("/letters/redrive", _start),
    show("/letters/runs", _runs_live),
    show("/letters/since", _since),
    show("/redrives/{run}", _run),
    show("/redrives/{run}/live", _run_live),
    act("/redrives/{run}/cancel", _cancel),
    show("/letters/{pipeline}/{message}", _letter),
    show("/letters/{pipeline}/{message}/file", _download),
    act("/letters/{pipeline}/{message}/delete", _delete),
]
