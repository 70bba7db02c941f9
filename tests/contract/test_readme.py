"""The README's shell blocks run as they stand, in their order, on a stack that `lab up` has started."""

import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
_DEFAULT_PORT = "4566"


def free_port() -> str:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The shell of a user who has done `make up`, on a port of the test's own."""
    variables = os.environ | {
        "LAB_HOME": str(tmp_path_factory.mktemp("home") / "lab"),
        "LAB_PORT": free_port(),
        "PATH": f"{ROOT / '.venv/bin'}:{os.environ['PATH']}",
    }
    subprocess.run(["lab", "up"], cwd=ROOT, env=variables, check=True, timeout=120)  # noqa: S607 - the venv's lab
    yield variables
    subprocess.run(["lab", "down"], cwd=ROOT, env=variables, check=True, timeout=60)  # noqa: S607


def lab_status(environment: dict[str, str]) -> dict[str, Any]:
    """What `lab status` knows."""
    command = ["lab", "status", "--json"]
    shown = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60)
    status: dict[str, Any] = json.loads(shown.stdout)
    return status


def test_the_readme_runs(environment: dict[str, str]) -> None:
    """Every line of every bash block succeeds and shows what the text around it says."""
    blocks = re.findall(r"^```bash\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    script = "set -euo pipefail\n" + "\n".join(blocks).replace(_DEFAULT_PORT, environment["LAB_PORT"])

    run = subprocess.run(
        ["bash", "-c", script],  # noqa: S607
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    for expected in (
        '"statusUrl":"/events/f1db790f91d676fb4bff4552fd3575323d70574958f78b76f59d569a3a7dd004"',
        '"status":"SUCCEEDED"',
        '"errorType":"IdempotencyConflictError"',
        '"accepted":2,"rejected":1',
        "events-worker",
        '"ApproximateNumberOfMessages": "0"',
        '"errorType":"SchemaValidationError"',
        '"dlqStats":{"totalMessages":10',
        '"state":"RUNNING"',
        "local-events-dlq-not-empty",
    ):
        assert expected in run.stdout, run.stdout
    assert '"attempts":2' not in run.stdout
    assert lab_status(environment)["queues"]["events"]["dlq"] == {"visible": 0, "inFlight": 0, "delayed": 0}
    assert set(lab_status(environment)["states"]) == {"SUCCEEDED"}
