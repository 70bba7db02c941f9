"""Changed code goes to the functions that import it, and to no others; on a tree and a Lambda that are made up."""

import base64
import hashlib
import io
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ops.local.deployer.code import Code
from ops.local.deployer.errors import DeployError
from ops.local.deployer.importers import Sources
from ops.local.deployer.imports import Runtime
from ops.local.deployer.state import Deployed, State
from ops.local.emulator import ROOT

_FILES = {
    "handlers/__init__.py": "",
    "handlers/clock.py": "",
    "handlers/a/__init__.py": "",
    "handlers/a/step.py": "def process(): ...\n",
    "handlers/a/worker.py": "from handlers.a.step import process\ndef handler(event, context): ...\n",
    "handlers/b/__init__.py": "",
    "handlers/b/api.py": "def handler(event, context):\n    from handlers import clock\n",
    "handlers/kinds/__init__.py": "from importlib import import_module\nimport json\n",
    "handlers/kinds/one.py": "",
    "handlers/c.py": "from . import kinds\ndef handler(event, context): ...\n",
}
_HANDLERS = {"handlers.a.worker", "handlers.b.api", "handlers.c"}
_ENDPOINT = "http://127.0.0.1:9"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A program's folder, with the real packaging."""
    root = tmp_path / "root"
    for name, text in _FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "components" / "compute").mkdir(parents=True)
    shutil.copy(ROOT / "components" / "compute" / "packaging.py", root / "components" / "compute")
    return root


@pytest.mark.parametrize(
    ("changed", "concerned"),
    [
        ("handlers/a/step.py", {"handlers.a.worker"}),
        ("handlers/a/worker.py", {"handlers.a.worker"}),
        ("handlers/clock.py", {"handlers.b.api"}),
        ("handlers/kinds/one.py", {"handlers.c"}),
        ("handlers/a/__init__.py", {"handlers.a.worker"}),
        ("handlers/__init__.py", _HANDLERS),
        ("handlers/a/unused.py", set()),
    ],
)
def test_whom_a_file_concerns(tree: Path, changed: str, concerned: set[str]) -> None:
    """Those that import it, also within a function, by a dot, through a package, or by a name that is made up."""
    assert Sources(tree, "handlers").concerned(_HANDLERS, {tree / changed}) == concerned


def test_a_file_that_has_gone_concerns_those_that_still_import_it(tree: Path) -> None:
    """They can't start any more."""
    sources = Sources(tree, "handlers")
    assert sources.concerned(_HANDLERS, set()) == set()
    (tree / "handlers/clock.py").unlink()
    assert sources.concerned(_HANDLERS, {tree / "handlers/clock.py"}) == {"handlers.b.api"}


@pytest.mark.parametrize("module", ["handlers.events.worker", "handlers.lake.gate"])
def test_nothing_that_a_handler_really_imports_is_left_out(module: str) -> None:
    """Of the project's own handlers, as the interpreter has it."""
    say = f"import sys, json, {module}; print(json.dumps([n for n in sys.modules if n.startswith('handlers')]))"
    done = subprocess.run([sys.executable, "-c", say], cwd=ROOT, check=True, capture_output=True, text=True)
    sources = Sources(ROOT, "handlers")
    files = {
        name: next(p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file())
        for name in json.loads(done.stdout)
        for base in [ROOT.joinpath(*name.split("."))]
    }
    assert len(files) > 10
    assert [name for name, path in files.items() if not sources.concerned({module}, {path})] == []


class _Lambda:
    """Keeps the code it is given, by function."""

    def __init__(self) -> None:
        self.given: dict[str, bytes] = {}

    def update_function_code(self, FunctionName: str, ZipFile: bytes) -> None:
        self.given[FunctionName] = ZipFile

    def get_function_configuration(self, **_: str) -> dict[str, Any]:
        return {"State": "Active", "LastUpdateStatus": "Successful"}


Make = Callable[..., tuple[Code, _Lambda, Path]]


@pytest.fixture
def make(tree: Path, tmp_path: Path) -> Make:
    """The code of a stack of three functions, the Lambda they are in, and the record."""

    def make(**inputs: Any) -> tuple[Code, _Lambda, Path]:
        record = tmp_path / "local.json"
        state = State(record, _ENDPOINT)
        for handler in sorted(_HANDLERS):
            name = handler.removeprefix("handlers.").partition(".")[0]
            given = {"handler": f"{handler}.handler", "runtime": "python3.13", "code": {"sha256": "old"}, "timeout": 5}
            outputs = {"arn": f"arn:{name}", "codeSha256": "old", "sourceCodeSize": 1}
            state.put(Deployed("aws:lambda/function:Function", name, f"{name}-1", given | inputs, outputs))
        state.put(Deployed("aws:sqs/queue:Queue", "queue", "url", {}, {}))
        runtime = Runtime(Path(sys.executable), {"TMPDIR": str(tmp_path)})
        code = Code(tree, _ENDPOINT, "eu-west-1", record, runtime, {})
        there = _Lambda()
        code._aws = SimpleNamespace(lambda_=there, endpoint=_ENDPOINT, region="eu-west-1")  # type: ignore[assignment]
        return code, there, record

    return make


def test_only_who_imports_it_is_updated(tree: Path, make: Make) -> None:
    """With what the program would package; the record says so, of these alone, and keeps all else."""
    code, there, record = make()
    (tree / "handlers/a/step.py").write_text("def process(): return 1\n")

    assert code.update({tree / "handlers/a/step.py"}) == ["a"]

    assert list(there.given) == ["a-1"]
    content = there.given["a-1"]
    assert zipfile.ZipFile(io.BytesIO(content)).read("handlers/a/step.py") == b"def process(): return 1\n"
    assert content == (tree / ".build" / "handlers.zip").read_bytes()
    kept = State.load(record, _ENDPOINT).resources
    digest = hashlib.sha256(content)
    assert kept["aws:lambda/function:Function::a"] == Deployed(
        "aws:lambda/function:Function",
        "a",
        "a-1",
        {
            "handler": "handlers.a.worker.handler",
            "runtime": "python3.13",
            "code": {"sha256": digest.hexdigest()},
            "timeout": 5,
        },
        {
            "arn": "arn:a",
            "codeSha256": base64.b64encode(digest.digest()).decode(),
            "sourceCodeSize": len(content),
        },
    )
    assert [kept[f"aws:lambda/function:Function::{name}"].inputs["code"] for name in "bc"] == [{"sha256": "old"}] * 2


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        ("\nreturn 1\n", r"^handlers/a/step.py:2: SyntaxError: 'return' outside function$"),
        ("import nowhere\n", r"handlers/a/step.py:1: ModuleNotFoundError: No module named 'nowhere'$"),
        ("x = 1\0", r"^handlers/a/step.py:1: SyntaxError: source code string cannot contain null bytes$"),
    ],
    ids=["does not compile", "can't be imported", "is no text"],
)
def test_broken_code_is_refused_with_its_place(tree: Path, make: Make, step: str, fault: str) -> None:
    """And no function is touched."""
    code, there, record = make()
    before = record.read_bytes()
    (tree / "handlers/a/step.py").write_text(step)

    with pytest.raises(DeployError, match=fault):
        code.update({tree / "handlers/a/step.py"})

    assert (there.given, record.read_bytes()) == ({}, before)


def test_layers_of_another_deployment(tree: Path, make: Make) -> None:
    """Without them nothing can be said of the imports, so nothing is guessed."""
    code, there, _ = make(layers=["arn:layer:2"])

    with pytest.raises(DeployError, match=r"^layers that are not known here \(arn:layer:2\): start lab up anew$"):
        code.update({tree / "handlers/a/step.py"})

    assert there.given == {}
