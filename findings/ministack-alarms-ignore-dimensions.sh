#!/usr/bin/env bash
# ministack 1.5.33: an alarm judges the data of other dimensions.
#
# Valid input: an alarm on the metric of one queue, then a data point of the same metric of another queue.
# Seen: ALARM, "Threshold Crossed: Sum 5.0 GreaterThanOrEqualToThreshold 1.0", though the alarm shows its own dimension.
# On AWS a metric is its name with exactly its dimensions, so the alarm has no data and stays out of ALARM.
#
# Why it matters: an alarm on one dead-letter queue would tell of every queue. So the laptop evaluates alarms itself
# (ops/local/cloudwatch) and sets their state. The right value is held by
# tests/ops/cloudwatch/test_alarms.py::test_other_dimensions_are_another_metric.
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

import boto3
from botocore.config import Config

client = boto3.client(
    "cloudwatch",
    "us-east-1",
    endpoint_url=f"http://127.0.0.1:{sys.argv[1]}",
    **dict.fromkeys(("aws_access_key_id", "aws_secret_access_key"), "test"),
    config=Config(retries={"total_max_attempts": 8, "mode": "standard"}, read_timeout=20),  # it takes a moment to start
)


client.put_metric_alarm(
    AlarmName="letters",
    Namespace="Lab",
    MetricName="Letters",
    Dimensions=[{"Name": "QueueName", "Value": "mine"}],
    Statistic="Sum",
    Period=60,
    EvaluationPeriods=1,
    Threshold=1,
    ComparisonOperator="GreaterThanOrEqualToThreshold",
    TreatMissingData="notBreaching",
)
theirs = {"MetricName": "Letters", "Dimensions": [{"Name": "QueueName", "Value": "theirs"}], "Value": 5}
client.put_metric_data(Namespace="Lab", MetricData=[theirs])
alarm = client.describe_alarms(AlarmNames=["letters"])["MetricAlarms"][0]
print("the alarm is on", alarm["Dimensions"], "and the data of queue theirs makes it", alarm["StateValue"])
print("reason:", alarm["StateReason"])
sys.exit((alarm["Dimensions"], alarm["StateValue"]) != ([{"Name": "QueueName", "Value": "mine"}], "ALARM"))
PY
"$folder/venv/bin/python" "$folder/case.py" "$port"
