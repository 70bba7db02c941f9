#!/usr/bin/env bash
# moto 5.2.5: UploadPart and CompleteMultipartUpload of an upload that was aborted raise a KeyError.
#
# Valid input: an upload that its owner has aborted, as a bucket's lifecycle rule does after some days.
# Seen: both raise KeyError with the upload's id, while ListParts and AbortMultipartUpload of the same upload answer
# NoSuchUpload. AWS answers NoSuchUpload (404) to all four (API reference of each).
#
# Why it matters: the lake stages each file of silver as an upload and completes it later (handlers/lake/store.py); one
# that S3 has forgotten by then has to be staged anew, which a test on moto can't reach: code that handles botocore's
# errors never sees one. tests/handlers/lake/test_store.py::test_an_upload_that_s3_refuses_is_a_downstream_out holds the
# right value with a fake in its place.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'moto[s3]==5.2.5' boto3==1.43.106

cat > "$folder/case.py" <<'PY'
import sys

import boto3
from botocore.exceptions import ClientError
from moto import mock_aws

with mock_aws():
    s3 = boto3.client("s3", "us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
    s3.create_bucket(Bucket="lake")
    place = {"Bucket": "lake", "Key": "file"}
    upload = {**place, "UploadId": s3.create_multipart_upload(**place)["UploadId"]}
    tag = s3.upload_part(**upload, PartNumber=1, Body=b"content")["ETag"]
    s3.abort_multipart_upload(**upload)
    calls = {
        "UploadPart": lambda: s3.upload_part(**upload, PartNumber=2, Body=b"more"),
        "CompleteMultipartUpload": lambda: s3.complete_multipart_upload(
            **upload, MultipartUpload={"Parts": [{"ETag": tag, "PartNumber": 1}]}
        ),
        "ListParts": lambda: s3.list_parts(**upload),
        "AbortMultipartUpload": lambda: s3.abort_multipart_upload(**upload),
    }
    seen = {}
    for name, call in calls.items():
        try:
            call()
            seen[name] = "no error"
        except ClientError as error:
            seen[name] = error.response["Error"]["Code"]
        except KeyError:
            seen[name] = "KeyError"
        print(f"{name} of an aborted upload: {seen[name]}")

sys.exit(list(seen.values()) != ["KeyError", "KeyError", "NoSuchUpload", "NoSuchUpload"])
PY
"$folder/venv/bin/python" "$folder/case.py"
