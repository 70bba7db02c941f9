"""`lab doctor`: what it finds right, what it finds wrong, and what it does not pretend to know."""

import json
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from typer.testing import CliRunner

from ops.cli import target
from ops.cli.doctor import concurrency, configuration
from ops.cli.main import app
from ops.local.cloudwatch import service
from ops.local.deployer import Registered
from ops.local.emulator import Emulator
from tests.ops.laptop import Laptop
from tests.ops.stack import small_program

_PROGRAM = """
worker = aws.lambda_.Function(
    "worker",
    role="arn:aws:iam::123456789012:role/worker",
    reserved_concurrent_executions={reserved},
    logging_config={{"log_format": "JSON", "log_group": "/aws/lambda/small-dev-worker"}},
)
aws.lambda_.EventSourceMapping(
    "mapping", function_name=worker.arn, scaling_config={{"maximum_concurrency": {polled}}}
)
for address in {addresses}:
    aws.sns.TopicSubscription(address, topic="arn:critical", protocol="email", endpoint=address)
if not pulumi.Config().require_secret("token"):
    raise ValueError("token must be set")
"""


@dataclass
class FakeAws:
    """A session: whoever asks, in which region, of which quota; an exception in place of an answer is raised."""

    region: str | None = "eu-west-1"
    identity: object = field(default_factory=lambda: {"Arn": "arn:aws:iam::123456789012:user/me", "Account": "1234"})
    settings: object = field(default_factory=lambda: _settings(10, 10))
    held: int = 0
    subscriptions: Any = field(default_factory=dict)  # ARN of a topic that alarms notify -> what SNS lists
    asked: list[str] = field(default_factory=list)

    def get_config_variable(self, name: str) -> str | None:
        assert name == "region"
        return self.region

    def create_client(self, service: str, *, region_name: str) -> "FakeAws":
        self.asked.append(f"{service} {region_name}")
        return self

    def get_caller_identity(self) -> Any:
        return _answer(self.identity)

    def get_account_settings(self) -> Any:
        return _answer(self.settings)

    def get_paginator(self, operation: str) -> "FakeAws":
        self.operation = operation
        return self

    def paginate(self, **given: Any) -> Iterator[dict[str, Any]]:
        if self.operation == "describe_alarms":
            assert given == {"AlarmNamePrefix": "IngestionLab-dev-", "AlarmTypes": ["MetricAlarm", "CompositeAlarm"]}
            yield _alarms(_answer(self.subscriptions))
        elif self.operation == "list_subscriptions_by_topic":
            yield from ({"Subscriptions": [one]} for one in self.subscriptions[given["TopicArn"]])
        else:
            assert self.operation == "list_functions"
            yield from self.functions()

    def functions(self) -> Iterator[dict[str, Any]]:
        yield {"Functions": [{"FunctionName": "old"}, _function("worker-1", "small-dev-worker")]}
        yield {"Functions": [_function("worker-2", "small-dev-eu-worker")]}

    def get_function_concurrency(self, *, FunctionName: str) -> dict[str, Any]:
        assert FunctionName == "worker-1"
        return {"ReservedConcurrentExecutions": self.held} if self.held else {}


def _settings(limit: int, unreserved: int) -> dict[str, Any]:
    return {"AccountLimit": {"ConcurrentExecutions": limit, "UnreservedConcurrentExecutions": unreserved}}


def _function(name: str, group: str) -> dict[str, Any]:
    return {"FunctionName": name, "LoggingConfig": {"LogGroup": f"/aws/lambda/{group}"}}


def _alarms(topics: Any) -> dict[str, Any]:
    """One alarm for each topic, and what sums them up."""
    metric = [{"AlarmName": f"IngestionLab-dev-{n}", "AlarmActions": [arn]} for n, arn in enumerate(topics)]
    rule = " OR ".join(f'ALARM("{one["AlarmName"]}")' for one in metric)
    return {"MetricAlarms": metric, "CompositeAlarms": [{"AlarmName": "IngestionLab-dev-critical", "AlarmRule": rule}]}


def _answer(given: Any) -> Any:
    if isinstance(given, Exception):
        raise given
    return given


def _refusal(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, operation)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> FakeAws:
    """An account, and a machine with every tool on the PATH."""
    fake = FakeAws()
    monkeypatch.setattr(target, "account", lambda _region, _profile: fake)
    monkeypatch.setattr(shutil, "which", lambda name, **_: f"/bin/{name}")
    monkeypatch.setattr(target, "decrypted", lambda stack, key: f"{stack}'s {key}")
    return fake


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes the project with a stack dev, whose worker reserves and polls as much as is said."""
    encrypted = "{secure: v1:abc}"

    def make(
        reserved: int = -1,
        polled: int = 2,
        config: str = f"{{aws:region: eu-west-1, small:token: {encrypted}}}",
        addresses: Sequence[str] = (),
    ) -> None:
        text = _PROGRAM.format(reserved=reserved, polled=polled, addresses=addresses)
        root = small_program(tmp_path / "small", text)
        (root / "Pulumi.dev.yaml").write_text(f"encryptionsalt: v1:abc\nconfig: {config}\n")
        monkeypatch.setattr(configuration, "PROGRAM", root)

    return make


def _doctor(*arguments: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Its exit code and the checks by name."""
    shown = CliRunner().invoke(app, ["doctor", "--json", *arguments])
    checks = json.loads(shown.stdout)["checks"]
    return shown.exit_code, {one.pop("name"): one for one in checks}


def _states(checks: dict[str, dict[str, str]]) -> dict[str, str]:
    return {name: one["state"] for name, one in checks.items()}


_AWS = ("python", "pulumi", "uv", "configuration", "region", "credentials", "concurrency", "subscribers")


def test_an_account_with_room(aws: FakeAws, project: Callable[..., None]) -> None:
    """All is well: what was found is told, an encrypted value decrypted, and AWS asked in the stack's region."""
    project()
    code, checks = _doctor("--stack", "dev")

    assert (code, _states(checks)) == (0, dict.fromkeys(_AWS, "ok"))
    assert checks["configuration"]["found"] == "the program accepts Pulumi.dev.yaml: 2 resources"
    assert checks["credentials"]["found"] == "arn:aws:iam::123456789012:user/me of account 1234"
    assert checks["concurrency"]["found"].endswith(
        "and 8 are left to its other functions and to all others of the account"
    )
    assert aws.asked == [f"{service} eu-west-1" for service in ("sts", "lambda", "cloudwatch", "sns")]


@pytest.mark.parametrize(
    ("reserved", "polled", "limits", "held", "state", "mend"),
    [
        (
            5,
            5,
            (10, 10),
            0,
            "problem",
            "--desired-value 1000 (AWS answers within days); or less: pulumi config set work",
        ),
        (
            5,
            5,
            (1000, 104),
            0,
            "problem",
            "--desired-value 1001 (AWS answers within days); or less: pulumi config set w",
        ),
        (5, 5, (1000, 105), 0, "ok", ""),
        (5, 5, (1000, 100), 5, "ok", ""),  # deployed already
        (-1, 9, (10, 10), 0, "problem", "or less: pulumi config set workerMaxConcurrency 2"),
        (-1, 9, (1000, 11), 0, "ok", ""),
    ],
)
def test_the_quota(
    aws: FakeAws,
    project: Callable[..., None],
    *,
    reserved: int,
    polled: int,
    limits: tuple[int, int],
    held: int,
    state: str,
    mend: str,
) -> None:
    """What the stack reserves and polls against what the account has, with what an earlier deployment holds."""
    project(reserved, polled)
    aws.settings, aws.held = _settings(*limits), held
    code, checks = _doctor("--stack", "dev")

    assert (code, checks["concurrency"]["state"]) == (int(state != "ok"), state)
    assert mend in checks["concurrency"]["mend"]


def _listed(arn: str) -> list[dict[str, str]]:
    return [{"Protocol": "email", "Endpoint": "oncall@team.example", "SubscriptionArn": arn}]


_CONFIRMED = "arn:aws:sns:eu-west-1:123456789012:critical:1"


@pytest.mark.parametrize(
    ("addresses", "subscriptions", "state", "found", "mend"),
    [
        (["a"], {}, "ok", "no alarm that notifies is deployed", ""),
        (["a"], {"arn:critical": _listed(_CONFIRMED)}, "ok", "confirmed on every topic of alarms", ""),
        (
            ["a"],
            {"arn:critical": _listed(_CONFIRMED), "arn:warning": _listed("PendingConfirmation")},
            "problem",
            "oncall@team.example has not confirmed, and hears of no alarm",
            "aws sns subscribe --topic-arn arn:warning --protocol email --notification-endpoint oncall@team.example",
        ),
        (
            ["a"],
            {"arn:critical": []},
            "problem",
            "nobody is subscribed to arn:critical",
            "pulumi up --refresh --stack dev",
        ),
        (["a"], {"arn:critical": _listed("Deleted")}, "problem", "nobody is subscribed to arn:critical", "48 hours"),
        ([], {"arn:critical": []}, "ok", "none, as configured: alarmEmail and webhookUrl are empty", ""),
        (
            ["a"],
            _refusal("AccessDenied", "DescribeAlarms"),
            "could-not-check",
            "(AccessDenied)",
            "ask for cloudwatch:DescribeAlarms and sns:ListSubscriptionsByTopic",
        ),
    ],
)
def test_subscribers(  # noqa: PLR0917 - a table
    aws: FakeAws,
    project: Callable[..., None],
    addresses: list[str],
    subscriptions: Any,
    state: str,
    found: str,
    mend: str,
) -> None:
    """Who has not confirmed hears nothing, and nor does whom SNS has forgotten since."""
    project(addresses=addresses)
    aws.subscriptions = subscriptions
    code, checks = _doctor("--stack", "dev")

    assert (code, checks["subscribers"]["state"]) == (int(state != "ok"), state)
    assert found in checks["subscribers"]["found"]
    assert mend in checks["subscribers"]["mend"]


@pytest.mark.parametrize(
    ("identity", "settings", "credentials", "concurrency"),
    [
        (NoCredentialsError(), {}, "problem", "could-not-check"),
        (_refusal("ExpiredToken", "GetCallerIdentity"), {}, "problem", "could-not-check"),
        (EndpointConnectionError(endpoint_url="https://sts"), {}, "could-not-check", "could-not-check"),
        (
            {"Arn": "a", "Account": "1"},
            _refusal("AccessDeniedException", "GetAccountSettings"),
            "ok",
            "could-not-check",
        ),
    ],
)
def test_what_can_not_be_asked_is_not_fine(
    aws: FakeAws,
    project: Callable[..., None],
    *,
    identity: object,
    settings: object,
    credentials: str,
    concurrency: str,
) -> None:
    """Without an answer the check says so, says what mends it, and the command fails."""
    project()
    aws.identity, aws.settings = identity, settings
    code, checks = _doctor("--stack", "dev")

    assert (code, checks["credentials"]["state"], checks["concurrency"]["state"]) == (1, credentials, concurrency)
    assert [name for name, one in checks.items() if one["state"] != "ok" and not one["mend"]] == []


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize(
    ("config", "configured", "region", "found"),
    [
        ("{aws:region: eu-west-1}", "problem", "ok", "Missing required configuration variable 'small:token'"),
        ("[", "problem", "could-not-check", "is not valid YAML"),
        ("[a]", "problem", "could-not-check", "config must be a mapping"),
        ("{aws:region: us-east-1, small:token: t}", "ok", "problem", "the program accepts"),
        ("{small:token: t}", "ok", "ok", "the program accepts"),  # the caller's own region
    ],
)
def test_configurations(project: Callable[..., None], config: str, configured: str, region: str, found: str) -> None:
    """The program's own words for what it refuses; a region that `lab` would not look in; all in the list."""
    project(config=config)
    _, checks = _doctor("--stack", "dev")

    assert (checks["configuration"]["state"], checks["region"]["state"]) == (configured, region)
    assert found in checks["configuration"]["found"]
    assert tuple(checks) == _AWS


@pytest.mark.usefixtures("aws")
def test_a_stack_without_a_file(project: Callable[..., None]) -> None:
    """How one is made."""
    project()
    _, checks = _doctor("--stack", "other")

    mend = "cp Pulumi.dev.yaml Pulumi.other.yaml && pulumi stack init other, or name another --stack"
    assert (checks["configuration"]["state"], checks["configuration"]["mend"]) == ("problem", mend)


def test_a_secret_that_nobody_can_read(
    aws: FakeAws, project: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the program takes it is not known, and so neither is what the stack asks of the quota."""

    def refuse(stack: str, key: str) -> str:
        raise target.TargetError(f"pulumi can't decrypt {key} of stack {stack!r}: incorrect passphrase")

    project()
    monkeypatch.setattr(target, "decrypted", refuse)
    code, checks = _doctor("--stack", "dev")

    assert (code, checks["configuration"]["state"], checks["concurrency"]["state"]) == (1, *["could-not-check"] * 2)
    assert checks["configuration"]["found"] == "pulumi can't decrypt small:token of stack 'dev': incorrect passphrase"
    assert aws.asked == ["sts eu-west-1"]


def test_decryption_is_the_pulumi_clis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It prints the value and the end of a line; what it says when it can't comes through."""
    program = tmp_path / "pulumi"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.exit('no') if 'no' in sys.argv else print(sys.argv[1:4])\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert target.decrypted("dev", "a:b") == "['config', 'get', 'a:b']"
    with pytest.raises(target.TargetError, match=r"^pulumi can't decrypt no of stack 'dev': no$"):
        target.decrypted("dev", "no")


@pytest.mark.usefixtures("aws")
def test_missing_tools(project: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """The Pulumi CLI has to be on the PATH; uv may also be beside `lab`, which tells the CLI of it."""
    project()
    monkeypatch.setattr(shutil, "which", lambda name, path=None: f"{path}/{name}" if path else None)
    _, checks = _doctor("--stack", "dev")

    assert (checks["pulumi"]["state"], checks["uv"]["state"]) == ("problem", "ok")
    assert "pulumi up by itself needs it on the PATH" in checks["uv"]["found"]


def _laptop(laptop: Laptop, **environment: str) -> tuple[int, dict[str, str]]:
    shown = laptop.lab("doctor", "--json", **environment)
    return shown.exit_code, {one["name"]: one["state"] for one in json.loads(shown.stdout)["checks"]}


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small one in place of the real."""
    monkeypatch.setattr(configuration, "PROGRAM", small_program(tmp_path / "small", ""))


_FINE = dict.fromkeys(("python", "configuration", "port", "emulator", "state"), "ok")


def test_what_pollers_may_take_counts() -> None:
    """Ten batches for each at the most, which is beside what the other mappings may take."""
    mapping = "aws:lambda/eventSourceMapping:EventSourceMapping"
    registered = [
        Registered(mapping, "a", {"functionName": "arn:a", "provisionedPollerConfig": {"maximumPollers": 7.0}}),
        Registered(mapping, "b", {"functionName": "arn:b", "scalingConfig": {"maximumConcurrency": 3.0}}),
    ]

    assert concurrency.demand(registered) == concurrency.Demand({}, 73)


@pytest.mark.usefixtures("program")
def test_a_fresh_laptop(laptop: Laptop) -> None:
    """Nothing runs, and nothing is in the way."""
    assert _laptop(laptop) == (0, _FINE)


@pytest.mark.usefixtures("program")
def test_the_port_is_taken(laptop: Laptop) -> None:
    """By another program; or it is none at all."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", laptop.port))
        holder.listen()
        assert _laptop(laptop) == (1, _FINE | {"port": "problem"})
    assert _laptop(laptop, LAB_PORT="http") == (1, _FINE | {"port": "problem"})


@pytest.mark.usefixtures("program")
@pytest.mark.parametrize("state", ["{", "[]", '{"endpoint": "http://127.0.0.1:1", "resources": []}'])
def test_a_stale_state(laptop: Laptop, state: str) -> None:
    """Of a cloud that is gone, or unreadable."""
    laptop.home.mkdir()
    (laptop.home / "local.json").write_text(state)
    assert _laptop(laptop) == (1, _FINE | {"state": "problem"})


@pytest.mark.usefixtures("program")
def test_a_dead_emulator(laptop: Laptop) -> None:
    """It has left a record, and no process."""
    laptop.home.mkdir()
    record = {"pid": 2**22 + 1, "started": 1.0, "port": laptop.port, "root": "/"}  # no pid is that high
    (laptop.home / "emulator.json").write_text(json.dumps(record))
    assert _laptop(laptop) == (1, _FINE | {"emulator": "problem"})


class _Running:
    """A local cloud on a port of its own."""

    endpoint, port, pid = "http://127.0.0.1:7", 7, 1
    home = Path("/nowhere")

    def answers(self) -> bool:
        return True


@pytest.mark.usefixtures("program")
def test_a_stack_that_runs(laptop: Laptop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its CloudWatch is looked for and its API asked; its port is its own, whichever it is."""
    laptop.home.mkdir()
    state = {"endpoint": _Running.endpoint, "resources": [1], "outputs": {"ApiEndpoint": "http://127.0.0.1:1"}}
    (laptop.home / "local.json").write_text(json.dumps(state))
    monkeypatch.setattr(Emulator, "attach", lambda _home: _Running())
    monkeypatch.setattr(service, "attach", lambda _emulator: None)

    checks = json.loads(laptop.lab("doctor", "--json").stdout)["checks"]
    found = {one.pop("name"): one for one in checks}

    assert found["port"]["found"] == f"7 is the local cloud's own; LAB_PORT={laptop.port} is not used before lab down"
    assert found["cloudwatch"] == {
        "state": "problem",
        "found": "does not run, so metrics and alarms are old; its log: /nowhere/cloudwatch.log",
        "mend": "lab up starts it",
    }
    assert (found["api"]["state"], found["api"]["found"].startswith("GET /health: ")) == ("problem", True)


def test_as_text(laptop: Laptop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line for each check; under what is not ok, what mends it. An encrypted value is named with the command."""
    root = small_program(tmp_path / "small", "")
    (root / "Pulumi.local.yaml").write_text("config: {small:token: {secure: v1:abc}}\n")
    monkeypatch.setattr(configuration, "PROGRAM", root)
    shown = laptop.lab("doctor")
    lines = shown.stdout.splitlines()

    assert shown.exit_code == 1
    assert lines[1].startswith("problem         configuration  small:token in Pulumi.local.yaml is encrypted, ")
    assert "pulumi config rm --path 'small:token' --stack local" in lines[1]
    assert lines[2].startswith("                               mend: ")
    assert lines[3] == f"ok              port           {laptop.port} is free"
