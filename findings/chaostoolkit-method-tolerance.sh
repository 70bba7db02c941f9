#!/usr/bin/env bash
# chaostoolkit 1.19.0 (lib 1.44.0): the tolerance of a probe in the method is accepted and never looked at.
#
# Valid input: an experiment whose method has a process probe that exits with 1 and has the tolerance 0. `chaos validate`
# finds nothing to say of it.
# Seen: `chaos run` ends with "completed", not deviated, exit status 0. Only the steady-state hypothesis is compared with
# tolerances; the probe's own status stands in the journal alone.
#
# Why it matters: an experiment that is exported with its check in the method looks as if it could fail, and can't. Ours
# names the place where the verdict is (docs/gamedays.md, tests/ops/gamedays/test_chaostoolkit.py).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet chaostoolkit==1.19.0 chaostoolkit-lib==1.44.0 setuptools
cd "$folder"
cat > experiment.json <<'JSON'
{
  "title": "a check that fails",
  "description": "its tolerance is 0, and it exits with 1",
  "method": [
    {
      "type": "probe",
      "name": "check",
      "tolerance": 0,
      "provider": {"type": "process", "path": "false"}
    }
  ],
  "rollbacks": []
}
JSON
export CHAOSTOOLKIT_SETTINGS_PATH=/dev/null
venv/bin/chaos --no-version-check validate experiment.json > validate.log 2>&1
venv/bin/chaos --no-version-check run experiment.json > run.log 2>&1 && left=0 || left=$?
venv/bin/python - "$left" <<'PY'
import json
import sys
from importlib.metadata import version

journal = json.load(open("journal.json"))
found = (journal["status"], journal["deviated"], sys.argv[1], journal["run"][0]["output"]["status"])
print(f"chaostoolkit {version('chaostoolkit')}, lib {version('chaostoolkit-lib')}")
print(f"status {found[0]}, deviated {found[1]}, exit status {found[2]}; the probe itself left with {found[3]}")
sys.exit(found != ("completed", False, "0", 1))
PY
