"""The commands of docs/lake-care.md, as they stand there, on a lake at work."""

from collections.abc import Iterator

import pytest

from handlers.lake import model, schemas
from tests.contract.blocks import blocks, commands
from tests.ops.lake_work import SILVER, Lake, lines, shipment


def _typed(about: str) -> Iterator[tuple[str, ...]]:
    """The words after `lab lake` of the block whose first command is this one."""
    (text,) = [one.text for one in blocks() if one.first.startswith(f"lake-care.md: lab lake {about}")]
    for line in text.splitlines():
        ((lab, noun, *words),) = commands(line)
        assert (lab, noun) == ("lab", "lake")
        yield tuple(words)


def _done(lake: Lake, *words: str) -> str:
    """What a command tells on one line, when it ends well."""
    done = lake.lab(*words, typed="y\n")
    assert done.exit_code == 0, (words, done.output)
    return " ".join(done.stdout.split())


@pytest.mark.usefixtures("at_once")
def test_what_the_page_types_does_what_it_says(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows in quarantine, whether it is all there, small files, a day's files, its verdict."""
    key = lake.put("shipments/day.jsonl", lines(shipment(1), shipment(2, weight_kg="x"), shipment(3)))
    lake.put("shipments/other.jsonl", lines(shipment(4)))
    by_reason, of_object, retry = _typed("quarantine")

    told = _done(lake, *by_reason)
    assert ("SchemaValidationError" in told, key in told) == (True, True)
    assert _done(lake, *of_object).startswith("line 2: SchemaValidationError")
    fields = tuple(field for field in schemas.types()["shipments"].fields if field.name != "weight_kg")
    monkeypatch.setattr(schemas, "types", lambda: {"shipments": model.RecordType("shipments", fields)})
    _done(lake, *retry)
    assert lake.files("quarantine/") == []

    whole, counted, unique = (_done(lake, *words) for words in _typed("check"))
    assert whole.endswith("2 of 2 objects are fine")
    assert counted.endswith("4 rows were counted in bronze")
    assert unique == "4 rows, 4 values of shipment_id, 0 of them in more rows than one"
    many, one = (_done(lake, *words) for words in _typed("compact"))
    assert many == "0 days compacted left alone: 1 (few files)"
    assert one == "0 days compacted left alone: 1 (still written to)"
    (files,) = (_done(lake, *words) for words in _typed("files"))
    assert files.split() == [f"s3://{SILVER}/{name}" for name in lake.files("silver/")]
    (verdict,) = (_done(lake, *words) for words in _typed("gate"))
    assert verdict == "1 days passed, 0 failed"
