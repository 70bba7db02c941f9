"""What organizations demand of every resource: boundaries, names, tags, networks, queues of their own."""

import json

import pytest

from tests.components.recording import Recording, run_main, statements

_EVERY_FUNCTION = {
    "pipelines": ["events", "orders", "lake"],
    "webhookUrl": "https://hooks.example/",
    "authMode": "apiKey",
    "apiKey": "0123456789abcdefghij",
}
_NETWORK = {"vpcSubnetIds": ["subnet-0123456789abcdef0"], "vpcSecurityGroupIds": ["sg-0123456789abcdef0"]}
_UNTAGGED = {  # AWS has no tags for these
    *("Dashboard", "EventArchive", "EventTarget", "FunctionEventInvokeConfig", "Integration", "LayerVersion"),
    *("Authorizer", "LogMetricFilter", "Permission", "QueryDefinition", "RedriveAllowPolicy", "Route"),
    *("BucketPolicy", "QueuePolicy", "RolePolicy", "TopicPolicy", "TopicSubscription", "Alias"),
    *("BucketLifecycleConfiguration", "BucketNotification", "BucketOwnershipControls", "BucketPublicAccessBlock"),
    *("BucketServerSideEncryptionConfiguration", "BucketVersioning"),
}


@pytest.fixture(scope="module")
def whole() -> Recording:
    """Every function and pipeline, with everything on that an organization may demand."""
    demands = {
        "permissionsBoundaryArn": "arn:aws:iam::123456789012:policy/limits",
        "iamNamePrefix": "acme-",
        "resourceTags": {"CostCenter": "42"},
        "useKmsCmk": True,
    }
    return run_main("dev", {**_EVERY_FUNCTION, **_NETWORK, **demands})


def test_a_permissions_boundary_is_on_every_role(whole: Recording) -> None:
    """Whatever a role is granted, it has no more than the organization allows; and every role has the prefix."""
    roles = whole.of("Role")

    assert {role.inputs["permissionsBoundary"] for role in roles} == {"arn:aws:iam::123456789012:policy/limits"}
    assert {role.inputs["namePrefix"][:5] for role in roles} == {"acme-"}
    assert {function.inputs["role"] for function in whole.of("Function")} == {f"arn:{role.name}" for role in roles}


def test_tags_are_on_everything_that_takes_them(whole: Recording) -> None:
    """The stack's and the organization's, on every resource of every pipeline for which AWS has tags."""
    made = [r for r in whole.resources if r.type.startswith("aws:")]
    tags = {"Project": "ingestion-lab", "Stack": "dev", "CostCenter": "42"}

    assert {r.type.rpartition(":")[2] for r in made if "tags" not in r.inputs} == _UNTAGGED
    assert {json.dumps(r.inputs["tags"], sort_keys=True) for r in made if "tags" in r.inputs} == {
        json.dumps(tags, sort_keys=True)
    }


def test_no_tag_is_anywhere_in_accounts_that_forbid_them() -> None:
    """Not one, in no pipeline, whatever else is configured."""
    recording = run_main("dev", {**_EVERY_FUNCTION, "tagRestricted": True, "resourceTags": {"CostCenter": "42"}})

    assert [r.name for r in recording.resources if "tags" in r.inputs] == []


def test_functions_are_in_the_vpc_with_the_rights_for_it(whole: Recording) -> None:
    """Every function is in the configured subnets, and its role lets Lambda, and not its code, make the interfaces."""
    for function in whole.of("Function"):
        found = {s["Sid"]: s for s in statements([whole.inputs("RolePolicy", f"{function.name}-network")["policy"]])}
        assert function.inputs["vpcConfig"] == {
            "subnetIds": ["subnet-0123456789abcdef0"],
            "securityGroupIds": ["sg-0123456789abcdef0"],
        }
        assert found["Network"]["Action"] == found["NetworkNotFromCode"]["Action"]
        assert found["NetworkNotFromCode"]["Effect"] == "Deny"
        assert found["NetworkNotFromCode"]["Condition"] == {"Null": {"lambda:SourceFunctionArn": "false"}}


def test_adopted_queues_are_used_and_never_configured() -> None:
    """Queues of others get no policy and no setting; the roles have on them exactly what they have on own ones."""
    queue, dlq = "arn:aws:sqs:eu-central-1:123456789012:theirs", "arn:aws:sqs:eu-central-1:123456789012:theirs-dlq"
    url = "https://sqs.eu-central-1.amazonaws.com/123456789012/"
    adopted = {
        "existingQueueUrl": f"{url}theirs",
        "existingQueueArn": queue,
        "existingDlqUrl": f"{url}theirs-dlq",
        "existingDlqArn": dlq,
    }
    own, theirs = run_main("dev", _EVERY_FUNCTION), run_main("dev", {**_EVERY_FUNCTION, **adopted})
    gone = {(r.type.rpartition(":")[2], r.name) for r in own.resources} - {
        (r.type.rpartition(":")[2], r.name) for r in theirs.resources
    }

    assert gone == {
        *(("Queue", f"events-{role}") for role in ("queue", "dlq")),
        *(("QueuePolicy", f"events-{role}-policy") for role in ("queue", "dlq")),
        ("RedriveAllowPolicy", "events-dlq-redrive-allow"),
    }
    for function in (made.name for made in own.of("Function")):
        before = own.inputs("RolePolicy", f"{function}-policy")["policy"]
        renamed = before.replace('"arn:events-queue"', f'"{queue}"').replace('"arn:events-dlq"', f'"{dlq}"')
        assert theirs.inputs("RolePolicy", f"{function}-policy")["policy"] == renamed
