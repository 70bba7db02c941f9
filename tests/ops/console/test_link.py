"""The stack goes away and comes back while pages are open."""

from collections import defaultdict
from typing import Any

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, TokenRetrievalError

from ops.cli.api import ApiError
from ops.cli.target import NotRunningError, Target
from ops.console.link import Link, trouble
from tests.ops.console.fakes import WholeStack, group
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
        (
            ApiError("The security token included in the request is expired (403)"),
            "The AWS credentials have expired",
        ),
        (ApiError("The security token included in the request is invalid. (403)"), "The AWS credentials have expired"),
        (ApiError("Forbidden (403)"), "Forbidden (403)."),
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


class _Expiring(WholeStack):
    """A stack whose clients are botocore's own, with credentials that AWS refuses, until they are renewed."""

    is_renewed = False

    def client(self, service: str) -> Any:
        if self.is_renewed:
            return super().client(service)
        session = botocore.session.Session()
        session.set_credentials("a", "b", "c")
        made = session.create_client(service, region_name="eu-west-1")
        made.meta.events.register("before-call", self._refuse)
        return made

    def _refuse(self, **_: object) -> Any:
        return AWSResponse("", 403, HTTPHeaders(), None), {
            "Error": {"Code": "ExpiredTokenException", "Message": "expired"}
        }


@pytest.mark.parametrize("path", ["/", "/alarms", "/alarms/any", "/charts", "/logs", "/lake"])
def test_every_page_says_that_credentials_have_expired(path: str) -> None:
    """As AWS refuses them: a whole page waits, a part of one leaves what is shown. The stack is not sought again."""
    stack, sought = _Expiring(lake=group("lake", bronzeBucket="b")), list[str]()

    def find(name: str) -> Target:
        sought.append(name)
        return found(stack)(name)

    with serving(find, "dev") as console:
        for _ in range(2):
            answer, part = console.get(path), console.call("GET", path, HX_Request="true")
            assert (answer.status, part.status) == (503, 503)
            assert 'hx-get="/ping"' in answer.text
            assert part.text.startswith("The AWS credentials have expired or are not valid: renew them")
        assert console.call("GET", "/ping", HX_Request="true").status == 503
        stack.is_renewed = True
        assert console.call("GET", "/ping", HX_Request="true").status == 204
    assert sought == ["dev"]


class _Failing:
    """A client all of whose calls fail alike."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, _: str) -> Any:
        raise self._error
