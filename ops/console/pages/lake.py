"""The lake: objects of bronze and what became of each, a look into quarantine and silver, an upload."""

from __future__ import annotations

import io
import random
import re
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from botocore.exceptions import ClientError

from handlers.lake import schemas
from handlers.lake.errors import UnreadableObjectError
from handlers.lake.message import PREFIX, Source, kind_of
from ops.cli.lake import quarantine, samples
from ops.console import lake, peek
from ops.console.lake import Entry, Fate, TakenError, Upload
from ops.console.views import Desk, FieldError, File, Form, act, confirm, fragment, live, page, place, show, take, whole
from ops.local.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

MOST_BYTES = 4 * 1024 * 1024  # of a file that is put from here
_TOO_LARGE = f"At most {MOST_BYTES // 1024**2} MiB here; larger ones with: aws s3 cp"
_MOST_ROWS = 10_000  # of a sample
_MOST_ENTRIES = 50  # of a quarantine file that are shown at once
_MOST_SKIPPED = 10**9
_MOST_FILES = 100  # of an object that are listed
_NAME = re.compile(r"[^/\\\x00-\x1f\x7f]{1,200}")
_SETTLED = ("DONE", "FAILED", "IGNORED")
_PARQUET = ("silver/", "compacted/")
_SPAN = re.compile(r"(\d{1,15})-(\d{1,15})")


def _show(desk: Desk, request: Request) -> Response:
    if _lake(desk) is None:
        return page(desk, "lake.html", current="/lake", listing=None)
    recent = [_sent(desk, one) for one in list(desk.uploads)]
    return page(desk, "lake.html", current="/lake", recent=recent, **_form({}), **_objects(desk, request))


def _live(desk: Desk, request: Request) -> Response:
    return live(request, "_lake.html", **_objects(desk, request))


def _objects(desk: Desk, request: Request) -> dict[str, Any]:
    """What lies in bronze, with the fates where they are cheap to know or were asked for."""
    of = request.query_params
    filters = {"type": of.get("type", ""), "prefix": of.get("prefix", "")}
    prefix = f"{filters['type']}/{filters['prefix']}" if filters["type"] else ""
    bucket, s3 = _bucket(desk), desk.link.client("s3")
    found = lake.listing(s3, bucket, prefix)
    fates = _fates(desk, request, found.entries) if found.entries else {}
    return {
        "listing": found,
        "listed": lake.LISTED,
        "fates": fates,
        "kinds": _KINDS,
        "filters": filters,
        "query": urlencode(filters),
        "types": list(schemas.types()),
        "is_cheap": desk.link.target.counts_records,
    }


def _fates(desk: Desk, request: Request, entries: Sequence[Entry]) -> Mapping[str, Fate] | None:
    """None where nobody has asked for what costs money."""
    found, dynamodb = desk.link.target, desk.link.client("dynamodb")
    keys = [one.key for one in entries]
    if found.counts_records:
        records = desk.bronze.read(found, dynamodb, keys)
    elif request.query_params.get("records"):
        records = lake.read(found, dynamodb, keys)
    else:
        return None
    return lake.fates(desk.link.client("s3"), _bucket(desk), entries, records)


# --- one object


def _object(desk: Desk, request: Request) -> Response:
    values = _one(desk, request)
    if values is None:
        return _missing(desk, "such object in bronze")
    return page(desk, "lake_object.html", current="/lake", **values)


def _object_live(desk: Desk, request: Request) -> Response:
    values = _one(desk, request)
    return live(request, "_lake_object.html", **values) if values else _missing(desk, "such object in bronze")


def _one(desk: Desk, request: Request) -> dict[str, Any] | None:
    key = request.query_params.get("key", "")
    found = lake.entry(desk.link.client("s3"), _bucket(desk), key) if key.startswith(PREFIX) else None
    if found is None:
        return None
    fates = _fates(desk, request, [found])
    return {
        "entry": found,
        "fate": fates[key] if fates else None,
        "kinds": _KINDS,
        "most_files": _MOST_FILES,
        "is_cheap": desk.link.target.counts_records,
        "can_count": found.size <= peek.MOST_BYTES,
        "query": urlencode({"key": key}),
    }


def _count(desk: Desk, request: Request) -> Response:
    """Rows of the object itself, beside those that its records tell of."""
    values = _one(desk, request)
    if values is None or not values["can_count"]:
        return fragment("_lake_count.html", told="It is not there any more, or too large to be counted here.", rows=0)
    one: Entry = values["entry"]
    try:
        match = f'"{one.etag}"'
        answer = desk.link.client("s3").get_object(Bucket=_bucket(desk), Key=one.key, IfMatch=match)
        rows = peek.count(answer["Body"].read(), one.key)
    except peek.PeekError as error:
        return fragment("_lake_count.html", told=f"{error}.", rows=0)
    return fragment("_lake_count.html", told="", rows=rows, fate=values["fate"])


# --- into files


def _parquet(desk: Desk, request: Request) -> Response:
    key = request.query_params.get("key", "")
    if not key.startswith(_PARQUET):
        return _missing(desk, "such file in silver")
    try:
        answer = desk.link.client("s3").get_object(
            Bucket=_group(desk)["silverBucket"], Key=key, Range=f"bytes=-{peek.MOST_BYTES}"
        )
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"NoSuchKey", "InvalidRange"}:
            raise
        return _missing(desk, "such file in silver")
    content = answer["Body"].read()
    size = int(answer.get("ContentRange", f"/{len(content)}").rpartition("/")[2])
    values: dict[str, Any] = {"key": key, "size": size, "most": peek.MOST_BYTES, "look": None, "told": ""}
    try:
        values["look"] = peek.parquet(content, is_whole=len(content) == size)
    except peek.PeekError as error:
        values["told"] = str(error)
    return page(desk, "lake_file.html", current="/lake", **values)


def _bad(desk: Desk, request: Request) -> Response:
    """Rows of a quarantine file, some at a time."""
    key = request.query_params.get("key", "")
    if not key.startswith(quarantine.PREFIX):
        return _missing(desk, "such file in quarantine")
    told, entries = "", list[quarantine.Entry]()
    try:
        skipped = whole(request.query_params, "after", 0, _MOST_SKIPPED, 0)
    except FieldError:
        return _missing(desk, "such row in quarantine")
    try:
        found = quarantine.entries(desk.link.client("s3"), _group(desk)["silverBucket"], key)
        entries = list(islice(found, skipped, skipped + _MOST_ENTRIES + 1))
        found.close()
    except LabError as error:
        told = str(error)
    return page(
        desk,
        "lake_bad.html",
        current="/lake",
        key=key,
        told=told,
        entries=entries[:_MOST_ENTRIES],
        skipped=skipped,
        following=skipped + _MOST_ENTRIES if len(entries) > _MOST_ENTRIES else 0,
    )


# --- uploads


def _upload(desk: Desk, _: Request, form: Form, file: File | None) -> Response:
    try:
        chosen = _chosen(file)
        confirm(desk, form)
        return _put(desk, form, _key(form, chosen.name), chosen.content, "file")
    except FieldError as error:
        return fragment("_lake_form.html", sent=None, **_shown(desk, form, error))


def _sample(desk: Desk, _: Request, form: Form) -> Response:
    try:
        rows = whole(form, "rows", 1, _MOST_ROWS)
        bad = whole(form, "bad", 0, 100)
        record_type = _one_of(form, list(samples.TYPES))
        confirm(desk, form)
        now, seed, sink = datetime.now(UTC), random.randrange(10**9), io.BytesIO()  # noqa: S311 - made-up data
        yesterday = (now - timedelta(days=1)).date()
        made = samples.Samples(type=record_type, seed=seed, bad_percent=bad, first_day=yesterday)
        samples.write(made, sink, rows=rows)
        name = f"sample-{now:%Y%m%dT%H%M%S}-{seed % 10_000:04}.jsonl"
        return _put(desk, form, _key(form, name), sink.getvalue(), "rows")
    except FieldError as error:
        return fragment("_lake_sample.html", sent=None, **_shown(desk, form, error))


def _chosen(file: File | None) -> File:
    """The file, where there is one to put.

    Raises:
        FieldError: there is none.
    """
    if file is None:
        raise FieldError("file", "Choose a file, or drop one here")
    if len(file.content) > MOST_BYTES:
        raise FieldError("file", _TOO_LARGE)
    if not file.content:
        raise FieldError("file", "It is empty")
    return file


def _one_of(form: Form, types: Sequence[str]) -> str:
    """The type that was chosen.

    Raises:
        FieldError: it is none of these.
    """
    if form.get("type", "") not in types:
        raise FieldError("type", f"One of {', '.join(types)}")
    return form["type"]


def _key(form: Form, name: str) -> str:
    """The object's key.

    Raises:
        FieldError: it would be none of the lake's.
    """
    record_type = _one_of(form, list(schemas.types()))
    name = name.replace("\\", "/").rpartition("/")[2]
    key = f"{PREFIX}{record_type}/{name}"
    if not _NAME.fullmatch(name) or kind_of(key) is None:
        raise FieldError(
            "file", "Its name must end in .json, .jsonl, .ndjson or .geojson, with .gz, .zst or .bz2 or not"
        )
    return key


def _put(desk: Desk, form: Form, key: str, content: bytes, field: str) -> Response:
    """Put an object, and follow it.

    Raises:
        FieldError: the lake would not read it, or has one of this name.
    """
    function = _group(desk)["ingestFunctionName"]
    variables = desk.link.client("lambda").get_function_configuration(FunctionName=function)["Environment"]["Variables"]
    try:
        put = lake.put(desk.link.client("s3"), _bucket(desk), key, content, int(variables["CHUNK_BYTES"]))
    except UnreadableObjectError as error:
        raise FieldError(field, f"The lake can't read it: {error}") from None
    except TakenError as error:
        raise FieldError(field, f"{error}: give it another name") from None
    desk.uploads.appendleft(put)
    template = "_lake_form.html" if field == "file" else "_lake_sample.html"
    kept = {"type": form.get("type", "")}
    return fragment(template, sent=_sent(desk, put), **_shown(desk, kept))


def _followed(desk: Desk, request: Request) -> Response:
    """What has become of an upload: the address says which bytes they were."""
    of = request.query_params
    try:
        size = whole(of, "size", 1, MOST_BYTES)
    except FieldError:
        return _missing(desk, "such upload")
    bucket, key, version, etag = _bucket(desk), of.get("key", ""), of.get("version", ""), of.get("etag", "")
    source = Source(bucket, key, version, etag, size, content=of.get("content", ""))
    spans = [(int(start), int(end)) for start, end in _SPAN.findall(of.get("spans", ""))]
    return fragment("_lake_sent.html", sent=_sent(desk, Upload(source, spans)))


def _sent(desk: Desk, put: Upload) -> dict[str, Any]:
    one = put.source
    fate = put.look(desk.link.target, desk.link.client("dynamodb"))
    following = {
        "key": one.key,
        "size": one.size,
        "version": one.version_id,
        "etag": one.etag,
        "content": one.content,
        "spans": ",".join(f"{start}-{end}" for start, end in put.spans),
    }
    return {
        "key": one.key,
        "id": one.digest,
        "fate": fate,
        "kind": _KINDS.get(fate.word, "busy"),
        "settled": fate.word in _SETTLED,
        "query": urlencode(following),
    }


# --- shared

_KINDS = {"DONE": "ok", "FAILED": "bad", "RETRYING": "warn", "IGNORED": "idle", "NO RECORD": "idle"}


def _lake(desk: Desk) -> Mapping[str, str] | None:
    return desk.link.target.pipelines.get("lake")


def _group(desk: Desk) -> Mapping[str, str]:
    found = _lake(desk)
    if found is None:
        raise LabError(f"the stack {desk.link.stack} has no lake")
    return found


def _bucket(desk: Desk) -> str:
    return _group(desk)["bronzeBucket"]


def _missing(desk: Desk, what: str) -> Response:
    return page(desk, "missing.html", current="/lake", what=what, back="/lake")


def _shown(desk: Desk, values: Mapping[str, str], error: FieldError | None = None) -> dict[str, Any]:
    return {"place": place(desk.link), "types": list(schemas.types()), **_form(values, error)}


def _form(values: Mapping[str, str], error: FieldError | None = None) -> dict[str, Any]:
    fresh = {"type": "shipments", "rows": "100", "bad": "5"}
    return {
        "values": {**fresh, **values},
        "errors": {error.field: str(error)} if error else {},
        "sample_types": list(samples.TYPES),
        "most": MOST_BYTES,
        "refusal": _TOO_LARGE,
    }


ROUTES = [
    show("/lake", _show),
    show("/lake/live", _live),
    take("/lake/upload", _upload, MOST_BYTES),
    act("/lake/sample", _sample),
    show("/lake/followed", _followed),
    show("/lake/object", _object),
    show("/lake/object/live", _object_live),
    show("/lake/object/count", _count),
    show("/lake/file", _parquet),
    show("/lake/quarantine", _bad),
]
