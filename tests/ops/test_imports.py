"""Functions that could not start are refused before they are deployed."""

import io
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.local.deployer.aws import Aws
from ops.local.deployer.blob import Blob
from ops.local.deployer.errors import DeployError
from ops.local.deployer.imports import Imports, Runtime
from ops.local.deployer.kinds import KINDS
from ops.local.deployer.kinds.base import Resource
from ops.local.deployer.state import Deployed

_FUNCTION = "aws:lambda/function:Function"
_LAYER = "aws:lambda/layerVersion:LayerVersion"
_GOOD = {"app/worker.py": "from app.step import process\ndef handler(event, context): ...\n"}
_NO_AWS = Aws("http://127.0.0.1:9", "us-east-1")


@pytest.fixture
def imports(tmp_path: Path) -> Iterator[Imports]:
    """With this interpreter as what functions run on."""
    with Imports(Runtime(Path(sys.executable), {"TMPDIR": str(tmp_path)}), "eu-west-1") as imports:
        yield imports
    assert list(tmp_path.iterdir()) == []


def _zip(files: dict[str, str]) -> Blob:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return Blob(buffer.getvalue())


def _function(step: str, changed: frozenset[str] | None = None, **inputs: Any) -> Resource:
    given = {
        "code": _zip({**_GOOD, "app/step.py": step}),
        "handler": "app.worker.handler",
        "runtime": "python3.13",
        **inputs,
    }
    return Resource(_NO_AWS, _FUNCTION, "worker", given, KINDS[_FUNCTION].fields, changed=changed)


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        ("import nowhere\n", "app/step.py:1: ModuleNotFoundError: No module named 'nowhere'"),
        ("def other(): ...\n", "app/worker.py:1: ImportError: cannot import name 'process' from 'app.step'"),
        ("\nprocess = 1 / 0\n", "app/step.py:2: ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit('no')\n", "app/step.py:2: SystemExit: no"),
        ("import os\nos._exit(7)\n", "importing app.worker.handler ended the process (exit status 7)"),
        ("process = 1\nprint('{\"fault\": null}')\nimport nowhere", "app/step.py:3: ModuleNotFoundError: "),
    ],
)
def test_broken_step(imports: Imports, step: str, fault: str) -> None:
    """What the interpreter says, with file and line; what the code prints is no answer."""
    with pytest.raises(DeployError) as refused:
        imports.check(_function(step))
    assert str(refused.value).startswith(f"function 'worker' could not start, so it was not deployed: {fault}")


def test_code_that_does_not_compile(imports: Imports) -> None:
    """Functions share their code, so none of them is blamed: the first to be deployed need not be the broken step's."""
    with pytest.raises(DeployError) as refused:
        imports.check(_function("def process(event):\n    return {\n"))
    assert str(refused.value) == (
        "the functions' code does not compile, so it was not deployed: app/step.py:2: SyntaxError: '{' was never closed"
    )


def test_file_that_is_imported_later(imports: Imports) -> None:
    """One that a function imports when it is called has to compile too."""
    code = _zip({**_GOOD, "app/step.py": "def process(): import app.rare\n", "app/rare.py": "x = = 1\n"})
    with pytest.raises(DeployError, match=r": app/rare.py:1: SyntaxError: invalid syntax$"):
        imports.check(_function("", code=code))


def test_handler_that_is_not_there(imports: Imports) -> None:
    """A name that the module does not have."""
    with pytest.raises(DeployError, match=r": app/worker.py: there is no function run$"):
        imports.check(_function("process = 1", handler="app.worker.run"))


def test_several_functions_after_each_other(imports: Imports) -> None:
    """Each is judged for itself, one that ended the process too."""
    imports.check(_function("process = 1"))
    with pytest.raises(DeployError, match="exit status 7"):
        imports.check(_function("import os\nos._exit(7)\n"))
    with pytest.raises(DeployError, match="exit status 7"):
        imports.check(_function("import os\nos._exit(7)\n"))
    imports.check(_function("process = 1"))


def test_what_a_function_sees(imports: Imports) -> None:
    """Its own variables and the region, and the packages of its layers behind its own code."""
    layer = "arn:aws:lambda:us-east-1:000000000000:layer:deps:1"
    imports.remember(Deployed(_LAYER, "deps", layer, {}, {}), _zip({"python/deps.py": "name = 'deps'", "deps.py": "!"}))
    step = "import os, deps\nprocess = os.environ['TABLE'] + os.environ['AWS_REGION'] + deps.name\nassert {}\n"
    found = "process == 'tableeu-west-1deps'"
    variables = {"variables": {"TABLE": "table"}}
    imports.check(_function(step.format(found), environment=variables, layers=[layer]))
    with pytest.raises(DeployError, match="No module named 'deps'"):
        imports.check(_function(step.format("True"), environment=variables))


@pytest.mark.parametrize(
    "library",
    ["fast/fast.cpython-313-riscv64-linux-gnu.so", "fast/fast.abi3.so", "fast.cpython-313-riscv64-linux-gnu.so"],
)
def test_a_package_that_is_compiled_for_lambda(imports: Imports, library: str) -> None:
    """What the interpreter says of one that it can't load leads nowhere: it is told why, and what to do."""
    layer = "arn:aws:lambda:us-east-1:000000000000:layer:deps:1"
    package = {"python/fast/__init__.py": "from fast.fast import process\n"} if "/" in library else {}
    imports.remember(Deployed(_LAYER, "deps", layer, {}, {}), _zip({**package, f"python/{library}": "no ELF"}))

    with pytest.raises(DeployError) as refused:
        imports.check(_function("from fast import process\n", layers=[layer]))

    assert str(refused.value).endswith(
        f"; fast is compiled for Lambda ({library}), and this machine can't load it: take a package in pure Python"
    )


@pytest.mark.parametrize(
    "function",
    [_function("!", frozenset({"timeout", "environment"})), _function("!", runtime="nodejs22.x")],
    ids=["the same code", "no Python"],
)
def test_what_is_not_looked_at(imports: Imports, function: Resource) -> None:
    """Code that was judged already, and code in another language."""
    imports.check(function)


def test_without_a_runtime() -> None:
    """Nobody to ask: nothing is refused."""
    with Imports(None, "us-east-1") as imports:
        imports.check(_function("!"))
