"""The stack goes away and comes back while pages are open."""

from collections import defaultdict
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, TokenRetrievalError

from ops.cli.target import NotRunningError, Target
from ops.console.link import Link, trouble
from tests.ops.console.served import FakeStack, found, nothing, serving


def client_error(code: str) -> ClientError:
    """As botocore raises it."""
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "GetQueueAttributes")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (client_error("ExpiredToken"), "The AWS credentials have expired"),
        (client_error("ExpiredTokenException"), "The AWS credentials have expired"),
        (client_error("UnrecognizedClientException"), "The AWS credentials have expired"),
        (NoCredentialsError(), "There are no valid AWS credentials here"),
        (TokenRetrievalError(provider="sso", error_msg="expired"), "There are no valid AWS credentials here"),
        (client_error("AccessDenied"), "AWS: An error occurred (AccessDenied)"),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:1"), "AWS: Could not connect"),
        (ConnectionRefusedError("refused"), "The stack does not answer: refused."),
        (NotRunningError("the stack is down"), "The stack is down."),
    ],
)
def test_what_is_in_the_way_is_told_in_words(error: Exception, told: str) -> None:
    """With what to do where somebody can."""
    assert (trouble(error) or "").startswith(told)


def test_a_fault_of_the_console_is_none() -> None:
    """It must not look as if the stack were down."""
    assert trouble(KeyError("pipeline")) is None


def test_what_was_lost_is_found_anew() -> None:
    """Clients are made once, and anew after the stack or the credentials were lost."""
    made: list[str] = []

    class Stack(FakeStack):
        def client(self, service: str) -> Any:
            made.append(service)
            return object()

    link = Link("dev", found(Stack()))
    first = link.client("sqs")
    assert link.client("sqs") is first
    link.lose()
    assert link.client("sqs") is not first
    assert made == ["sqs", "sqs"]


def test_a_page_waits_for_the_stack_and_goes_on_with_it() -> None:
    """A whole page says what is wrong and asks again; a part of a page leaves what is shown and tells the bar."""
    stack = FakeStack(events={"workerFunctionName": "events-worker"})
    there: list[FakeStack] = []

    def find(name: str) -> Target:
        return found(there[0])(name) if there else nothing(name)

    with serving(find, "dev") as console:
        down = console.get("/alarms")
        part = console.call("GET", "/alarms/live", HX_Request="true")
        assert (down.status, part.status) == (503, 503)
        assert "start it with: lab up" in down.text
        assert 'hx-get="/ping"' in down.text
        assert part.text == "The laptop's stack is down; start it with: lab up."

        there.append(stack)
        stack.clients = defaultdict(lambda: _Failing(client_error("ExpiredToken")))
        assert "credentials have expired" in console.get("/alarms").text


class _Failing:
    """A client all of whose calls fail alike."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, _: str) -> Any:
        raise self._error
