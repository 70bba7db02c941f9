"""The emulator's environment: built once, repaired when half-built, built anew when the lock changes."""

import sys
from pathlib import Path

import pytest

from ops.local import venv
from ops.local.emulator import ROOT

_UV = """#!{python}
import os, pathlib, sys
folder = pathlib.Path(os.environ["UV_PROJECT_ENVIRONMENT"])
calls = pathlib.Path.cwd() / "calls"
calls.write_text((calls.read_text() if calls.exists() else "") + " ".join(sys.argv[1:]) + "\\n")
if (folder / "broken").exists():
    sys.exit("half-built")
if (pathlib.Path.cwd() / "offline").exists():
    sys.exit("no network")
(folder / "bin").mkdir(parents=True, exist_ok=True)
(folder / "bin" / "python").touch()
"""
_CALL = f"sync --frozen --only-group emulator --no-install-project --python {sys.executable}\n"  # fmt: skip


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a lock, and a stand-in for uv that notes how it was called."""
    uv = tmp_path / "uv"
    uv.write_text(_UV.format(python=sys.executable), encoding="utf-8")
    uv.chmod(0o755)
    monkeypatch.setattr("uv.find_uv_bin", lambda: str(uv))
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "uv.lock").write_text("one")
    return checkout


def _calls(root: Path) -> str:
    return (root / "calls").read_text()


def test_built_once(root: Path) -> None:
    """The second time nothing is done."""
    assert not venv.is_built(root)
    python, *rest = venv.ensure(root)
    assert (python, venv.is_built(root)) == (root / ".venv-emulator" / "bin" / "python", True)
    assert rest == ["-P", ROOT / "ops" / "local" / "ministack_main.py"]
    venv.ensure(root)
    assert _calls(root) == _CALL


def test_built_anew_for_another_lock(root: Path) -> None:
    """Its content follows uv.lock."""
    venv.ensure(root)
    (root / "uv.lock").write_text("two")
    assert not venv.is_built(root)
    venv.ensure(root)
    assert (venv.is_built(root), _calls(root)) == (True, _CALL * 2)


def test_half_built(root: Path) -> None:
    """What uv can't repair is thrown away and built from nothing."""
    folder = root / ".venv-emulator"
    folder.mkdir()
    (folder / "broken").touch()
    venv.ensure(root)
    assert (venv.is_built(root), (folder / "broken").exists(), _calls(root)) == (True, False, _CALL * 2)


def test_failure_is_told_and_retryable(root: Path) -> None:
    """Uv's own words come through; once the cause is gone, the next try works."""
    (root / "offline").touch()
    with pytest.raises(venv.VenvError) as failed:
        venv.ensure(root)
    assert str(failed.value) == f"could not build {root / '.venv-emulator'}, as uv says:\nno network"
    assert not venv.is_built(root)
    (root / "offline").unlink()
    venv.ensure(root)
    assert venv.is_built(root)
