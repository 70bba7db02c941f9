"""Every policy that the program registers is one that AWS takes and understands as it is meant.

parliament knows AWS's actions, their resources and their condition keys. What it finds is nothing, or stands here with
its reason. Seen with `pytest -s tests/contract/test_iam_lint.py`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import pytest

from tests.contract.linting import lint
from tests.contract.policies import CONFIGURATIONS, AwsRecording, Policy, as_list, policies, record

# In a process of its own: on import it warns of its dependencies, which here is an error.
_LINTER = """
import json, sys
from parliament import analyze_policy_string
print(json.dumps([[(f.issue, str(f.detail)) for f in analyze_policy_string(p).findings] for p in json.load(sys.stdin)]))
"""


class Excepted(NamedTuple):
    """A finding that is none: on what kind of policy, which issue, some of its words."""

    on: str
    issue: str
    words: str


_EXCEPTIONS = {
    Excepted("Role", "MALFORMED", "neither Resource nor NotResource"): "a trust policy has no resource but its role",
    Excepted("Key", "RESOURCE_STAR", "kms:"): "in a key policy * is the key that carries it",
    Excepted("RolePolicy", "RESOURCE_STAR", "ec2:CreateNetworkInterface"): (
        "Lambda's interfaces have no ids beforehand; AWS's own policy for functions in a VPC has * too"
    ),
}
_ON_ANYTHING = {
    "Tracing": "AWS defines no resource for X-Ray's actions",
    "Network": "Lambda's interfaces have no ids beforehand; code of the function is denied them",
}
_SOURCES = ("aws:sourcearn", "aws:sourceaccount", "kms:encryptioncontext:")
_FOR_ANY_SOURCE = {
    ("TopicPolicy", "EventBridgePublishes"): "AWS documents that it can't have a condition; denials stand beside it",
    ("Key", "BusesLookAtTheKey"): "AWS documents no condition; it tells of the key and not of data",
    ("Role", ""): "AWS documents no key that Lambda sends; who may pass the role decides",
}
# Characters without blanks: the quotas of IAM, KMS, SQS, SNS and S3.
_LARGEST = {
    "RolePolicy": 10_240,
    "Role": 2_048,
    "Key": 32_768,
    "QueuePolicy": 8_192,
    "TopicPolicy": 30_720,
    "BucketPolicy": 20_480,
}
_PROTECTED = {  # its policy, and how that refers to it
    "Queue": ("QueuePolicy", "queueUrl"),
    "Topic": ("TopicPolicy", "arn"),
    "Bucket": ("BucketPolicy", "bucket"),
}


@pytest.fixture(scope="module")
def recordings() -> Mapping[str, AwsRecording]:
    """The program in every configuration that has policies of its own."""
    return {name: record(name) for name in CONFIGURATIONS}


@pytest.fixture(scope="module")
def registered(recordings: Mapping[str, AwsRecording]) -> Mapping[str, list[Policy]]:
    """All policies by configuration."""
    return {name: list(policies(recording)) for name, recording in recordings.items()}


def _everything(registered: Mapping[str, list[Policy]]) -> list[Policy]:
    return list(dict.fromkeys(policy for found in registered.values() for policy in found))


def _findings(found: Iterable[Policy]) -> list[list[tuple[str, str]]]:
    asked = list(found)
    documents = sorted({policy.document for policy in asked})  # in the same order in each run
    said = dict(zip(documents, json.loads(lint(_LINTER, json.dumps(documents))), strict=True))
    return [[(issue, detail) for issue, detail in said[policy.document]] for policy in asked]


def test_the_linter_finds_nothing_that_is_not_excepted(
    registered: Mapping[str, list[Policy]], record_property: Any
) -> None:
    """No unknown action, resource of another type or condition that never holds; and no exception that nobody needs."""
    found = _everything(registered)
    used, others = set[Excepted](), list[tuple[str, str, str]]()
    for policy, issues in zip(found, _findings(found), strict=True):
        for issue, detail in issues:
            excepted = [e for e in _EXCEPTIONS if (e.on, e.issue) == (policy.on, issue) and e.words in detail]
            used.update(excepted)
            others += [] if excepted else [(policy.name, issue, detail)]
    record_property("configurations walked", len(registered))
    record_property("policies linted", len(found))

    assert others == []
    assert used == set(_EXCEPTIONS)


def test_the_linter_would_find_something() -> None:
    """A misspelt action and a resource of another service are findings: the linter is at work."""
    statements = [
        {"Effect": "Allow", "Action": action, "Resource": "arn:aws:sqs:eu-west-1:123456789012:q"}
        for action in ("sqs:SendMessageBatch", "dynamodb:GetItem")
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    (issues,) = _findings([Policy("RolePolicy", "wrong", document)])

    assert {issue for issue, _ in issues} == {"UNKNOWN_ACTION", "RESOURCE_MISMATCH"}


def _allowed(found: Iterable[Policy]) -> Iterator[tuple[Policy, dict[str, Any]]]:
    for policy in found:
        yield from ((policy, s) for s in policy.statements if s["Effect"] == "Allow")


def test_no_action_is_a_pattern(registered: Mapping[str, list[Policy]]) -> None:
    """Every Allow spells its actions out, but for the account's statement in the key policy, as AWS wants it."""
    patterns = {
        (policy.on, s["Sid"]) for policy, s in _allowed(_everything(registered)) if any("*" in a for a in s["Action"])
    }

    assert patterns == {("Key", "AccountDecidesByIam")}


def test_grants_on_anything(registered: Mapping[str, list[Policy]]) -> None:
    """Roles have rights on `*` in the two listed statements only, and elsewhere on what they name."""
    roles = [(policy, s) for policy, s in _allowed(_everything(registered)) if policy.on == "RolePolicy"]
    for sid, reason in _ON_ANYTHING.items():
        (actions,) = {tuple(s["Action"]) for _, s in roles if s["Sid"] == sid}
        print(f'\nResource "*": {sid} ({", ".join(actions)}): {reason}')  # noqa: T201

    assert {s["Sid"] for _, s in roles if "*" in s["Resource"]} == set(_ON_ANYTHING)


def test_services_come_on_behalf_of_this_account(registered: Mapping[str, list[Policy]]) -> None:
    """Where a service may do something, a condition says for whom: no other account can make it its deputy."""
    unlimited = {
        (policy.on, s.get("Sid", ""))
        for policy, s in _allowed(_everything(registered))
        if "Service" in as_dict(s.get("Principal")) and not any(key.startswith(_SOURCES) for key in _keys(s))
    }

    assert unlimited == set(_FOR_ANY_SOURCE)


def as_dict(principal: Any) -> dict[str, Any]:
    """A principal is an object, or `*`, or nothing in a role's own policy."""
    return principal if isinstance(principal, dict) else {}


def _keys(statement: Mapping[str, Any]) -> list[str]:
    return [key.lower() for keys in statement.get("Condition", {}).values() for key in keys]


def test_functions_are_invoked_for_sources_of_this_account(recordings: Mapping[str, AwsRecording]) -> None:
    """A permission names the source; where its ARN has no account (a bucket's), the permission has it."""
    for recording in recordings.values():
        for permission in recording.of("Permission"):
            account = permission.inputs["sourceArn"].split(":")[4:5]
            assert account not in ([], [""]) or permission.inputs.get("sourceAccount"), permission.name


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_nothing_is_reached_without_tls(recordings: Mapping[str, AwsRecording], configuration: str) -> None:
    """Every queue, topic and bucket has a policy that denies plain HTTP to everybody."""
    recording = recordings[configuration]
    for kind, (policy_kind, key) in _PROTECTED.items():
        tls = [
            made.inputs[key]
            for made in recording.of(policy_kind)
            for s in json.loads(made.inputs["policy"])["Statement"]
            if (s["Effect"], s["Principal"], s.get("Condition"))
            == ("Deny", "*", {"Bool": {"aws:SecureTransport": "false"}})
        ]
        assert len(tls) == len(set(tls)) == len(recording.of(kind)), kind


def test_policies_are_within_the_quotas_of_aws(registered: Mapping[str, list[Policy]]) -> None:
    """With everything on, each policy is at most two thirds of what AWS takes: names in AWS are longer than here."""
    largest: dict[str, int] = {}
    for policy in _everything(registered):
        size = len(json.dumps(json.loads(policy.document), separators=(",", ":")))
        largest[policy.on] = max(size, largest.get(policy.on, 0))

    assert largest.keys() <= _LARGEST.keys()
    assert {on: size for on, size in largest.items() if size > _LARGEST[on] * 2 / 3} == {}


def test_every_policy_is_found(recordings: Mapping[str, AwsRecording]) -> None:
    """Each resource that is a policy is among what is linted, and so is each role's trust."""
    for recording in recordings.values():
        named = {r.name for r in recording.resources if r.type.endswith(("Policy", ":Role", ":Key"))}
        named -= {r.name for r in recording.of("RedriveAllowPolicy")}
        assert {policy.name for policy in policies(recording)} == named
        assert all(as_list(policy.statements) for policy in policies(recording))
