"""Imports Lambda handlers as Lambda's init phase does, and tells of each whether it can be.

Run by the interpreter of the emulator's own environment, which knows nothing of this project. The arguments are the
folders to import from, the code's first. Each line of stdin asks for a handler: {"handler": "a.b.name", "variables":
{...}}; each line of stdout answers: {"fault": null, "compiles": true}, or what is wrong, with file and line, and
whether the code compiles: where it does not, that is no fault of the handler asked for.
"""

from __future__ import annotations

import importlib
import json
import os
import py_compile
import signal
import sys
import traceback
from pathlib import Path

_INIT_SECONDS = 10  # Lambda's limit of the init phase; SIGALRM ends the process


def main() -> None:
    """Answer one request after the other."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what the code prints is no answer
    code = Path(sys.argv[1]).resolve()
    sys.path[:0] = sys.argv[1:]
    fault = _compiled(code)
    for line in sys.stdin:
        request = json.loads(line)
        os.environ.update(request["variables"])
        answer = {"fault": fault or _imported(code, request["handler"]), "compiles": fault is None}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _compiled(code: Path) -> str | None:
    """What the compiler says of all files, those too that are imported later than at the start."""
    for path in sorted(code.rglob("*.py")):
        try:
            py_compile.compile(str(path), doraise=True)
        except py_compile.PyCompileError as error:
            return _fault(code, error.exc_value)
    return None


def _imported(code: Path, handler: str) -> str | None:
    module, _, name = handler.rpartition(".")
    signal.alarm(_INIT_SECONDS)
    try:
        found = getattr(importlib.import_module(module), name, None)
    except BaseException as error:  # noqa: BLE001 - code may raise anything; all of it is told
        return _fault(code, error)
    finally:
        signal.alarm(0)
    return None if callable(found) else f"{module.replace('.', '/')}.py: there is no function {name}"


def _fault(code: Path, error: BaseException) -> str:
    """Where in the code, and what."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return f"{_within(code, error.filename)}:{error.lineno}: {type(error).__name__}: {error.msg}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(code)]
    place = f"{_within(code, frames[-1].filename)}:{frames[-1].lineno}: " if frames else ""
    return f"{place}{type(error).__name__}: {error}{_compiled_for_lambda(error)}"


def _compiled_for_lambda(error: BaseException) -> str:
    """Why a package of a layer can't be imported whose libraries are for Lambda's system and processor."""
    package = (error.name or "").partition(".")[0] if isinstance(error, ImportError) else ""
    for layer in map(Path, sys.argv[2:] if package else []):
        for library in sorted((*layer.glob(f"{package}.*.so"), *layer.glob(f"{package}/**/*.so"))):
            compiled = (
                f"{package} is compiled for Lambda ({library.relative_to(layer)}), and this machine can't load it"
            )
            return f"; {compiled}: take a package in pure Python"
    return ""


def _within(code: Path, path: str) -> str:
    return str(Path(path).relative_to(code)) if Path(path).is_relative_to(code) else path


if __name__ == "__main__":
    main()
