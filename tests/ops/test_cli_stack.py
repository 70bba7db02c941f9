"""The `lab` command on the laptop's stack, with the real program."""

import json
import re
import shlex
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from ops.cli import samples, status, target
from ops.local import processes, venv
from ops.local.cloudwatch import service
from ops.local.deployer import Code, DataLossError, Runtime, deploy
from ops.local.emulator import ROOT, Emulator
from tests.ops.laptop import Laptop
from tests.ops.stack import client, free_port, wait_for


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    """One with the stack up; on leaving it is taken down and nothing may be left."""
    laptop = Laptop(tmp_path_factory.mktemp("home"), free_port())
    with laptop.start("up", "--json") as run:
        stdout, stderr = run.communicate()
    assert run.returncode == 0, stderr
    assert json.loads(stdout)["endpoint"] == f"http://127.0.0.1:{laptop.port}"
    assert stderr.splitlines()[-2:][0] == "sample events: 4 of 4 SUCCEEDED"
    yield laptop
    emulator = Emulator.attach(laptop.home)
    assert emulator is not None
    done = laptop.lab("down")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr.endswith(f"stopped: {emulator.endpoint} (pid {emulator.pid})\n")
    assert processes.marked(laptop.home) == []
    left = ["cloudwatch.lock", "cloudwatch.log", "emulator.lock", "emulator.log", "local.lock", "up.lock"]
    assert sorted(path.name for path in laptop.home.iterdir()) == left


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 - our own emulator
        return json.loads(answer.read())


def test_status(running: Laptop) -> None:
    """Outputs, depths, functions and records, as one document."""
    shown = running.lab("status", "--json")
    document = json.loads(shown.stdout)
    emulator = Emulator.attach(running.home)
    assert emulator is not None
    assert document["outputs"]["ApiEndpoint"].startswith(f"{emulator.endpoint}/_aws/execute-api/")
    assert document == {
        "stack": "local",
        "emulator": {
            "endpoint": emulator.endpoint,
            "pid": emulator.pid,
            "log": str(emulator.log),
            "cloudWatch": True,
        },
        "outputs": document["outputs"],
        "failureMode": "none",
        "queues": document["queues"],
        "controlQueues": {"control-failures": {"visible": 0, "inFlight": 0, "delayed": 0}},
        "functions": dict.fromkeys(document["functions"], "Active"),
        "functionErrors": dict.fromkeys(document["functions"], 0),
        "recovered": [],
        "drain": document["drain"],
        "breakers": dict.fromkeys(document["queues"], "CLOSED"),
        "consumers": dict.fromkeys(document["queues"], "Enabled"),
        "noticeConsumers": {"lake": "Enabled"},
        "alarms": {"all": document["alarms"]["all"], "loud": document["alarms"]["loud"]},
        "subscribers": [],
        "states": document["states"],
        "nextAttemptAt": None,
        "problems": [asdict(one) for one in status.problems(document)],
    }
    assert document["alarms"]["all"] > 50
    assert {"events-ingest", "events-worker", "orders-api", "orders-worker"} <= set(document["functions"])
    assert set(document["queues"]["events"]) == {"main", "dlq"}
    assert set(document["queues"]["orders"]) == {"main", "dlq", "undelivered"}
    assert document["queues"]["events"]["dlq"] == {"visible": 0, "inFlight": 0, "delayed": 0}
    assert document["states"]["SUCCEEDED"] >= 4


def test_status_as_text(running: Laptop) -> None:
    """For people: a screen; without counting records where that is not wanted, with every output where it is."""
    shown = running.lab("status", "--no-states", COLUMNS="80").stdout
    assert shown.splitlines()[1:][-1].startswith("who hears of alarms: nobody")
    assert "Queues" in shown
    assert len(shown.splitlines()) <= 40
    whole = running.lab("status", "--outputs").stdout
    assert "ControlTableName" in whole
    assert whole.splitlines()[-1].startswith("state records: ")


def test_doctor(running: Laptop) -> None:
    """Of a stack that runs everything is looked at, and is as it has to be."""
    shown = running.lab("doctor", "--json")
    names = ("python", "configuration", "port", "emulator", "state", "cloudwatch", "api")
    checks = {one["name"]: one for one in json.loads(shown.stdout)["checks"]}
    assert {name: one["state"] for name, one in checks.items()} == dict.fromkeys(names, "ok")
    made = checks["state"]["found"].partition(" ")[0]
    assert checks["configuration"]["found"].endswith(f": {made} resources")


def test_cost(running: Laptop) -> None:
    """Figures of what has run are measured, here as on AWS; those of what has not are assumed."""

    def figures() -> dict[str, Any]:
        document = json.loads(running.lab("cost", "--json").stdout)
        assert document["runs"] == "runs of stack local in 24 h"
        return dict(document["pipelines"]["events"]["figures"])

    measured = ("batch", "worker_log_bytes", "producer_log_bytes", "item_bytes", "message_bytes")
    wait_for(lambda: {figures()[name]["origin"] for name in measured} == {"measured"}, "what CloudWatch knows")
    found = figures()
    assert (found["access_log_bytes"]["origin"], found["files"]["value"]) == ("assumed", 0)
    assert 300 < found["item_bytes"]["value"] < 1024


def test_one_output(running: Laptop) -> None:
    """For scripts: the value of one output and nothing else; a name that does not exist is told with those that do."""
    assert running.lab("status", "--output", "events.workerFunctionName").stdout == "events-worker\n"
    refused = running.lab("status", "--output", "nothing")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr.startswith("error: there is no output nothing; there are: ApiEndpoint, ")


def test_up_again(running: Laptop) -> None:
    """On a running stack nothing is made anew; the result is the URL and lines that work when they are pasted."""
    shown = running.lab("up")
    assert shown.exit_code == 0, shown.stderr
    assert f"local cloud: already running at http://127.0.0.1:{running.port}" in shown.stderr
    assert "unchanged\n" in shown.stderr
    url, empty, post, get, order, aws = shown.stdout.splitlines()
    assert (url.startswith("API URL: http://127.0.0.1:"), empty) == (True, "")
    assert aws.endswith("dynamodb scan --table-name ingestion_state")
    words = shlex.split(get)
    assert (words[0], _get(words[1])["status"]) == ("curl", "SUCCEEDED")
    if shutil.which("curl"):
        answer = subprocess.run(shlex.split(post), capture_output=True, check=True).stdout
        assert set(json.loads(answer)) == {"idempotencyKey", "messageId", "statusUrl"}
        placed = subprocess.run(shlex.split(order), capture_output=True, check=True).stdout
        assert set(json.loads(placed)) == {"orderId", "eventId"}


def test_refused_change(running: Laptop) -> None:
    """A program that would lose data is refused before anything is changed: other keys of it change nothing either."""
    emulator = Emulator.attach(running.home)
    assert emulator is not None
    assert running.lab("orders", "send", "--count", "1").exit_code == 0
    state = running.home / "local.json"
    before = json.loads(state.read_text())
    with pytest.raises(DataLossError, match=r"holds data, and was kept: .*orders-"):  # queue, table or archive
        deploy(
            ROOT,
            "local",
            endpoint=emulator.endpoint,
            state_file=state,
            config={"pipelines": ["events"], "batchSize": 3, "lakeStartDate": "2026-01-01"},
        )
    assert json.loads(state.read_text()) == before


def test_an_edit_reaches_the_functions_that_import_it(running: Laptop, tmp_path: Path) -> None:
    """A changed step works the next event, and nothing else of the stack has changed."""
    emulator = Emulator.attach(running.home)
    assert emulator is not None
    state = running.home / "local.json"
    runtime = Runtime(venv.python(ROOT), emulator.environment())
    deployed = deploy(ROOT, "local", endpoint=emulator.endpoint, state_file=state, runtime=runtime)
    for folder in ("handlers", "components"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    step = Path("handlers/events/step.py")
    (tmp_path / step).write_text("def process(event):\n    return 'edited'\n")

    def code(root: Path) -> Code:
        return Code(root, emulator.endpoint, deployed.region, state, runtime, deployed.layers)

    try:
        assert code(tmp_path).update({tmp_path / step}) == ["events-worker"]
        found = target.Target("local", deployed.outputs, emulator)
        (key,) = samples.send(found, 1)
        wait_for(lambda: samples.standing(found, key) == "SUCCEEDED", "its record")
        assert found.ask("GET", f"/events/{key}")["result"] == "edited"
    finally:
        assert code(ROOT).update({ROOT / step}) == ["events-worker"]
    again = deploy(ROOT, "local", endpoint=emulator.endpoint, state_file=state, runtime=runtime)
    assert (again.changes.updated, again.changes.created) == ([], [])


def test_invoke(running: Laptop) -> None:
    """A sample through its function: the record is worked; what does not go well is told by the exit code."""
    worked = running.lab("invoke", "events-worker", "--event", "sqs-event")
    assert (worked.exit_code, json.loads(worked.stdout)) == (0, {"batchItemFailures": []})
    assert " events-worker INFO record done " in worked.stderr
    refused = running.lab("invoke", "orders-api", "--event", "http-event", "--json")
    assert (refused.exit_code, json.loads(refused.stdout)["answer"]["statusCode"]) == (1, 404)
    unknown = running.lab("invoke", "nobody", "--event", "http-event")
    assert (unknown.exit_code, "there is no function nobody; there are: " in unknown.stderr) == (1, True)


def test_up_under_a_failure_mode(running: Laptop) -> None:
    """It says so and sends no sample events, which would not come through; when it is over they are sent again."""
    assert running.lab("failure", "set", "poison_payload").exit_code == 0
    shown = running.lab("up", "--json")
    assert (shown.exit_code, json.loads(shown.stdout)["sampleKeys"]) == (0, [])
    assert (
        "no sample events: failure mode poison_payload is on; switch it off with: lab failure reset\n" in shown.stderr
    )
    assert running.lab("failure", "reset", "--wait").exit_code == 0
    assert len(json.loads(running.lab("up", "--json").stdout)["sampleKeys"]) == 4


def test_function_that_can_not_start(running: Laptop) -> None:
    """Its failed invocations are in the status, with the command that tells why."""
    emulator = Emulator.attach(running.home)
    assert emulator is not None
    functions = client(emulator, "lambda")
    settings = functions.get_function_configuration(FunctionName="orders-worker")["Environment"]["Variables"]
    broken = {name: value for name, value in settings.items() if name != "ORDERS_TABLE_NAME"}
    functions.update_function_configuration(FunctionName="orders-worker", Environment={"Variables": broken})
    functions.invoke(FunctionName="orders-worker", Payload=b'{"Records": []}')
    wait_for(lambda: json.loads(running.lab("status", "--json").stdout)["functionErrors"]["orders-worker"], "its error")
    assert "next: lab logs tail --function orders-worker\n" in running.lab("status").stdout
    told = running.lab("logs", "tail", "--function", "orders-worker").stdout
    assert "[ERROR] Runtime.ExitError: Worker init failed: Traceback (most recent call last):" in told
    functions.update_function_configuration(FunctionName="orders-worker", Environment={"Variables": settings})


def test_dead_letters_one_by_one(running: Laptop) -> None:
    """Seen whole, deleted one at a time, purged: each after a yes only, and what is not meant stays."""
    letters = ("--pipeline", "orders")
    assert running.lab("redrive", "purge", *letters, "--yes").exit_code == 0  # what other tests have left
    sent = running.lab("orders", "send", "--count", "4", "--failing", "4", "--wait", "--json")
    assert sent.exit_code == 1

    def waiting() -> list[str]:
        shown = json.loads(running.lab("redrive", "preview", *letters, "--json").stdout)
        return sorted(one["messageId"] for one in shown["messages"])

    first, second, *others = waiting()
    shown = json.loads(running.lab("redrive", "show", first, *letters, "--json").stdout)
    assert (shown["messageId"], shown["attributes"]["errorType"]) == (first, "FailingSkuError")
    assert "FAIL-ME" in json.dumps(json.loads(shown["body"]))
    assert "FAIL-ME" in running.lab("redrive", "show", first, *letters).stdout

    kept = running.lab("redrive", "delete", first, *letters, typed="n\n")
    assert (kept.exit_code, len(waiting())) == (3, 4)
    assert kept.stderr.endswith("nothing was changed; --yes skips this question\n")
    assert running.lab("redrive", "delete", first, *letters, "--yes").stderr == f"deleted: {first}\n"
    assert waiting() == sorted([second, *others])
    gone = running.lab("redrive", "delete", first, *letters, "--yes")
    assert (gone.exit_code, gone.stderr.startswith(f"error: there is no dead letter {first} among the 3 ")) == (1, True)
    assert running.lab("redrive", "show", second, "--pipeline", "nope").exit_code == 1

    assert running.lab("redrive", "purge", *letters, typed="").exit_code == 3
    assert len(waiting()) == 3
    assert running.lab("redrive", "purge", *letters, "--yes").stderr == "purged: about 3 dead letters of orders\n"
    assert waiting() == []


def test_runs_are_listed_and_cancelled_without_their_ids(running: Laptop) -> None:
    """A lost id is found again, and an operator in a hurry needs none."""
    nothing = running.lab("redrive", "cancel")
    assert (nothing.exit_code, "no redrive runs" in nothing.stderr) == (1, True)
    started = running.lab("redrive", "start", "--pipeline", "orders", "--no-watch")
    redrive_id = started.stdout.strip()
    listed = json.loads(running.lab("redrive", "list", "--json").stdout)["runs"]
    assert listed[0]["redriveId"] == redrive_id
    assert running.lab("redrive", "watch", redrive_id).exit_code == 0
    line = running.lab("redrive", "list", "--max", "1").stdout
    assert re.fullmatch(rf"{redrive_id}  SUCCEEDED orders: moved \d+ of \d+ examined, started 20\S+Z\n", line)


def test_up_again_with_a_dead_cloudwatch(running: Laptop) -> None:
    """The process that watches is started with the stack, and anew where it is found dead."""
    emulator = Emulator.attach(running.home)
    assert emulator is not None
    watching = service.attach(emulator)
    assert watching is not None
    watching.kill()
    wait_for(lambda: service.attach(emulator) is None, "its end")
    assert running.lab("up").exit_code == 0
    assert service.attach(emulator) is not None


@pytest.mark.parametrize("way", ["--single", "--batch"])
def test_send(running: Laptop, way: str) -> None:
    """Made-up orders are accepted and, with --wait, seen to their end."""
    shown = running.lab("send", "--count", "12", way, "--wait", "--json")
    document = json.loads(shown.stdout)
    assert (shown.exit_code, len(set(document["keys"]))) == (0, 12)
    figures = {"seconds": 0, "keys": [], "answers": {}, "latencyMs": {}, "histogram": [], "startedLateMs": 0}
    assert document | figures == {
        **figures,
        "events": 12,
        "accepted": 12,
        "unique": 12,
        "calls": 12 if way == "--single" else 1,
        "refused": [],
        "unsent": 0,
        "states": {"SUCCEEDED": 12},
    }


def test_send_load(running: Laptop) -> None:
    """Orders, some of them twice: each is placed once, and the figures are those of all calls."""
    words = ["--count", "12", "--rate", "40", "--concurrency", "1", "--duplicates", "50", "--groups", "2"]
    shown = running.lab("send", "--pipeline", "orders", *words, "--wait", "--json")
    assert shown.exit_code == 0, shown.stderr
    document = json.loads(shown.stdout)
    assert (document["accepted"], document["calls"], document["unsent"]) == (12, 12, 0)
    assert document["answers"]["202"] == 12
    assert document["unique"] == len(set(document["keys"])) == document["states"]["SUCCEEDED"] <= 12
    assert sum(bucket["calls"] for bucket in document["histogram"]) == 12
    assert document["latencyMs"]["p50"] <= document["latencyMs"]["max"]


def test_send_with_a_key(running: Laptop) -> None:
    """The caller's key is used, again for the same event; for another payload it is refused, as the exit code tells."""
    first = running.lab("send", "--count", "1", "--key", "mine", "--json")
    assert (first.exit_code, json.loads(first.stdout)["keys"]) == (0, ["mine"])
    again = running.lab("send", "--count", "1", "--key", "mine", "--wait")
    assert (again.exit_code, again.stdout.splitlines()[-1]) == (0, "states: 1 SUCCEEDED")
    other = running.lab("send", "--file", "-", "--key", "mine", typed='{"orderId": "another", "amount": 1}')
    assert (other.exit_code, other.stdout.startswith("accepted 0 of 1, refused 1, in ")) == (1, True)
    assert "event 0 refused (409): IdempotencyConflict" in other.stderr


def test_send_a_file(running: Laptop, tmp_path: Path) -> None:
    """Events of one's own; what the API refuses is told with its place in the file and the reason."""
    events = [{"orderId": "file-1", "amount": 1}, {"orderId": "file-2"}]
    path = tmp_path / "events.jsonl"
    path.write_text("\n\n".join(json.dumps(event) for event in events) + "\n")
    shown = running.lab("send", "--file", str(path), "--json")
    document = json.loads(shown.stdout)
    assert (shown.exit_code, document["accepted"]) == (1, 1)
    assert [(refusal["index"], refusal["status"]) for refusal in document["refused"]] == [(1, 400)]
    assert "/amount" in document["refused"][0]["reason"]
    piped = running.lab("send", "--file", "-", typed=json.dumps(events[0]))
    assert (piped.exit_code, piped.stdout.startswith("accepted 1 of 1")) == (0, True)
