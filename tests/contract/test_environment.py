"""What a component sets in a function's environment is what that handler reads: neither side may import the other."""

import dataclasses
import importlib
from typing import Any

import pytest
from aws_lambda_powertools.shared import constants

from handlers import env
from handlers.control.forms import FORMS
from handlers.control.redrive.sqs import target
from tests.components.recording import Recording, Registered, run_main

_READ_BY_THE_LOGGER = {"POWERTOOLS_LOG_LEVEL", "POWERTOOLS_SERVICE_NAME"}
_FAILURE_LAB = {"FAILURE_MODE_PARAMETER"}
_GROUPS = {"GROUP_BY"}
# Of the worker of a lake whose silver is tables; of its committer where these are in a table bucket.
_TABLES = {"LEDGER_NAME", "TABLE_BUCKET_ARN"}
_PROGRAMS: dict[str, tuple[str, dict[str, object]]] = {
    **{stack: (stack, {}) for stack in ("local", "dev", "prod")},
    "groups": ("local", {"groupBy": "/customerId", "lakeGroupBy": "/key"}),
    "gate": ("local", {"lakeQualityGate": True, "lakeBackfill": True}),
    "tables": ("local", {"lakeFormat": "iceberg", "glueDatabase": "lake"}),
    "table bucket": ("local", {"lakeFormat": "iceberg", "lakeCatalog": "s3tables"}),
    "webhook": ("dev", {"webhookUrl": "https://hooks.example/"}),
    "keys": ("dev", {"authMode": "apiKey", "apiKey": "k" * 20}),
}


@pytest.fixture(scope="module", params=_PROGRAMS)
def program(request: pytest.FixtureRequest) -> Recording:
    """The program as a stack's YAML configures it, and with what only a configuration of one's own brings."""
    return run_main(*_PROGRAMS[request.param])


def _env(function: Registered) -> type[Any]:
    """The dataclass that says what the function's handler module reads."""
    module = importlib.import_module(function.inputs["handler"].rpartition(".")[0])
    read: type[Any] = module.Env
    return read


def _variables(function: Registered) -> dict[str, str]:
    variables: dict[str, str] = function.inputs["environment"]["variables"]
    return variables


def _optional(cls: type[Any]) -> set[str]:
    return {f.name.upper() for f in dataclasses.fields(cls) if f.default is not dataclasses.MISSING}


def test_functions_get_exactly_the_variables_that_they_read(program: Recording) -> None:
    """No variable is missing and none is set for nobody; where the failure lab or groups are not, theirs are not."""
    set_here = {f.name: set(_variables(f)) for f in program.of("Function")}
    absent = set() if program.of("Parameter") else _FAILURE_LAB
    absent |= (_GROUPS | _TABLES) - set().union(*set_here.values())

    assert set_here == {
        f.name: _READ_BY_THE_LOGGER | (env.variable_names(_env(f)) - (_optional(_env(f)) & absent))
        for f in program.of("Function")
    }


def test_only_the_failure_lab_groups_and_tables_are_optional(program: Recording) -> None:
    """A handler does without a variable only where that says that there is no failure lab, group or table."""
    assert set().union(*(_optional(_env(f)) for f in program.of("Function"))) <= _FAILURE_LAB | _GROUPS | _TABLES


def test_values_are_of_the_types_that_handlers_expect(program: Recording) -> None:
    """Every function starts on what it is given: nothing is empty or of the wrong type."""
    for function in program.of("Function"):
        env.load(_env(function), _variables(function))


def test_queues_are_written_as_redrive_reads_them(program: Recording) -> None:
    """The one variable that is more than a word: redrive finds every pipeline's queues in it."""
    pipelines = {name: group for name, group in program.outputs.items() if isinstance(group, dict)}
    queues = {name: (group["queueUrl"], group["dlqUrl"]) for name, group in pipelines.items()}
    queues |= {
        f"{name}-undelivered": (group["queueUrl"], group["undeliveredUrl"])
        for name, group in pipelines.items()
        if "undeliveredUrl" in group
    }
    queues |= {
        f"{name}-notices": (group["noticesUrl"], group["noticesDlqUrl"])
        for name, group in pipelines.items()
        if "noticesUrl" in group
    }

    for function in ("redrive", "redrive-api"):
        targets = target.parse(_variables(program.one("Function", function))["QUEUES"])
        assert {name: (found.queue_url, found.dlq_url) for name, found in targets.items()} == queues


def test_letters_for_one_queue_have_one_form(program: Recording) -> None:
    """Whatever queue letters wait on, redrive reads them as the worker of the queue that they go to reads them."""
    targets = target.parse(_variables(program.one("Function", "redrive"))["QUEUES"], FORMS)
    workers = {targets[name].queue_url: targets[name].form for name in targets if not name.endswith("-undelivered")}

    assert {name: found.form for name, found in targets.items()} == {
        name: workers[found.queue_url] for name, found in targets.items()
    }


def test_powertools_reads_what_is_set_for_the_logger() -> None:
    """The variables of the log lines are Powertools' own names: a step that uses Powertools logs as the rest does."""
    assert {constants.SERVICE_NAME_ENV, constants.POWERTOOLS_LOG_LEVEL_ENV} == _READ_BY_THE_LOGGER
