#!/usr/bin/env bash
# ministack 1.5.33: the ETag of an object under a KMS key is the MD5 of its bytes.
#
# Valid input: the same bytes put twice, without a key and with aws:kms and a key of its own.
# Seen: the ETag is the MD5 each time. AWS documents that the ETag of an object encrypted with SSE-KMS is no MD5 of its
# data; the same bytes uploaded again get another one.
#
# Why it matters: whoever knows an object by its ETag sees nothing wrong on the emulator, and on AWS takes each upload
# under a customer key for new data. The lake's identity is a checksum there; the right value is held, on a fake with
# AWS's ETags, by tests/handlers/lake/test_ingest.py::test_the_same_bytes_again_where_an_etag_is_no_checksum.
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
import hashlib
import sys

import boto3
from botocore.config import Config

known = {
    "region_name": "us-east-1",
    "endpoint_url": f"http://127.0.0.1:{sys.argv[1]}",
    **dict.fromkeys(("aws_access_key_id", "aws_secret_access_key"), "test"),
    "config": Config(retries={"total_max_attempts": 8, "mode": "standard"}, s3={"addressing_style": "path"}),
}
client = boto3.client("s3", **known)
key = boto3.client("kms", **known).create_key()["KeyMetadata"]["Arn"]
client.create_bucket(Bucket="objects")
md5 = hashlib.md5(b"the same bytes", usedforsecurity=False).hexdigest()
found = {}
for name, options in {"plain": {}, "under a key": {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}}.items():
    client.put_object(Bucket="objects", Key=name, Body=b"the same bytes", **options)
    head = client.head_object(Bucket="objects", Key=name)
    found[name] = (head.get("ServerSideEncryption"), head["ETag"].strip('"') == md5)
    print(f"{name}: encryption {found[name][0]}, ETag is the MD5: {found[name][1]}")
sys.exit(found["under a key"] != ("aws:kms", True))
PY
"$folder/venv/bin/python" "$folder/case.py" "$port"
