"""`lab status`: outputs, queues, functions and records of a stack."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.cli import output, records, subscribers, target

if TYPE_CHECKING:
    from ops.cli.target import Target

_DEPTHS = {
    "visible": "ApproximateNumberOfMessages",
    "inFlight": "ApproximateNumberOfMessagesNotVisible",
    "delayed": "ApproximateNumberOfMessagesDelayed",
}

_QUEUES = {
    "main": "queueUrl",
    "dlq": "dlqUrl",
    "undelivered": "undeliveredUrl",
    "notices": "noticesUrl",
    "dead notices": "noticesDlqUrl",
}
_ERRORS_OVER = timedelta(minutes=10)
_SUBSCRIBER_COLUMNS = ("topic", "protocol", "endpoint", "state")
QUEUE_COLUMNS = ("pipeline", "queue", "visible", "in flight", "delayed")

StatesOption = Annotated[
    bool | None,
    typer.Option(
        "--states/--no-states",
        help="Count the state records; reads the whole table. Default: on the laptop only.",
        show_default=False,
    ),
]

OutputOption = Annotated[
    str,
    typer.Option("--output", metavar="NAME", help="Print only the value of this output, for scripts."),
]


def status(
    stack: target.StackOption = target.LOCAL,
    states: StatesOption = None,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
    only: OutputOption = "",
) -> None:
    """Show a stack: outputs, depths, functions and their late errors, who hears of alarms, state records by status.

    Example: export API_URL=$(lab status --output ApiEndpoint)
    """
    found = target.find(stack)
    if only:
        output.result([_one(found.outputs, only)])
        return
    census = records.census(found) if (found.counts_records if states is None else states) else None
    document = {
        "stack": stack,
        "emulator": _emulator(found),
        "outputs": found.outputs,
        "queues": queues(found.client("sqs"), found.pipelines),
        "functions": _functions(found),
        "functionErrors": _errors(found, datetime.now(UTC)),
        "consumers": (feeding := consumers(found.client("lambda"), found.pipelines)),
        "breakers": breakers(found.client("dynamodb"), found.outputs["ControlTableName"], feeding),
        "subscribers": _subscribers(found),
        "states": census.counts if census else None,
        "nextAttemptAt": (census.next_attempt_at or None) if census else None,
    }
    if as_json:
        output.as_json(document)
    else:
        _show(document)


def _one(outputs: dict[str, Any], name: str) -> str:
    values = dict(_flat(outputs))
    if name not in values:
        output.misuse(f"there is no output {name}; there are: {', '.join(values)}")
    return values[name]


def _emulator(found: Target) -> dict[str, Any] | None:
    emulator = found.emulator
    return {"endpoint": emulator.endpoint, "pid": emulator.pid, "log": str(emulator.log)} if emulator else None


def queues(client: Any, pipelines: dict[str, dict[str, str]]) -> dict[str, dict[str, dict[str, int]]]:  # noqa: ANN401 - a boto3 client, made by name
    """Pipeline -> its queues -> how many messages are where."""
    return {
        name: {role: _depth(client, group[key]) for role, key in _QUEUES.items() if key in group}
        for name, group in pipelines.items()
    }


def queue_rows(depths: dict[str, dict[str, dict[str, int]]]) -> list[list[object]]:
    """The same as rows of a table with the columns `QUEUE_COLUMNS`."""
    return [[name, role, *counts.values()] for name, roles in depths.items() for role, counts in roles.items()]


def _depth(client: Any, url: str) -> dict[str, int]:  # noqa: ANN401
    counts = client.get_queue_attributes(QueueUrl=url, AttributeNames=list(_DEPTHS.values()))["Attributes"]
    return {word: int(counts[attribute]) for word, attribute in _DEPTHS.items()}


def _functions(found: Target) -> dict[str, str]:
    client = found.client("lambda")
    names = function_names(found)
    return {name: client.get_function_configuration(FunctionName=name).get("State", "") for name in names}


def _errors(found: Target, now: datetime) -> dict[str, int]:
    """Function -> its failed invocations of the last minutes, those of the init phase too, as its alarm counts them."""
    names = function_names(found)
    queries = [
        {
            "Id": f"f{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/Lambda",
                    "MetricName": "Errors",
                    "Dimensions": [{"Name": "FunctionName", "Value": name}],
                },
                "Period": 60,
                "Stat": "Sum",
            },
        }
        for number, name in enumerate(names)
    ]
    client = found.client("cloudwatch")
    answer = client.get_metric_data(MetricDataQueries=queries, StartTime=now - _ERRORS_OVER, EndTime=now)
    sums = {result["Id"]: int(sum(result["Values"])) for result in answer["MetricDataResults"]}
    return {name: sums.get(f"f{number}", 0) for number, name in enumerate(names)}


def function_names(found: Target) -> list[str]:
    """The functions that the stack's outputs name."""
    return [value for name, value in _flat(found.outputs) if name.endswith("FunctionName")]


def consumers(client: Any, pipelines: dict[str, dict[str, str]]) -> dict[str, str]:  # noqa: ANN401
    """State of what feeds each pipeline's worker, as Lambda names it; "" where there is nothing."""
    states = {}
    for pipeline, group in pipelines.items():
        mappings = client.list_event_source_mappings(FunctionName=group["workerFunctionName"])["EventSourceMappings"]
        states[pipeline] = mappings[0]["State"] if mappings else ""
    return states


def breakers(client: Any, table: str, feeding: dict[str, str]) -> dict[str, str]:  # noqa: ANN401
    """State of each pipeline's circuit breaker; where none is kept, the consumer tells it, as to the breaker.

    `feeding` is what `consumers` tells, `table` the control table.
    """
    states = {}
    for pipeline, consumer in feeding.items():
        key = {"id": {"S": f"breaker#{pipeline}"}, "item": {"S": "state"}}
        item = client.get_item(TableName=table, Key=key).get("Item", {})
        paused = consumer in ("Disabled", "Disabling")
        states[pipeline] = item["state"]["S"] if item else "OPEN" if paused else "CLOSED"
    return states


def _subscribers(found: Target) -> list[dict[str, str]]:
    """Who is subscribed to the topics of the alarms; a pending one hears nothing."""
    by_topic = subscribers.subscribers(found.client("cloudwatch"), found.client("sns"), found.stack)
    return [asdict(one) for topic in by_topic.values() for one in topic]


def _show(document: dict[str, Any]) -> None:
    if emulator := document["emulator"]:
        output.result([f"local cloud: {emulator['endpoint']} (pid {emulator['pid']}, log {emulator['log']})"])
    output.table("Outputs", ["name", "value"], list(_flat(document["outputs"])))
    output.table("Queues", QUEUE_COLUMNS, queue_rows(document["queues"]))
    errors: dict[str, int] = document["functionErrors"]
    functions = [[name, state, errors[name]] for name, state in document["functions"].items()]
    output.table("Functions", ["name", "state", "errors (10 min)"], functions)
    for name in (name for name, count in errors.items() if count):
        output.say(f"why {name} fails: lab logs tail --function {name}{_on(document['stack'])}")
    breakers = [[name, state, document["consumers"][name]] for name, state in document["breakers"].items()]
    output.table("Circuit breakers", ["pipeline", "state", "consumer"], breakers)
    output.table("Alarm subscribers", _SUBSCRIBER_COLUMNS, [list(one.values()) for one in document["subscribers"]])
    if document["states"] is not None:
        output.table("State records", ["status", "count"], sorted(document["states"].items()))
    if document["nextAttemptAt"]:
        output.result([f"the next attempt of a RETRYING record is due at {document['nextAttemptAt']}"])


def _on(stack: str) -> str:
    return "" if stack == target.LOCAL else f" --stack {stack}"


def _flat(outputs: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in outputs.items():
        rows += _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(prefix + name, str(value))]
    return rows
