"""What `lab` shows an API: a key, a token, a signature, or why it can't."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from ops.cli.api import CredentialsError, Identity
from ops.cli.target import Target
from ops.local.emulator import Emulator

_URL = "https://a1b2c3.execute-api.eu-central-1.amazonaws.com/events?limit=1"


def _session(*, region: str = "", signed: bool = True) -> Callable[[], Any]:
    """An AWS session as the caller's environment would make it."""

    def make() -> Any:
        session = botocore.session.Session()
        session.set_config_variable("region", region)
        session.set_config_variable("credentials_file", "/nowhere")
        if signed:
            session.set_credentials("AKIDEXAMPLE", "secret", "session-token")
        return session

    return make


def _never() -> Any:
    raise AssertionError("no AWS credentials are asked for")


def test_a_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the header that the API looks at; blanks around it are not part of it."""
    monkeypatch.setenv("LAB_API_KEY", " the-key\n")

    assert Identity("apiKey", is_laptop=False, session=_never).headers("GET", _URL, "/events/x", None) == {
        "x-api-key": "the-key"
    }


def test_a_token_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a bearer token."""
    monkeypatch.setenv("LAB_TOKEN", "a.b.c")

    assert Identity("jwt", is_laptop=False, session=_never).headers("POST", _URL, "/redrive/start", "{}") == {
        "Authorization": "Bearer a.b.c"
    }


@pytest.mark.parametrize("value", [None, "", " "])
@pytest.mark.parametrize(("mode", "variable"), [("apiKey", "LAB_API_KEY"), ("jwt", "LAB_TOKEN")])
def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, mode: str, variable: str, value: str | None) -> None:
    """The message says which variable to set."""
    if value is None:
        monkeypatch.delenv(variable, raising=False)
    else:
        monkeypatch.setenv(variable, value)

    with pytest.raises(CredentialsError, match=rf"^this stack's API asks for .+: export {variable}=…$"):
        Identity(mode, is_laptop=False, session=_never).headers("GET", _URL, "/events/x", None)


@pytest.mark.parametrize(
    ("mode", "path", "is_laptop"),
    [
        ("none", "/events", False),
        ("none", "/redrive/start", True),
        ("apiKey", "/health", False),
        ("jwt", "/health", False),
        ("iam", "/health", False),
    ],
)
def test_nothing_is_shown_unasked(mode: str, path: str, is_laptop: bool) -> None:  # noqa: FBT001 - a parameter
    """No variable is read and no credentials are looked for where the route is open."""
    assert Identity(mode, is_laptop=is_laptop, session=_never).headers("GET", _URL, path, None) == {}


@pytest.mark.parametrize(
    ("mode", "path"), [("iam", "/events"), ("apiKey", "/redrive/start"), ("none", "/failure-mode")]
)
def test_a_signature_is_of_the_apis_own_region(mode: str, path: str) -> None:
    """Of the service execute-api, in the endpoint's region whatever the caller's own is, with the session token."""
    session = _session(region="us-west-2")
    headers = Identity(mode, is_laptop=False, session=session).headers("POST", _URL, path, "{}")

    assert set(headers) == {"X-Amz-Date", "X-Amz-Security-Token", "Authorization"}
    assert headers["X-Amz-Security-Token"] == "session-token"
    day = headers["X-Amz-Date"][:8]
    assert headers["Authorization"].startswith(
        f"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{day}/eu-central-1/execute-api/aws4_request, "
        "SignedHeaders=host;x-amz-date;x-amz-security-token, Signature="
    )


def test_an_api_behind_a_name_of_ones_own() -> None:
    """Its region is the caller's, for the name does not tell; without one the message says what to set."""
    url = "https://events.shop.example/events"
    headers = Identity("iam", is_laptop=False, session=_session(region="us-west-2")).headers(
        "GET", url, "/events", None
    )
    assert "/us-west-2/execute-api/" in headers["Authorization"]

    with pytest.raises(CredentialsError, match="export AWS_REGION"):
        Identity("iam", is_laptop=False, session=_session()).headers("GET", url, "/events", None)


def test_without_aws_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The message says what the API asks for."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))

    with pytest.raises(CredentialsError, match=r"asks for an AWS signature, and there are no AWS credentials here$"):
        Identity("iam", is_laptop=False, session=_session(signed=False)).headers("GET", _URL, "/events", None)


def test_on_the_laptop_the_root_user_signs(tmp_path: Path) -> None:
    """A stack on the emulator is called as its root, whatever credentials the machine has."""
    emulator = Emulator(tmp_path, 1, 4566)
    found = Target("local", {"AuthMode": "iam", "ApiEndpoint": f"{emulator.endpoint}/_aws/execute-api/a1"}, emulator)
    headers = found.identity.headers("GET", f"{found.api}/events/x", "/events/x", None)

    assert headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=test/")
    assert "/us-east-1/execute-api/" in headers["Authorization"]


def test_a_stack_that_says_no_mode() -> None:
    """One deployed before there were modes asks for nothing when events are submitted."""
    found = Target("dev", {"ApiEndpoint": "https://api/"}, None)

    assert found.identity.headers("POST", "https://api/events", "/events", "{}") == {}
