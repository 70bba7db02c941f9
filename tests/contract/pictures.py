"""The pipelines, drawn from what the program registers: python -m tests.contract.pictures writes `docs/pictures`.

A box for each resource that data goes through, as far from the entrance as the longest way to it. Dead letters stand
below what they come from, and below those the functions that act on the way instead of being a part of it: the circuit
breaker and redrive, with dashed lines. A bus that events come through is drawn again where outcomes leave by it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from tests.components.recording import EVERY_PIPELINE, ROOT, Recording, run_main

FOLDER = ROOT / "docs" / "pictures"
_COLUMN, _ROW, _WIDTH, _HEIGHT, _MARGIN = 206, 88, 150, 46, 20  # pixels
_CONTROL_ROW = 2  # below the main way and its dead letters
_SIDE = 24  # pixels that a line passes beside a box
_LONG = 20  # characters of a name that a box has room for
_KINDS: Mapping[str, str] = {
    "queueUrl": "queue",
    "dlqUrl": "dead letters",
    "noticesUrl": "queue",
    "noticesDlqUrl": "dead letters",
    "undeliveredUrl": "dead letters",
    "bronzeBucket": "bucket",
    "silverBucket": "bucket",
    "tableName": "table",
    "successTopicArn": "topic",
    "failureTopicArn": "topic",
}
_SHARED: Mapping[str, str] = {"DynamoTableName": "table", "EventBusName": "bus"}
_API = "HTTP API"
_AGAIN = ", again"  # of the key of what is drawn twice
_STYLE = """
  svg { font-family: system-ui, sans-serif; font-size: 12px; background: #fff }
  .way { fill: none; stroke: #57606a; stroke-width: 1.4; marker-end: url(#head) }
  .acts { stroke: #8250df; stroke-dasharray: 5 4 }
  .box rect { fill: #f6f8fa; stroke: #8c959f; stroke-width: 1.2 }
  .function rect { fill: #fff4e5; stroke: #bc4c00 }
  .queue rect { fill: #ddf4ff; stroke: #0969da }
  .dead-letters rect { fill: #ffebe9; stroke: #cf222e }
  .table rect, .bucket rect { fill: #dafbe1; stroke: #1a7f37 }
  .control rect { fill: #fbefff; stroke: #8250df }
  text { fill: #1f2328 }
  .kind { fill: #57606a; font-size: 10px }
  .name { font-weight: 600 }
  .label { fill: #57606a; font-size: 10.5px; text-anchor: middle; paint-order: stroke; stroke: #fff; stroke-width: 4px }
"""


_HEAD = (
    '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0L8 4L0 8z" fill="#57606a"/></marker></defs>'
)


@dataclass(frozen=True, slots=True)
class _Control:
    """A function that acts on a pipeline: what stands above it, from what to what it acts, and how."""

    name: str
    kind: str
    below: str
    act: str


def render() -> dict[Path, str]:
    """Each picture by its file."""
    recording = run_main("dev", {"pipelines": list(EVERY_PIPELINE)})
    return {FOLDER / f"{name}.svg": _svg(recording, name) for name in EVERY_PIPELINE}


def graph(recording: Recording, pipeline: str) -> tuple[Mapping[str, str], Sequence[tuple[str, str]]]:
    """The resources of a pipeline with their kinds, and what goes from which to which, as the program registered it."""
    group = recording.outputs[pipeline]
    named = {_last(value): _KINDS[key] for key, value in group.items() if key in _KINDS}
    functions = [name for key, name in group.items() if key in ("ingestFunctionName", "apiFunctionName")]
    functions.append(group["workerFunctionName"])
    kinds = {_API: "API", **dict.fromkeys(functions, "function")}
    kinds |= {_last(recording.outputs[key]): kind for key, kind in _SHARED.items()} | named
    ways = [way for way in dict.fromkeys(_ways(recording, functions)) if kinds.keys() >= set(way)]
    bus = _last(recording.outputs["EventBusName"])
    if any(kinds[target] == "queue" for source, target in ways if source == bus):
        kinds[bus + _AGAIN] = "bus"
        ways = [(_leaving(source, kinds[target] == "topic", bus), target) for source, target in ways]
        ways = [(source, _leaving(target, source == functions[-1], bus)) for source, target in ways]
    # What a function takes from is named in its environment, too: that stands before it, not behind it.
    taken = {(target, source) for source, target in ways if kinds[source] in ("queue", "bucket")}
    bronze = _last(group.get("bronzeBucket", ""))
    ways = [way for way in ways if way not in taken and way[1] != bronze]
    joined = {name for way in ways for name in way}
    return {name: kind for name, kind in kinds.items() if name in joined}, ways


def _leaving(name: str, leaves: bool, bus: str) -> str:  # noqa: FBT001 - a mark of the way
    return name + _AGAIN if name == bus and leaves else name


def _ways(recording: Recording, functions: Sequence[str]) -> Iterator[tuple[str, str]]:
    for one in recording.of("Integration"):
        yield (_API, _last(one.inputs["integrationUri"]))
    for one in recording.of("BucketNotification"):
        yield from ((_last(one.inputs["bucket"]), _last(queue["queueArn"])) for queue in one.inputs["queues"])
    for one in recording.of("EventSourceMapping"):
        yield (_last(one.inputs["eventSourceArn"]), _last(one.inputs["functionName"]))
    for name in functions:
        told = recording.inputs("Function", name)["environment"]["variables"].values()
        yield from ((name, _last(value)) for value in told)
    for one in recording.of("Queue"):
        if "redrivePolicy" in one.inputs:
            yield (one.name, _last(json.loads(one.inputs["redrivePolicy"])["deadLetterTargetArn"]))
    for one in recording.of("EventTarget"):
        bus = one.inputs.get("eventBusName", "")
        yield (bus, _last(one.inputs["arn"]))
        if "deadLetterConfig" in one.inputs:
            yield (bus, _last(one.inputs["deadLetterConfig"]["arn"]))


def _spots(kinds: Mapping[str, str], ways: Sequence[tuple[str, str]]) -> dict[str, tuple[int, int]]:
    """Column and row of each resource."""
    below = {
        target: source for source, target in ways if kinds[target] == "dead letters" and kinds[source] != "function"
    }
    forward = [way for way in ways if way[1] not in below]
    columns = {name: 0 for name in kinds if not any(target == name for _, target in ways)}
    for _ in kinds:  # no way is longer
        for source, target in forward:
            if source in columns:
                columns[target] = max(columns.get(target, 0), columns[source] + 1)
    rows: dict[int, int] = {}
    spots: dict[str, tuple[int, int]] = {}
    for name in (*(name for name in kinds if name in columns), *below):
        column = columns[below.get(name, name)]
        above = [spots[source][1] - 1 for source, target in forward if target == name and source in spots]
        row = max(rows.get(column, 0), *above, 0) if kinds[name] == "topic" else rows.get(column, 0)
        spots[name] = (column, row)
        rows[column] = row + 1
    return spots


def _labels(recording: Recording, pipeline: str) -> dict[tuple[str, str], str]:
    """What is said of some ways."""
    group = recording.outputs[pipeline]
    labels = {(group["workerFunctionName"], _last(group["dlqUrl"])): "permanent errors"}
    for one in recording.of("Queue"):
        if policy := json.loads(one.inputs.get("redrivePolicy", "{}")):
            labels[one.name, _last(policy["deadLetterTargetArn"])] = f"{policy['maxReceiveCount']} receives"
    return labels


def _route(recording: Recording, producers: Mapping[str, str]) -> str:
    """The route that leads to the pipeline, where one does."""
    own = {
        f"integrations/id:{one.name}"
        for one in recording.of("Integration")
        if _last(one.inputs["integrationUri"]) in producers
    }
    routes = [one.inputs["routeKey"] for one in recording.of("Route") if one.inputs["target"] in own]
    return min((route for route in routes if route.startswith("POST ")), key=len, default="")


def _controls(recording: Recording, pipeline: str) -> Iterator[tuple[_Control, tuple[str, str]]]:
    """What acts on the pipeline, with the way that it acts on."""
    group = recording.outputs[pipeline]
    mappings = {f"uuid:{one.name}": one.inputs for one in recording.of("EventSourceMapping")}
    breaker = group["breakerFunctionName"]
    paused = mappings[_variables(recording, breaker)["EVENT_SOURCE_MAPPING_ID"]]
    worker = _last(paused["functionName"])
    yield _Control(breaker, "circuit breaker", worker, "pauses"), (_last(paused["eventSourceArn"]), worker)
    redrive = recording.outputs["RedriveFunctionName"]
    own = {_last(group[key]) for key in ("dlqUrl", "noticesDlqUrl", "undeliveredUrl") if key in group}
    for queues in json.loads(_variables(recording, redrive)["QUEUES"]).values():
        letters, queue = _last(queues["dlqUrl"]), _last(queues["queueUrl"])
        if letters in own:
            yield _Control(redrive, "redrive", letters, "brings back"), (letters, queue)


def _variables(recording: Recording, function: str) -> Mapping[str, str]:
    found: Mapping[str, str] = recording.inputs("Function", function)["environment"]["variables"]
    return found


def _svg(recording: Recording, pipeline: str) -> str:
    kinds, ways = graph(recording, pipeline)
    spots = {name: _corner(*spot) for name, spot in _spots(kinds, ways).items()}
    labels = _labels(recording, pipeline)
    # what a producer looks up goes far; only the first row has room above it
    near = [way for way in ways if spots[way[1]][0] - spots[way[0]][0] <= _COLUMN or spots[way[1]][1] == _MARGIN]
    lines = [_way(spots[source], spots[target], labels.get((source, target), "")) for source, target in near]
    told = {name: _told(name, pipeline) for name in kinds} | {_API: _route(recording, kinds)}
    boxes = [_box(told[name], kind, *spots[name]) for name, kind in kinds.items()]
    for control, (source, target) in _controls(recording, pipeline):
        corner = (spots[control.below][0], _corner(0, _CONTROL_ROW)[1])
        boxes.append(_box(control.name, control.kind, *corner, "control"))
        lines += _act(spots[source], spots[target], control, corner)
    width = max(x for x, _ in spots.values()) + _WIDTH + _MARGIN
    height = max(*(y for _, y in spots.values()), _corner(0, _CONTROL_ROW)[1]) + _HEIGHT + _MARGIN
    title = f"The {pipeline} pipeline: {', '.join(f'{one} to {other}' for one, other in ways)}".replace(_AGAIN, "")
    size = f'width="{width}" height="{height}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {width} {height}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}</style>",
            _HEAD,
            f'<rect {size} fill="#fff"/>',
            *(path for path, _ in lines if path),
            *boxes,
            *(label for _, label in lines if label),
            "</svg>\n",
        ]
    )


def _told(name: str, pipeline: str) -> str:
    """The name as long as a box is wide."""
    name = name.removesuffix(_AGAIN)
    return name if len(name) <= _LONG else name.removeprefix(f"{pipeline}-")


def _corner(column: int, row: int) -> tuple[int, int]:
    return column * _COLUMN + _MARGIN, row * _ROW + _MARGIN


def _box(name: str, kind: str, x: int, y: int, style: str = "") -> str:
    return (
        f'<g class="box {style or kind.replace(" ", "-")}"><rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}"'
        f' rx="6"/><text class="kind" x="{x + 9}" y="{y + 17}">{kind}</text>'
        f'<text class="name" x="{x + 9}" y="{y + 34}">{escape(name)}</text></g>'
    )


def _way(source: tuple[int, int], target: tuple[int, int], label: str) -> tuple[str, str]:
    (x, y), (to_x, to_y) = source, target
    middle, to_middle = y + _HEIGHT // 2, to_y + _HEIGHT // 2
    if to_x == x:  # straight down
        at = x + _WIDTH // 2
        return _line(f"M{at} {y + _HEIGHT}V{to_y}"), _text(label, at, (y + _HEIGHT + to_y) // 2 + 4)
    if to_x < x:
        start, end = x + _WIDTH // 2, to_x + _WIDTH
        path = f"M{start} {y + _HEIGHT}C{start} {to_middle} {start} {to_middle} {end} {to_middle}"
        return _line(path), _text(label, (start + end) // 2 + 8, to_middle - 5)
    start, end, gap = x + _WIDTH, to_x, _COLUMN - _WIDTH
    if to_x - x > _COLUMN:  # above what stands between
        over = y - _MARGIN // 2
        path = f"M{start - _SIDE} {y}C{start} {over} {start} {over} {start + gap} {over}H{end - gap}"
        return _line(f"{path}C{end} {over} {end} {over} {end + _SIDE} {to_y}"), _text(label, (start + end) // 2, over)
    bend = gap // 2
    path = f"M{start} {middle}C{start + bend} {middle} {end - bend} {to_middle} {end} {to_middle}"
    return _line(path), _text(label, (start + end) // 2, (middle + to_middle) // 2 - 6)


def _act(
    source: tuple[int, int], target: tuple[int, int], control: _Control, corner: tuple[int, int]
) -> Iterator[tuple[str, str]]:
    """The dashed lines of a control: to the middle of the way that it pauses, or from letters back to their queue."""
    (x, y), middle = corner, corner[1] + _HEIGHT // 2
    if control.act == "pauses":
        at = (source[0] + _WIDTH + target[0]) // 2
        yield _line(f"M{x} {middle}H{at}V{source[1] + _HEIGHT // 2 + 4}", "acts"), _text(control.act, at, y + 2)
        return
    yield _line(f"M{source[0] + _WIDTH // 2} {source[1] + _HEIGHT}V{y}", "acts"), ""
    to = target[1] + _HEIGHT - 8
    if target[0] == x:
        yield _line(f"M{x} {middle}H{x - _SIDE}V{to}H{x}", "acts"), ""
    else:  # its queue stands further on
        yield _line(f"M{x + _WIDTH} {middle}H{target[0] - _SIDE}V{to}H{target[0]}", "acts"), ""


def _line(path: str, style: str = "") -> str:
    return f'<path class="{f"way {style}".strip()}" d="{path}"/>'


def _text(label: str, x: int, y: int) -> str:
    return f'<text class="label" x="{x}" y="{y}">{escape(label)}</text>' if label else ""


def _last(value: Any) -> str:
    """The name of a resource, of its URL, ARN or id in a recording."""
    return str(value).rpartition("/")[2].rpartition(":")[2]


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file, text in render().items():
        file.write_text(text, encoding="utf-8")
