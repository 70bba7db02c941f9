#!/usr/bin/env bash
# ministack 1.5.33: a distributed map's ItemBatcher is accepted and ignored.
#
# Valid input: a distributed map over three items with MaxItemsPerBatch 2, whose child passes its input on.
# Seen: three children, each with a bare item. On AWS there are two, with {"Items": [...]}, of two items and of one:
# https://docs.aws.amazon.com/step-functions/latest/dg/input-output-itembatcher.html
#
# Why it matters: a function that is written for batches finds no "Items" on the emulator, and one that works there fails
# on AWS. The lake's backfill is such a map; ops/local/deployer/kinds/stepfunctions.py adapts it, and
# tests/handlers/lake/test_backfill.py holds the form in which AWS gives a batch.
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
import json
import sys
import time

import boto3
from botocore.config import Config

states = boto3.client(
    "stepfunctions",
    region_name="us-east-1",
    endpoint_url=f"http://127.0.0.1:{sys.argv[1]}",
    **dict.fromkeys(("aws_access_key_id", "aws_secret_access_key"), "test"),
    config=Config(retries={"total_max_attempts": 8, "mode": "standard"}),
)
child = {
    "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
    "StartAt": "Same",
    "States": {"Same": {"Type": "Pass", "End": True}},
}
mapped = {"Type": "Map", "ItemsPath": "$.items", "ItemBatcher": {"MaxItemsPerBatch": 2}, "ItemProcessor": child, "End": True}
machine = states.create_state_machine(
    name="batches",
    definition=json.dumps({"StartAt": "Each", "States": {"Each": mapped}}),
    roleArn="arn:aws:iam::000000000000:role/r",
)["stateMachineArn"]
execution = states.start_execution(stateMachineArn=machine, input=json.dumps({"items": ["a", "b", "c"]}))["executionArn"]
end = time.monotonic() + 20
while (found := states.describe_execution(executionArn=execution))["status"] == "RUNNING" and time.monotonic() < end:
    time.sleep(0.1)
children = json.loads(found.get("output", "null"))
print(f"three items in batches of two: {found['status']}, the children were given {json.dumps(children)}")
sys.exit(children != ["a", "b", "c"])
PY
"$folder/venv/bin/python" "$folder/case.py" "$port"
