#!/usr/bin/env bash
# parliament 1.6.4: imports pkg_resources and declares no dependency on setuptools, which has it.
#
# Valid input: `pip install parliament` in a fresh venv, then `import parliament`.
# Seen: ModuleNotFoundError, "No module named 'pkg_resources'", both without setuptools (as the venvs of Python 3.12 and
# later are) and with setuptools 82, which dropped pkg_resources. With setuptools 81 it is imported.
#
# Why it matters: the lint of every IAM policy, tests/contract/test_iam_lint.py, could not start; so pyproject.toml names
# setuptools<82 in the dev group, and the linter runs in a process of its own for the warning of that import.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet parliament==1.6.4
"$folder/venv/bin/pip" uninstall --quiet --yes setuptools 2>/dev/null # Python 3.11 puts one into a venv

outcome() {
    "$folder/venv/bin/python" -W ignore -c '
try:
    import parliament
except ModuleNotFoundError as exc:
    print("ModuleNotFoundError:", exc)
else:
    print("imported")'
}

declared=$("$folder/venv/bin/python" -c 'from importlib.metadata import requires; print(*[r for r in requires("parliament") if "extra" not in r])')
without=$(outcome)
"$folder/venv/bin/pip" install --quiet setuptools==82.0.0
with_82=$(outcome)
"$folder/venv/bin/pip" install --quiet setuptools==81.0.0
with_81=$(outcome)
echo "declared: $declared"
echo "without setuptools: $without"
echo "with setuptools 82.0.0: $with_82"
echo "with setuptools 81.0.0: $with_81"

missing="ModuleNotFoundError: No module named 'pkg_resources'"
[ "$without" = "$missing" ]
[ "$with_82" = "$missing" ]
[ "$with_81" = "imported" ]
