"""The endpoints that the documentation asks for in a VPC are those of the services that the functions may call."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.components.recording import ACCOUNT, EVERY_PIPELINE, REGION, run_main

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "first-deploy.md"
# Granted to a function's role and used by Lambda, or by the service that holds the data, from outside of the VPC.
_NOT_FROM_CODE = {"ec2", "kms", "logs"}
_BARE = {"failureInjection": False, "observabilityEnabled": False, "tracing": False}
_ALWAYS = {"sqs", "dynamodb", "events", "lambda"}


def _documented() -> dict[str, str]:
    table = _PAGE.read_text().partition("### Endpoints in a VPC")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `([a-z3]+)` \| [a-z]+ \| (.+) \|$", table, re.MULTILINE))


def _called(config: Mapping[str, Any]) -> set[str]:
    network = {"vpcSubnetIds": ["subnet-0123456789abcdef0"], "vpcSecurityGroupIds": ["sg-0123456789abcdef0"]}
    policies = [
        json.loads(policy.inputs["policy"]) for policy in run_main("dev", {**config, **network}).of("RolePolicy")
    ]
    allowed = [s for policy in policies for s in policy["Statement"] if s["Effect"] == "Allow"]
    return {action.partition(":")[0] for statement in allowed for action in statement["Action"]} - _NOT_FROM_CODE


@pytest.mark.parametrize(
    ("config", "more"),
    [
        (_BARE, set()),
        (
            {
                "pipelines": list(EVERY_PIPELINE),
                "tracing": True,
                "useKmsCmk": True,
                "authMode": "apiKey",
                "apiKeySecretArn": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:ingestion/key-AbCdEf",
                "webhookUrl": "https://hooks.example/T0/secret-part",
            },
            {"xray", "s3", "ssm", "secretsmanager"},
        ),
    ],
    ids=["least", "everything"],
)
def test_the_table_has_every_service_that_functions_call(config: Mapping[str, Any], more: set[str]) -> None:
    """With the least and with everything on, the services of the grants are the rows that apply."""
    documented = _documented()

    assert {name for name, needed in documented.items() if needed == "always"} == _ALWAYS
    assert _called(config) == _ALWAYS | more
    assert documented.keys() >= _called(config)
