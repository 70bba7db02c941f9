"""Linters in processes of their own: what they load is no load of the tests that follow."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence

from ops.local.files import write_atomically
from tests.components.recording import ROOT

_KEPT = ROOT / ".build" / "linted"
_MOST = 9  # answers: the last few of each who asks


def lint(program: str, given: str, arguments: Sequence[str] = ()) -> str:
    """What a program that calls a linter prints of what it is given.

    Its answer is kept, for linters of the locked versions say the same of the same text, whichever Python runs them:
    `.ci/run` lints once for all of them, and whoever changes no resource waits for no linter.
    """
    locked = (ROOT / "uv.lock").read_text(encoding="utf-8")
    kept = _KEPT / f"{hashlib.sha256(json.dumps([locked, program, given, *arguments]).encode()).hexdigest()}.txt"
    if kept.exists():
        return kept.read_text(encoding="utf-8")
    command = [sys.executable, "-W", "ignore", "-c", program, *arguments]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(kept, done.stdout)
    for old in sorted(_KEPT.glob("*.txt"), key=lambda one: one.stat().st_mtime)[:-_MOST]:
        old.unlink()
    return done.stdout
