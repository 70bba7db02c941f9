#!/usr/bin/env bash
# pyiceberg 0.12.0: a scan fails where its condition has more digits than an older file of a widened decimal.
#
# Valid input: a table with a decimal(5, 2), a row of 999.99, the column widened to decimal(12, 2) as the specification
# allows, and a row of 1234567.89; then a scan for `price < 1000`.
# Seen: pyiceberg writes 1000.00 as a value of the older file's decimal(5, 2), which it does not fit: ArrowInvalid. `price >
# 1000` works, since the older file's bounds leave it out. polars, with its own planner and reader, finds the one row.
#
# Why it matters: silver's decimals are widened in a table as a type's file says, and old files stay as they are. Readers
# by pyiceberg must filter after the scan there. tests/handlers/lake/iceberg/test_aws.py holds what both find.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyiceberg==0.12.0 pyarrow==26.0.1 sqlalchemy==2.1.9 polars==2.1.0 polars-iceberg==0.1.0

cat > "$folder/case.py" <<'PY'
import os
import sys
from decimal import Decimal

os.environ["POLARS_ICEBERG_PLANNER"] = "plugin"
import polars as pl
import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.types import DecimalType

folder = sys.argv[1]
catalog = SqlCatalog("c", uri=f"sqlite:///{folder}/c.db", warehouse=f"file://{folder}/warehouse")
catalog.create_namespace("n")


def price(text, digits):
    return pa.table({"price": pa.array([Decimal(text)], pa.decimal128(digits, 2))})


table = catalog.create_table("n.t", price("999.99", 5).schema)
table.append(price("999.99", 5))
with table.update_schema() as update:
    update.update_column("price", DecimalType(12, 2))
table.append(price("1234567.89", 12))


def seen(condition):
    try:
        return table.scan(row_filter=condition).to_arrow().num_rows
    except pa.ArrowInvalid as error:
        return f"ArrowInvalid: {error}"


less, more = seen("price < 1000"), seen("price > 1000")
by_polars = len(pl.scan_iceberg(table.metadata_location).filter(pl.col("price") < 1000).collect())
print("pyiceberg, price < 1000:", less)
print("pyiceberg, price > 1000:", more)
print("polars, price < 1000:", by_polars)
sys.exit(not (str(less).startswith("ArrowInvalid") and more == 1 and by_polars == 1))
PY
"$folder/venv/bin/python" "$folder/case.py" "$folder"
