"""`lab invoke`, with a Lambda that answers as it is told."""

import base64
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ops.cli import loglines, target
from ops.cli.main import app

_GROUP = "/aws/lambda/ingestion-lab-dev-events-worker"
_DONE: dict[str, Any] = {"batchItemFailures": []}
_RECORD = {"level": "ERROR", "message": "record failed", "idempotencyKey": "k-1", "errorType": "KeyError"}
_RAISED = {
    "errorType": "KeyError",
    "errorMessage": "'id'",
    "stackTrace": [
        '  File "/var/task/handlers/events/worker.py", line 43, in handler\n    return worker()\n',
        '  File "/var/task/handlers/events/step.py", line 15, in process\n    return event["id"]\n',
        '  File "/var/lang/lib/python3.13/json/__init__.py", line 9, in dumps\n',
    ],
}


class Lambda:
    """Two functions of which the second is a stack's events-worker, and its next answer."""

    def __init__(self) -> None:
        self.payload: Any = None
        self.error = ""
        self.answer: Any = _DONE
        self.log = ""

    def get_paginator(self, name: str) -> Any:
        assert name == "list_functions"
        others = {"FunctionName": "events-worker", "LoggingConfig": {"LogGroup": "/aws/lambda/of-another-stack"}}
        ours = {"FunctionName": "events-worker-1a2b3c", "LoggingConfig": {"LogGroup": _GROUP}}
        return SimpleNamespace(paginate=lambda: [{"Functions": [others]}, {"Functions": [ours]}])

    def invoke(self, *, FunctionName: str, Payload: bytes, LogType: str) -> dict[str, Any]:
        assert (FunctionName, LogType) == ("events-worker-1a2b3c", "Tail")
        self.payload = json.loads(Payload)
        answer = {
            "Payload": io.BytesIO(json.dumps(self.answer).encode()),
            "LogResult": base64.b64encode(self.log.encode()).decode(),
        }
        return answer | ({"FunctionError": self.error} if self.error else {})


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Lambda:
    """A stack on AWS."""
    there = Lambda()
    found = SimpleNamespace(client=lambda _: there, emulator=None, stack="dev")
    monkeypatch.setattr(target, "find", lambda _: found)
    monkeypatch.setattr(loglines, "group_of", lambda _found, function: (function, _GROUP))
    return there


def _lab(event: str, *more: str, typed: str = "") -> Result:
    return CliRunner().invoke(app, ["invoke", "events-worker", "--event", event, *more], input=typed)


def test_answer(there: Lambda) -> None:
    """Of a sample, whose ids are new; the answer alone is on stdout, the log beside it."""
    there.log = '{"level":"INFO","message":"record done","timestamp":"2026-01-31T12:00:00.5Z","outcome":"succeeded"}\n'
    done = _lab("sqs-event")
    first = there.payload["Records"][0]["messageId"]
    assert (done.exit_code, json.loads(done.stdout)) == (0, _DONE)
    assert done.stderr == "12:00:00.500 events-worker INFO record done outcome=succeeded\n"
    assert there.payload["Records"][0]["messageAttributes"]["idempotencyKey"]["stringValue"] == f"invoke-{first}"
    _lab("sqs-event")
    assert first != there.payload["Records"][0]["messageId"]


def test_error_names_file_and_line(there: Lambda) -> None:
    """The last of our own code, with the calls that led there; no answer is shown."""
    there.error, there.answer = "Unhandled", _RAISED
    done = _lab("-", typed="{}")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "    handlers/events/worker.py:43 in handler",
        "    handlers/events/step.py:15 in process",
        "    /var/lang/lib/python3.13/json/__init__.py:9 in dumps",
        "error: events-worker: handlers/events/step.py:15: KeyError: 'id'",
    ]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"batchItemFailures": [{"itemIdentifier": "m-1"}]}, "1 messages were handed back: m-1"),
        ({"statusCode": 400, "body": "{}"}, "the answer has the status 400"),
    ],
)
def test_an_answer_can_be_a_failure(there: Lambda, answer: dict[str, Any], why: str) -> None:
    """The exit code says so, and the answer is shown all the same."""
    there.answer, there.log = answer, json.dumps(_RECORD)
    done = _lab("-", typed="{}")
    assert (done.exit_code, json.loads(done.stdout)) == (1, answer)
    assert "events-worker KeyError (record k-1)\n" in done.stderr
    assert done.stderr.endswith(f"error: events-worker: {why}\n")


def test_as_json(there: Lambda) -> None:
    """All of it, for programs; what is no JSON in the log is text."""
    there.error, there.answer, there.log = "Unhandled", {"errorType": "Runtime.ExitError"}, '{"a":1}\nplain\n'
    done = _lab("-", "--json", typed="{}")
    error = {"type": "Runtime.ExitError", "message": "Runtime.ExitError: ", "place": "", "trace": []}
    assert done.exit_code == 1
    assert json.loads(done.stdout) == {
        "function": "events-worker",
        "answer": None,
        "error": error,
        "failed": "Runtime.ExitError: ",
        "log": [{"a": 1}, "plain"],
    }


def test_the_end_of_a_long_log(there: Lambda) -> None:
    """Lambda returns 4 KB of it; it is said where the rest is."""
    there.log = "x" * 4096
    assert "that is the end of the log; all of it: lab logs tail --function events-worker" in _lab("http-event").stderr


@pytest.mark.parametrize("event", ["nothing", "README.md", "-"])
def test_no_event(there: Lambda, event: str) -> None:
    """A name that is no sample and no file, or no JSON in it: the samples are named, nothing is invoked."""
    done = _lab(str(Path(__file__)) if event == "README.md" else event)
    assert (done.exit_code, there.payload) == (2, None)
    assert done.stderr.startswith("error: --event ")
