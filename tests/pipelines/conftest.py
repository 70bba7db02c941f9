"""A deployed laptop stack for the pipeline tests: one per test process, IAM enforced."""

from collections.abc import Iterator
from typing import Any

import pytest

from ops.local.deployer import deploy
from ops.local.emulator import Emulator
from tests.pipelines.lab import ROOT, Lab

# Short enough that a redelivery after a death (6 x timeout) is a matter of seconds.
BREAKER = {"id": {"S": "breaker#events"}, "item": {"S": "state"}}  # the key of its state
CONFIG: dict[str, Any] = {
    "workerTimeoutSeconds": 2,
    "ordersWorkerTimeoutSeconds": 2,
    "retryBackoffBaseSeconds": 1,
    "retryBackoffMaxSeconds": 2,
}


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The emulator with the local stack on it."""
    home = tmp_path_factory.mktemp("lab")
    with Emulator.start(home) as emulator:
        deployment = deploy(ROOT, "local", endpoint=emulator.endpoint, state_file=home / "local.json", config=CONFIG)
        yield Lab(emulator, home, deployment)


@pytest.fixture
def lab(deployed: Lab) -> Lab:
    """The stack with its queues empty, no failure mode, and a breaker that has seen nothing.

    After an outage that only some events met, the breaker believes no trip for five minutes.
    """
    for url in (deployed.outputs["MainQueueUrl"], deployed.outputs["DlqUrl"]):
        deployed.client("sqs").purge_queue(QueueUrl=url)
    deployed.client("dynamodb").delete_item(TableName=deployed.outputs["ControlTableName"], Key=BREAKER)
    deployed.client("ssm").put_parameter(Name="/ingestion/failure_mode", Value="none", Type="String", Overwrite=True)
    return deployed
