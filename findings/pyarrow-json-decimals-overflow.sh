#!/usr/bin/env bash
# pyarrow 26.0.1: a JSON number that does not fit the decimal that was asked for becomes another number, or one too long.
#
# Valid input: a column of decimal128(38, 2) in the explicit schema of pyarrow.json, and an integer of 38 digits; and one
# of decimal128(10, 2) with an integer of 9 digits, which needs 11.
# Seen: 11111111111111111111111111111111111111 is read as 902640103482957207209872888158064767.32, without an error; and
# 123456789 becomes a value of 11 digits in a column of 10, which `validate(full=True)` refuses. A number with too many
# digits behind the point is refused, as it should be: it is the multiplication by 10^scale that nobody checks.
#
# Why it matters: an amount of money in silver would be another one. So the lake reads decimals by 76 digits and bounds
# them by columns before they are narrowed (handlers/lake/validate.py). The right values are held by
# tests/handlers/lake/test_types.py::test_values_that_are_bad.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyarrow==26.0.1

cat > "$folder/case.py" <<'PY'
import sys
from decimal import Decimal

import pyarrow as pa
import pyarrow.json as pj


def read(number, kind):
    options = pj.ParseOptions(explicit_schema=pa.schema([("amount", kind)]))
    return pj.read_json(pa.BufferReader(f'{{"amount": {number}}}'.encode()), parse_options=options)


wrapped = read("1" * 38, pa.decimal128(38, 2))["amount"][0].as_py()
print("1" * 38, "is read as", wrapped)
long = read("123456789", pa.decimal128(10, 2))
try:
    long.validate(full=True)
    fits = True
except pa.ArrowInvalid as error:
    fits = False
    print("123456789 as decimal128(10, 2):", error)
sys.exit((wrapped, fits) != (Decimal("902640103482957207209872888158064767.32"), False))
PY
"$folder/venv/bin/python" "$folder/case.py"
