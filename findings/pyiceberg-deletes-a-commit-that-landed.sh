#!/usr/bin/env bash
# pyiceberg 0.12.0: a table can't be read any more after a commit that landed and whose request was repeated.
#
# Valid input: a table with `commit.retry.num-retries` 0, and a catalog whose answer to a commit is lost, so that the
# transport sends the request again; the repetition is refused, since the first one has moved the table on.
# Seen: pyiceberg takes the refusal for certain and deletes the commit's manifests, which are the table's by now. The
# catalog has both snapshots, and a scan ends with FileNotFoundError. With retries, which are the default, it looks first
# whether the table has the snapshot, and all is well.
#
# Why it matters: AWS's SDKs repeat a request by themselves. So handlers/lake/iceberg/fileio.py deletes nothing, and what
# a table has is asked of the table; tests/handlers/lake/iceberg/test_committer.py holds that for each lost answer.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyiceberg==0.12.0 pyarrow==26.0.1 sqlalchemy==2.1.9

cat > "$folder/case.py" <<'PY'
import logging
import sys

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException

logging.disable()


class Repeating(SqlCatalog):
    repeats = False

    def commit_table(self, table, requirements, updates):
        answer = super().commit_table(table, requirements, updates)
        return super().commit_table(table, requirements, updates) if self.repeats else answer


folder = sys.argv[1]
catalog = Repeating("c", uri=f"sqlite:///{folder}/c.db", warehouse=f"file://{folder}/warehouse")
catalog.create_namespace("n")
rows = pa.table({"id": [1]})


def seen(retries):
    name = f"n.retries_{retries}"
    table = catalog.create_table(name, rows.schema, properties={"commit.retry.num-retries": str(retries)})
    table.append(rows)
    catalog.repeats = True
    try:
        table.append(rows)
    except CommitFailedException:
        pass
    catalog.repeats = False
    table = catalog.load_table(name)
    try:
        return len(table.snapshots()), table.scan().to_arrow().num_rows
    except FileNotFoundError:
        return len(table.snapshots()), "FileNotFoundError"


found = {retries: seen(retries) for retries in (4, 0)}
for retries, (snapshots, scanned) in found.items():
    print(f"{retries} retries: {snapshots} snapshots, rows: {scanned}")
sys.exit(found != {4: (2, 2), 0: (2, "FileNotFoundError")})
PY
"$folder/venv/bin/python" "$folder/case.py" "$folder"
