#!/usr/bin/env bash
# DuckDB 2.0.0: COPY … TO a folder with OVERWRITE, from a query that reads the same folder, mostly leaves the folder empty.
#
# Valid input: two small Parquet files under a partition, rewritten in place as one (`PARTITION_BY (dt), OVERWRITE`).
# Seen: in about four runs of five the files are deleted before the query has read them, the statement fails, and nothing
# is left of the rows; in the fifth it ends well, with one file. Which of the two is a race between threads.
# With OVERWRITE_OR_IGNORE the old files stay beside the new one, and every row is there twice; no error either.
#
# Why it matters: this is the first thing that comes to mind to compact a day of silver. `lab lake compact` and the examples
# of docs/lake-readers.md write elsewhere; tests/handlers/lake/test_readers.py::test_compacted_by_an_engine holds that.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet duckdb==2.0.0

cat > "$folder/case.py" <<'PY'
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

import duckdb


def rewritten(option):
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        day = Path("table/dt=2026-01-31")
        day.mkdir(parents=True)
        session = duckdb.connect()
        for name in "ab":
            session.sql(f"COPY (SELECT '{name}' AS id) TO '{day}/{name}.parquet'")
        read = "read_parquet('table/*/*.parquet', hive_partitioning = true)"
        try:
            session.sql(f"COPY (SELECT * FROM {read}) TO 'table' (FORMAT parquet, PARTITION_BY (dt), {option})")
            told = "no error"
        except duckdb.Error as error:
            told = type(error).__name__
        files = len(list(Path("table").rglob("*.parquet")))
        rows = session.sql(f"SELECT count(*) FROM {read}").fetchall()[0][0] if files else 0
        os.chdir("/")
        return told, files, rows


ROUNDS = 20  # which of the two deletes or reads first is a race
found = {option: Counter(rewritten(option) for _ in range(ROUNDS)) for option in ("OVERWRITE", "OVERWRITE_OR_IGNORE")}
for option, seen in found.items():
    for (told, files, rows), times in seen.most_common():
        print(f"2 files with 2 rows, in place with {option}: {told}, then {files} files with {rows} rows: {times} of {ROUNDS}")
lost, doubled = ("IOException", 0, 0), ("no error", 3, 4)
sys.exit(not found["OVERWRITE"][lost] or set(found["OVERWRITE_OR_IGNORE"]) != {doubled})
PY
"$folder/venv/bin/python" "$folder/case.py"
