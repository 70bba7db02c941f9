#!/usr/bin/env bash
# pyiceberg 0.12.0: a list of structs that is null is read, and written, as an empty one.
#
# Valid input: a column list<struct<pieces>> with [{1}], null and [], in a Parquet file of pyarrow's that is added to a table,
# and the same rows appended by pyiceberg.
# Seen: of the file with the null, pyiceberg's scan gives [{1}], [], [], and polars, with its own planner and reader, [{1}], null, [].
# What pyiceberg appends has no null any more. A list of texts keeps its null both ways.
#
# Why it matters: whoever reads rows by pyiceberg and writes them again (a compaction, an upsert) changes them for all readers. `lab
# lake compact` reads the files themselves; tests/ops/test_cli_lake_tables.py holds what both find before and after.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyiceberg==0.12.0 pyarrow==26.0.1 sqlalchemy==2.1.9 polars==2.1.0 polars-iceberg==0.1.0

cat > "$folder/case.py" <<'PY'
import os
import sys

os.environ["POLARS_ICEBERG_PLANNER"] = "plugin"
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog.sql import SqlCatalog

folder = sys.argv[1]
catalog = SqlCatalog("c", uri=f"sqlite:///{folder}/c.db", warehouse=f"file://{folder}/warehouse")
catalog.create_namespace("n")
parts = pa.array([[{"pieces": 1}], None, []], pa.list_(pa.struct([("pieces", pa.int64())])))
tags = pa.array([["a"], None, []], pa.list_(pa.string()))
rows = pa.table({"parts": parts, "tags": tags})
pq.write_table(rows, f"{folder}/rows.parquet")
added = catalog.create_table("n.added", rows.schema)
added.add_files([f"file://{folder}/rows.parquet"])
appended = catalog.create_table("n.appended", rows.schema)
appended.append(rows)


def in_file(table):
    (task,) = table.scan().plan_files()
    return pq.read_table(task.file.file_path.removeprefix("file://"))["parts"].to_pylist()


read = added.scan().to_arrow()
by_polars = pl.scan_iceberg(added.metadata_location, reader_override="native").collect()["parts"].to_list()
print("in the file:", in_file(added))
print("read by polars:", by_polars)
print("read by pyiceberg:", read["parts"].to_pylist())
print("read by pyiceberg, texts:", read["tags"].to_pylist())
print("appended by pyiceberg, in the file:", in_file(appended))
whole, emptied = [[{"pieces": 1}], None, []], [[{"pieces": 1}], [], []]
seen = read["parts"].to_pylist() == in_file(appended) == emptied
kept = in_file(added) == by_polars == whole and read["tags"].to_pylist() == [["a"], None, []]
sys.exit(not (seen and kept))
PY
"$folder/venv/bin/python" "$folder/case.py" "$folder"
