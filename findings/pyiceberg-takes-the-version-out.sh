#!/usr/bin/env bash
# pyiceberg 0.12.0: create_table takes "format-version" out of the properties that it is given.
#
# Valid input: two tables that are made with the same dict of properties, {"format-version": "1"}.
# Seen: the first has version 1, and the dict is empty then; so the second has pyiceberg's default, version 2. Catalogs
# that write metadata themselves do so (SQL here, and Glue); over REST the dict stays whole.
#
# Why it matters: properties that a program keeps as a constant are right for the first table alone, and nothing says so.
# handlers/lake/iceberg/tables.py gives a copy; the stand-in of tests/handlers/lake/iceberg/table_bucket.py wants the
# version of each table.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyiceberg==0.12.0 pyarrow==26.0.1 sqlalchemy==2.1.9

cat > "$folder/case.py" <<'PY'
import sys

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField

folder = sys.argv[1]
catalog = SqlCatalog("c", uri=f"sqlite:///{folder}/c.db", warehouse=f"file://{folder}/warehouse")
catalog.create_namespace("n")
schema = Schema(NestedField(1, "id", LongType(), required=False))
properties = {"format-version": "1"}
versions = []
for name in ("a", "b"):
    print(f"table {name} is made with {properties}")
    versions.append(catalog.create_table(("n", name), schema, properties=properties).metadata.format_version)
    print(f"it has version {versions[-1]}")
sys.exit(versions != [1, 2])
PY
"$folder/venv/bin/python" "$folder/case.py" "$folder"
