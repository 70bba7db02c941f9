"""The picture: each pipeline as it is deployed, with what is in it now."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ops.cli.target import PROJECT
from ops.console import topology
from ops.console.views import Desk, live, page, show

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from ops.console.snapshot import Snapshot
    from ops.console.topology import Drawing, Graph, Spot

_REDRAW_SECONDS = 60.0  # what is connected to what changes with a deployment only
_ROLES = {
    "queueUrl": "main",
    "dlqUrl": "dlq",
    "undeliveredUrl": "undelivered",
    "noticesUrl": "notices",
    "noticesDlqUrl": "dead notices",
}
_COLUMN, _ROW, _WIDTH, _HEIGHT, _MARGIN = 190, 84, 150, 54, 8  # pixels
_TOP = 22  # above the first row: what is in flight stands above the gap between two boxes, which is too narrow for it


@dataclass(frozen=True, slots=True)
class Box:
    """A resource as it is shown: what it is, what stands in it now, and whether that is right."""

    name: str
    kind: str
    told: str
    state: str  # ok, busy, bad
    x: int
    y: int
    prefix: str  # what all names of the stack begin with, or may begin with

    @property
    def short(self) -> str:
        """Its name, as long as the box is wide; the whole name is in the box's title."""
        name = self.name.removeprefix(self.prefix)
        return name if len(name) <= 21 else f"{name[:20]}…"


@dataclass(frozen=True, slots=True)
class Way:
    """A line between two boxes. `label` is what goes along it; `state` as that of a box, or `paused`."""

    path: str
    label: str
    x: float
    y: float
    state: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A pipeline to be drawn."""

    pipeline: str
    width: int
    height: int
    boxes: Sequence[Box]
    ways: Sequence[Way]
    breaker: str
    consumer: str
    dead: int

    @property
    def trouble(self) -> list[str]:
        """What is not as it should be, in words."""
        found = [f"{box.name}: {box.told}" for box in self.boxes if box.state == "bad"]
        return found if self.breaker == "CLOSED" else [f"circuit breaker {self.breaker}", *found]


class _Atlas:
    """The drawings of the stack, made anew now and then."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: tuple[object, float, Sequence[Drawing]] = (None, 0.0, [])

    def drawings(self, desk: Desk) -> Sequence[Drawing]:
        with self._lock:
            of, until, made = self._made
            found = desk.link.target
            if of != found.outputs or time.monotonic() > until:
                graphs: list[Graph] = topology.read(found, desk.link.client)
                made = [topology.drawn(graph) for graph in graphs]
                self._made = (found.outputs, time.monotonic() + _REDRAW_SECONDS, made)
            return made


_ATLAS = _Atlas()


def _show(desk: Desk, _: Request) -> Response:
    return page(desk, "overview.html", current="/", **_values(desk))


def _live(desk: Desk, request: Request) -> Response:
    return live(request, "_overview.html", **_values(desk))


def _values(desk: Desk) -> dict[str, object]:
    now = desk.reader.read()
    prefix = f"{PROJECT}-{desk.link.stack}-"
    return {"pictures": pictures(_ATLAS.drawings(desk), now, prefix), "now": now, "counts": _alarm_counts(now)}


def _alarm_counts(now: Snapshot) -> Mapping[str, int]:
    """How many are in which state, without those that only sum up others."""
    alarms = [one for one in now.alarms if one.runbook]
    return {state: sum(one.state == state for one in alarms) for state in ("ALARM", "INSUFFICIENT_DATA", "OK")}


def pictures(drawings: Sequence[Drawing], now: Snapshot, prefix: str = "") -> list[Picture]:
    """The drawings with what stands in them now."""
    return [_picture(drawing, now, prefix) for drawing in drawings]


def _picture(drawing: Drawing, now: Snapshot, prefix: str) -> Picture:
    boxes = {key: _box(spot, drawing.pipeline, now, prefix) for key, spot in drawing.spots.items()}
    consumer = now.consumers[drawing.pipeline]
    return Picture(
        pipeline=drawing.pipeline,
        width=drawing.columns * _COLUMN - (_COLUMN - _WIDTH) + 2 * _MARGIN,
        height=drawing.rows * _ROW - (_ROW - _HEIGHT) + _TOP + _MARGIN,
        boxes=list(boxes.values()),
        ways=[_way(drawing, boxes, way, now) for way in drawing.ways],
        breaker=now.breakers[drawing.pipeline],
        consumer=consumer,
        dead=now.queues[drawing.pipeline]["dlq"]["visible"] + now.queues[drawing.pipeline]["dlq"]["inFlight"],
    )


def _box(spot: Spot, pipeline: str, now: Snapshot, prefix: str) -> Box:
    node = spot.node
    told, state = "", "ok"
    if node.role:
        counts = now.queues[pipeline][_ROLES[node.role]]
        total = sum(counts.values())
        told = f"{counts['visible']:,} waiting"
        told += f", {counts['inFlight'] + counts['delayed']:,} out" if total > counts["visible"] else ""
        state = ("bad" if node.kind == "dead letters" else "busy") if total else "ok"
    elif node.kind == "function":
        counts = now.functions.get(node.name, {})
        errors, throttles = counts.get("errors", 0), counts.get("throttles", 0)
        told = f"{counts.get('invocations', 0):,} runs in 5 min"
        told = f"{errors:,} errors, {told}" if errors else f"{throttles:,} throttled, {told}" if throttles else told
        state = "bad" if errors or throttles else "busy" if counts.get("invocations") else "ok"
    x, y = spot.column * _COLUMN + _MARGIN, spot.row * _ROW + _TOP
    return Box(node.name, node.kind, told, state, x, y, prefix)


def _way(drawing: Drawing, boxes: Mapping[str, Box], way: tuple[str, str], now: Snapshot) -> Way:
    source, target = drawing.spots[way[0]], drawing.spots[way[1]]
    one, other = boxes[way[0]], boxes[way[1]]
    label, state = "", "ok"
    if source.node.kind == "queue" and target.node.kind == "function":
        flying = now.queues[drawing.pipeline][_ROLES[source.node.role]]["inFlight"]
        is_main = source.node.role == "queueUrl"
        is_paused = is_main and now.consumers[drawing.pipeline] not in ("Enabled", "")
        label = "paused" if is_paused else f"{flying:,} in flight" if flying else ""
        state = "paused" if is_paused else "busy" if flying else "ok"
    elif target.node.kind == "function":  # its box says over which time it has run how often
        state = "busy" if now.functions.get(target.node.name, {}).get("invocations") else "ok"
    elif target.node.kind == "dead letters" and boxes[way[1]].state == "bad":
        state = "bad"
    if source.column == target.column:  # straight down
        x, top, bottom = one.x + _WIDTH / 2, one.y + _HEIGHT, other.y
        return Way(f"M{x} {top}V{bottom}", label, x, (top + bottom) / 2, state)
    to_the_left = target.column < source.column
    if to_the_left:
        start, from_y, end, to_y = one.x + _WIDTH // 2, one.y + _HEIGHT, other.x + _WIDTH, other.y + _HEIGHT // 2
        path = f"M{start} {from_y}C{start} {to_y} {start} {to_y} {end} {to_y}"
    else:
        start, from_y, end, to_y = one.x + _WIDTH, one.y + _HEIGHT // 2, other.x, other.y + _HEIGHT // 2
        bend = (end - start) // 2
        path = f"M{start} {from_y}C{start + bend} {from_y} {end - bend} {to_y} {end} {to_y}"
    return Way(path, label, (start + end) / 2, other.y - 6, state)


ROUTES = [show("/", _show), show("/overview/live", _live)]
