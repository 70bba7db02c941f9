"""`lab status`: whether all is well with a stack, first what is not, and every queue and function of it."""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.cli import alarms, output, records, subscribers, target
from ops.local.cloudwatch import service
from ops.local.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
# Where letters wait, and what `lab redrive` calls them there.
_DEAD = {"dlq": "{}", "undelivered": "{}-undelivered", "dead notices": "{}-notices"}
# Those of no pipeline, by output and by the alarm that watches them.
_CONTROL = {"control-failures": "ControlFailuresUrl", "bus-unreadable": "BusUnreadableUrl"}
_ERRORS_OVER = timedelta(minutes=10)
_FLOW_OVER = timedelta(minutes=3)
_FLOWS = {"deleted": "NumberOfMessagesDeleted", "sent": "NumberOfMessagesSent"}
_MINUTE = 60
_MOST_PROBLEMS = 8
_WIDTH = 80
_TAKING = ("Enabled", "Enabling", "Creating", "Updating")  # of a consumer that takes, or soon will
QUEUE_COLUMNS = ("pipeline", "queue", "visible", "in flight", "delayed")

StatesOption = Annotated[
    bool | None,
    typer.Option(
        "--states/--no-states",
        help="Count the state records; reads the whole table. Default: on the laptop only.",
        show_default=False,
    ),
]

OutputsOption = Annotated[bool, typer.Option("--outputs", help="Show every output, too.")]
OutputOption = Annotated[
    str,
    typer.Option("--output", metavar="NAME", help="Print only the value of this output, for scripts."),
]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not well, and the command to go on with."""

    what: str
    next: str


def status(
    stack: target.StackOption = target.LOCAL,
    states: StatesOption = None,
    outputs: OutputsOption = False,  # noqa: FBT002 - an option
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
    only: OutputOption = "",
) -> None:
    """Show whether all is well with a stack: first what is not, with the command to go on with.

    Then every queue with its consumer and circuit breaker, every function, who hears of alarms, and records by status.

    Example: export API_URL=$(lab status --output ApiEndpoint)
    """
    found = target.find(stack)
    if only:
        output.result([_one(found.outputs, only)])
        return
    now = datetime.now(UTC)
    census = records.census(found) if (found.counts_records if states is None else states) else None
    document = {
        "stack": stack,
        "emulator": _emulator(found),
        "outputs": found.outputs,
        "failureMode": _failure_mode(found),
        "queues": queues(sqs := found.client("sqs"), found.pipelines),
        "controlQueues": {n: _depth(sqs, found.outputs[key]) for n, key in _CONTROL.items() if key in found.outputs},
        "functions": _functions(found),
        **_errors(found, now),
        "drain": drain(found.client("cloudwatch"), sqs, found.pipelines, now),
        "consumers": (feeding := consumers(found.client("lambda"), found.pipelines)),
        "noticeConsumers": consumers(found.client("lambda"), found.pipelines, "ingestFunctionName", "noticesUrl"),
        "breakers": breakers(found.client("dynamodb"), found.outputs["ControlTableName"], feeding),
        "alarms": _alarms(found),
        "subscribers": _subscribers(found),
        "states": census.counts if census else None,
        "nextAttemptAt": (census.next_attempt_at or None) if census else None,
    }
    wrong = list(problems(document))
    if as_json:
        output.as_json({**document, "problems": [asdict(one) for one in wrong]})
    else:
        _show(document, wrong, outputs=outputs)


def problems(document: Mapping[str, Any]) -> Iterator[Problem]:
    """What is not well: what somebody has switched on or off first, then what follows from it."""
    on = _on(document["stack"])
    if document["emulator"] and not document["emulator"]["cloudWatch"]:
        yield Problem("the laptop's CloudWatch does not run: alarms and metrics are old", "lab up")
    if not document["failureMode"]:
        yield Problem("the API does not say whether a failure mode is on", f"lab doctor{on}")
    elif document["failureMode"] != "none":
        yield Problem(f"failure mode {document['failureMode']} is on", f"lab failure reset{on}")
    yield from _stopped(document, on)
    yield from _failing(document, on)
    yield from _dead(document, on)
    for alarm in document["alarms"]["loud"]:
        yield Problem(f"alarm {alarm['name']} since {alarm['since']}", alarm["next"])
    for who in document["subscribers"]:
        if who["state"] == "pending":
            yield Problem(f"{who['endpoint']} has not confirmed, and hears of no alarm", f"lab doctor{on}")


def _stopped(document: Mapping[str, Any], on: str) -> Iterator[Problem]:
    """Queues that nobody takes from."""
    for name, state in document["consumers"].items():
        breaker = document["breakers"][name]
        if breaker != "CLOSED":
            yield Problem(f"the circuit breaker of {name} is {breaker}", f"lab runbook {name}-downstream-outage{on}")
        elif state not in _TAKING:
            yield Problem(_idle(name, state), f"lab runbook {name}-queue-stalled{on}")
    for name, state in document["noticeConsumers"].items():
        if state not in _TAKING:
            yield Problem(_idle(f"{name}'s notices", state), f"lab runbook {name}-notices-stalled{on}")


def _idle(whose: str, state: str) -> str:
    return f"the consumer of {whose} " + (f"is {state}, and no breaker has paused it" if state else "is not there")


def _failing(document: Mapping[str, Any], on: str) -> Iterator[Problem]:
    """Functions that can't run, or have not come through."""
    for name, state in document["functions"].items():
        count = 0 if name in document["recovered"] else document["functionErrors"][name]
        said = [
            *(["is Failed"] if state == "Failed" else []),
            *([f"has failed {'once' if count == 1 else f'{count} times'} in 10 min"] if count else []),
        ]
        if said:
            yield Problem(f"{name} {', '.join(said)}", f"lab logs tail --function {name}{on}")


def _dead(document: Mapping[str, Any], on: str) -> Iterator[Problem]:
    """What waits for somebody to decide."""
    for pipeline, roles in document["queues"].items():
        for role, name in _DEAD.items():
            if count := sum(roles.get(role, {}).values()):
                more = "" if role == "dlq" else f" ({role})"
                command = f"lab redrive preview --pipeline {name.format(pipeline)}{on}"
                yield Problem(f"{count} dead letters of {pipeline}{more}", command)
    for name, counts in document["controlQueues"].items():
        if count := sum(counts.values()):
            yield Problem(f"{count} messages on {name}", f"lab runbook {name}{on}")


def _one(outputs: dict[str, Any], name: str) -> str:
    values = dict(_flat(outputs))
    if name not in values:
        output.misuse(f"there is no output {name}; there are: {', '.join(values)}")
    return values[name]


def _emulator(found: Target) -> dict[str, Any] | None:
    emulator = found.emulator
    if emulator is None:
        return None
    watches = service.attach(emulator) is not None
    return {"endpoint": emulator.endpoint, "pid": emulator.pid, "log": str(emulator.log), "cloudWatch": watches}


def _failure_mode(found: Target) -> str:
    """The mode in force; "" where the API does not say, "none" where there is no failure lab."""
    if "FailureResetFunctionName" not in found.outputs:
        return "none"
    try:
        return str(found.ask("GET", "/failure-mode")["effective"])
    except (LabError, OSError):
        return ""


def _alarms(found: Target) -> dict[str, Any]:
    """How many alarms there are, and those that ring, without the two that sum up the others."""
    states = [one for one in alarms.read(found.client("cloudwatch"), found.stack) if one.runbook]
    prefix = f"IngestionLab-{found.stack}-"
    loud = [
        {"name": one.name.removeprefix(prefix), "severity": one.severity, "since": one.since, "next": one.next}
        for one in states
        if one.state == "ALARM"
    ]
    return {"all": len(states), "loud": loud}


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


def _errors(found: Target, now: datetime) -> dict[str, Any]:
    """Each function's failed invocations of the last minutes, init phase included, as its alarm counts them.

    And those that have recovered: invoked since their last failed minute, and no invocation of such a later minute has
    failed.
    """
    names = function_names(found)
    queries = [
        {
            "Id": f"{metric.lower()}{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/Lambda",
                    "MetricName": metric,
                    "Dimensions": [{"Name": "FunctionName", "Value": name}],
                },
                "Period": 60,
                "Stat": "Sum",
            },
        }
        for number, name in enumerate(names)
        for metric in ("Errors", "Invocations")
    ]
    client = found.client("cloudwatch")
    answer = client.get_metric_data(MetricDataQueries=queries, StartTime=now - _ERRORS_OVER, EndTime=now)
    minutes = {
        result["Id"]: {at: value for at, value in zip(result["Timestamps"], result["Values"], strict=True) if value}
        for result in answer["MetricDataResults"]
    }
    counts, recovered = {}, []
    for number, name in enumerate(names):
        failed, invoked = minutes.get(f"errors{number}", {}), minutes.get(f"invocations{number}", {})
        counts[name] = int(sum(failed.values()))
        if failed and invoked and max(invoked) > max(failed):
            recovered.append(name)
    return {"functionErrors": counts, "recovered": recovered}


def drain(
    client: Any,  # noqa: ANN401
    sqs: Any,  # noqa: ANN401
    pipelines: Mapping[str, Mapping[str, str]],
    now: datetime,
) -> dict[str, dict[str, float | None]]:
    """Pipeline whose main queue is not empty -> how many wait, and in how many seconds that is worked off.

    At the rates of the last minutes; None while it gets no shorter. `client` is one of CloudWatch.
    """
    waiting = {name: sum(_depth(sqs, group["queueUrl"]).values()) for name, group in pipelines.items()}
    waiting = {name: count for name, count in waiting.items() if count}
    queries = [
        {
            "Id": f"{flow}{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/SQS",
                    "MetricName": metric,
                    "Dimensions": [{"Name": "QueueName", "Value": pipelines[name]["queueUrl"].rpartition("/")[2]}],
                },
                "Period": 60,
                "Stat": "Sum",
            },
        }
        for number, name in enumerate(waiting)
        for flow, metric in _FLOWS.items()
    ]
    if not queries:
        return {}
    answer = client.get_metric_data(MetricDataQueries=queries, StartTime=now - _FLOW_OVER, EndTime=now)
    sums = {result["Id"]: sum(result["Values"]) for result in answer["MetricDataResults"]}
    found: dict[str, dict[str, float | None]] = {}
    for number, (name, count) in enumerate(waiting.items()):
        less = sums.get(f"deleted{number}", 0) - sums.get(f"sent{number}", 0)
        seconds = round(count / less * _FLOW_OVER.total_seconds()) if less > 0 else None
        found[name] = {"waiting": count, "seconds": seconds}
    return found


def function_names(found: Target) -> list[str]:
    """The functions that the stack's outputs name."""
    return [value for name, value in _flat(found.outputs) if name.endswith("FunctionName")]


def consumers(
    client: Any,  # noqa: ANN401
    pipelines: dict[str, dict[str, str]],
    function: str = "workerFunctionName",
    queue: str = "queueUrl",
) -> dict[str, str]:
    """State of what feeds this function of each pipeline that has the queue, as Lambda names it; "" for nothing."""
    states = {}
    for pipeline, group in ((name, group) for name, group in pipelines.items() if queue in group):
        pages = client.get_paginator("list_event_source_mappings").paginate(FunctionName=group[function])
        states[pipeline] = next((one["State"] for page in pages for one in page["EventSourceMappings"]), "")
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


def _show(document: Mapping[str, Any], wrong: list[Problem], *, outputs: bool) -> None:
    output.result(_verdict(document, wrong))
    if outputs:
        output.table("Outputs", ["name", "value"], list(_flat(document["outputs"])))
    output.table("Queues", [*QUEUE_COLUMNS, "consumer", "breaker"], _queue_rows(document))
    output.result([*_drain_lines(document), *_function_lines(document), *_people(document)])
    if document["states"] is not None:
        counts = ", ".join(f"{count} {name}" for name, count in sorted(document["states"].items())) or "none"
        output.result([f"state records: {counts}"])
    if document["nextAttemptAt"]:
        output.result(_next(document["nextAttemptAt"]))


def _next(at: str) -> list[str]:
    """When the first of those comes that wait for another attempt."""
    if datetime.fromisoformat(at) >= datetime.now(UTC):
        return [f"the next attempt of a RETRYING record is due at {at}"]
    return [
        f"an attempt of a RETRYING record was due at {at}:",
        "  it comes once its message is no longer hidden and the consumer takes it",
    ]


def _verdict(document: Mapping[str, Any], wrong: list[Problem]) -> list[str]:
    where = f"stack {document['stack']}"
    if emulator := document["emulator"]:
        where += f" at {emulator['endpoint']} (pid {emulator['pid']})"
    ringing = f"{len(document['alarms']['loud'])} of {document['alarms']['all']} alarms ring"
    if not wrong:
        return [f"all is well: {where}, {ringing}"]
    lines = [f"not well: {where}, {ringing}"]
    for one in wrong[:_MOST_PROBLEMS]:
        lines += [f"- {one.what}", f"    next: {one.next}"]
    more = len(wrong) - _MOST_PROBLEMS
    return [*lines, f"- and {more} more: lab alarms{_on(document['stack'])}"] if more > 0 else lines


def _queue_rows(document: Mapping[str, Any]) -> list[list[object]]:
    """Every queue; where somebody takes from it, who."""
    takers = {"main": document["consumers"], "notices": document["noticeConsumers"]}
    rows: list[list[object]] = []
    for pipeline, role, *counts in queue_rows(document["queues"]):
        breaker = document["breakers"].get(pipeline, "") if role == "main" else ""
        rows.append([pipeline, role, *counts, takers.get(str(role), {}).get(pipeline, ""), breaker])
    control = document["controlQueues"].items()
    return rows + [["control", name.partition("-")[2], *counts.values(), "", ""] for name, counts in control]


def _drain_lines(document: Mapping[str, Any]) -> list[str]:
    """How long what waits will take."""
    return [
        f"{name}: {one['waiting']:,} wait, "
        + (
            "they get no fewer at the rates of the last 3 min"
            if one["seconds"] is None
            else f"worked off in {_long(one['seconds'])} at the rates of the last 3 min"
        )
        for name, one in document["drain"].items()
    ]


def _long(seconds: int) -> str:
    return f"{seconds} s" if seconds < 2 * _MINUTE else f"{-(-seconds // _MINUTE)} min"


def _function_lines(document: Mapping[str, Any]) -> list[str]:
    """Every function by its name; those that are as they should be together."""
    errors = document["functionErrors"]
    good = [name for name, state in document["functions"].items() if state == "Active" and not errors[name]]
    rest = {name: state for name, state in document["functions"].items() if name not in good}
    said = f"functions, Active without an error in 10 minutes: {', '.join(good) or 'none'}"
    since = dict.fromkeys(document["recovered"], "; invoked since, without one")
    return [
        *textwrap.wrap(said, _WIDTH, subsequent_indent="  ", break_on_hyphens=False),
        *(f"function {name}: {state}, {_errors_of(errors[name])}{since.get(name, '')}" for name, state in rest.items()),
    ]


def _errors_of(count: int) -> str:
    return "1 error" if count == 1 else f"{count} errors"


def _people(document: Mapping[str, Any]) -> list[str]:
    """Who hears of alarms."""
    hearing = [
        f"{one['endpoint']} ({one['protocol']}, {one['topic']}, {one['state']})" for one in document["subscribers"]
    ]
    if hearing:
        return [f"who hears of alarms: {', '.join(hearing)}"]
    stack = document["stack"]
    if not document["alarms"]["all"]:
        return ["who hears of alarms: nobody, as observabilityEnabled is false"]
    if stack == target.LOCAL:
        return ["who hears of alarms: nobody; lab alarms shows them"]
    mend = f"pulumi config set alarmEmail ADDRESS --stack {stack} && lab up --stack {stack}"
    return ["who hears of alarms: nobody", f"    next: {mend}"]


def _on(stack: str) -> str:
    return "" if stack == target.LOCAL else f" --stack {stack}"


def _flat(outputs: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in outputs.items():
        rows += _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(prefix + name, str(value))]
    return rows
