"""What `lab` prints where the screen is narrow."""

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
