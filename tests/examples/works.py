"""Run with what a function has in Lambda, and nothing of this tree: calls handlers against an AWS in memory.

Standard input has `{"fakes": path, "calls": [["module.function", event]]}`; the answers, what was sent and the lines of
the log are printed. A call that raises is answered with the error's text.
"""

import importlib
import importlib.util
import json
import sys
from typing import Any


class Context:
    """What a handler is told of its invocation."""

    aws_request_id = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        """Enough."""
        return 30_000


def main() -> None:
    """Make the calls, in their order, on one AWS."""
    given = json.load(sys.stdin)
    spec = importlib.util.spec_from_file_location("fakes", given["fakes"])
    assert spec
    assert spec.loader
    fakes = sys.modules["fakes"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fakes)
    aws = fakes.FakeAws()
    clients = importlib.import_module("ingestion_lab.handlers.aws.clients")
    function = importlib.import_module("ingestion_lab.function")
    clients.client = function.client = lambda _service: aws  # type: ignore[attr-defined]
    answers: list[Any] = []
    for name, event in given["calls"]:
        module, _, handler = name.rpartition(".")
        try:
            answers.append(getattr(importlib.import_module(module), handler)(event, Context()))
        except RuntimeError as error:
            answers.append(str(error))
    events = [[event["Source"], event["DetailType"]] for event in aws.events]
    imported = sorted({name.partition(".")[0] for name in sys.modules} & {"pulumi", "components", "handlers", "boto3"})
    said = {"answers": answers, "events": events, "sent": aws.sent, "imported": imported}
    sys.stdout.write("\n" + json.dumps(said) + "\n")


main()
