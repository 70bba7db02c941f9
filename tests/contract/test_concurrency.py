"""What the defaults ask of an account's Lambda concurrency, a new account has."""

from collections.abc import Mapping

import pytest

from ops.cli.doctor import concurrency
from ops.cli.doctor.check import Check
from ops.local.deployer.rehearsal import Registered
from tests.components.recording import EVERY_PIPELINE, run_main

_NEW_ACCOUNT = concurrency.Quota(limit=10, unreserved=10)


def _judged(stack: str, config: Mapping[str, object], quota: concurrency.Quota) -> Check:
    made = [Registered(one.type, one.name, one.inputs) for one in run_main(stack, config).resources]
    return concurrency.judge(concurrency.demand(made), quota, "eu-central-1")


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_a_new_account_has_room_for_the_defaults(stack: str) -> None:
    """With every pipeline: nothing is reserved, and the workers leave the API room in a quota of 10."""
    judged = _judged(stack, {"pipelines": list(EVERY_PIPELINE)}, _NEW_ACCOUNT)

    assert judged.state == "ok"
    assert "is 10, of which 10 are not reserved; the stack reserves 0, its workers take 8 at once" in judged.found
    assert "and 2 are left to its other functions" in judged.found


@pytest.mark.parametrize(
    ("config", "quota", "state"),
    [
        ({"workerMaxConcurrency": 9}, _NEW_ACCOUNT, "problem"),
        ({"workerMaxConcurrency": 8}, _NEW_ACCOUNT, "ok"),
        ({"workerReservedConcurrency": 2}, _NEW_ACCOUNT, "problem"),
        ({"workerReservedConcurrency": 20}, concurrency.Quota(119, 119), "problem"),
        ({"workerReservedConcurrency": 20}, concurrency.Quota(120, 120), "ok"),
        ({"workerReservedConcurrency": 20}, concurrency.Quota(120, 100, held=20), "ok"),  # deployed already
        ({"workerReservedConcurrency": 500, "workerMaxConcurrency": 500}, concurrency.Quota(1000, 1000), "ok"),
    ],
)
def test_what_a_configuration_asks_for_is_held_against_the_quota(
    config: Mapping[str, object], quota: concurrency.Quota, state: str
) -> None:
    """What is reserved has to leave 100; what polls without a reservation has to leave the others room."""
    assert _judged("dev", config, quota).state == state
