#!/usr/bin/env bash
# ministack 1.5.33: FilterLogEvents cuts its answer and gives no token for the rest.
#
# Valid input: three events read with a limit of two, and 10,001 events read without a limit, both by boto3's paginator.
# Seen: 2 and 10000 events, no nextToken. On AWS limit (at most and by default 10,000) is the size of a page, and
# nextToken leads to the next one, so a paginator returns all of them.
#
# Why it matters: what is counted or shown from the logs would lack the latest lines with nobody told. So
# ops/local/cloudwatch/logs.py goes on from the time of the last event it got. The right value is held by
# tests/ops/cloudwatch/test_logs.py::test_a_group_of_more_than_a_page.
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
import sys
import time

import boto3
from botocore.config import Config

client = boto3.client(
    "logs",
    "us-east-1",
    endpoint_url=f"http://127.0.0.1:{sys.argv[1]}",
    **dict.fromkeys(("aws_access_key_id", "aws_secret_access_key"), "test"),
    config=Config(retries={"total_max_attempts": 8, "mode": "standard"}, read_timeout=20),  # it takes a moment to start
)
start = int(time.time() * 1000) - 60_000


def put(group, count):
    client.create_log_group(logGroupName=group)
    client.create_log_stream(logGroupName=group, logStreamName="s")
    for first in range(0, count, 5_000):  # a call takes 10,000 events
        events = [{"timestamp": start + n, "message": str(n)} for n in range(first, min(first + 5_000, count))]
        client.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)


def read(group, **limit):
    pages = list(client.get_paginator("filter_log_events").paginate(logGroupName=group, **limit))
    return sum(len(page["events"]) for page in pages), [page["nextToken"] for page in pages if "nextToken" in page]


put("few", 3)
put("many", 10_001)
few, many = read("few", limit=2), read("many")
print("of 3 events by pages of 2:", few[0], "with tokens", few[1])
print("of 10001 events by default pages:", many[0], "with tokens", many[1])
sys.exit((few, many) != ((2, []), (10_000, [])))
PY
"$folder/venv/bin/python" "$folder/case.py" "$port"
