"""What of a stack feeds what, asked of the deployed resources themselves, and where each is drawn.

Who reads a queue, what a queue's dead letters go to, which function an API's routes call, what a rule and a bucket send
to: AWS tells. What a function writes to is told by its environment, which names queues, tables, buckets and the bus.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ops.cli.target import Target

Kind = Literal["API", "function", "queue", "dead letters", "table", "bus", "bucket", "topic"]

_QUEUES = {
    "queueUrl": "queue",
    "dlqUrl": "dead letters",
    "noticesUrl": "queue",
    "noticesDlqUrl": "dead letters",
    "undeliveredUrl": "dead letters",
}


_ORDER: Mapping[str, int] = {"queue": 0, "dead letters": 1}  # within a column, from above; then the others


@dataclass(frozen=True, slots=True)
class Node:
    """A resource. `role` is that by which `lab status` counts a queue, "" for others."""

    name: str
    kind: Kind
    role: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """What goes from one resource to another."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Graph:
    """A pipeline: its resources by name, and what goes where."""

    pipeline: str
    nodes: Mapping[str, Node]
    edges: Sequence[Edge]


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a resource is drawn: `column` from where data comes in, `row` from the main way."""

    key: str
    node: Node
    column: int
    row: int


@dataclass(frozen=True, slots=True)
class Drawing:
    """A pipeline's spots, and the ways between them by their keys."""

    pipeline: str
    spots: Mapping[str, Spot]
    ways: Sequence[tuple[str, str]]

    @property
    def columns(self) -> int:
        """How many."""
        return max((spot.column for spot in self.spots.values()), default=0) + 1

    @property
    def rows(self) -> int:
        """How many."""
        return max((spot.row for spot in self.spots.values()), default=0) + 1


@dataclass(slots=True)
class _Facts:
    """What was read that all pipelines share: function -> what calls it, bus -> what its rules send to."""

    called: dict[str, str] = field(default_factory=dict)  # function -> API
    ruled: list[tuple[str, str]] = field(default_factory=list)  # bus, target


def read(found: Target, client: Callable[[str], Any]) -> list[Graph]:
    """The pipelines of a stack as they are deployed."""
    facts = _Facts(_routes(found, client("apigatewayv2")), list(_rules(found, client("events"))))
    return [_graph(found, client, facts, pipeline, group) for pipeline, group in found.pipelines.items()]


def drawn(graph: Graph) -> Drawing:
    """Where each resource of a pipeline stands: as far from its entrance as the longest way to it.

    Dead letters stand below what they come from. Where the way leads back to what has been passed, as from a worker to
    the bus that its events came through, that stands there once more.
    """
    spots: dict[str, Spot] = {}
    ways: list[tuple[str, str]] = []
    entrances = [name for name in graph.nodes if not any(edge.target == name for edge in _forward(graph))]
    columns = _columns(graph, entrances)
    taken: dict[int, int] = {}
    for name in sorted(columns, key=lambda name: (columns[name], _ORDER.get(graph.nodes[name].kind, 2))):
        column = columns[name]
        spots[name] = Spot(name, graph.nodes[name], column, taken.get(column, 0))
        taken[column] = taken.get(column, 0) + 1
    for edge in graph.edges:
        back = edge not in _forward(graph)
        key = f"{edge.target}, again" if back else edge.target
        if key not in spots:
            column = columns[edge.source] + 1
            spots[key] = Spot(key, graph.nodes[edge.target], column, taken.get(column, 0))
            taken[column] = taken.get(column, 0) + 1
        if (edge.source, key) not in ways:
            ways.append((edge.source, key))
    return Drawing(graph.pipeline, spots, ways)


def _forward(graph: Graph) -> list[Edge]:
    """The edges without those that close a circle: found by walking from the entrances that the graph names first."""
    following: dict[str, list[Edge]] = {name: [] for name in graph.nodes}
    for edge in graph.edges:
        following[edge.source].append(edge)
    done: set[str] = set()
    forward: list[Edge] = []

    def walk(name: str, path: tuple[str, ...]) -> None:
        if name in done:
            return
        for edge in following[name]:
            if edge.target in (*path, name):
                continue
            forward.append(edge)
            walk(edge.target, (*path, name))
        done.add(name)

    for name in graph.nodes:
        walk(name, ())
    return forward


def _columns(graph: Graph, entrances: Sequence[str]) -> dict[str, int]:
    columns = dict.fromkeys(entrances, 0)
    forward = _forward(graph)
    under = {edge.target: edge.source for edge in forward if _is_below(edge, graph)}
    for _ in graph.nodes:  # no way is longer
        for edge in forward:
            if edge.source in columns and edge.target not in under:
                columns[edge.target] = max(columns.get(edge.target, 0), columns[edge.source] + 1)
    return columns | {name: columns[queue] for name, queue in under.items()}


def _is_below(edge: Edge, graph: Graph) -> bool:
    return graph.nodes[edge.target].kind == "dead letters" and graph.nodes[edge.source].kind == "queue"


def _graph(
    found: Target, client: Callable[[str], Any], facts: _Facts, pipeline: str, group: Mapping[str, str]
) -> Graph:
    shared = [Node(found.outputs["DynamoTableName"], "table"), Node(found.outputs["EventBusName"], "bus")]
    queues = {_last(group[key]): Node(_last(group[key]), kind, key) for key, kind in _QUEUES.items() if key in group}  # type: ignore[arg-type]
    functions = [
        Node(name, "function")
        for key, name in group.items()
        if key.endswith("FunctionName") and key != "breakerFunctionName"
    ]
    others = [Node(group["tableName"], "table")] if "tableName" in group else []
    others += [Node(group[key], "bucket") for key in ("bronzeBucket", "silverBucket") if key in group]
    topics = [Node(_last(group[key], ":"), "topic") for key in ("successTopicArn", "failureTopicArn") if key in group]
    known = [Node("HTTP API", "API"), *others, *functions, *queues.values(), *shared, *topics]
    nodes = {one.name: one for one in known}
    edges = [
        *(Edge(api, function) for function, api in facts.called.items() if function in nodes),
        *(Edge(group["bronzeBucket"], to) for to in _notified(client("s3"), group) if to in nodes),
        *_read_by(client("lambda"), functions, nodes),
        *_written(client("lambda"), functions, nodes),
        *_buried(client("sqs"), group, nodes),
        *(Edge(bus, to) for bus, to in facts.ruled if to in nodes),
    ]
    # What a function takes from is named in its environment, too: that stands before it, not behind it.
    read_from = {(edge.target, edge.source) for edge in edges if nodes[edge.source].kind in ("queue", "bucket")}
    edges = [edge for edge in dict.fromkeys(edges) if (edge.source, edge.target) not in read_from]
    edges = [edge for edge in edges if edge.target != group.get("bronzeBucket")]
    joined = {edge.source for edge in edges} | {edge.target for edge in edges}
    return Graph(pipeline, {name: node for name, node in nodes.items() if name in joined}, edges)


def _routes(found: Target, client: Any) -> dict[str, str]:  # noqa: ANN401 - a boto3 client, made by name
    """Function -> the API, of those that a route leads to."""
    name = found.api.rpartition("/")[2] if found.emulator else found.api.removeprefix("https://").partition(".")[0]
    uris = [str(one.get("IntegrationUri", "")) for one in _every(client, "get_integrations", "Items", ApiId=name)]
    arns = [uri.partition("/functions/")[2].partition("/")[0] or uri for uri in uris]
    return {arn.partition(":function:")[2].partition(":")[0]: "HTTP API" for arn in arns if ":function:" in arn}


def _rules(found: Target, client: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401
    bus = found.outputs["EventBusName"]
    for rule in _every(client, "list_rules", "Rules", EventBusName=bus):
        for target in _every(client, "list_targets_by_rule", "Targets", Rule=rule["Name"], EventBusName=bus):
            yield bus, _last(target["Arn"], ":")


def _notified(client: Any, group: Mapping[str, str]) -> Iterator[str]:  # noqa: ANN401
    if "bronzeBucket" in group:
        told = client.get_bucket_notification_configuration(Bucket=group["bronzeBucket"])
        for one in told.get("QueueConfigurations", []):
            yield _last(one["QueueArn"], ":")


def _read_by(client: Any, functions: Iterable[Node], nodes: Mapping[str, Node]) -> Iterator[Edge]:  # noqa: ANN401
    for function in functions:
        of = {"FunctionName": function.name}
        for mapping in _every(client, "list_event_source_mappings", "EventSourceMappings", **of):
            if (queue := _last(mapping["EventSourceArn"], ":")) in nodes:
                yield Edge(queue, function.name)


def _written(client: Any, functions: Iterable[Node], nodes: Mapping[str, Node]) -> Iterator[Edge]:  # noqa: ANN401
    for function in functions:
        environment = client.get_function_configuration(FunctionName=function.name).get("Environment", {})
        for value in environment.get("Variables", {}).values():
            if (name := _last(value)) in nodes and name != function.name:
                yield Edge(function.name, name)


def _buried(client: Any, group: Mapping[str, str], nodes: Mapping[str, Node]) -> Iterator[Edge]:  # noqa: ANN401
    for key, kind in _QUEUES.items():
        if key in group and kind == "queue":
            policy = client.get_queue_attributes(QueueUrl=group[key], AttributeNames=["RedrivePolicy"])
            text = policy.get("Attributes", {}).get("RedrivePolicy", "{}")
            if (name := _last(json.loads(text).get("deadLetterTargetArn", ""), ":")) in nodes:
                yield Edge(_last(group[key]), name)


def _every(client: Any, call: str, what: str, **given: str) -> Iterator[Mapping[str, Any]]:  # noqa: ANN401
    """All that a call lists, which AWS gives in pages, some of them empty."""
    for page in client.get_paginator(call).paginate(**given):
        yield from page.get(what, [])


def _last(text: str, separator: str = "/") -> str:
    return text.rpartition(separator)[2]
