"""What there is to configure, what a stack exports, and what an error is called: python -m tests.contract.reference.

It writes `docs/reference.md`: the keys of `Pulumi.yaml`, the outputs that the program exports, and the classes of the
handlers' errors.
"""

import importlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from handlers.errors import IngestionError, PermanentError
from tests.components.recording import EVERY_PIPELINE, ROOT, run_main

FILE = ROOT / "docs" / "reference.md"
_HEAD = """# Reference: configuration, outputs, errors

Made of the program by `python -m tests.contract.reference`; a test keeps the two equal. Beside it stand the pages of
[routes](api.md), [alarms](alarms.md), [log fields and metrics](observability.md#logs), [commands](tools.md),
[grants](privileges.md) and [prices](cost.md).

## Configuration

Each key with its default. `pulumi config set KEY VALUE` sets one, `Pulumi.<stack>.yaml` holds them; what depends on
what is in [configuration.md](configuration.md) and [first-deploy.md](first-deploy.md#configure).

| key | type | default | what it does |
|---|---|---|---|
"""
_OUTPUTS = """
## Outputs

`lab status --outputs` shows them, `lab status --output NAME` and `pulumi stack output NAME` print one; those of a
pipeline as `events.queueUrl`. Here are those of a stack with all pipelines, the customer key, the quality gate, the
backfill and tables; what is not configured is not exported.

| output | of |
|---|---|
"""
_ERRORS = """
## Errors

Why a record failed, as logs, state records, dead letters, `IngestionFailure` events and filters of a redrive name it
(`errorType`). An exception of the business step that is none of these is transient, under its own name. A dead letter
that SQS has moved and that has no record is `Unknown`. Refusals of the API are in [openapi.yaml](openapi.yaml).

| error type | kind | means |
|---|---|---|
"""
_EVERYTHING: Mapping[str, object] = {
    "pipelines": list(EVERY_PIPELINE),
    "useKmsCmk": True,
    "lakeQualityGate": True,
    "lakeBackfill": True,
    "lakeFormat": "iceberg",
    "glueDatabase": "lake",
}


def render() -> str:
    """The whole page."""
    return "".join([_HEAD, *_keys(), _OUTPUTS, *_outputs(), _ERRORS, *_errors()])


def _keys() -> Iterator[str]:
    for key, told in yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))["config"].items():
        kind = told.get("type", "secret")
        default = json.dumps(told["default"]) if told["default"] not in ("", [], {}) else "none"
        yield f"| `{key}` | {kind} | `{default}` | {_cell(told['description'])} |\n"


def _outputs() -> Iterator[str]:
    for name, value in run_main("dev", _EVERYTHING).outputs.items():
        if not isinstance(value, dict):
            yield f"| `{name}` | the stack |\n"
    for pipeline in EVERY_PIPELINE:
        for name in run_main("dev", _EVERYTHING).outputs[pipeline]:
            yield f"| `{pipeline}.{name}` | {pipeline} |\n"


def _errors() -> Iterator[str]:
    for path in sorted((ROOT / "handlers").rglob("*.py")):  # not all: some bring Arrow along
        if re.search(r"^class \w+Error\(", path.read_text(encoding="utf-8"), re.MULTILINE):
            importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    for one in sorted(_below(IngestionError), key=lambda one: one.__name__):
        kind = "permanent" if issubclass(one, PermanentError) else "transient"
        yield f"| `{one.__name__}` | {kind} | {_cell(str(one.__doc__).partition(chr(10))[0])} |\n"


def _below(kind: type[Any]) -> set[type[Any]]:
    """The handlers' own classes that have none below them, without those that tell another one's name."""
    below = {one for one in kind.__subclasses__() if one.__module__.startswith("handlers.")}
    return set().union(*(_below(one) or {one} for one in below if "error_type" not in vars(one)))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(render())
