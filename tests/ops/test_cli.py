"""The `lab` command on its own: help, refusals, interruptions, stacks of the Pulumi CLI."""

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ops.cli import up as up_module
from ops.cli.target import find
from ops.local import processes
from ops.local.emulator import ROOT, Emulator
from tests.ops.laptop import Laptop
from tests.ops.stack import small_program, wait_for

_FAKE_PULUMI = """#!{python}
import json, shutil, sys
if "broken" in sys.argv:
    sys.exit("no stack named 'broken' found")
outputs = {{}} if "empty" in sys.argv else {{"ApiEndpoint": "https://api/"}}
print(json.dumps(outputs | {{"args": sys.argv[1:], "uv": shutil.which("uv")}}))
"""


@pytest.mark.parametrize("command", ["up", "down", "status", "send"])
def test_help_shows_an_example(laptop: Laptop, command: str) -> None:
    """The help of every command has one that can be typed."""
    shown = laptop.lab(command, "--help")
    assert shown.exit_code == 0
    assert re.search(rf"Example: .*\blab {command}\b", shown.stdout)


def test_nothing_runs(laptop: Laptop) -> None:
    """Down is fine with that; what needs a stack says how to start it, on stderr, with a code of its own."""
    assert (laptop.lab("down").exit_code, laptop.lab("down").stderr.splitlines()[-1]) == (0, "nothing runs")
    for command in ("status", "send"):
        refused = laptop.lab(command)
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert refused.stderr == "error: the laptop's stack is down; start it with: lab up\n"


def test_up_empty(laptop: Laptop) -> None:
    """The local cloud alone, for the Pulumi CLI to deploy to; again it is the same; `down` stops it."""
    started = laptop.lab("up", "--empty")
    emulator = Emulator.attach(laptop.home)
    assert emulator is not None
    assert (started.exit_code, started.stdout) == (0, f"{emulator.endpoint}\n")
    refused = laptop.lab("status")  # a cloud with nothing on it is not a stack
    assert (refused.exit_code, refused.stderr) == (
        1,
        "error: the emulator runs, but nothing is deployed to it; deploy with: lab up\n",
    )
    assert json.loads(laptop.lab("up", "--empty", "--json").stdout) == {"endpoint": emulator.endpoint}
    assert laptop.lab("down").stderr.endswith(f"stopped: {emulator.endpoint} (pid {emulator.pid})\n")

    elsewhere = laptop.lab("up", "--empty", "--stack", "dev")
    assert (elsewhere.exit_code, elsewhere.stderr) == (2, "error: --empty is for the laptop; stack 'dev' is on AWS\n")


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_impossible_port(laptop: Laptop, port: str) -> None:
    """LAB_PORT is checked before anything starts."""
    refused = laptop.lab("up", LAB_PORT=port)
    assert (refused.exit_code, refused.stderr.splitlines()[-1]) == (1, f"error: LAB_PORT must be 1-65535, got '{port}'")


def test_port_in_use(laptop: Laptop) -> None:
    """Up names who has the port and how to take another one."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", laptop.port))
        holder.listen()
        refused = laptop.lab("up")
    assert refused.exit_code == 1
    assert f"error: port {laptop.port} is in use by" in refused.stderr
    assert f"LAB_PORT={laptop.port + 1} make up" in refused.stderr
    assert processes.marked(laptop.home) == []


def test_program_that_refuses(laptop: Laptop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program's own words, without a traceback; the cloud that was started for it is stopped again."""
    project = small_program(tmp_path / "bad", "raise ValueError('a must be [1-2], got 3\\nb must be [1-2], got 4')")
    monkeypatch.setattr(up_module, "PROGRAM", project)
    refused = laptop.lab("up")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.endswith(
        "stopping the local cloud again\nerror: a must be [1-2], got 3\nb must be [1-2], got 4\n"
    )
    assert processes.marked(laptop.home) == []


_DEAF = """
api = aws.apigatewayv2.Api("api", protocol_type="HTTP")
pulumi.export("ApiEndpoint", api.api_endpoint)
pulumi.export("events", {"queueUrl": "none", "workerFunctionName": "none"})
"""


def test_samples_that_fail(laptop: Laptop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack that does not take the sample events is left up, so that one can see why."""
    monkeypatch.setattr(up_module, "PROGRAM", small_program(tmp_path / "deaf", _DEAF))
    refused = laptop.lab("up")
    assert refused.exit_code == 1
    assert "the local cloud stays up; inspect it with: lab status; stop it with: lab down\n" in refused.stderr
    assert "error: the API refused the sample events: 404 " in refused.stderr
    assert Emulator.attach(laptop.home) is not None
    assert laptop.lab("down").exit_code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_up(laptop: Laptop, number: signal.Signals) -> None:
    """Ctrl-C or a polite kill in the middle: nothing stays, and the code says so."""
    with laptop.start("up") as run:
        wait_for((laptop.home / "emulator.json").exists, "an emulator")
        run.send_signal(number)
        stdout, stderr = run.communicate()
    assert (run.returncode, stdout, stderr.splitlines()[-1]) == (130, "", "error: interrupted")
    assert (processes.marked(laptop.home), Emulator.attach(laptop.home)) == ([], None)


def test_killed_up(laptop: Laptop) -> None:
    """After SIGKILL in the middle, down finds what is left."""
    with laptop.start("up") as run:
        wait_for((laptop.home / "local.json").exists, "a deployment under way")
        run.kill()
    assert processes.marked(laptop.home) != []
    assert laptop.lab("down").exit_code == 0
    assert processes.marked(laptop.home) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "error: {path} contains no event"),
        ('{"a": 1}\n{', "error: {path}:2: not JSON: "),
        ("[1]", "error: {path}:1: an event is a JSON object"),
    ],
)
def test_send_a_bad_file(laptop: Laptop, tmp_path: Path, content: str, message: str) -> None:
    """The file is read to its end before anything is sent."""
    path = tmp_path / "e.jsonl"
    path.write_text(content)
    refused = laptop.lab("send", "--file", str(path))
    assert (refused.exit_code, refused.stderr.startswith(message.format(path=path))) == (1, True)


@pytest.fixture
def pulumi_cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the Pulumi CLI on the path."""
    program = tmp_path / "bin" / "pulumi"
    program.parent.mkdir()
    program.write_text(_FAKE_PULUMI.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))


def test_other_stacks_need_the_pulumi_cli(laptop: Laptop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, the message says where to get it and what works without."""
    monkeypatch.setenv("PATH", "")
    for command in ("up", "down", "status", "send"):
        refused = laptop.lab(command, "--stack", "dev")
        assert refused.exit_code == 1
        assert refused.stderr == (
            "error: stacks other than local are reached through the Pulumi CLI, which is not installed: "
            "https://www.pulumi.com/docs/install/ (the laptop needs none: --stack local)\n"
        )


@pytest.mark.usefixtures("pulumi_cli")
@pytest.mark.parametrize(
    ("stack", "message"),
    [
        ("broken", "error: pulumi can't read stack 'broken': no stack named 'broken' found\n"),
        ("empty", "error: stack 'empty' has no output ApiEndpoint: is it deployed? (pulumi up --stack empty)\n"),
    ],
)
def test_stacks_that_pulumi_does_not_have(laptop: Laptop, stack: str, message: str) -> None:
    """What pulumi says comes through; a stack that was never deployed is named as such."""
    refused = laptop.lab("status", "--stack", stack)
    assert (refused.exit_code, refused.stderr) == (1, message)


@pytest.mark.usefixtures("pulumi_cli")
def test_stack_on_aws() -> None:
    """Its outputs come from pulumi, and its clients are those of AWS."""
    found = find("dev")
    assert (found.api, found.emulator) == ("https://api", None)
    assert found.outputs["args"] == ["stack", "output", "--json", "--stack", "dev", "--cwd", str(ROOT)]


@pytest.mark.usefixtures("pulumi_cli")
@pytest.mark.parametrize(("command", "passed"), [("up", "up"), ("down", "destroy")])
def test_up_and_down_of_other_stacks(laptop: Laptop, command: str, passed: str) -> None:
    """The Pulumi CLI takes over; it finds uv, without which it runs no program, beside `lab`."""
    with laptop.start(command, "--stack", "dev") as run:
        told = json.loads(run.communicate()[0])
    assert run.returncode == 0
    assert told["args"] == [passed, "--stack", "dev", "--cwd", str(ROOT)]
    assert told["uv"] == str(Path(sys.executable).with_name("uv"))


_HURRY = """
import os, signal, sys
from ops.cli import entry

class Interrupted:
    def find_spec(self, name, *_):
        if name == {module!r}:
            os.kill(os.getpid(), signal.{number})

sys.meta_path.insert(0, Interrupted())
entry.main()
"""


@pytest.mark.parametrize(
    ("module", "number"), [("ops.cli.commands", "SIGINT"), ("rich.progress", "SIGTERM"), ("ops.cli.status", "SIGHUP")]
)
def test_interrupted_while_it_is_loaded(module: str, number: str) -> None:
    """Ctrl-C in the first moments ends it like later ones: one line and a code of its own."""
    code = _HURRY.format(module=module, number=number)
    done = subprocess.run([sys.executable, "-c", code, "status"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "error: interrupted\n")


@pytest.mark.parametrize("content", ["[]", "7", '{"endpoint": []}', '{"outputs": 7, "endpoint": "HERE"}'])
def test_state_file_that_is_none(laptop: Laptop, content: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was written over it counts as nothing deployed."""
    monkeypatch.setattr(Emulator, "attach", lambda home: Emulator(home, 1, laptop.port))
    laptop.home.mkdir()
    (laptop.home / "local.json").write_text(content.replace("HERE", f"http://127.0.0.1:{laptop.port}"))
    refused = laptop.lab("status")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr == "error: the emulator runs, but nothing is deployed to it; deploy with: lab up\n"


def test_real_command() -> None:
    """The installed command starts."""
    program = Path(sys.executable).with_name("lab")
    shown = subprocess.run([program, "--help"], capture_output=True, text=True, check=True)
    assert "Usage: lab" in shown.stdout
