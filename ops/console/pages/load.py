"""The load sender: events or orders at a rate, with progress and latencies, until the end or a stop."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from ops.cli.events.sender import Plan
from ops.console.link import trouble
from ops.console.load import BusyError
from ops.console.views import Desk, FieldError, Form, act, confirm, fragment, live, number, page, place, show, whole
from ops.load.scenario import PATHS, Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

# What a browser and a server on one machine can be asked for; `lab send` and Locust have no such limits.
_MOST_RATE, _MOST_SECONDS, _MOST_EVENTS = 500, 3600, 100_000
_MOST_CONNECTIONS, _MOST_GROUPS = 50, 10_000
_MOST_DUPLICATES, _MOST_POISON = 90, 100  # percent


def _show(desk: Desk, _: Request) -> Response:
    return page(desk, "load.html", current="/load", **_form(desk, {}), **_values(desk))


def _live(desk: Desk, request: Request) -> Response:
    return live(request, "_load.html", **_values(desk))


def _start(desk: Desk, _: Request, form: Form) -> Response:
    try:
        confirm(desk, form)
        scenario, plan, total = _wanted(desk, form)
        desk.load.start(desk.link.target, scenario, plan, total)
    except FieldError as error:
        return fragment("_load_form.html", place=place(desk.link), **_form(desk, form, {error.field: str(error)}))
    except BusyError as error:
        errors = {"": trouble(error) or ""}
        return fragment("_load_form.html", place=place(desk.link), **_form(desk, form, errors))
    desk.reader.forget()
    return fragment("_load_form.html", place=place(desk.link), **_form(desk, form, is_started=True))


def _wanted(desk: Desk, form: Form) -> tuple[Scenario, Plan, int]:
    """What to send, how, and how many.

    Raises:
        FieldError: something is not what its field takes.
    """
    pipeline = form.get("pipeline", "")
    if pipeline not in _pipelines(desk):
        raise FieldError("pipeline", "Choose one of these")
    rate = number(form, "rate", 0.1, _MOST_RATE)
    seconds = number(form, "duration", 1, _MOST_SECONDS)
    if rate * seconds > _MOST_EVENTS:
        raise FieldError("duration", f"That is more than {_MOST_EVENTS:,} in all; lab send has no such limit")
    scenario = Scenario(
        run=uuid.uuid4().hex[:8],
        pipeline="orders" if pipeline == "orders" else "events",
        duplicates=number(form, "duplicates", 0, _MOST_DUPLICATES, 0),
        poison=number(form, "poison", 0, _MOST_POISON, 0),
        groups=whole(form, "groups", 0, _MOST_GROUPS, 0),
    )
    plan = Plan(
        batch=form.get("batch") == "on" and pipeline == "events",
        rate=rate,
        connections=whole(form, "connections", 1, _MOST_CONNECTIONS),
        seconds=seconds,
        path=PATHS[pipeline],
    )
    return scenario, plan, max(1, round(rate * seconds))


def _stop(desk: Desk, _: Request, __: Form) -> Response:
    desk.load.stop()
    return fragment("_load.html", **_values(desk))


def _values(desk: Desk) -> dict[str, Any]:
    return {"load": desk.load.progress()}


def _pipelines(desk: Desk) -> list[str]:
    return [name for name in PATHS if name in desk.link.target.pipelines]


def _form(
    desk: Desk, values: Mapping[str, str], errors: Mapping[str, str] | None = None, *, is_started: bool = False
) -> dict[str, Any]:
    fresh = {"rate": "10", "duration": "30", "connections": str(desk.link.target.connections)}
    fresh |= {"pipeline": "events", "duplicates": "0", "poison": "0", "groups": "0", "batch": "", "confirm": ""}
    limits = {
        "rate": _MOST_RATE,
        "duration": _MOST_SECONDS,
        "connections": _MOST_CONNECTIONS,
        "duplicates": _MOST_DUPLICATES,
        "poison": _MOST_POISON,
        "groups": _MOST_GROUPS,
    }
    return {
        "values": {**fresh, **values},
        "errors": errors or {},
        "most": limits,
        "pipelines": _pipelines(desk),
        "is_started": is_started,
    }


ROUTES = [
    show("/load", _show),
    show("/load/live", _live),
    act("/load/start", _start),
    act("/load/stop", _stop),
]
