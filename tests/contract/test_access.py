"""What `lab` shows is what the program's routes ask for: neither side may import the other."""

import pytest

from components.config.access import AUTH_MODES, AuthMode
from ops.cli.api import proof
from tests.components.recording import run_main

_PROOFS = {"NONE": "nothing", "CUSTOM": "key", "JWT": "token", "AWS_IAM": "signature"}
_CONFIG: dict[AuthMode, dict[str, object]] = {
    "none": {"authMode": "none"},
    "apiKey": {"authMode": "apiKey", "apiKey": "k" * 20},
    "jwt": {"authMode": "jwt", "jwtIssuer": "https://login.example", "jwtAudience": ["lab"]},
    "iam": {"authMode": "iam"},
}


@pytest.mark.parametrize("stack", ["local", "dev"])
@pytest.mark.parametrize("mode", AUTH_MODES)
def test_lab_shows_what_routes_ask_for(stack: str, mode: AuthMode) -> None:
    """On every route, in every mode, on the laptop and elsewhere, with all pipelines that have an API."""
    recording = run_main(stack, _CONFIG[mode] | {"pipelines": ["events", "orders"]})
    routes = [route.inputs for route in recording.of("Route") if route.inputs["routeKey"] != "$default"]

    assert {r["routeKey"]: proof(mode, r["routeKey"].split(" ")[1], is_laptop=stack == "local") for r in routes} == {
        r["routeKey"]: _PROOFS[r["authorizationType"]] for r in routes
    }


def test_lab_knows_the_mode_of_a_stack() -> None:
    """The mode is an output under the name that `lab` reads."""
    assert run_main("dev", _CONFIG["jwt"]).outputs["AuthMode"] == "jwt"
