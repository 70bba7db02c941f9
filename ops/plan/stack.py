"""A pipeline as a stack's program registers it; nothing is asked of AWS."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ops.local.errors import LabError
from ops.plan.model import Pipeline, Pollers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ops.local.deployer import Registered

_UNRESERVED = -1  # the provider's word for a function without reserved concurrency
_WITHOUT_POLLERS = ("orders", "lake")  # the key provisionedPollers is of the events queue; who writes a program has it


class PlanError(LabError):
    """There is nothing to plan with; the message says why."""


def pipelines(registered: Sequence[Registered]) -> dict[str, Pipeline]:
    """The pipelines of a stack by name; a pipeline is its worker's mapping, with the function and the queue of it."""
    mappings = [one.inputs for one in registered if one.type.endswith(":EventSourceMapping")]
    functions = {f"arn:{one.name}": one.inputs for one in registered if one.type.endswith(":Function")}
    queues = {f"arn:{one.name}": one.inputs for one in registered if one.type.endswith(":Queue")}
    rates = {
        one.inputs["name"]: one.inputs["defaultRouteSettings"]
        for one in registered
        if one.type.endswith("apigatewayv2/stage:Stage")
    }
    targets = {one.name for one in registered if one.type.endswith(":EventTarget")}
    throttle = next((int(settings["throttlingRateLimit"]) for settings in rates.values()), None)
    by_api = _by_api(registered)
    found: dict[str, Pipeline] = {}
    for mapping in mappings:
        function = functions[mapping["functionName"]]
        environment: Mapping[str, str] = function["environment"]["variables"]
        if "MAX_RECEIVE_COUNT" not in environment:  # of the lake's notices, which are no events
            continue
        name = environment["PIPELINE"]
        if not function["handler"].endswith(".worker.handler"):
            continue
        queue = queues.get(mapping["eventSourceArn"], {})
        made = _pipeline(name, mapping, function, queue, throttle if name in by_api else None)
        found[name] = replace(made, targets=made.puts + (f"{name}-success-target" in targets))
    return found


def _by_api(registered: Sequence[Registered]) -> set[str]:
    """The pipelines whose events come by the API: those of the functions that it calls."""
    called = [one.inputs["integrationUri"] for one in registered if one.type.endswith(":Integration")]
    names = {str(uri).rpartition(":")[2] for uri in called}
    functions = [one.inputs for one in registered if one.type.endswith(":Function") and one.name in names]
    return {one["environment"]["variables"].get("PIPELINE", "") for one in functions}


def _pipeline(
    name: str,
    mapping: Mapping[str, Any],
    function: Mapping[str, Any],
    queue: Mapping[str, Any],
    throttle: int | None,
) -> Pipeline:
    environment: Mapping[str, str] = function["environment"]["variables"]
    timeout, window = int(function["timeout"]), int(mapping.get("maximumBatchingWindowInSeconds") or 0)
    policy = json.loads(queue.get("redrivePolicy", "{}"))
    pollers = mapping.get("provisionedPollerConfig")
    scaling = mapping.get("scalingConfig")
    reserved = function.get("reservedConcurrentExecutions")
    return Pipeline(
        name=name,
        batch_size=int(mapping["batchSize"]),
        window=window,
        timeout=timeout,
        # of a queue that somebody else owns, what the program asks of its owner
        visibility=int(queue.get("visibilityTimeoutSeconds", 6 * timeout + window)),
        max_receive_count=int(policy.get("maxReceiveCount", environment["MAX_RECEIVE_COUNT"])),
        retention=int(queue.get("messageRetentionSeconds", 4 * 86_400)),
        backoff_base=float(environment["RETRY_BACKOFF_BASE_SECONDS"]),
        backoff_max=float(environment["RETRY_BACKOFF_MAX_SECONDS"]),
        outage=int(environment["OUTAGE_SECONDS"]),
        breaker_hold=int(environment["BREAKER_HOLD_SECONDS"]),
        memory_mb=int(function["memorySize"]),
        max_concurrency=int(scaling["maximumConcurrency"]) if scaling else None,
        # 0 is not none: it switches the function off
        reserved_concurrency=None if reserved in {None, _UNRESERVED} else int(reserved),
        pollers=Pollers(least=int(pollers["minimumPollers"]), most=int(pollers["maximumPollers"])) if pollers else None,
        fifo=bool(queue.get("fifoQueue", str(mapping["eventSourceArn"]).endswith(".fifo"))),
        throttle_rate=throttle,
        takes_pollers=name not in _WITHOUT_POLLERS,
        puts=1 if name == "orders" else 0,
    )
