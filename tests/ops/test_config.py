"""How the configuration of a stack is layered; the same as the Pulumi CLI does it."""

from pathlib import Path

import pytest

from ops.local.deployer.config import project_name, stack_config
from ops.local.deployer.errors import DeployError

_PROJECT = """
name: lab
config:
  plain: 1
  valued: {value: two}
  typed: {type: integer, default: 3, description: with a default}
  listed: {type: array, items: {type: string}, default: [a, b]}
  other:key: elsewhere
"""

_ENCRYPTED = (
    "lab:token in Pulumi.local.yaml is encrypted, and only the Pulumi CLI can read it; for the laptop, set it in "
    "clear, to what is no secret elsewhere: pulumi config set --plaintext --path 'lab:token' --stack local VALUE; or "
    "take it out: pulumi config rm --path 'lab:token' --stack local"
)


def _root(folder: Path, stack: str, project: str = _PROJECT) -> Path:
    (folder / "Pulumi.yaml").write_text(project)
    (folder / "Pulumi.local.yaml").write_text(stack)
    return folder


def test_layers(tmp_path: Path) -> None:
    """Defaults of the project, over them the stack, over it the caller; all as the strings that programs get."""
    root = _root(tmp_path, "config:\n  lab:typed: 30\n  lab:flag: true\n  aws:region: eu-west-1\n  lab:map: {b: 1}\n")
    assert project_name(root) == "lab"
    assert stack_config(root, "local", {"listed": ["c"], "aws:region": "us-east-1"}) == {
        "lab:plain": "1",
        "lab:valued": "two",
        "lab:typed": "30",
        "lab:listed": '["c"]',
        "other:key": "elsewhere",
        "lab:flag": "true",
        "lab:map": '{"b": 1}',
        "aws:region": "us-east-1",
    }


def test_stack_of_defaults(tmp_path: Path) -> None:
    """A stack file that says that it sets nothing leaves the defaults."""
    assert stack_config(_root(tmp_path, "config: {}"), "local", {})["lab:typed"] == "3"


@pytest.mark.parametrize(
    ("project", "stack", "message"),
    [
        (
            "name: lab\nconfig: {b: {type: string}, a: {type: integer}}",
            "config: {}",
            "stack 'local' has no value for lab:a, lab:b: set it in Pulumi.local.yaml",
        ),
        (
            "name: lab",
            "config:\n  lab:token: {secure: AAAB}",
            _ENCRYPTED,
        ),
        (
            "name: lab",
            "config:\n  lab:map: {deep: [a, {secure: AAAB}]}",
            "lab:map.deep[1] in Pulumi.local.yaml is encrypted, ",
        ),
        ("name: lab", "config: [", "{root}/Pulumi.local.yaml is not valid YAML: "),
        ("name: lab", "config: {{}", "{root}/Pulumi.local.yaml is not valid YAML: "),
        ("name: lab", "- config", "{root}/Pulumi.local.yaml: it must be a mapping (lines of key: value), got a list"),
        ("name: lab", "config", "{root}/Pulumi.local.yaml: it must be a mapping (lines of key: value), got a single "),
        (
            "name: lab",
            "config: [{lab:a: 1}]",
            "{root}/Pulumi.local.yaml: config must be a mapping (lines of key: value",
        ),
        ("name: lab", "", "{root}/Pulumi.local.yaml has no configuration, which would take every default and delete"),
        ("name: lab", "config:\n", "{root}/Pulumi.local.yaml has no configuration, which would take every default"),
        ("name: lab", "# config: {}\n", "{root}/Pulumi.local.yaml has no configuration, which would take every"),
        (
            "name: lab",
            "lab:a: 1",
            "{root}/Pulumi.local.yaml: a stack's file has no lab:a; values of the configuration stand under config:",
        ),
        (
            "name: lab",
            "config:\n  a: 1",
            "{root}/Pulumi.local.yaml: the key a lacks its namespace: write lab:a",
        ),
        ("", "config: {}", "{root}/Pulumi.yaml gives the project no name: write name: "),
        ("[]", "config: {}", "{root}/Pulumi.yaml: it must be a mapping (lines of key: value), got a list"),
        ("name: lab\nconfig: 3", "config: {}", "{root}/Pulumi.yaml: config must be a mapping (lines of key: value)"),
    ],
)
def test_refusals(tmp_path: Path, project: str, stack: str, message: str) -> None:
    """A value that is missing or can't be read is named."""
    with pytest.raises(DeployError) as refused:
        stack_config(_root(tmp_path, stack, project), "local", {})
    assert str(refused.value).startswith(message.format(root=tmp_path))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("config:\n  lab:a: 1\n  lab:b: 2\n  lab:a: 3\n", "line 4, column 3"),
        ("config: {lab:m: {lab:a: 1, lab:a: 2}}", "line 1, column 28"),
    ],
)
def test_key_that_stands_twice(tmp_path: Path, text: str, place: str) -> None:
    """Refused with its name and place, at any depth: YAML's own reader takes the last one."""
    with pytest.raises(DeployError, match=rf"is not valid YAML: lab:a stands twice\n.*, {place}"):
        stack_config(_root(tmp_path, text), "local", {})


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """Refused in one sentence."""
    root = _root(tmp_path, "config: {}")
    (root / "Pulumi.local.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DeployError, match="is not valid YAML: "):
        stack_config(root, "local", {})


def test_a_file_that_the_cli_has_rewritten(tmp_path: Path) -> None:
    """It adds the salt of the secrets, and quotes numbers and truth values: the same text comes of it."""
    root = _root(tmp_path, 'encryptionsalt: v1:abc\nconfig:\n  lab:typed: "30"\n  lab:flag: "true"\n')
    config = stack_config(root, "local", {})
    assert (config["lab:typed"], config["lab:flag"]) == ("30", "true")


def test_missing_stack(tmp_path: Path) -> None:
    """A stack that does not exist is named by its file."""
    with pytest.raises(DeployError) as refused:
        stack_config(_root(tmp_path, ""), "other", {})
    assert str(refused.value) == f"{tmp_path / 'Pulumi.other.yaml'} is missing"
