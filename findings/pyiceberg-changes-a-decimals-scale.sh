#!/usr/bin/env bash
# pyiceberg 0.12.0: a decimal column may get another scale, which Iceberg's specification does not allow.
#
# Valid input: a table with a decimal(5, 2) and rows, and an update of its schema to decimal(12, 3), by the column's name
# or by a union with another schema. The specification allows more digits, and no other scale.
# Seen: both are taken without a word. pyiceberg reads old rows with the new scale; that others do is not said anywhere.
#
# Why it matters: a type's file may come to another scale, and the table must refuse what other engines need not read. So
# handlers/lake/iceberg/tables.py compares types itself; test_committer.py::test_a_field_of_another_type_is_refused.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyiceberg==0.12.0 pyarrow==26.0.1 sqlalchemy==2.1.9

cat > "$folder/case.py" <<'PY'
import sys
from decimal import Decimal

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.schema import Schema
from pyiceberg.types import DecimalType, NestedField

folder = sys.argv[1]
catalog = SqlCatalog("c", uri=f"sqlite:///{folder}/c.db", warehouse=f"file://{folder}/warehouse")
catalog.create_namespace("n")
rows = pa.table({"price": pa.array([Decimal("1.50")], pa.decimal128(5, 2))})
wanted = Schema(NestedField(1, "price", DecimalType(12, 3), required=False))


def seen(name, change):
    table = catalog.create_table(name, rows.schema)
    table.append(rows)
    try:
        with table.update_schema() as update:
            change(update)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return f"{table.schema().find_field('price').field_type}, {table.scan().to_arrow()['price'].to_pylist()}"


found = {
    "update_column": seen("n.a", lambda update: update.update_column("price", DecimalType(12, 3))),
    "union_by_name": seen("n.b", lambda update: update.union_by_name(wanted)),
}
for way, what in found.items():
    print(f"{way}: {what}")
sys.exit(set(found.values()) != {"decimal(12, 3), [Decimal('1.500')]"})
PY
"$folder/venv/bin/python" "$folder/case.py" "$folder"
