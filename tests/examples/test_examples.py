"""The wheel in environments of its own: what it holds, and each of the examples at work with it."""

import importlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import uv

from ops.local import venv
from tests.components.policing import Made, started
from tests.components.recording import ROOT

_SECONDS = 600.0
_HERE = Path(__file__).parent
_EXAMPLES = ROOT / "examples"
_PROGRAMS = ("queue_and_worker", "own_pipeline")
_ENVIRONMENT = {
    "ENVIRONMENT": "dev",
    "PIPELINE": "payments",
    "QUEUE_URL": "https://sqs/payments",
    "DLQ_URL": "https://sqs/payments-dlq",
    "TABLE_NAME": "state",
    "EVENT_BUS_NAME": "bus",
    "TTL_DAYS": "7",
    "MAX_RECEIVE_COUNT": "5",
    "RETRY_BACKOFF_BASE_SECONDS": "2",
    "RETRY_BACKOFF_MAX_SECONDS": "300",
    "BREAKER_HOLD_SECONDS": "0",
    "OUTAGE_SECONDS": "2700",
    "OBJECTIVE_SECONDS": "60",
    "POWERTOOLS_SERVICE_NAME": "shop",
    "AWS_DEFAULT_REGION": "eu-central-1",
}


def _run(*command: str | Path, cwd: Path, typed: str = "", environment: dict[str, str] | None = None) -> str:
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "UV_CACHE_DIR", "UV_INDEX_URL") if key in os.environ}
    pip = {key: value for key, value in os.environ.items() if key.startswith(("UV_", "PIP_", "SSL_", "HTTP", "http"))}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        input=typed,
        env={**pip, **kept, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@dataclass
class Installed:
    """The wheel, an environment for programs, and a folder with what a function has in Lambda."""

    scratch: Path

    @cached_property
    def wheel(self) -> Path:
        """The distribution, built from this tree."""
        self._uv("build", "--wheel", "--quiet", "--out-dir", self.scratch / "dist", ROOT)
        (made,) = (self.scratch / "dist").glob("*.whl")
        return made

    @cached_property
    def python(self) -> Path:
        """The interpreter of an environment with the wheel and what it asks for, as the lock has it."""
        home = self.scratch / "venv"
        export = ("export", "--frozen", "--no-default-groups", "--no-emit-project", "--quiet", "--directory", ROOT)
        locked = self.scratch / "locked.txt"
        locked.write_text(self._uv(*export))
        self._uv("venv", "--quiet", "--python", sys.executable, home)
        at = ("--quiet", "--python", home / "bin" / "python")
        self._uv("pip", "install", *at, "--no-deps", "--requirement", locked)
        self._uv("pip", "install", *at, "--no-deps", self.wheel)
        self._uv("pip", "check", *at)  # what the wheel asks for is all there
        return home / "bin" / "python"

    @cached_property
    def function_packages(self) -> Path:
        """What somebody's own function is zipped with: the wheel alone."""
        target = self.scratch / "function"
        at = ("--quiet", "--python", sys.executable, "--target", target)
        self._uv("pip", "install", *at, "--no-deps", self.wheel)
        return target

    @cached_property
    def runtime_packages(self) -> Path:
        """What stands in for the packages of Lambda's runtime: the emulator's."""
        python, *_ = venv.ensure(ROOT)
        (packages,) = Path(python).parents[1].glob("lib/python3.*/site-packages")
        return packages

    @cached_property
    def registered(self) -> dict[str, list[tuple[str, str, Any]]]:
        """What the example programs register, each run in a copy of its folder."""
        for name in _PROGRAMS:
            shutil.copytree(_EXAMPLES / name, self.scratch / name)
        return json.loads(_run(self.python, "-I", _HERE / "registers.py", *_PROGRAMS, cwd=self.scratch))  # type: ignore[no-any-return]

    def works(self, folders: list[Path], calls: list[tuple[str, Any]], **environment: str) -> dict[str, Any]:
        """Call handlers in a process that has these folders on its path, and the runtime's packages."""
        paths = [*map(str, folders), str(self.runtime_packages)]
        code = f"import runpy, sys; sys.path[:0] = {paths!r}; runpy.run_path({str(_HERE / 'works.py')!r})"
        given = json.dumps({"fakes": str(ROOT / "tests" / "handlers" / "fakes.py"), "calls": calls})
        variables = {**_ENVIRONMENT, "HOME": str(self.scratch), **environment}
        said = _run(sys.executable, "-I", "-S", "-c", code, cwd=self.scratch, typed=given, environment=variables)
        answer: dict[str, Any] = json.loads(said.rstrip().rpartition("\n")[2])
        return answer

    def _uv(self, *arguments: str | Path) -> str:
        return _run(uv.find_uv_bin(), *arguments, cwd=self.scratch)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """One for all tests of this file; what it has is made when it is first asked for."""
    return Installed(tmp_path_factory.mktemp("installed"))


def _record(number: int, body: object, key: str = "", receives: int = 1) -> dict[str, Any]:
    attributes = {"idempotencyKey": {"dataType": "String", "stringValue": key}} if key else {}
    return {
        "messageId": f"m{number}",
        "receiptHandle": f"r{number}",
        "body": json.dumps(body),
        "attributes": {"ApproximateReceiveCount": str(receives)},
        "messageAttributes": attributes,
    }


def _inputs(made: list[tuple[str, str, Any]], type_: str, name: str) -> Any:
    (found,) = [inputs for token, named, inputs in made if token.endswith(f":{type_}") and named == name]
    return found


def test_the_wheel_has_one_name(installed: Installed) -> None:
    """One package at top level, typed, without commands; and none of its sources knows this tree's names."""
    with zipfile.ZipFile(installed.wheel) as wheel:
        names = wheel.namelist()
        sources = {name: wheel.read(name).decode() for name in names if name.endswith(".py")}
    files = {name.partition("/")[2] for name in names if name.startswith("ingestion_lab/")}

    assert {name.partition("/")[0].split("-")[0] for name in names} == {"ingestion_lab"}
    assert {"__init__.py", "function.py", "program.py", "py.typed", "pyproject.toml", "uv.lock"} <= files
    assert {name.partition("/")[0] for name in files if "/" in name} == {"components", "handlers", "ops"}
    assert not [name for name in files if name.startswith("ops/") and not name.endswith(".txt")]
    assert not [name for name in names if name.endswith("entry_points.txt")]
    ours = ("from components", "from handlers", "import components", "import handlers", '"handlers.')
    assert {name for name, text in sources.items() if any(one in text for one in ours)} == set()
    assert len(sources["ingestion_lab/handlers/errors.py"].splitlines()) == len(
        (ROOT / "handlers" / "errors.py").read_text().splitlines()
    )


def test_a_queue_and_its_worker(installed: Installed) -> None:
    """The whole of a small program: both queues closed to plain HTTP, and a function whose zip has both codes."""
    made = installed.registered["queue_and_worker"]

    assert {(token.partition(":")[2], name) for token, name, _ in made} == {
        ("compute:FunctionPlatform", "platform"),
        ("lambda/layerVersion:LayerVersion", "dependencies"),
        ("messaging:ReliableQueue", "payments"),
        ("sqs/queue:Queue", "payments-queue"),
        ("sqs/queue:Queue", "payments-dlq"),
        ("sqs/redriveAllowPolicy:RedriveAllowPolicy", "payments-dlq-redrive-allow"),
        ("sqs/queuePolicy:QueuePolicy", "payments-queue-policy"),
        ("sqs/queuePolicy:QueuePolicy", "payments-dlq-policy"),
        ("storage:StateTable", "payments-state"),
        ("dynamodb/table:Table", "payments-state"),
        ("messaging:EventBus", "payments-bus"),
        ("cloudwatch/eventBus:EventBus", "payments-bus"),
        ("compute:InstrumentedFunction", "payments-worker"),
        ("cloudwatch/logGroup:LogGroup", "payments-worker-logs"),
        ("iam/role:Role", "payments-worker-role"),
        ("iam/rolePolicy:RolePolicy", "payments-worker-policy"),
        ("lambda/function:Function", "payments-worker"),
        ("messaging:QueueConsumer", "payments"),
        ("lambda/eventSourceMapping:EventSourceMapping", "payments-mapping"),
        ("cloudwatch/metricAlarm:MetricAlarm", "payments-dlq-not-empty"),
    }
    for role in ("queue", "dlq"):
        (statement,) = json.loads(_inputs(made, "QueuePolicy", f"payments-{role}-policy")["policy"])["Statement"]
        assert (statement["Effect"], statement["Condition"]) == (
            "Deny",
            {"Bool": {"aws:SecureTransport": "false"}},
        )
    function = _inputs(made, "Function", "payments-worker")
    assert function["handler"] == "payments.handler"
    with zipfile.ZipFile(function["code"]) as code:
        assert {name.partition("/")[0] for name in code.namelist()} == {"ingestion_lab", "payments.py"}
        assert "ingestion_lab/function.py" in code.namelist()


def test_its_worker_at_work(installed: Installed, tmp_path: Path) -> None:
    """The zip and the layer that the program made, unpacked: one message works, one is a dead letter, nothing is kept.

    The environment of the function is what its handler asks for.
    """
    made = installed.registered["queue_and_worker"]
    for archive in (
        _inputs(made, "Function", "payments-worker")["code"],
        _inputs(made, "LayerVersion", "dependencies")["code"],
    ):
        zipfile.ZipFile(archive).extractall(tmp_path)
    variables = _inputs(made, "Function", "payments-worker")["environment"]["variables"]
    batch = {"Records": [_record(1, {"amountCents": 100}, "k1"), _record(2, {"amountCents": -1}, "k2")]}
    said = installed.works([tmp_path, tmp_path / "python"], [("payments.handler", batch)], **variables)

    assert said["answers"] == [{"batchItemFailures": []}]
    assert sorted(said["events"]) == [
        ["shop.payments", "IngestionFailure"],
        ["shop.payments", "IngestionSuccess"],
    ]
    (letter,) = said["sent"]
    assert letter["MessageAttributes"]["errorType"]["StringValue"] == "SchemaValidationError"
    assert said["imported"] == []


@pytest.mark.parametrize("name", _PROGRAMS)
def test_the_programs_keep_the_policies(installed: Installed, name: str) -> None:
    """What is shown passes the pack that the page recommends for any program."""
    made = []
    for token, named, inputs in installed.registered[name]:
        known = {"arn": f"arn:{named}", "url": f"https://{named}", "id": named, "name": named}
        made.append(Made(token, named, inputs, {**known, **inputs}))

    with started() as pack:
        assert pack.found(made) == set()


def test_functions_of_ones_own(installed: Installed) -> None:
    """With the wheel alone beside the function: transient failures stay on the queue, refunds happen once."""
    batch = {
        "Records": [
            _record(1, {"to": "a@shop.example"}),
            _record(2, {"to": "slow@other.example"}),
            _record(3, {"to": "b@other.example"}),
        ]
    }
    refund = {"orderId": "o-1", "amountCents": 250}
    said = installed.works(
        [_EXAMPLES / "own_function", installed.function_packages],
        [
            ("mails.handler", batch),
            ("refunds.handler", refund),
            ("refunds.handler", refund),
            ("refunds.handler", {**refund, "amountCents": 99}),
        ],
    )

    assert said["answers"] == [
        {"batchItemFailures": [{"itemIdentifier": "m2"}]},
        {"refundedCents": 250},
        {"refundedCents": 250},
        "not refunded: conflict",
    ]
    (letter,) = said["sent"]
    assert letter["MessageAttributes"]["errorType"]["StringValue"] == "NoSuchRecipientError"
    assert said["imported"] == []


def test_a_pipeline_of_ones_own(installed: Installed, tmp_path: Path) -> None:
    """Its queues take messages of its own functions and the redrive only; it is watched, and its code is one zip."""
    made = installed.registered["own_pipeline"]
    (tls, senders) = json.loads(_inputs(made, "QueuePolicy", "invoices-queue-policy")["policy"])["Statement"]
    alarms = {inputs["name"] for token, _, inputs in made if token.endswith(":MetricAlarm")}
    handlers = {inputs["handler"] for token, _, inputs in made if token.endswith(":Function")}

    assert tls["Sid"] == "TlsOnly"
    assert senders["Condition"]["ArnNotEquals"]["aws:PrincipalArn"] == [
        "arn:invoices-accept-role",
        "arn:invoices-breaker-role",
        "arn:redrive-role",
    ]
    assert {"IngestionLab-dev-invoices-dlq-not-empty", "IngestionLab-dev-invoices-queue-age"} <= alarms
    assert handlers == {
        "invoices.accept",
        "invoices.work",
        "ingestion_lab.handlers.control.breaker.handler",
        "ingestion_lab.handlers.control.redrive.api.entry.handler",
        "ingestion_lab.handlers.control.redrive.run.entry.handler",
    }
    archives = (
        _inputs(made, "Function", "invoices-accept")["code"],
        _inputs(made, "LayerVersion", "dependencies")["code"],
    )
    for archive in archives:
        zipfile.ZipFile(archive).extractall(tmp_path)
    post = {
        "routeKey": "POST /invoices",
        "rawPath": "/invoices",
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps({"number": "i-1"}),
    }
    said = installed.works(
        [tmp_path, tmp_path / "python"],
        [
            ("invoices.accept", post),
            ("invoices.accept", {**post, "body": "[]"}),
            ("invoices.work", {"Records": [_record(1, {"number": "i-1"}, "i-1")]}),
        ],
    )
    accepted, refused, worked = said["answers"]
    assert (accepted["statusCode"], refused["statusCode"]) == (202, 400)
    assert worked == {"batchItemFailures": []}
    assert [message["MessageBody"] for message in said["sent"]] == ['{"number": "i-1"}']


@pytest.mark.parametrize("name", ["function", "program"])
def test_every_name_is_explained(name: str) -> None:
    """docs/reuse.md has each name that stays, and each is there."""
    module = importlib.import_module(f"ingestion_lab.{name}")
    text = (ROOT / "docs" / "reuse.md").read_text(encoding="utf-8")

    assert {one for one in module.__all__ if f"`{one}`" not in text} == set()
    assert [one for one in module.__all__ if not hasattr(module, one)] == []
