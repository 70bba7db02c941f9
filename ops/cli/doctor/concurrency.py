"""A stack's Lambda concurrency against the quota of an account and region.

A new account's quota can be 10 (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html). AWS refuses a
reservation that would leave the functions without one less than 100
(https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionConcurrency.html). A batch that is throttled goes back to
its queue and has spent a receive: workers that may take more than there is lose good messages to the dead letters, and
leave the API nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops.cli.doctor.check import Check, ok, problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ops.local.deployer.rehearsal import Registered

NAME = "concurrency"
UNRESERVED = 100  # what AWS keeps for the functions without a reservation
ROOM = (
    2  # what the workers have to leave at least: to the API, and to one function that is behind it or runs by the clock
)
USUAL_QUOTA = 1000
POLLER_CONCURRENCY = 10  # batches of one provisioned poller
_QUOTA = "--service-code lambda --quota-code L-B99A9384"


@dataclass(frozen=True, slots=True)
class Demand:
    """What a stack asks of the quota."""

    reserved: Mapping[str, int]  # log group of a function -> what it reserves
    polled: int  # what the queues' mappings may take at once of what nobody has reserved


@dataclass(frozen=True, slots=True)
class Quota:
    """What an account has in a region; `held` is what the stack's functions have reserved of it already."""

    limit: int
    unreserved: int
    held: int = 0


def demand(registered: Sequence[Registered]) -> Demand:
    """What the resources of a stack ask for."""
    reserving = {
        f"arn:{one.name}": (one.inputs["loggingConfig"]["logGroup"], int(one.inputs["reservedConcurrentExecutions"]))
        for one in registered
        if one.type.endswith(":Function") and int(one.inputs.get("reservedConcurrentExecutions") or 0) > 0
    }
    mappings = (one.inputs for one in registered if one.type.endswith(":EventSourceMapping"))
    polled = (_polled(inputs) for inputs in mappings if inputs["functionName"] not in reserving)
    return Demand(dict(reserving.values()), sum(polled))


def _polled(mapping: Mapping[str, Any]) -> int:
    """The batches that a mapping may have worked on at once."""
    if pollers := mapping.get("provisionedPollerConfig"):
        return int(pollers["maximumPollers"]) * POLLER_CONCURRENCY
    return int(mapping["scalingConfig"]["maximumConcurrency"])


def judge(wanted: Demand, quota: Quota, region: str) -> Check:
    """Whether the quota has room for it."""
    reserved = sum(wanted.reserved.values())
    left = quota.unreserved + quota.held - reserved
    there = f"the quota of {region} is {quota.limit}, of which {quota.unreserved} are not reserved"
    if reserved and left < UNRESERVED:
        return problem(
            NAME,
            f"{there}; the stack reserves {reserved}, and AWS refuses to leave less than {UNRESERVED} unreserved",
            _mend(quota, UNRESERVED - left, "pulumi config set workerReservedConcurrency 0"),
        )
    if left - wanted.polled < ROOM:
        return problem(
            NAME,
            f"{there}; the workers may take {wanted.polled} at once: throttled batches spend receives until good "
            f"messages are dead letters, and the API gets nothing",
            _mend(quota, ROOM + wanted.polled - left, "pulumi config set workerMaxConcurrency 2"),
        )
    return ok(
        NAME,
        f"{there}; the stack reserves {reserved}, its workers take {wanted.polled} at once at most, and "
        f"{left - wanted.polled} are left to its other functions and to all others of the account",
    )


def _mend(quota: Quota, short: int, lower: str) -> str:
    wanted = max(USUAL_QUOTA, quota.limit + short)
    return (
        f"aws service-quotas request-service-quota-increase {_QUOTA} --desired-value {wanted} "
        f"(AWS answers within days); or less: {lower}"
    )
