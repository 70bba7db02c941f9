"""The scan for secrets finds them, wants a reason for what is none, and sends nothing anywhere."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.components.recording import ROOT

_SCAN = ROOT / ".ci" / "scan_secrets.py"
_PLANTED = "aws_key = '" + "AKIA" + "IOSFODNN7EXAMPLF" + "'\n"  # in two, or this file would be a finding
_NOTHING_ANSWERS = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder under git with one committed file and one that is ignored."""
    (tmp_path / "code.py").write_text("answer = 42\n")
    (tmp_path / ".gitignore").write_text("ignored.py\n")
    (tmp_path / "ignored.py").write_text(_PLANTED)
    _git(tmp_path, "init", "-q")
    _git(tmp_path, "add", ".")
    return tmp_path


def _git(project: Path, *arguments: str) -> None:
    program = shutil.which("git")
    if program is None:
        pytest.skip("git is not installed; the scan without it has a test of its own")
    subprocess.run([program, *arguments], cwd=project, check=True)


def _scan(project: Path, *arguments: str) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, str(_SCAN), *arguments, str(project)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | _NOTHING_ANSWERS,
    )
    return done.returncode, done.stderr.splitlines()


def _with_reason(project: Path, reason: str) -> None:
    file = project / ".secrets.baseline"
    document = json.loads(file.read_text())
    for entries in document["results"].values():
        for entry in entries:
            entry["reason"] = reason
    file.write_text(json.dumps(document))


def test_clean_project(project: Path) -> None:
    """Nothing found, nothing said; what is ignored is not looked at."""
    assert _scan(project) == (0, [])


@pytest.mark.parametrize("added", [True, False])
def test_planted_secret(project: Path, *, added: bool) -> None:
    """It is found before it is committed, even before it is added."""
    (project / "new.py").write_text(_PLANTED)
    if added:
        _git(project, "add", ".")
    code, lines = _scan(project)

    assert (code, lines[0]) == (1, "new.py:1: AWS Access Key is not in .secrets.baseline")


def test_made_up_secrets_of_tests(project: Path) -> None:
    """What a test only calls a secret is none; what looks like a real one is found there too."""
    tests = project / "tests"
    tests.mkdir()
    (tests / "test_a.py").write_text('password = "made-up-for-this"\n')  # pragma: allowlist secret
    assert _scan(project) == (0, [])
    (tests / "test_a.py").write_text(_PLANTED)
    assert _scan(project)[0] == 1
    (project / "code.py").write_text('password = "made-up-for-this"\n')  # pragma: allowlist secret
    assert any(line.startswith("code.py:1: Secret Keyword") for line in _scan(project)[1])


def test_without_git(tmp_path: Path) -> None:
    """In an unpacked archive every file is looked at that is not built."""
    (tmp_path / "sub" / ".venv").mkdir(parents=True)
    (tmp_path / "sub" / "new.py").write_text(_PLANTED)
    (tmp_path / "sub" / ".venv" / "theirs.py").write_text(_PLANTED)
    code, lines = _scan(tmp_path)

    assert (code, lines[:-1]) == (1, ["sub/new.py:1: AWS Access Key is not in .secrets.baseline"])


def test_baseline_wants_reasons(project: Path) -> None:
    """What is no secret is accepted with a reason only, wherever in its file it moves, and kept through an update."""
    (project / "new.py").write_text(_PLANTED)
    code, lines = _scan(project, "--update")
    assert (code, lines[0].partition(" for ")[0]) == (1, "new.py: .secrets.baseline gives no reason")

    _with_reason(project, "an example of AWS's documentation")
    assert _scan(project) == (0, [])
    (project / "new.py").write_text("\n\n\n" + _PLANTED)
    assert _scan(project) == (0, [])
    assert _scan(project, "--update") == (0, [])


def test_stale_baseline(project: Path) -> None:
    """An exception whose finding is gone must go too, or it would let a later secret pass."""
    (project / "new.py").write_text(_PLANTED)
    _scan(project, "--update")
    _with_reason(project, "an example")
    (project / "new.py").unlink()
    code, lines = _scan(project)

    assert (code, lines[0].endswith("which is no longer there")) == (1, True)


def test_nothing_is_sent_to_verify() -> None:
    """The scan of this project has no filter that would ask a service whether a secret is live."""
    document = json.loads((ROOT / ".secrets.baseline").read_text())

    assert [one["path"] for one in document["filters_used"] if "verif" in one["path"]] == []
