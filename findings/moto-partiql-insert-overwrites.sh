#!/usr/bin/env bash
# moto 5.2.5: a PartiQL INSERT of a key that exists replaces the item.
#
# Valid input: the same INSERT twice with another value, by ExecuteStatement and by BatchExecuteStatement.
# Seen: both answer 200 without an error and the item holds the later value. AWS refuses the second: DuplicateItemException
# from ExecuteStatement, the statement's error code DuplicateItem from BatchExecuteStatement (API references of both).
#
# Why it matters: the claim of an idempotency key is such an INSERT (handlers/aws/partiql.py), and on moto every duplicate
# would win it. The right value is held on the emulator by
# tests/pipelines/test_events.py::test_duplicates_in_one_batch_and_across_batches, and without it by the fake in
# tests/handlers/fakes.py.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'moto[dynamodb]==5.2.5' boto3==1.43.106

cat > "$folder/case.py" <<'PY'
import sys

import boto3
from moto import mock_aws


def insert(value):
    return f"INSERT INTO \"keys\" VALUE {{'key': 'k', 'owner': '{value}'}}"


with mock_aws():
    client = boto3.client("dynamodb", "us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
    client.create_table(
        TableName="keys",
        KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )

    def owner():
        return client.get_item(TableName="keys", Key={"key": {"S": "k"}})["Item"]["owner"]["S"]

    client.execute_statement(Statement=insert("first"))
    owners = [owner()]
    try:
        client.execute_statement(Statement=insert("second"))
        single = "no error"
    except client.exceptions.DuplicateItemException:
        single = "DuplicateItemException"
    owners.append(owner())
    answer = client.batch_execute_statement(Statements=[{"Statement": insert("third")}])["Responses"][0]
    batch = answer.get("Error", {}).get("Code", "no error")
    owners.append(owner())

print("ExecuteStatement of an existing key:", single)
print("BatchExecuteStatement of an existing key:", batch)
print("owner after each INSERT:", *owners)
sys.exit((single, batch, owners) != ("no error", "no error", ["first", "second", "third"]))
PY
"$folder/venv/bin/python" "$folder/case.py"
