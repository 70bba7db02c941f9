"""What each function imports at its cold start: a module more is milliseconds more of every start.

Times are the bench's (`make bench BENCH=cold_start`); here the sets are compared, so that none grows unnoticed.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "handlers").rglob("*.py")
    if re.search("^def handler", path.read_text(encoding="utf-8"), re.MULTILINE)
)
# Each module in a fork of a process that has what botocore imports until it has made clients.
_SCRIPT = """
import importlib, json, os, sys
import botocore.session
for service in ("sqs", "dynamodb", "s3"):
    botocore.session.get_session().create_client(service, region_name="eu-west-1")
before = set(sys.modules)
for module in sys.argv[1:]:
    if not os.fork():
        importlib.import_module(module)
        print(json.dumps([module, sorted(set(sys.modules) - before)]), flush=True)
        os._exit(0)
    os.wait()
"""
_PYARROW = {"handlers.lake.gate", "handlers.lake.iceberg.commit", "handlers.lake.worker"}
_OF_PYTHON = {  # beside what botocore imports of it
    "handlers.control.redrive.api.entry": {"concurrent.futures.thread", "secrets"},
    "handlers.control.redrive.run.entry": {"concurrent.futures.thread"},
    "handlers.events.ingest": {"concurrent.futures.thread"},
    "handlers.lake.ingest": {"pkgutil"},
}

_ALL = "aws clock env observability"  # every function has these of our packages and modules
_OURS = {
    "handlers.control.alarm_webhook": "alarm_text control deadline errors jsontext",
    "handlers.control.authorizer": "control",
    "handlers.control.breaker": "control errors grouping idempotency jsontext lake orders worker",
    "handlers.control.failure_mode": "control errors faults http jsontext",
    "handlers.control.redrive.api.entry": "control errors grouping http idempotency jsontext lake orders worker",
    "handlers.control.redrive.run.entry": "control deadline errors grouping idempotency jsontext lake orders worker",
    "handlers.events.ingest": "errors events faults grouping http idempotency jsontext",
    "handlers.events.worker": "deadline errors events faults idempotency jsontext worker",
    "handlers.lake.backfill": "deadline errors grouping idempotency jsontext lake worker",
    "handlers.lake.gate": "deadline errors grouping jsontext lake",
    "handlers.lake.iceberg.commit": "deadline errors grouping idempotency jsontext lake",
    "handlers.lake.ingest": "deadline errors faults grouping idempotency jsontext lake worker",
    "handlers.lake.worker": "deadline errors faults grouping idempotency jsontext lake worker",
    "handlers.orders.api": "errors faults http idempotency jsontext orders worker",
    "handlers.orders.worker": "deadline errors faults idempotency jsontext orders worker",
}


@pytest.fixture(scope="module")
def imported() -> dict[str, set[str]]:
    """Beside what botocore imports, by the function's module."""
    command = [sys.executable, "-c", _SCRIPT, *_MODULES]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=300)
    return {module: set(found) for module, found in map(json.loads, done.stdout.splitlines())}


def _first(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def test_only_three_functions_import_a_library_beside_the_sdk(imported: dict[str, set[str]]) -> None:
    """Those that work with pyarrow. Powertools would be a fifth of every other one's start."""
    libraries = {module: _first(found) - {"handlers"} - sys.stdlib_module_names for module, found in imported.items()}

    assert imported.keys() == set(_MODULES)
    assert {module for module, found in libraries.items() if found} == _PYARROW
    assert all("pyarrow" in libraries[module] for module in _PYARROW)


def test_no_function_imports_more_of_python_than_it_did(imported: dict[str, set[str]]) -> None:
    """What is imported for a rare case belongs where that case is."""
    for module, found in imported.items():
        if module not in _PYARROW:
            names = {name for name in found if _first({name}) <= sys.stdlib_module_names}
            names -= set(sys.builtin_module_names)  # part of the interpreter
            assert names <= _OF_PYTHON.get(module, set()), module


def test_functions_import_these_of_our_packages(imported: dict[str, set[str]]) -> None:
    """Code is compiled at each start, so that a package for nothing costs, too."""
    ours = {
        module: {name.split(".")[1] for name in found if name.startswith("handlers.")}
        for module, found in imported.items()
    }

    assert ours == {module: {*_ALL.split(), *more.split()} for module, more in _OURS.items()}


@pytest.mark.parametrize(
    "module",
    ["handlers.control.breaker", "handlers.control.redrive.api.entry", "handlers.control.redrive.run.entry"],
)
def test_the_control_plane_imports_of_the_lake_only_its_messages(imported: dict[str, set[str]], module: str) -> None:
    """Every stack has these functions, with a lake or without; how objects are read is the lake's alone."""
    assert {name for name in imported[module] if name.startswith("handlers.lake.")} == {
        "handlers.lake.message",
        "handlers.lake.notice",
    }
