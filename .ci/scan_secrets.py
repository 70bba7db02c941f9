# noqa: INP001 - a script, not a package
"""Finds secrets in the files that are, or would be, committed. Offline; leaves with 1 when something is wrong.

What looks like a secret and is none stands in `.secrets.baseline` (the format of detect-secrets) with a `reason`. A
finding that is not there, one there without a reason, and one there that is no longer found are faults. A finding is
known by its file and hash, not by its line, so that code above it may grow. In tests a name such as `secret` is no
finding: what is called so there is made up, and real keys are found by their form.

    python .ci/scan_secrets.py            check
    python .ci/scan_secrets.py --update   write the baseline anew, keeping the reasons; then give those that lack one
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.settings import default_settings, get_settings

BASELINE = ".secrets.baseline"
_HASHES = {"uv.lock"}  # a digest of every package, and nothing else
_BUILT = {".git", ".venv", ".venv-emulator", ".build", ".lab", "__pycache__", "node_modules"}
_UNSET = "TODO"

Findings = dict[tuple[str, str], dict[str, Any]]


def files(root: Path) -> list[str]:
    """What is committed or would be by `git add`; without git, everything that is not built."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)  # noqa: S603 - git itself
        names = [name for name in listed.stdout.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        names = _walked(root)
    return [name for name in sorted(names) if name not in _HASHES | {BASELINE} and (root / name).is_file()]


def scan(root: Path) -> Findings:
    """What looks like a secret, by file and hash. Nothing is sent anywhere to verify it."""
    with default_settings():
        get_settings().disable_filters("detect_secrets.filters.common.is_ignored_due_to_verification_policies")
        found = SecretsCollection(root=str(root))
        found.scan_files(*files(root))
        results = found.json()
    return {place: entry for place, entry in _by_hash(results).items() if not _made_up(place[0], entry)}


def known(root: Path) -> Findings:
    """What the baseline says."""
    try:
        document = json.loads((root / BASELINE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return _by_hash(document["results"])


def faults(found: Findings, baseline: Findings) -> list[str]:
    """What is wrong, one line each."""
    lines = [
        f"{file}:{found[file, digest]['line_number']}: {found[file, digest]['type']} is not in {BASELINE}"
        for file, digest in found
        if (file, digest) not in baseline
    ]
    lines += [f"{file}: {BASELINE} has {digest}, which is no longer there" for file, digest in baseline.keys() - found]
    reasons = {place: str(entry.get("reason", "")).strip() for place, entry in baseline.items()}
    lines += [
        f"{file}: {BASELINE} gives no reason for {digest}"
        for (file, digest), text in reasons.items()
        if text in {"", _UNSET}
    ]
    return sorted(lines)


def update(root: Path, found: Findings, baseline: Findings) -> None:
    """Write the baseline for what is found now, with the reasons that it had."""
    results: dict[str, list[dict[str, Any]]] = {}
    for (file, digest), entry in sorted(found.items()):
        reason = baseline.get((file, digest), {}).get("reason", _UNSET)
        results.setdefault(file, []).append(entry | {"filename": file, "is_secret": False, "reason": reason})
    with default_settings() as settings:
        document = {"version": "1.5.0", **settings.json(), "results": results}
    (root / BASELINE).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Check, or update; the root may be given last."""
    root = Path(arguments[-1]) if arguments and not arguments[-1].startswith("-") else Path(__file__).parents[1]
    found, baseline = scan(root), known(root)
    if "--update" in arguments:
        update(root, found, baseline)
        baseline = known(root)
    wrong = faults(found, baseline)
    sys.stderr.writelines(f"{line}\n" for line in wrong)
    if wrong:
        sys.stderr.write("No secret? python .ci/scan_secrets.py --update, then write the reason into the baseline.\n")
    return 1 if wrong else 0


def _by_hash(results: dict[str, list[dict[str, Any]]]) -> Findings:
    return {(file, entry["hashed_secret"]): entry for file, entries in results.items() for entry in entries}


def _made_up(file: str, entry: dict[str, Any]) -> bool:
    return file.startswith("tests/") and entry["type"] == "Secret Keyword"


def _walked(root: Path) -> list[str]:
    names = []
    for folder, subfolders, here in os.walk(root):
        subfolders[:] = [name for name in subfolders if name not in _BUILT and not name.endswith("_cache")]
        names += [str((Path(folder) / name).relative_to(root)) for name in here]
    return names


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
