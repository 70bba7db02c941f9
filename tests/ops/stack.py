"""What the tests of the operator's side share: small programs, an emulator to deploy them to, waiting."""

import json
import socket
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3

from ops.local.deployer import Deployment, deploy
from ops.local.emulator import Emulator
from tests.waiting import until

FIXTURE = Path(__file__).parent / "fixture"


class Stack:
    """A state file, and an emulator that held nothing before."""

    def __init__(self, emulator: Emulator, state_file: Path) -> None:
        self.emulator = emulator
        self.state_file = state_file
        self.notices: list[str] = []

    def deploy(
        self, root: Path = FIXTURE, *, lose_data: bool = False, refresh: bool = False, **config: object
    ) -> Deployment:
        """Deploy a program with these keys of its configuration set."""
        return deploy(
            root,
            "local",
            endpoint=self.emulator.endpoint,
            state_file=self.state_file,
            config=config,
            notify=self.notices.append,
            lose_data=lose_data,
            refresh=refresh,
        )

    def client(self, service: str) -> Any:
        """A client of the emulator as its root user."""
        return client(self.emulator, service)

    def state(self) -> dict[str, Any]:
        """What the state file holds."""
        found: dict[str, Any] = json.loads(self.state_file.read_text())
        return found


def client(emulator: Emulator, service: str, key: str = "test") -> Any:
    """A boto3 client of the emulator."""
    make: Any = boto3.client
    return make(
        service,
        endpoint_url=emulator.endpoint,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key="test",
    )


def small_program(folder: Path, body: str) -> Path:
    """A project with this program."""
    folder.mkdir(exist_ok=True)
    (folder / "Pulumi.yaml").write_text("name: small\nruntime: python\n")
    (folder / "Pulumi.local.yaml").write_text("config: {}\n")
    (folder / "__main__.py").write_text(f"import pulumi\nimport pulumi_aws as aws\n{body}\n")
    return folder


def wipe(emulator: Emulator) -> None:
    """Make the emulator forget everything."""
    with urllib.request.urlopen(f"{emulator.endpoint}/_ministack/reset", data=b"", timeout=20) as answer:  # noqa: S310
        assert answer.status == 200


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 180) -> None:
    """Return as soon as `condition` holds; fail when it never does: long after anything takes on a busy machine."""
    assert until(condition, seconds), f"{what}: not within {seconds} s"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
