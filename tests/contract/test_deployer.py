"""What whoever deploys is given is what the program registers, in words that AWS understands."""

import json

import pytest

from ops.rights.actions import KINDS, RIGHTS
from ops.rights.documents import LARGEST
from tests.components.configurations import CONFIGURATIONS, FIXED, Configuration
from tests.components.recording import ROOT
from tests.contract.deployer import policies, render
from tests.contract.linting import lint

# In a process of its own: on import it warns of its dependencies, which here is an error.
_LINTER = """
import json, sys
from parliament import analyze_policy_string
found = [f for p in json.load(sys.stdin) for f in analyze_policy_string(json.dumps(p)).findings]
print(json.dumps([[f.issue, str(f.detail)] for f in found]))
"""
_EXCEPTIONS = {  # an issue, some of its words, and why it is none
    (
        "RESOURCE_MISMATCH",
        "'events:CreateArchive'",
    ): "AWS checks it on the bus and on the archive, each with a statement",
    ("RESOURCE_MISMATCH", "'kms:CreateAlias'"): "AWS checks it on the key and on the alias, each with a statement",
    ("RESOURCE_STAR", "cloudwatch:DescribeAlarms"): "it lists, so it is checked on all alarms",
    ("RESOURCE_POLICY_PRIVILEGE_ESCALATION", "PutBucketPolicy"): "who deploys sets the bucket's policy",
    ("RESOURCE_POLICY_PRIVILEGE_ESCALATION", "PutLifecycleConfiguration"): "and when its objects expire",
    **{  # as the Service Authorization Reference has them
        ("UNKNOWN_ACTION", f"s3tables:{name}"): "AWS has added it since the linter's tables were made"
        for name in (
            "DeleteTableBucketEncryption",
            "GetTableBucketEncryption",
            "GetTableBucketStorageClass",
            "ListTagsForResource",
            "PutTableBucketEncryption",
            "TagResource",
            "UntagResource",
        )
    },
}


def test_the_page_says_what_is_registered() -> None:
    """Whoever adds a type of resource sees in the change what deploying it takes."""
    assert (ROOT / "docs" / "deployer.md").read_text(encoding="utf-8") == render()


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=str)
def test_every_configuration_has_its_policies(configuration: Configuration) -> None:
    """Of every type, each small enough; no statement without a resource; what is on anything is that one statement."""
    found = policies(configuration)
    statements = [statement for document in found for statement in document["Statement"]]

    assert [len(json.dumps(document, separators=(",", ":"))) <= LARGEST for document in found] == [True] * len(found)
    assert [one["Sid"] for one in statements if not one["Resource"] or not one["Action"]] == []
    assert [one["Sid"] for one in statements if one["Resource"] == ["*"] and "Condition" not in one] == ["Anywhere"]
    assert len({one["Sid"] for one in statements}) == len(statements)
    assert [one for one in statements for action in one["Action"] if action.endswith("*")] == []


def test_aws_knows_all_of_it() -> None:
    """Each action, its resources and its conditions, by the tables of parliament."""
    documents = [document for configuration in FIXED for document in policies(configuration)]
    findings = [(issue, detail) for issue, detail in json.loads(lint(_LINTER, json.dumps(documents)))]

    def excepted(issue: str, detail: str) -> list[tuple[str, str]]:
        return [one for one in _EXCEPTIONS if one[0] == issue and one[1] in detail]

    assert [finding for finding in findings if not excepted(*finding)] == []
    assert {one for finding in findings for one in excepted(*finding)} == _EXCEPTIONS.keys()


def test_nothing_is_known_that_is_not_registered() -> None:
    """A type that has left the program takes its rights along."""
    registered = {one.type for one in (r for c in CONFIGURATIONS for r in c.recording().resources)}

    assert RIGHTS.keys() - registered == set()
    assert KINDS.keys() - registered == set()
