"""The policies of whoever deploys: names as far as they are known, roles for their services, nothing left out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ops.cli import program
from ops.rights.documents import LARGEST, RightsError, documents
from tests.ops.laptop import Laptop

_PLACE = {"partition": "aws-cn", "region": "cn-north-1", "account": "123456789012"}
_BOUNDARY = "arn:aws-cn:iam::123456789012:policy/boundary"


@dataclass(frozen=True)
class _Own:
    """A registration."""

    type: str
    name: str
    inputs: Mapping[str, Any] = field(default_factory=dict)


def _role(name: str, service: str, **inputs: object) -> _Own:
    trust = {"Statement": [{"Principal": {"Service": service}}]}
    return _Own("aws:iam/role:Role", name, {"assumeRolePolicy": json.dumps(trust), **inputs})


def _statements(*resources: _Own) -> dict[str, dict[str, Any]]:
    found = documents(resources, "dev", _PLACE)
    return {one["Sid"]: one for document in found for one in document["Statement"]}


_BUS = _Own("aws:cloudwatch/eventBus:EventBus", "bus")


@pytest.mark.parametrize(
    ("resources", "sid", "arns"),
    [
        ([_Own("aws:sqs/queue:Queue", "in")], "Queues", ["sqs:cn-north-1:123456789012:in-???????"]),
        (
            [_Own("aws:sqs/queue:Queue", "in", {"fifoQueue": True})],
            "Queues",
            ["sqs:cn-north-1:123456789012:in-???????.fifo"],
        ),
        (
            [_Own("aws:cloudwatch/metricAlarm:MetricAlarm", "a", {"name": "Lab-dev-a"})],
            "Alarms",
            ["cloudwatch:cn-north-1:123456789012:alarm:Lab-dev-*"],
        ),
        (
            [_Own("aws:kms/alias:Alias", "a", {"name": "alias/lab-dev"})],
            "KeyAliases",
            ["kms:cn-north-1:123456789012:alias/lab-dev"],
        ),
        (
            [_Own("aws:s3/bucket:Bucket", "b", {"bucketPrefix": "lab-dev-"})],
            "Buckets",
            [f"s3:::lab-dev-{'?' * 26}"],
        ),
        (
            [_Own("aws:cloudwatch/logGroup:LogGroup", "l", {"name": "/aws/lambda/lab-dev-in"})],
            "Logs",
            [f"logs:cn-north-1:123456789012:log-group:/aws/lambda/lab-dev-*{end}" for end in ("", ":*")],
        ),
        (
            [_BUS, _Own("aws:cloudwatch/eventRule:EventRule", "r", {"eventBusName": "bus"})],
            "Rules",
            ["events:cn-north-1:123456789012:rule/bus-???????/r-???????"],
        ),
        ([_Own("aws:cloudwatch/eventRule:EventRule", "r")], "Rules", ["events:cn-north-1:123456789012:rule/r-???????"]),
        (
            [_Own("aws:ssm/parameter:Parameter", "p", {"name": "/team/mode"})],
            "Parameters",
            ["ssm:cn-north-1:123456789012:parameter/team/mode"],
        ),
        (
            [_role("r", "lambda.amazonaws.com", namePrefix="team-r-")],
            "Roles",
            [f"iam::123456789012:role/team-r-{'?' * 26}"],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_names(resources: list[_Own], sid: str, arns: list[str]) -> None:
    """As the program gives them; up to the stack's name; or with `?` for what is made up."""
    assert _statements(*resources)[sid]["Resource"] == [f"arn:aws-cn:{arn}" for arn in arns]


def test_what_stands_on_something_else() -> None:
    """A queue's policy is set on the queue, and what is in a bucket is deleted where the bucket goes with it."""
    found = _statements(
        _Own("aws:sqs/queue:Queue", "in"),
        _Own("aws:sqs/queuePolicy:QueuePolicy", "in-policy"),
        _Own("aws:s3/bucket:Bucket", "b", {"bucketPrefix": "b-", "forceDestroy": True}),
    )

    assert {"sqs:CreateQueue", "sqs:SetQueueAttributes"} < set(found["Queues"]["Action"])
    assert "s3:DeleteObjectVersion" in found["EmptiedBuckets"]["Action"]
    assert [one.endswith("?/*") for one in found["EmptiedBuckets"]["Resource"]] == [False, True]
    assert "EmptiedBuckets" not in _statements(_Own("aws:s3/bucket:Bucket", "b", {"forceDestroy": False}))


def test_a_role_is_passed_to_the_service_that_it_trusts() -> None:
    """And to no other."""
    found = _statements(_role("worker-role", "lambda.amazonaws.com"), _role("machine-role", "states.amazonaws.com"))

    passed = {sid: one for sid, one in found.items() if one["Action"] == ["iam:PassRole"]}
    assert {sid: (one["Resource"], one["Condition"]["StringEquals"]) for sid, one in passed.items()} == {
        "RolesOfLambda": (
            ["arn:aws-cn:iam::123456789012:role/worker-role-???????"],
            {"iam:PassedToService": "lambda.amazonaws.com"},
        ),
        "RolesOfStates": (
            ["arn:aws-cn:iam::123456789012:role/machine-role-???????"],
            {"iam:PassedToService": "states.amazonaws.com"},
        ),
    }


def test_a_boundary_stays() -> None:
    """Roles are made and given rights with it alone, nobody may take it from them; one role without it, and all are."""
    bound = _role("worker-role", "lambda.amazonaws.com", permissionsBoundary=_BOUNDARY)
    policy = _Own("aws:iam/rolePolicy:RolePolicy", "worker-policy")
    found = _statements(bound, policy)
    without = _statements(bound, policy, _role("other-role", "lambda.amazonaws.com"))

    assert found["RolesWithBoundary"]["Action"] == [
        "iam:CreateRole",
        "iam:PutRolePermissionsBoundary",
        "iam:PutRolePolicy",
    ]
    assert found["RolesWithBoundary"]["Condition"] == {"ArnEquals": {"iam:PermissionsBoundary": [_BOUNDARY]}}
    forbidden = {*found["RolesWithBoundary"]["Action"], "iam:DeleteRolePermissionsBoundary"}
    assert forbidden & set(found["Roles"]["Action"]) == set()
    assert forbidden < set(without["Roles"]["Action"])
    assert "RolesWithBoundary" not in without


def test_what_has_no_name_is_known_by_its_tags() -> None:
    """A key: where it has tags, only with those of the stack; they are set before it has them."""
    tags = {"Project": "lab", "Stack": "dev", "Team": "x"}
    found = _statements(_Own("aws:kms/key:Key", "key", {"tags": tags}))

    assert found["Keys"]["Action"] == ["kms:TagResource"]
    assert found["KeysByTag"]["Condition"] == {
        "StringEquals": {"aws:ResourceTag/Project": "lab", "aws:ResourceTag/Stack": "dev"}
    }
    assert "Condition" not in _statements(_Own("aws:kms/key:Key", "key"))["KeysByTag"]


def test_layers_and_networks_of_others() -> None:
    """Lambda asks for them of whoever names them for a function."""
    theirs = "arn:aws-cn:lambda:cn-north-1:999999999999:layer:arrow:7"
    inputs = {"layers": ["arn:dependencies", theirs], "vpcConfig": {"subnetIds": ["subnet-1"]}}
    found = _statements(_Own("aws:lambda/function:Function", "f", inputs))

    assert found["LayersOfOthers"]["Resource"] == [theirs]
    assert "ec2:DescribeSubnets" in found["Anywhere"]["Action"]


def test_a_type_without_rights_is_refused() -> None:
    """It would be left out, and found out by AWS."""
    with pytest.raises(
        RightsError, match=r"say in ops/rights/actions\.py what it takes to deploy aws:efs/fileSystem:FileSystem"
    ):
        _statements(_Own("aws:efs/fileSystem:FileSystem", "f"))


def test_many_names_take_more_policies() -> None:
    """Each no larger than a managed policy may be, and nothing left out."""
    many = [_Own("aws:sqs/queue:Queue", f"queue-{number}") for number in range(60)]
    topics = [_Own("aws:sns/topic:Topic", f"topic-{number}") for number in range(60)]
    found = documents([*many, *topics], "dev", _PLACE)

    assert [len(json.dumps(one, separators=(",", ":"))) <= LARGEST for one in found] == [True] * len(found)
    assert len(found) == 2
    assert sum(len(one["Resource"]) for document in found for one in document["Statement"]) == 120


def test_lab_rights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In the stack's own region, as one document or a file for each policy."""
    asked: list[str] = []

    def registered(stack: str) -> list[_Own]:
        asked.append(stack)
        return [_Own("aws:sqs/queue:Queue", "in")]

    monkeypatch.setattr(program, "registered", registered)
    laptop = Laptop(tmp_path / "home", 1)

    shown = laptop.lab("rights", "--stack", "dev", "--account", "123456789012")
    written = laptop.lab("rights", "--stack", "dev", "--account", "123456789012", "--output", str(tmp_path / "a" / "b"))
    there = laptop.lab("rights", "--stack", "dev", "--account", "123456789012", "--region", "us-gov-west-1")

    (policy,) = json.loads(shown.stdout)["policies"]
    assert policy["Statement"][0]["Resource"] == ["arn:aws:sqs:eu-central-1:123456789012:in-???????"]
    assert written.stdout == f"{tmp_path / 'a' / 'b' / 'deploy-1.json'}\n"
    assert json.loads((tmp_path / "a" / "b" / "deploy-1.json").read_text(encoding="utf-8")) == policy
    assert "arn:aws-us-gov:sqs:us-gov-west-1:123456789012:in-???????" in there.stdout
    assert asked == ["dev"] * 3
