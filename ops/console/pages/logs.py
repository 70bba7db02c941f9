"""What the functions have logged: the saved queries, and one event from its request to its outcome."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ops.cli import logs
from ops.console.views import Desk, FieldError, page, show, whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from ops.local.cloudwatch.definitions import SavedQuery

_ONE = "one-event"  # follows an event by its key or correlation id through all functions
_MOST_HOURS = 14 * 24  # logs are kept for as long, by default


def _show(desk: Desk, request: Request) -> Response:
    known = logs.saved(desk.link.target)
    given = request.query_params
    values = {"query": given.get("query", _ONE), "key": given.get("key", ""), "hours": given.get("hours", "1")}
    errors: dict[str, str] = {}
    rows: Sequence[Mapping[str, str]] | None = None
    if "query" in given:  # else nothing was asked for yet
        try:
            rows = _rows(desk, known, values)
        except FieldError as error:
            errors = {error.field: str(error)}
    columns = list(dict.fromkeys(column for row in rows or [] for column in row))
    shown = {"values": values, "errors": errors, "rows": rows, "columns": columns}
    about = sorted(name for name, query in known.items() if logs.wants_key(query))
    return page(desk, "logs.html", current="/logs", queries=sorted(known), about=about, **shown)


def _rows(desk: Desk, known: Mapping[str, SavedQuery], values: Mapping[str, str]) -> list[dict[str, str]]:
    """The rows of a query.

    Raises:
        FieldError: it is none, or wants what was not given.
    """
    if values["query"] not in known:
        raise FieldError("query", "There is no such query")
    hours = whole(values, "hours", 1, _MOST_HOURS)
    query = known[values["query"]]
    key = values["key"].strip()
    if logs.wants_key(query) and not key:
        raise FieldError("key", "This query is about one event: its key or correlation id")
    until = int(time.time()) + 1
    return logs.ask(
        desk.link.target, logs.filled(query, key if logs.wants_key(query) else None), until - hours * 3600, until
    )


ROUTES = [show("/logs", _show)]
