"""What a cold start takes beside botocore: ``python -m tests.bench.cold_start [ROUNDS] [FUNCTION…] [--json FILE]``.

Every function of the local stack (with API keys, the lake's gate and backfill) as it is deployed: its zip unpacked, its
own environment, its handler imported, which makes its clients. Beside it a process that imports botocore and makes the
same clients with the same settings; the lake's functions that work with pyarrow have that imported beside them, too.
Each start is a process of its own, in turn; what counts is the processor time of imports and clients, without the
interpreter's start. The zip ships no bytecode, so that our code and what is in a layer is compiled at each start, as in
Lambda; the standard library and botocore have theirs.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.compute.packaging import handlers_zip
from tests.bench.report import Row, conclude, json_file, row
from tests.bench.sides import ratios
from tests.components.recording import EVERY_PIPELINE, run_main

_BAR = "≤ 1.1 x"
_ROUNDS = 7
_CONFIG = {
    "pipelines": list(EVERY_PIPELINE),
    "authMode": "apiKey",
    "apiKey": "one-good-key-of-letters",
    "webhookUrl": "https://hooks.example/",
    "lakeQualityGate": True,
    "lakeBackfill": True,
}
_LAMBDA = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_LAMBDA_FUNCTION_NAME": "bench",
}
_KEYS = {"API_KEYS_ARN": "arn:aws:ssm:eu-west-1:123456789012:parameter/keys"}  # which the recording makes up
_IN_LAYERS = ("aws_lambda_powertools", "pyarrow")
# Prints the seconds; what comes before is of the measurement, what the timed lines import is not.
_TIMED = """
import time
began = time.process_time()
{lines}
print(time.process_time() - began)
"""
_FUNCTION = "import importlib; importlib.import_module({module!r})"
_BASE = """
import botocore.session
from botocore.config import Config
session = botocore.session.get_session()
for service, options in {clients!r}:
    session.create_client(service, config=Config(**options))
"""
_ASKED = """
import botocore.session
made = []
create = botocore.session.Session.create_client
def noted(self, service, *rest, config=None, **options):
    made.append((service, config._user_provided_options if config else {{}}))
    return create(self, service, *rest, config=config, **options)
botocore.session.Session.create_client = noted
import importlib, json, sys
importlib.import_module({module!r})
print(json.dumps([made, [name for name in sys.modules if name in ("pyarrow", "pyarrow.parquet", "pyarrow.json")]]))
"""


@dataclass(frozen=True, slots=True)
class _Lambda:
    """Where functions start: their code, and a cache of bytecode that holds what Lambda's runtime has."""

    task: Path
    cache: Path

    def run(self, script: str, environment: Mapping[str, str] = {}, *, compiles: bool = False) -> Any:
        """What the script prints last."""
        surroundings = _LAMBDA | {"PYTHONPATH": str(self.task), "PYTHONPYCACHEPREFIX": str(self.cache), **environment}
        surroundings |= _KEYS | ({} if compiles else {"PYTHONDONTWRITEBYTECODE": "1"})
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, env=surroundings, stdout=subprocess.PIPE, text=True, check=True)
        return json.loads(done.stdout.splitlines()[-1])

    def forget(self) -> None:
        """Deletes the bytecode that Lambda would not have."""
        shutil.rmtree(self.cache / self.task.relative_to("/"), ignore_errors=True)
        for package in _IN_LAYERS:
            for folder in list(self.cache.rglob(package)):
                shutil.rmtree(folder)


@dataclass(frozen=True, slots=True)
class _Function:
    """A function of the program."""

    name: str
    module: str
    environment: Mapping[str, str]


def _functions(wanted: Sequence[str]) -> list[_Function]:
    found = [
        _Function(one.name, one.inputs["handler"].rpartition(".")[0], one.inputs["environment"]["variables"])
        for one in run_main("local", _CONFIG).of("Function")
    ]
    return sorted((one for one in found if not wanted or one.name in wanted), key=lambda one: one.name)


def _rows(started: _Lambda, functions: Sequence[_Function], rounds: int) -> Iterator[Row]:
    asked = {
        one.name: started.run(_ASKED.format(module=one.module), one.environment, compiles=True) for one in functions
    }
    started.forget()
    for one in functions:
        clients, libraries = asked[one.name]
        ours = _TIMED.format(lines=_FUNCTION.format(module=one.module))
        base = _TIMED.format(lines=_BASE.format(clients=clients) + "".join(f"import {name}\n" for name in libraries))
        times: dict[str, list[float]] = {"ours": [], "base": []}
        for _ in range(rounds):
            times["base"].append(started.run(base, one.environment))
            times["ours"].append(started.run(ours, one.environment))
        told = ", ".join([*(service for service, _ in clients), *libraries]) or "no client"
        cpu = {side: f"{sorted(found)[len(found) // 2] * 1000:.0f}" for side, found in times.items()}
        detail = f"{cpu['ours']} ms against {cpu['base']}: {told}"
        yield row(f"{one.name} ÷ botocore, CPU", ratios(times["ours"], times["base"]), _BAR, detail)


def main(arguments: list[str]) -> int:
    """Prints the ratios; see the module."""
    rest, file = json_file(arguments)
    rounds = int(rest.pop(0)) if rest and rest[0].isdecimal() else _ROUNDS
    with tempfile.TemporaryDirectory() as name:
        started = _Lambda(Path(name, "task"), Path(name, "cache"))
        zipfile.ZipFile(handlers_zip()).extractall(started.task)
        rows = list(_rows(started, _functions(rest), rounds))
    return conclude("cold_start", rows, file, note=_NOTE)


_NOTE = """Making clients without collecting garbage saves about 50 ms. Of our own import half is compilation, a third
the making of dataclasses. Bytecode in the zip would save that half. It is of one version of Python and would differ
with whoever deploys: the zip would no longer be the same from the same content. The functions of redrive have most code
of ours, because they read the messages of every pipeline; the lake's compile the expressions that find a row's end."""

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
