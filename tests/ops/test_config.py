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


def test_empty_stack(tmp_path: Path) -> None:
    """A stack file without anything in it leaves the defaults."""
    assert stack_config(_root(tmp_path, ""), "local", {})["lab:typed"] == "3"


@pytest.mark.parametrize(
    ("project", "stack", "message"),
    [
        (
            "name: lab\nconfig: {b: {type: string}, a: {type: integer}}",
            "",
            "stack 'local' has no value for lab:a, lab:b: set it in Pulumi.local.yaml",
        ),
        (
            "name: lab",
            "config:\n  lab:token: {secure: AAAB}",
            "lab:token in Pulumi.local.yaml is encrypted for the Pulumi CLI; for the laptop, write it there in clear",
        ),
        ("name: lab", "config: [", "{root}/Pulumi.local.yaml is not valid YAML: "),
    ],
)
def test_refusals(tmp_path: Path, project: str, stack: str, message: str) -> None:
    """A value that is missing or can't be read is named."""
    with pytest.raises(DeployError) as refused:
        stack_config(_root(tmp_path, stack, project), "local", {})
    assert str(refused.value).startswith(message.format(root=tmp_path))


def test_missing_stack(tmp_path: Path) -> None:
    """A stack that does not exist is named by its file."""
    with pytest.raises(DeployError) as refused:
        stack_config(_root(tmp_path, ""), "other", {})
    assert str(refused.value) == f"{tmp_path / 'Pulumi.other.yaml'} is missing"
