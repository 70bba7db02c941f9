"""The only place that knows the laptop from AWS: where a stack is, what it exports, how to reach it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer

from ops.cli.api import ON_AWS, ApiClient, Identity
from ops.local.emulator import ROOT, Emulator
from ops.local.errors import LabError

LOCAL = "local"
PROJECT = "ingestion-lab"  # as Pulumi.yaml names it: log groups and saved queries begin with it
DEFAULT_PORT = 4566
_AWS_CONNECTIONS = 8

StackOption = Annotated[str, typer.Option("--stack", envvar="LAB_STACK", help="local, or a stack of the Pulumi CLI.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


class TargetError(LabError):
    """The stack can't be reached; the message says why and what to do."""


class NotRunningError(TargetError):
    """The laptop's stack is down."""


@dataclass(frozen=True, slots=True)
class Target:
    """A deployed stack."""

    stack: str
    outputs: dict[str, Any]
    emulator: Emulator | None  # on AWS there is none

    @property
    def api(self) -> str:
        """Base URL of the HTTP API, without a slash at the end."""
        return str(self.outputs["ApiEndpoint"]).rstrip("/")

    @property
    def pipelines(self) -> dict[str, dict[str, str]]:
        """Name of each pipeline -> its group of outputs."""
        groups = ((name, group) for name, group in self.outputs.items() if isinstance(group, dict))
        return {name: group for name, group in groups if "queueUrl" in group}

    @property
    def region(self) -> str:
        """AWS's region of the stack."""
        there = ON_AWS.match(self.api)
        return there[1] if there else str(self._session().get_config_variable("region"))

    @property
    def speaks_tls(self) -> bool:
        """Whether plain HTTP can be refused: on the laptop's loopback there is nothing else."""
        return self.emulator is None

    @property
    def connections(self) -> int:
        """Calls that are worth making at once: each may be a cold start, and a laptop has few cores."""
        return _AWS_CONNECTIONS if self.emulator is None else min(_AWS_CONNECTIONS, os.cpu_count() or 1)

    @property
    def identity(self) -> Identity:
        """Who calls its API: on the laptop the emulator's root user, on AWS the caller himself."""
        mode = str(self.outputs.get("AuthMode", "none"))
        return Identity(mode, is_laptop=self.stack == LOCAL, session=cache(self._session))

    @property
    def has_logs_insights(self) -> bool:
        """Whether AWS runs queries over logs and hands out logs in pages; on the laptop `ops.local` does."""
        return self.emulator is None

    @property
    def has_athena(self) -> bool:
        """Whether AWS has an engine that works on tables; on the laptop pyiceberg does what of it is needed."""
        return self.emulator is None

    @property
    def counts_records(self) -> bool:
        """Whether reading all state records is cheap."""
        return self.emulator is not None

    @property
    def look_seconds(self) -> float:
        """How often to look again; on AWS each look costs money."""
        return 10.0 if self.emulator is None else 1.0

    @property
    def metric_seconds(self) -> float:
        """How often to read metrics again: AWS takes money for each, and none of them is younger than a minute."""
        return 60.0 if self.emulator is None else self.look_seconds

    @property
    def archive_lag(self) -> timedelta:
        """How late events may reach an archive of EventBridge (AWS's advice)."""
        return timedelta(minutes=10) if self.emulator is None else timedelta()

    @property
    def life(self) -> int:
        """Tells one life of the laptop's stack from the next, in which buckets have the same names; 0 on AWS."""
        return self.emulator.pid if self.emulator else 0

    def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Call the stack's API once and return its answer.

        Raises:
            ApiError: it refused; the message has its reasons.
            OSError: no answer.
        """
        return ApiClient(self.api, self.identity).ask(method, path, body)

    def client(self, service: str) -> Any:  # noqa: ANN401 - one class per service
        """A client of the emulator, or of AWS with the caller's own credentials."""
        session = self._session()
        if self.emulator is None:
            return session.create_client(service)
        from botocore.config import Config  # noqa: PLC0415 - takes as long as all the rest; `--help` does without it

        return session.create_client(service, endpoint_url=self.emulator.endpoint, config=Config(proxies={}))

    def _session(self) -> Any:  # noqa: ANN401 - botocore is imported when it is needed
        if self.emulator is None:
            return account(None, None)
        session = account("us-east-1", None)
        session.set_credentials("test", "test")  # the emulator's root user
        return session


def home() -> Path:
    """Folder of everything that the laptop's stack keeps."""
    return Path(os.environ.get("LAB_HOME") or ROOT / ".lab").resolve()


def port() -> int:
    """Port for an emulator that is started.

    Raises:
        TargetError: LAB_PORT is not a port.
    """
    return wanted_port() or DEFAULT_PORT


def wanted_port() -> int | None:
    """Port that LAB_PORT names; None where it names none.

    Raises:
        TargetError: LAB_PORT is not a port.
    """
    given = os.environ.get("LAB_PORT")
    if not given:
        return None
    if not given.isdigit() or not 1 <= int(given) <= 65535:
        raise TargetError(f"LAB_PORT must be 1-65535, got {given!r}")
    return int(given)


def state_file() -> Path:
    """What the deployer remembers of the laptop's stack."""
    return home() / f"{LOCAL}.json"


def find(stack: str) -> Target:
    """The deployed stack.

    Raises:
        NotRunningError: it is the laptop's, and nothing runs or nothing is deployed.
        TargetError: the Pulumi CLI is not there or does not know the stack.
    """
    return _on_the_laptop() if stack == LOCAL else Target(stack, _pulumi_outputs(stack), None)


def reach(stack: str) -> Target:
    """Where a stack is or will be, whether or not anything is deployed there; knows no outputs.

    Raises:
        NotRunningError: it is the laptop's, and nothing runs.
    """
    return Target(stack, {}, _emulator() if stack == LOCAL else None)


def account(region: str | None, profile: str | None) -> Any:  # noqa: ANN401 - botocore is imported when it is needed
    """A session on AWS with the caller's own credentials; None stands for the caller's own settings.

    Raises:
        ProfileNotFound: there is no such profile.
    """
    import botocore.session  # noqa: PLC0415 - takes as long as all the rest; `--help` does without it

    session = botocore.session.Session(profile=profile)
    session.register_component("data_loader", _loader(session.get_config_variable("data_path")))
    if region is not None:
        session.set_config_variable("region", region)
    session.set_default_client_config(_client_settings())
    return session


@cache
def _loader(path: str | None) -> Any:  # noqa: ANN401
    """What all sessions read the services' descriptions through: each of its own would keep all of them once more."""
    from botocore.loaders import create_loader  # noqa: PLC0415 - takes as long as all the rest

    return create_loader(path)


def decrypted(stack: str, key: str) -> str:
    """A value that is encrypted in the stack's file.

    Raises:
        TargetError: the Pulumi CLI is not there or can't decrypt it.
    """
    command = [_pulumi_cli(), "config", "get", key, "--stack", stack, "--cwd", str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise TargetError(f"pulumi can't decrypt {key} of stack {stack!r}: {done.stderr.strip()}")
    return done.stdout.removesuffix("\n")


def pulumi(*arguments: str, stack: str) -> int:
    """Run the Pulumi CLI on a stack, on this terminal; returns its exit code.

    It looks for uv on the PATH: where there is none, it finds the one that was installed with `lab`.

    Raises:
        TargetError: it is not installed.
    """
    command = [_pulumi_cli(), *arguments, "--stack", stack, "--cwd", str(ROOT)]
    path = os.pathsep.join([os.environ["PATH"], str(Path(sys.executable).parent)])
    return subprocess.run(command, env={**os.environ, "PATH": path}, check=False).returncode


def _on_the_laptop() -> Target:
    emulator = _emulator()
    try:
        state = json.loads(state_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        state = {}
    outputs = state.get("outputs") if isinstance(state, dict) and state.get("endpoint") == emulator.endpoint else None
    if not outputs or not isinstance(outputs, dict):
        raise NotRunningError("the emulator runs, but nothing is deployed to it; deploy with: lab up")
    return Target(LOCAL, outputs, emulator)


def _emulator() -> Emulator:
    emulator = Emulator.attach(home())
    if emulator is None:
        raise NotRunningError("the laptop's stack is down; start it with: lab up")
    return emulator


def _pulumi_outputs(stack: str) -> dict[str, Any]:
    command = [_pulumi_cli(), "stack", "output", "--json", "--stack", stack, "--cwd", str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise TargetError(f"pulumi can't read stack {stack!r}: {done.stderr.strip()}")
    outputs: dict[str, Any] = json.loads(done.stdout)
    if "ApiEndpoint" not in outputs:
        raise TargetError(f"stack {stack!r} has no output ApiEndpoint: is it deployed? (pulumi up --stack {stack})")
    return outputs


def _client_settings() -> Any:  # noqa: ANN401
    from botocore.config import Config  # noqa: PLC0415 - takes as long as all the rest; `--help` does without it

    return Config(retries={"mode": "standard"}, connect_timeout=5, read_timeout=60)


def _pulumi_cli() -> str:
    program = shutil.which("pulumi")
    if program is None:
        raise TargetError(
            "stacks other than local are reached through the Pulumi CLI, which is not installed: "
            "https://www.pulumi.com/docs/install/ (the laptop needs none: --stack local)"
        )
    return program
