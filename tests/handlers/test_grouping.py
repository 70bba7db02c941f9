"""Groups of messages: which text becomes which id, and what has no group."""

import re
from typing import Any

import pytest

from handlers.errors import SchemaValidationError
from handlers.grouping import UNGROUPED, Grouping, sqs_id

_EVENT: dict[str, Any] = {
    "tenant": "acme",
    "n": 7,
    "flag": True,
    "empty": "",
    "none": None,
    "object": {"a/b": "slash", "m~n": "tilde", "rows": ["first", {"id": 0}]},
}
_TAKEN_BY_SQS = re.compile(r"[A-Za-z0-9!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]{1,128}")  # API reference, SendMessage


@pytest.mark.parametrize(
    ("pointer", "group"),
    [
        ("/tenant", "acme"),
        ("/n", "7"),
        ("/object/a~1b", "slash"),
        ("/object/m~0n", "tilde"),
        ("/object/rows/0", "first"),
        ("/object/rows/1/id", "0"),
    ],
)
def test_a_pointer_leads_to_a_group(pointer: str, group: str) -> None:
    """A text or a whole number, at any depth, is the group, whether an order is kept or not."""
    assert [Grouping(pointer, ordered=ordered).group_id(_EVENT) for ordered in (False, True)] == [group, group]


@pytest.mark.parametrize(
    ("pointer", "problem"),
    [
        ("/absent", "is required"),
        ("/none", "is required"),
        ("/object/rows/2", "is required"),
        ("/object/rows/00", "is required"),
        ("/tenant/0", "is required"),
        ("/empty", "must be a text or a whole number, got an empty text"),
        ("/flag", "must be a text or a whole number, got boolean"),
        ("/object", "must be a text or a whole number, got object"),
        ("/object/rows", "must be a text or a whole number, got array"),
    ],
)
def test_what_has_no_group_is_refused_where_order_counts(pointer: str, problem: str) -> None:
    """A fair queue takes it for a group of its own; in an order it would have no place."""
    assert Grouping(pointer).group_id(_EVENT) == ""
    with pytest.raises(SchemaValidationError) as caught:
        Grouping(pointer, ordered=True).group_id(_EVENT)
    (detail,) = caught.value.details
    assert (detail.pointer, detail.message) == (pointer, f"{problem}: events keep their order within it")


def test_no_pointer_is_no_group() -> None:
    """Nothing is asked of an event then."""
    assert UNGROUPED.group_id({}) == ""


@pytest.mark.parametrize("text", ["a", "x" * 128, "order:8/~", "".join(map(chr, range(0x21, 0x7F)))])
def test_an_id_that_sqs_takes_stays_as_it_is(text: str) -> None:
    """Up to 128 characters, letters, digits and punctuation."""
    assert sqs_id(text) == text


@pytest.mark.parametrize("text", ["x" * 129, "two words", "Zürich", "\ud800", f"sha256:{'0' * 64}"])
def test_other_ids_are_hashed(text: str) -> None:
    """A hash is something that SQS takes, and nothing that another text could be."""
    assert sqs_id(text) != text
    assert re.fullmatch("sha256:[0-9a-f]{64}", sqs_id(text))
    assert _TAKEN_BY_SQS.fullmatch(sqs_id(text))
