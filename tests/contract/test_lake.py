"""What the lake's components and its handlers agree on: columns, days, prefixes."""

from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest

from components.storage import catalog, lake_buckets, types
from handlers.lake import model, quarantine, schemas, silver, validate

_GLUE = {
    pa.string(): "string",
    pa.float64(): "double",
    pa.int64(): "bigint",
    pa.bool_(): "boolean",
    pa.date32(): "date",
    pa.timestamp("us", "UTC"): "timestamp",
}
_EVERY_FIELD = """
FIELDS = (
    Text("text", maximum=5, optional=True),
    Number("number", from_text=True),
    Integer("myInteger", 0, source="my integer"),
    Boolean("flag"),
    Date("day"),
    Time("moment", form="ms"),
    Decimal("money", 18, 2),
    Decimal("rate", precision=9, scale=6, minimum=0),
    Json("raw"),
    List("tags", Text("tag")),
    List("grid", of=List("line", Number("cell"))),
    Object("place", (Text("City"), Decimal("price", scale=2, precision=5), Object("at", fields=(Date("day"),)))),
    List("items", Object("item", (Boolean("new"),)), maximum=3),
)
"""


def _glue(type_: pa.DataType) -> str:
    if pa.types.is_decimal(type_):
        return f"decimal({type_.precision},{type_.scale})"
    if pa.types.is_list(type_):
        return f"array<{_glue(type_.value_type)}>"
    if pa.types.is_struct(type_):
        return f"struct<{','.join(f'{one.name.lower()}:{_glue(one.type)}' for one in type_)}>"
    return _GLUE[type_]


def _glue_columns(kind: model.RecordType) -> list[tuple[str, str]]:
    return [(field.name.lower(), _glue(field.type)) for field in validate.silver_schema(kind)]


def _loaded(text: str, name: str = "pets") -> model.RecordType:
    """A type's file as the handlers load it."""
    namespace = dict(vars(model))
    exec(text, namespace)  # noqa: S102 - the text stands above
    return model.RecordType(name, namespace["FIELDS"])


def _deployed(folder: Path, text: str, name: str = "pets") -> list[tuple[str, str]]:
    """Its columns as the program reads them off."""
    (folder / "handlers" / "lake" / "schemas").mkdir(parents=True)
    (folder / "handlers" / "lake" / "schemas" / f"{name}.py").write_text(text)
    return list(types.record_types(folder)[name].items())


@pytest.mark.parametrize("kind", sorted(schemas.types()))
def test_columns_of_the_catalog_are_those_of_the_files(kind: str) -> None:
    """The same names in the same order with the types that Glue has for Arrow's; a new type's too."""
    assert list(types.record_types()[kind].items()) == _glue_columns(schemas.types()[kind])


def test_every_field_has_the_column_that_silver_has(tmp_path: Path) -> None:
    """Whatever a type may be made of, however its file says it."""
    assert _deployed(tmp_path, _EVERY_FIELD) == _glue_columns(_loaded(_EVERY_FIELD))


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("pets", "()"),
        ("pets", '(Text("dt"),)'),
        ("pets", '(Text("Event_Time"),)'),
        ("pets", '(Text("record_type"),)'),
        ("pets", '(Text("a"), Number("a"))'),
        ("pets", '(Text("id"), Text("ID"))'),
        ("pets", '(Text(""),)'),
        ("pets", '(Text("a b"),)'),
        ("pets", '(Text("1st"),)'),
        ("pets", f'(Text("{"a" * 129}"),)'),
        ("pets", '(Object("o", (Text("a"), Text("A"))),)'),
        ("pets", '(List("l", Object("o", (Text("a,b"),))),)'),
        ("Pets", '(Text("a"),)'),
    ],
)
def test_names_are_refused_at_deploy_as_they_are_by_the_worker(tmp_path: Path, name: str, fields: str) -> None:
    """Neither takes what the other does not, or every chunk would fail after a good deployment."""
    for read in (partial(_deployed, tmp_path), _loaded):
        with pytest.raises(ValueError, match=r"[Pp]ets"):
            read(f"FIELDS = {fields}", name)


def test_catalog_has_every_type() -> None:
    """No type is written and can't be queried."""
    assert list(types.record_types()) == sorted(schemas.types())


def test_catalog_has_every_day_that_a_row_may_be_of() -> None:
    """No row is in the bucket and never found: both begin with the same setting and end as far ahead."""
    assert catalog.DAYS_AHEAD == model.DAYS_AHEAD


def test_files_go_where_the_worker_may_write_and_the_catalog_looks() -> None:
    """The prefixes of the grants and of the tables are those of the keys."""
    assert silver.key("shipments", "2026-01-31", "d", 0).startswith(
        f"{lake_buckets.SILVER_PREFIX}shipments/dt=2026-01-31/"
    )
    assert quarantine.key("shipments", "d", 0).startswith(lake_buckets.QUARANTINE_PREFIX)
