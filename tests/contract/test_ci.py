"""The workflows take nothing that may change under their name and have no right too many; mypy skips nothing used."""

import ast
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pulumi_aws
import pytest
import yaml

from tests.components.recording import ROOT

_WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.y*ml"))
_READS = {"contents": "read"}
_RELEASES = {"attestations": "write", "contents": "write", "id-token": "write"}


def _read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


@pytest.mark.parametrize("path", _WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit(path: Path) -> None:
    """A tag can be moved, a commit can't; the version beside it is for the reader and for Dependabot."""
    used = re.findall(r"\buses: *(.*)", path.read_text(encoding="utf-8"))

    assert used
    assert [line for line in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", line)] == []


@pytest.mark.parametrize("path", _WORKFLOWS, ids=lambda path: path.stem)
def test_rights_are_given_to_jobs(path: Path) -> None:
    """None to the workflow; to each job the right to read, to a release's more; no checkout leaves the token behind."""
    workflow = _read(path)
    checkouts = [
        step.get("with", {}).get("persist-credentials")
        for job in workflow["jobs"].values()
        for step in job["steps"]
        if step.get("uses", "").startswith("actions/checkout@")
    ]

    assert workflow["permissions"] == {}
    assert {name: job["permissions"] for name, job in workflow["jobs"].items()} == {
        name: _RELEASES if (path.stem, name) == ("release", "release") else _READS for name in workflow["jobs"]
    }
    assert set(checkouts) == {False}


@pytest.mark.parametrize("path", _WORKFLOWS, ids=lambda path: path.stem)
def test_a_new_push_cancels_the_old_run(path: Path) -> None:
    """Of the same branch and event only: a push doesn't cancel the weekly audit."""
    concurrency = _read(path)["concurrency"]

    assert concurrency["cancel-in-progress"] is True
    assert "github.ref" in concurrency["group"]
    assert "github.event_name" in concurrency["group"]


def test_every_version_of_python_is_tested() -> None:
    """Those that the project says it runs on."""
    requires = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    low, high = map(int, re.findall(r"3\.(\d+)", requires))

    assert requires == f">=3.{low},<3.{high}"
    assert _read(ROOT / ".github/workflows/ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"] == [
        f"3.{minor}" for minor in range(low, high)
    ]


def test_hooks_are_those_of_make_check() -> None:
    """Before a commit runs what runs after it, by the programs of the lock: local hooks, no versions of their own."""
    (repository,) = _read(ROOT / ".pre-commit-config.yaml")["repos"]
    hooks = {hook["entry"].removesuffix(" --force-exclude") for hook in repository["hooks"]}
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert recipe
    steps = {line.strip().removeprefix("@$(BIN)/") for line in recipe[1].splitlines()}

    assert repository["repo"] == "local"
    assert {f".venv/bin/{re.sub(r' --check| [.]$', '', step).removesuffix(' .')}" for step in steps} == hooks


def _names_of_the_provider(tree: ast.Module) -> set[str]:
    """What a file takes from `pulumi_aws`, by either form of import."""
    nodes = list(ast.walk(tree))
    called = {
        a.asname or a.name for node in nodes if isinstance(node, ast.Import) for a in node.names if "_aws" in a.name
    }
    taken = {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in called
    }
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "pulumi_aws":
            inner = (node.module or "").partition(".")[2].partition(".")[0]
            taken |= {inner} if inner else {alias.name for alias in node.names}
    return taken


def test_mypy_reads_what_is_used_of_the_provider() -> None:
    """It skips the other modules: of what it skips it would accept every use."""
    overrides = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]["overrides"]
    (read,) = [one["module"] for one in overrides if one.get("follow_imports") == "normal"]
    files = [path for folder in ("components", "ops", "policy", "tests") for path in (ROOT / folder).rglob("*.py")]
    texts = [text for text in (path.read_text(encoding="utf-8") for path in files) if "pulumi_aws" in text]
    used = [
        getattr(pulumi_aws, name) for name in set[str]().union(*(_names_of_the_provider(ast.parse(t)) for t in texts))
    ]
    homes = {one.__name__ if isinstance(one, ModuleType) else one.__module__ for one in used}

    assert {"pulumi_aws.sqs", "pulumi_aws.get_region", "pulumi_aws.apigatewayv2"} < homes
    assert [home for home in sorted(homes) if home not in read and f"{home}.*" not in read] == []


def test_the_lock_is_as_uv_writes_it() -> None:
    """Each file with its hash and its size, of one index: whoever adds a package sees that package in the change."""
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    found = [one for package in lock["package"] for one in [*package.get("wheels", []), package.get("sdist")]]
    files = [one for one in found if one]

    assert len(files) > len(lock["package"])
    assert {tuple(sorted(one.keys() - {"upload-time"})) for one in files} == {("hash", "size", "url")}
    assert {one["url"].split("/")[2] for one in files} == {"files.pythonhosted.org"}


def test_clean_leaves_nothing(tmp_path: Path) -> None:
    """`make clean` ends what runs, and takes away what .gitignore names; what is kept stays."""
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    for name in ignored:
        if name not in {"*.pyc", "venv/"}:  # in the folders below; one at the top would be the user's own
            (tmp_path / name.strip("/").replace("*", "some")).mkdir()
    (tmp_path / "handlers" / "__pycache__").mkdir(parents=True)
    for kept in ("handlers/a.py", "uv.lock", "pyproject.toml"):
        (tmp_path / kept).touch()
    shutil.copy(ROOT / "Makefile", tmp_path)
    lab = tmp_path / ".venv" / "bin" / "lab"
    lab.parent.mkdir()
    lab.write_text('#!/bin/sh\necho "$@" >> asked\n', encoding="utf-8")
    lab.chmod(0o755)
    (tmp_path / "plugin" / "venv").mkdir(parents=True)

    # the variables of a make that runs these tests are not those of who cleans up
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "VENV"}
    subprocess.run(["make", "clean"], cwd=tmp_path, env=plain, check=True, timeout=60, capture_output=True)  # noqa: S607

    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert left - {"plugin"} == {"Makefile", "asked", "handlers", "handlers/a.py", "uv.lock", "pyproject.toml"}
    assert (tmp_path / "asked").read_text(encoding="utf-8") == "down\n"
