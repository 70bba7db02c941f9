#!/usr/bin/env bash
# pyarrow 26.0.1, DuckDB 2.0.0, polars 2.1.0: whether a column is there depends on which file comes first by its name.
#
# Valid input: a folder with two Parquet files of one table; the newer one has one column more.
# Seen: where the older file comes first, pyarrow and DuckDB leave the new column out of the table, without a word; where the
# newer one does, pyarrow has it, and DuckDB fails. polars fails for either order, each time with another class of error.
#
# Why it matters: silver's files are named by a hash, so the same table is read in the one way today and in the other tomorrow.
# docs/lake-readers.md has the option of each reader; tests/handlers/lake/test_readers.py holds them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyarrow==26.0.1 duckdb==2.0.0 polars==2.1.0

cat > "$folder/case.py" <<'PY'
import sys
import tempfile

import duckdb
import polars
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq


def columns(read):
    try:
        return ", ".join(read())
    except Exception as error:
        return type(error).__name__


def tried(older, newer):
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(pa.table({"id": [1]}), f"{folder}/{older}.parquet")
        pq.write_table(pa.table({"id": [2], "note": ["x"]}), f"{folder}/{newer}.parquet")
        return {
            "pyarrow": columns(lambda: ds.dataset(folder).to_table().column_names),
            "DuckDB": columns(lambda: duckdb.sql(f"FROM '{folder}/*.parquet'").to_arrow_table().column_names),
            "polars": columns(lambda: polars.scan_parquet(f"{folder}/*.parquet").collect().columns),
        }


found = {"the older file first": tried("1", "2"), "the newer file first": tried("2", "1")}
for order, seen in found.items():
    print(f"{order}:", "; ".join(f"{reader}: {what}" for reader, what in seen.items()))
expected = {
    "the older file first": {"pyarrow": "id", "DuckDB": "id", "polars": "SchemaError"},
    "the newer file first": {"pyarrow": "id, note", "DuckDB": "InvalidInputException", "polars": "ColumnNotFoundError"},
}
sys.exit(found != expected)
PY
"$folder/venv/bin/python" "$folder/case.py"
