#!/usr/bin/env bash
# pulumi 3.272.0: set_mocks fails in a thread that has no current event loop, and relies on Python to make one.
#
# Valid input: pulumi.runtime.set_mocks, called from plain code as the guide to unit tests does.
# Seen on Python 3.12.1 and 3.13.0: a DeprecationWarning, "There is no current event loop". After any asyncio.run in the
# same thread, and on 3.11.7 too: RuntimeError, "There is no current event loop in thread 'MainThread'." Python 3.14
# no longer makes a loop, so the plain call is expected to fail there as well; that was not run.
# pulumi.runtime.test, the decorator, makes a loop where there is none.
#
# Why it matters: tests of the program would depend on which test ran before, warnings are errors here, and the program
# is to run on 3.14. tests/components/recording.py runs each program in an asyncio.Runner with mocks set inside it;
# every test in tests/components stands on that, and tests/components/test_program.py runs the whole program so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pulumi==3.272.0

cat > "$folder/case.py" <<'PY'
import asyncio
import sys
import warnings

import pulumi


class Mocks(pulumi.runtime.Mocks):
    def new_resource(self, args):
        return f"{args.name}-id", dict(args.inputs)

    def call(self, args):
        return {}


async def nothing():
    pass


def outcome():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            pulumi.runtime.set_mocks(Mocks())
        except RuntimeError as exc:
            return f"RuntimeError: {exc}"
    return next((f"{one.category.__name__}: {one.message}" for one in seen), "nothing")


if sys.argv[1] == "second":
    asyncio.run(nothing())
print(outcome())
PY

version=$("$folder/venv/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
first=$("$folder/venv/bin/python" "$folder/case.py" first)
second=$("$folder/venv/bin/python" "$folder/case.py" second)
echo "Python $version, set_mocks in a fresh process: $first"
echo "Python $version, set_mocks after asyncio.run: $second"

case $version in
    3.11) expected="nothing" ;;
    3.12 | 3.13) expected="DeprecationWarning: There is no current event loop" ;;
    *) expected="RuntimeError: There is no current event loop in thread 'MainThread'." ;;
esac
[ "$first" = "$expected" ]
[ "$second" = "RuntimeError: There is no current event loop in thread 'MainThread'." ]
