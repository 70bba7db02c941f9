"""Each block of README and documentation is run, or held by a test, or says itself why it can't be run here.

What a shell runs as it stands is for test_readme.py. In the other blocks the commands have to be commands that there
are, and this file knows which test holds the rest.
"""

import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from handlers.control import alarm_webhook
from handlers.lake.expectations import check
from handlers.lake.lines import BadRow
from handlers.lake.model import RecordType
from handlers.lake.quarantine import Entries
from handlers.lake.schemas import types
from ops.load import figures
from tests.contract.blocks import NOT_RUN, PAGES, ROOT, Block, blocks, commands, fault_of_aws, fault_of_lab, shown_as

_HERE = "tests/contract/test_blocks.py"
_READERS = "tests/handlers/lake/test_readers.py"
_ATHENA = "needs Athena"  # words of the page
_HELD = {
    "api.md: $ pulumi config set --secret apiKey NEW,OLD": "tests/engine/test_commands.py",
    "deployer.md: {": "tests/contract/test_deployer.py",
    "edit-loop.md: watching handlers/": "tests/ops/test_edits.py",
    "iceberg.md: $ lab lake adopt": "tests/ops/test_cli_lake_adopt.py",
    "iceberg.md: $ aws dynamodb delete-item": _HERE,
    "iceberg.md: # ": "tests/pipelines/test_lake_tables.py",
    "iceberg.md: $ lab lake table": "tests/pipelines/test_lake_tables.py",
    "lake-care.md: lab lake backfill ": "tests/pipelines/test_lake_tools.py",
    **dict.fromkeys(
        (f"lake-care.md: lab lake {about} " for about in ("quarantine", "check", "compact", "files", "gate")),
        "tests/ops/test_lake_care_page.py",
    ),
    "lake-care.md: from handlers.lake.expectations import": _HERE,
    "lake-readers.md: SELECT ": _READERS,
    "lake-readers.md: COPY ": _READERS,
    "lake-readers.md: files = pyarrow.": _READERS,
    "lake-readers.md: newest = polars.": _READERS,
    "lake-readers.md: CREATE TABLE lake.shipments_2026_01": _ATHENA,
    "lake-readers.md: CREATE EXTERNAL TABLE ": _ATHENA,
    'lake.md: """A reading of a thermometer."""': _HERE,
    'lake.md: {"line": 3': _HERE,
    "lake.md: SELECT dt, carrier": _READERS,
    "load.md: accepted 600 of 600": _HERE,
    "load.md: uv run --group load locust": "Locust is not installed with the rest",
    'observability.md: {"text"': _HERE,
    "own-alarm.md: .venv/bin/python -m components.observability.alarms.docs": _HERE,
    "policy-pack.md: (cd ../ingestion-lab/policy && pulumi install)": "tests/engine/test_policy_pack.py",
    'policy-pack.md: {"stateful-protected"': "tests/engine/test_policy_pack.py",
    "regions.md: $ pulumi stack init dev-eu": "tests/engine/test_commands.py",
    "reuse.md: python3 -m venv .venv": "tests/engine/test_languages.py",
    "reuse.md: pip install --no-deps --target function": "tests/examples/test_examples.py",
    "reuse.md: from typing import Any": _HERE,
    "reuse.md: import os": "tests/ops/test_emulator.py",
    "reuse.md: packages:": "tests/engine/test_languages.py",
    "reuse.md: pulumi install": "tests/engine/test_languages.py",
    "scaling.md: $ lab plan": "tests/contract/test_scaling.py",
    "tutorial.md: $ lab gameday run duplicates": "tests/pipelines/test_gamedays.py",
}
_BLOCKS = list(blocks())
_MAKERS = sorted((ROOT / "tests" / "contract").glob("*.py"))  # which say so of themselves


def _is_run(block: Block) -> bool:
    """By test_readme.py, which also applies the diffs and writes the files that have a title."""
    is_shell = block.language in {"bash", "console"} and block.page not in NOT_RUN
    return is_shell or block.language == "diff" or " title=" in block.language


def _left() -> Iterator[Block]:
    return (one for one in _BLOCKS if not _is_run(one) and not one.is_drawing and one.page not in NOT_RUN)


def _the(first: str) -> str:
    """The text of the block that begins so."""
    (found,) = [one.text for one in _BLOCKS if one.first.startswith(first)]
    return found


def test_every_block_is_held() -> None:
    """By a test that there is, or by words of its own page; and nothing is held that is not there."""
    left = [one.first for one in _left()]

    assert [first for first in left if not first.startswith(tuple(_HELD))] == []
    assert [known for known in _HELD if not any(first.startswith(known) for first in left)] == []
    for known, by in _HELD.items():
        page = (ROOT / "docs" / known.partition(":")[0]).read_text(encoding="utf-8")
        assert (ROOT / by).is_file() if PurePosixPath(by).suffix == ".py" else by in " ".join(page.split()), known


def test_commands_that_are_not_run_are_commands() -> None:
    """Each `lab` and each `aws` line is one that there is, with options that it has; so are those of the guide."""
    typed = [
        (words[0].rpartition("/")[2], *words[1:])
        for block in _BLOCKS
        if not _is_run(block) and block.language in {"", "text", "console"} and not block.is_drawing
        for line in re.findall(r"^(?:\$ |> do |(?=lab ))(.*)$", block.text, re.MULTILINE)
        for words in commands(line)
    ]
    lab, aws = ([words for words in typed if words[0] == name] for name in ("lab", "aws"))

    assert len(lab) > 15
    assert [words[2] for words in aws] == [
        "request-service-quota-increase",
        "list-functions",
        "update-function-configuration",
        "describe-network-interfaces",
        "delete-item",
    ]
    assert list(filter(None, map(fault_of_lab, lab))) == []
    assert list(filter(None, map(fault_of_aws, aws))) == []


def test_pages_are_made_anew_by_what_is_typed() -> None:
    """Each `python -m MODULE > FILE` has a module that makes a text, and a test that compares it with that file."""
    told = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "ingestion_lab" / "plugin.py", *_MAKERS]
    found = {
        pair
        for path in told
        for pair in re.findall(r"python -m ([\w.]+) > ([\w/.-]+\.\w+)", path.read_text(encoding="utf-8"))
    }
    tests = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")]

    assert {file for _, file in found} >= {"docs/alarms.md", "docs/cost.md", "docs/reference.md", "plugin/schema.json"}
    for module, file in found:
        made = importlib.import_module(module)
        assert callable(getattr(made, "render", None) or made.schema), module
        package, _, name = module.rpartition(".")
        imported = (f"from {module} import", f"from {package} import {name}\n")
        assert [text for text in tests if Path(file).name in text and any(one in text for one in imported)], file


def test_a_program_of_ones_own_is_tested_as_the_page_says(tmp_path: Path) -> None:
    """docs/reuse.md has a whole test by Pulumi's mocks, which passes."""
    file = tmp_path / "test_program.py"
    file.write_text(_the("reuse.md: from typing import Any"), encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", file.name], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "1 passed" in done.stdout, done.stdout


def test_expectations_are_of_the_type_s_fields() -> None:
    """What a day is to be like is written as docs/lake-care.md writes it."""
    names: dict[str, Any] = {}
    exec(_the("lake-care.md: from handlers.lake"), names)  # noqa: S102 - our own documentation
    expectations = names["EXPECTATIONS"]

    check(types()["shipments"], expectations)  # raises where the type has no such field
    assert (expectations.unique, expectations.fresh_hours) == (("shipment_id",), 24)


def test_a_type_is_written_as_the_page_says() -> None:
    """docs/lake.md has the type that docs/own-lake-type.md makes."""
    names: dict[str, Any] = {}
    exec(_the('lake.md: """A reading'), names)  # noqa: S102 - our own documentation

    assert [field.name for field in RecordType("temperatures", names["FIELDS"]).fields][-3:] == [
        "sensor",
        "celsius",
        "channel",
    ]


def test_a_bad_row_is_written_as_the_page_says() -> None:
    """An entry of a quarantine file."""
    shown = json.loads(_the('lake.md: {"line"'))
    entries = Entries()
    entries.add(BadRow(shown["line"], shown["errorType"], shown["reason"], shown["row"]))

    assert list(json.loads(entries.content()).items()) == list(shown.items())


def test_a_notification_has_the_fields_of_the_page() -> None:
    """docs/observability.md has what the webhook gets of an alarm: these fields and no others."""
    shown = json.loads(_the('observability.md: {"text"'))
    notification = {
        "Message": "{}",
        "MessageId": "n-1",
        "TopicArn": "arn:aws:sns:eu-west-1:123456789012:alarms-critical",
    }

    assert shown.keys() == {"text", "alarm"}
    assert shown["alarm"].keys() == alarm_webhook._alarm(notification, "dev").keys()


def test_figures_are_shown_as_the_page_says() -> None:
    """docs/load.md has the percentiles and the distribution of such latencies."""
    counts = {8.0: 230, 11.2: 70, 12.0: 239, 19.6: 5, 25.1: 26, 61.9: 24, 212.4: 6}
    latencies = [ms / 1000 for ms, count in counts.items() for _ in range(count)]
    shown = "".join(line + "\n" for line in _the("load.md: accepted").splitlines()[1:-1])
    printed = "".join(line + "\n" for line in figures.lines(latencies, "latency of 600 calls"))

    assert shown_as(shown).fullmatch(printed), printed
