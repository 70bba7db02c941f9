"""What `lab` prints where the screen is narrow."""

import re

import pytest

from ops.cli import output


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """80 columns."""
    monkeypatch.setenv("COLUMNS", "80")


def test_a_table_of_many_columns_is_shown_row_by_row(capsys: pytest.CaptureFixture[str]) -> None:
    """No column is a character wide; what is empty is left out, and each row has its frame."""
    columns = ["@timestamp", *(f"field{n}" for n in range(12))]
    rows = [
        ["2026-01-31 12:00:00.000", *([""] * 11), "SchemaValidationError"],
        ["2026-01-31 12:00:01.000", *"abcdefghijkl"],
    ]
    output.table("one-event", columns, rows)
    shown = capsys.readouterr().out
    assert "SchemaValidationError" in shown
    assert shown.count("field0") == 1
    assert shown.count("field11") == 2
    assert max(map(len, shown.splitlines())) <= 80


def test_a_table_that_fits_stays_one(capsys: pytest.CaptureFixture[str]) -> None:
    """With its head, and its first column whole, to be pasted."""
    first = "m" * 36
    output.table(
        "Messages", ["message", "error type", "age s", "why"], [[first, "SchemaValidationError", 12, "it is new"]]
    )
    lines = capsys.readouterr().out.splitlines()
    assert [word.strip() for word in lines[2].strip("┃").split("┃")] == ["message", "error type", "age s", "why"]
    assert first in lines[4]


def test_no_error_type_is_broken(capsys: pytest.CaptureFixture[str]) -> None:
    """A table that fits only with its words cut is shown row by row: nobody finds half a word again."""
    columns = ["message", "key", "error type", "age s", "action", "why"]
    output.table("Messages", columns, [["m" * 36, "order-7", "SchemaValidationError", 12, "skip", "it is too young"]])
    lines = [line.strip("│ ") for line in capsys.readouterr().out.splitlines()]
    assert any(line.endswith("SchemaValidationError") for line in lines)
    assert any(line.endswith("it is too young") for line in lines)


def test_words_are_whole_as_long_as_they_fit(capsys: pytest.CaptureFixture[str]) -> None:
    """Of columns that want more than there is, each keeps its longest word; what is left over goes to them."""
    columns = ["pipeline", "queue", "visible", "in flight", "delayed", "consumer", "breaker"]
    rows = [["orders", "undelivered", 0, 0, 0, "", ""], ["lake", "dead notices of S3", 0, 0, 0, "Enabled", "HALF_OPEN"]]
    output.table("Queues", columns, rows)
    shown = capsys.readouterr().out

    assert {"undelivered", "HALF_OPEN", "flight", "consumer", "Enabled"} <= set(re.findall(r"[A-Za-z_]+", shown))
    assert "│ orders   │ undelivered " in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_a_key_stands_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Of an event without a key of its own it is a SHA-256: a table that would break it is shown row by row."""
    key = "ab" * 32
    output.table("Messages", ["message", "key", "why"], [["m" * 36, key, "it is too young"]])

    assert key in capsys.readouterr().out
