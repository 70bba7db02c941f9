#!/usr/bin/env bash
# ministack 1.5.33: the REST catalog of a table bucket counts a table's columns without those within lists and objects.
#
# Valid input: a table with the columns id (1) and tags (2), a list whose element is 3, and an update that adds a column.
# Seen: the table says that 2 was the last number given, so pyiceberg gives the new column 3, which the element has.
# Iceberg's specification says that last-column-id is the highest number of all columns.
#
# Why it matters: readers find columns by their numbers. On the emulator a table with two columns of one number looks
# widened, and pyiceberg can't append to it. The committer refuses to widen such a table:
# tests/handlers/lake/iceberg/test_s3tables.py::test_a_catalog_that_counts_columns_wrong_gets_no_new_one.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "${emulator:-}" 2>/dev/null || true; wait; rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet ministack==1.5.33 boto3==1.43.106 pyiceberg==0.12.0 pyarrow==26.0.1

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
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.schema import Schema
from pyiceberg.types import ListType, LongType, NestedField, StringType

endpoint = f"http://127.0.0.1:{sys.argv[1]}"
keys = dict.fromkeys(("aws_access_key_id", "aws_secret_access_key"), "test")
patient = Config(retries={"total_max_attempts": 8, "mode": "standard"})
tables = boto3.client("s3tables", region_name="us-east-1", endpoint_url=endpoint, config=patient, **keys)
bucket = tables.create_table_bucket(name="tables")["arn"]
tables.create_namespace(tableBucketARN=bucket, namespace=["n"])
signed = {"rest.sigv4-enabled": "true", "rest.signing-name": "s3tables", "rest.signing-region": "us-east-1"}
signed |= {"client.access-key-id": "test", "client.secret-access-key": "test"}
catalog = RestCatalog("c", uri=f"{endpoint}/iceberg", warehouse=bucket, **signed)
tags = ListType(3, StringType(), element_required=False)
schema = Schema(NestedField(1, "id", StringType()), NestedField(2, "tags", tags))
table = catalog.create_table(("n", "t"), schema)
print(f"made: {table.schema().highest_field_id} is the highest number, {table.metadata.last_column_id} said to be the last")
with table.update_schema() as update:
    update.add_column("pieces", LongType())
columns = catalog.load_table(("n", "t")).schema()
element, pieces = columns.find_field("tags").field_type.element_id, columns.find_field("pieces").field_id
print(f"the element of tags is {element}, the new column pieces is {pieces}")
sys.exit((element, pieces) != (3, 3))
PY
"$folder/venv/bin/python" "$folder/case.py" "$port"
