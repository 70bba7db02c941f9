"""The emulator's life: started, found again, stopped; and every way in which that can go wrong."""

import io
import json
import os
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import psutil
import pytest

from ops.local import emulator as module
from ops.local import lambdas, processes, venv
from ops.local.emulator import ROOT, Emulator, EmulatorError, PortInUseError, clean, stale_record
from tests.contract.blocks import blocks
from tests.ops.stack import client, free_port, wait_for

_HANDLER = "def handler(event, context):\n    return 'done'\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder that does not exist yet."""
    return tmp_path / "lab"


def _run_function(emulator: Emulator, name: str) -> None:
    """Create a function and call it once: its process stays warm."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("index.py", _HANDLER)
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    role = client(emulator, "iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    functions = client(emulator, "lambda")
    functions.create_function(
        FunctionName=name, Runtime="python3.13", Handler="index.handler", Role=role, Code={"ZipFile": code.getvalue()}
    )
    wait_for(lambda: functions.get_function_configuration(FunctionName=name)["State"] == "Active", "function active")
    assert functions.invoke(FunctionName=name)["Payload"].read() == b'"done"'


def _lives(process: psutil.Process) -> bool:
    """A zombie does not: it waits for whoever adopted it to take notice."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def _fake_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Put a script in the place of the emulator's program."""
    script = tmp_path / "fake-emulator"
    script.write_text(f"#!{sys.executable}\n{body}\n", encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setattr(venv, "ensure", lambda _root: (script,))


def test_start_attach_stop(home: Path) -> None:
    """It answers on loopback only, is found through its record, sees only its own environment, and ends with all."""
    with Emulator.start(home) as emulator:
        process = psutil.Process(emulator.pid)
        assert emulator.answers()
        assert Emulator.attach(home) == emulator
        assert json.loads((home / "emulator.json").read_text()) == {
            "pid": emulator.pid,
            "started": process.create_time(),
            "port": emulator.port,
            "root": str(ROOT),
        }
        listening = [c.laddr for c in process.net_connections() if c.status == psutil.CONN_LISTEN]
        assert listening == [("127.0.0.1", emulator.port)]
        assert os.getsid(emulator.pid) == emulator.pid
        assert set(process.environ()) - {"LC_CTYPE", "__CF_USER_TEXT_ENCODING"} == {
            *("PATH", "HOME", "TMPDIR", "LANG", "PYTHONUNBUFFERED", "BIND_HOST", "GATEWAY_PORT", "LOG_LEVEL", "AUTH"),
            *("IOT_MTLS_ENABLED", "SFTP_ENABLED", "S3_DATA_DIR", "LAMBDA_ACCOUNT_CONCURRENCY", processes.MARK),
        }
        _run_function(emulator, "one")
        (worker,) = lambdas.running(emulator, "one")
        with pytest.raises(EmulatorError, match=f"an emulator runs here already: {emulator.endpoint}"):
            Emulator.start(home)
    assert (_lives(process), _lives(worker)) == (False, False)
    assert processes.marked(home) == []
    assert Emulator.attach(home) is None
    assert sorted(path.name for path in home.iterdir()) == ["emulator.lock", "emulator.log"]


def test_access_is_checked(home: Path) -> None:
    """IAM is enforced: credentials that nobody gave out are refused."""
    with Emulator.start(home) as emulator:
        stranger = client(emulator, "sqs", key="AKIAIOSFODNN7EXAMPLE")
        with pytest.raises(stranger.exceptions.ClientError) as refused:
            stranger.list_queues()
    assert refused.value.response["Error"]["Code"] == "InvalidClientTokenId"


def test_kill_function(home: Path) -> None:
    """A killed function loses its processes, and runs again when it is called again."""
    with Emulator.start(home) as emulator:
        _run_function(emulator, "victim")
        (before,) = lambdas.running(emulator, "victim")
        assert lambdas.kill(emulator, "bystander") == 0
        assert lambdas.kill(emulator, "victim") == 1
        wait_for(lambda: lambdas.running(emulator, "victim") == [], "the function's process is gone")
        answer = client(emulator, "lambda").invoke(FunctionName="victim")["Payload"].read()
        (after,) = lambdas.running(emulator, "victim")
        assert (answer, after.pid != before.pid) == (b'"done"', True)
    assert lambdas.kill(emulator, "victim") == 0


def test_crashed_emulator_leaves_orphans_that_are_cleaned(home: Path) -> None:
    """After SIGKILL of the emulator its functions live on; cleaning finds them without their parent."""
    emulator = Emulator.start(home)
    _run_function(emulator, "orphan")
    (worker,) = lambdas.running(emulator, "orphan")
    worker.suspend()  # it would end by itself when its pipe closes; a busy one would not
    psutil.Process(emulator.pid).kill()
    wait_for(lambda: Emulator.attach(home) is None, "the emulator is gone")
    assert stale_record(home) == f"the emulator of {home} is gone (pid {emulator.pid} is dead)"
    assert _lives(worker)
    clean(home)
    assert (_lives(worker), stale_record(home), processes.marked(home)) == (False, None, [])


def test_start_replaces_a_stale_record(home: Path) -> None:
    """A record whose pid now belongs to another program does not count, and that program is left alone."""
    home.mkdir()
    record = {"pid": os.getpid(), "started": 1.0, "port": 4566, "root": str(ROOT)}
    (home / "emulator.json").write_text(json.dumps(record))
    reason = f"the emulator of {home} is gone (its pid {os.getpid()} is now another program)"
    assert (Emulator.attach(home), stale_record(home)) == (None, reason)
    with Emulator.start(home) as emulator:
        assert Emulator.attach(home) == emulator


_RECORD = {"pid": 1, "started": 1.0, "port": 4566, "root": "/"}


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", "7", '{"pid": 1}', "\xff"),
        *(json.dumps(_RECORD | {"pid": pid}) for pid in ("1", -1, 0, 10**30, True, None, 1.5)),
        *(json.dumps(_RECORD | {"started": "now"}), json.dumps(_RECORD | {"port": 70_000})),
        *(json.dumps(_RECORD | {"port": "4566"}), json.dumps(_RECORD | {"root": 7}), json.dumps(_RECORD | {"x": 1})),
    ],
)
def test_unreadable_record(home: Path, content: str) -> None:
    """A record that is not one counts as none, and is told; an end of the emulator takes it away."""
    home.mkdir()
    (home / "emulator.json").write_text(content, encoding="latin-1")
    reason = f"what {home} says of its emulator can't be read"
    assert (Emulator.attach(home), stale_record(home)) == (None, reason)
    clean(home)
    assert (list(home.iterdir()), stale_record(home)) == ([], None)


def test_emulator_without_a_readable_record_is_ended(home: Path) -> None:
    """It carries its home's mark, by which it is found."""
    with Emulator.start(home) as emulator:
        (home / "emulator.json").write_text('{"pid": "none"}')
        clean(home)
        assert not emulator.answers()
    assert processes.marked(home) == []


def test_port_in_use(home: Path) -> None:
    """Who has the port is named, with a way out; nothing is started."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(PortInUseError) as refused:
            Emulator.start(home, port=port)
    name = psutil.Process().name()
    assert str(refused.value) == (
        f"port {port} is in use by {name} (pid {os.getpid()}); "
        f"stop it, or choose another port: LAB_PORT={port + 1} make up"
    )
    assert (Emulator.attach(home), processes.marked(home)) == (None, [])


def test_free_port_taken_meanwhile(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a wish for a port, one that was taken in the meantime is given up for another one."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        ports = iter([holder.getsockname()[1], free := free_port()])
        monkeypatch.setattr(module, "_free_port", lambda: next(ports))
        with Emulator.start(home) as emulator:
            assert emulator.port == free


def test_death_on_start(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of its log is shown, and nothing is left."""
    _fake_program(tmp_path, monkeypatch, "import sys\nfor n in range(20): print(n, file=sys.stderr)\nsys.exit(3)")
    with pytest.raises(EmulatorError) as died:
        Emulator.start(home)
    tail = "\n".join(str(number) for number in range(5, 20))
    assert str(died.value) == f"the emulator died on start (exit code 3):\n{tail}"
    assert (Emulator.attach(home), processes.marked(home)) == (None, [])


def test_no_answer(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that runs but never answers is given up and ended."""
    _fake_program(tmp_path, monkeypatch, "import time\ntime.sleep(600)")
    monkeypatch.setattr(module, "_READY_SECONDS", 0.2)
    with pytest.raises(EmulatorError, match=r"the emulator did not answer within 0 s:\n\(it printed nothing\)"):
        Emulator.start(home)
    assert processes.marked(home) == []


def test_foreign_answer_does_not_count(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When another emulator answers on the port, ours is not taken for ready."""
    with Emulator.start(tmp_path / "other") as other:
        _fake_program(tmp_path, monkeypatch, "import time\ntime.sleep(600)")
        monkeypatch.setattr(module, "_READY_SECONDS", 0.5)
        monkeypatch.setattr(module, "_taken", lambda _port: False)
        with pytest.raises(EmulatorError, match="did not answer"):
            Emulator.start(home, port=other.port)
        assert (processes.marked(home), other.answers()) == ([], True)


def test_interrupted_start(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while waiting leaves no process and no record, and the next start works."""

    def interrupt(_port: int) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "_healthy", interrupt)
        with pytest.raises(KeyboardInterrupt):
            Emulator.start(home)
    assert (Emulator.attach(home), processes.marked(home)) == (None, [])
    with Emulator.start(home) as emulator:
        assert emulator.answers()


def test_a_function_of_ones_own_works_a_batch_as_the_page_says(emulator: Emulator) -> None:
    """docs/reuse.md has a script that makes what the function needs, and gives it a batch."""
    (script,) = (one.text for one in blocks() if one.first == "reuse.md: import os")
    script = script.replace("http://127.0.0.1:4566", emulator.endpoint)
    functions = ROOT / "examples" / "queue_and_worker" / "functions"
    paths = os.pathsep.join(map(str, (functions, ROOT)))

    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
