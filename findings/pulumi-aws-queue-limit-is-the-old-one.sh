#!/usr/bin/env bash
# pulumi-aws 7.51.1: an sqs.Queue whose max_message_size is left out is said to get 262,144 bytes, not AWS's default.
#
# Valid input: the installed package's own documentation of the property, beside that of the SQS API in botocore 1.43.106.
# Seen: "up to 1048576 bytes (1024 KiB). The default for this attribute is 262144 (256 KiB)." The SQS API's default is
# 1,048,576 bytes (1 MiB) since August 2025. Read in the packages only: no queue was made.
#
# Why it matters: the handlers send messages of up to 1 MiB, and a queue of 256 KiB would refuse them. So
# components/messaging/encrypted_queue.py states the limit of every queue. The right value is held by
# tests/contract/test_message_sizes.py::test_every_queue_takes_what_sqs_allows, and what the provider fills in by
# tests/contract/test_provider_defaults.py.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet botocore==1.43.106
"$folder/venv/bin/pip" install --quiet --no-deps pulumi-aws==7.51.1 # read, not imported

cat > "$folder/case.py" <<'PY'
import re
import sys
from importlib.metadata import distribution

import botocore.session

source = distribution("pulumi-aws").locate_file("pulumi_aws/sqs/queue.py").read_text(encoding="utf-8")
provider = set(re.findall(r"max_message_size: .*The default for this attribute is (\d+)", source))
model = botocore.session.get_session().get_service_model("sqs").operation_model("CreateQueue")
text = model.input_shape.members["Attributes"].documentation
aws = re.search(r"MaximumMessageSize</code>.*?Default: ([\d,]+)", text, re.DOTALL)[1]
print("default that the provider documents:", *sorted(provider))
print("default that the SQS API documents:", aws)
sys.exit((provider, aws) != ({"262144"}, "1,048,576"))
PY
"$folder/venv/bin/python" "$folder/case.py"
