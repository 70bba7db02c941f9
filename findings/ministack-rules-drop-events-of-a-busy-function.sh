#!/usr/bin/env bash
# ministack 1.5.33: a rule's event for a function that has no free concurrency is lost.
#
# Valid input: a function with a reserved concurrency of 1 that takes 0.3 s, as the target of a rule; three events at once.
# Seen: one of the three is worked. Each target is started once, and nobody tries again.
# AWS invokes the targets of rules asynchronously: Lambda's own queue keeps a throttled event for up to six hours.
#
# Why it matters: whatever is invoked by a rule and limited in concurrency, as the lake's quality gate is, works on AWS and
# loses events on the emulator. ops/local/ministack_main.py keeps them; tests/ops/test_emulator_guards.py holds the right
# value (test_events_of_a_rule_wait_for_a_function_that_is_busy).
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "${emulator:-}" 2>/dev/null || true; wait; rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet ministack==1.5.33 boto3==1.43.106

port=$("$folder/venv/bin/python" -c '
import socket
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    print(free.getsockname()[1])')
(cd "$folder" && BIND_HOST=127.0.0.1 GATEWAY_PORT=$port LOG_LEVEL=ERROR IOT_MTLS_ENABLED=0 exec venv/bin/ministack) &
emulator=$!

cat > "$folder/case.py" <<'PY'
import io
import json
import sys
import time
import zipfile
from pathlib import Path

import boto3
from botocore.config import Config

known = {
    "region_name": "us-east-1",
    "endpoint_url": f"http://127.0.0.1:{sys.argv[1]}",
    **dict.fromkeys(("aws_access_key_id", "aws_secret_access_key"), "test"),
    "config": Config(retries={"total_max_attempts": 8, "mode": "standard"}),
}
took = Path(sys.argv[2]) / "took"
took.touch()
code = io.BytesIO()
with zipfile.ZipFile(code, "w") as zipped:
    zipped.writestr(
        "app.py",
        "import time\n"
        "def handler(event, context):\n"
        "    time.sleep(0.3)\n"
        f"    with open({str(took)!r}, 'a') as file:\n"
        "        file.write(str(event['detail']['n']) + '\\n')\n",
    )
role = boto3.client("iam", **known).create_role(RoleName="r", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
functions = boto3.client("lambda", **known)
arn = functions.create_function(
    FunctionName="slow", Runtime="python3.13", Handler="app.handler", Role=role, Code={"ZipFile": code.getvalue()}
)["FunctionArn"]
functions.put_function_concurrency(FunctionName="slow", ReservedConcurrentExecutions=1)
events = boto3.client("events", **known)
events.put_rule(Name="slow", EventPattern=json.dumps({"source": ["test"]}))
events.put_targets(Rule="slow", Targets=[{"Id": "f", "Arn": arn}])
answer = events.put_events(
    Entries=[{"Source": "test", "DetailType": "t", "Detail": json.dumps({"n": n})} for n in range(3)]
)
assert answer["FailedEntryCount"] == 0
end = time.monotonic() + 20  # many times what three calls take
while time.monotonic() < end and len(took.read_text().split()) < 3:
    time.sleep(0.2)
worked = len(took.read_text().split())
print(f"3 events were taken by the bus, {worked} worked by the function")
sys.exit(worked != 1)
PY
"$folder/venv/bin/python" "$folder/case.py" "$port" "$folder"
