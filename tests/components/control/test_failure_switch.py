"""The failure lab: there where it is asked for, and no trace of it elsewhere."""

import json

import pytest

from tests.components.recording import Recording, grants, run_main, variables


def test_parameter_starts_with_no_fault_and_keeps_what_operators_set(dev: Recording) -> None:
    """The parameter is made once as `none`; a deployment in the middle of a drill does not end the drill."""
    parameter = dev.one("Parameter", "failure-mode-parameter")

    assert parameter.inputs == {
        "name": "/ingestion/failure_mode",
        "tags": {"Project": "ingestion-lab", "Stack": "dev"},
        "type": "String",
        "value": "none",
    }
    assert parameter.ignore_changes == ("value",)


def test_configured_parameter_is_the_one_that_functions_read() -> None:
    """The key failureModeParameter names the parameter and reaches ingest, worker and switch."""
    recording = run_main("dev", {"failureModeParameter": "/team/fault"})

    assert recording.inputs("Parameter", "failure-mode-parameter")["name"] == "/team/fault"
    assert {
        f.name: f.inputs["environment"]["variables"]["FAILURE_MODE_PARAMETER"]
        for f in recording.of("Function")
        if "FAILURE_MODE_PARAMETER" in f.inputs["environment"]["variables"]
    } == dict.fromkeys(("events-ingest", "events-worker", "failure-mode"), "/team/fault")


def test_switch_function(dev: Recording) -> None:
    """The switch is told the parameter and nothing of queues and tables."""
    function = dev.inputs("Function", "failure-mode")

    assert (function["handler"], function["timeout"]) == ("handlers.control.failure_mode.handler", 29)
    assert variables(dev, "failure-mode") == {
        "ENVIRONMENT": "dev",
        "FAILURE_MODE_PARAMETER": "/ingestion/failure_mode",
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "POWERTOOLS_SERVICE_NAME": "ingestion-lab",
    }


def test_lab_is_found_where_it_is(dev: Recording) -> None:
    """The words that the next test looks for are those of the lab: they find its parts, and whoever reads it."""
    assert {(r.type.rpartition(":")[2], r.name) for r in dev.resources if _mentions_faults([r.name, r.inputs])} == {
        ("Dashboard", "dashboard"),
        ("MetricAlarm", "control-errors"),
        *(("QueryDefinition", query.name) for query in dev.of("QueryDefinition")),
        ("EventRule", "failure-mode-expiry"),
        ("EventTarget", "failure-mode-expiry-target"),
        ("FailureSwitch", "failure-mode"),
        ("Function", "events-ingest"),
        ("Function", "events-worker"),
        ("Function", "failure-mode"),
        ("FunctionEventInvokeConfig", "failure-mode-async"),
        ("InstrumentedFunction", "failure-mode"),
        ("Integration", "failure-mode-integration"),
        ("LogGroup", "failure-mode-logs"),
        ("Parameter", "failure-mode-parameter"),
        ("Permission", "failure-mode-expiry-invocation"),
        ("Permission", "failure-mode-invocation"),
        ("QueuePolicy", "control-failures-policy"),
        ("Role", "failure-mode-role"),
        ("RolePolicy", "events-ingest-policy"),
        ("RolePolicy", "events-worker-policy"),
        ("RolePolicy", "failure-mode-policy"),
        ("Route", "ingestion-api-any-failure-mode"),
        ("Route", "ingestion-api-any-failure-mode-reset"),
        ("Route", "ingestion-api-get-failure-mode"),
        ("Route", "ingestion-api-post-failure-mode"),
        ("Route", "ingestion-api-post-failure-mode-reset"),
        ("RuleTrigger", "failure-mode-expiry"),
    }
    assert _mentions_faults(dev.outputs)


@pytest.mark.parametrize("stack", ["prod", "dev"])
def test_nothing_of_the_lab_is_deployed_where_injection_is_off(stack: str) -> None:
    """Not a resource, a route, a variable, a grant or an output has to do with faults; prod is so by default."""
    recording = run_main(stack, {} if stack == "prod" else {"failureInjection": False})

    assert [r.name for r in recording.resources if _mentions_faults([r.name, r.inputs])] == []
    assert [r.name for r in recording.resources if ":ssm/" in r.type] == []
    assert not _mentions_faults(recording.outputs)
    for function in recording.of("Function"):
        assert [sid for sid, (actions, _) in grants(recording, function.name).items() if _is_about_ssm(actions)] == []


def _mentions_faults(value: object) -> bool:
    text = json.dumps(value).lower().replace("_", "-")
    return "failure-mode" in text or "failuremode" in text or "failurereset" in text


def _is_about_ssm(actions: set[str]) -> bool:
    return any(action.startswith("ssm:") for action in actions)
