"""JSON in and out: what is refused, and that equal payloads, and only those, have one canonical text."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers import jsontext
from handlers.errors import SchemaValidationError

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
JSON: st.SearchStrategy[Any] = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=15
)


def shuffled(value: Any) -> Any:
    """The same value with every object's keys in reverse order."""
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(value)}
    return [shuffled(item) for item in value] if isinstance(value, list) else value


@given(JSON)
def test_form_does_not_change_the_checksum(value: Any) -> None:
    """Key order, white space and escapes are form; so is the way through the queue."""
    wide = json.dumps(shuffled(value), indent=3, ensure_ascii=False)
    on_queue = jsontext.compact(jsontext.parse(json.dumps(value)))

    assert jsontext.checksum(jsontext.parse(wide)) == jsontext.checksum(value)
    assert jsontext.checksum(jsontext.parse(on_queue)) == jsontext.checksum(value)


@given(JSON, JSON)
def test_different_payloads_have_different_canonical_texts(one: Any, other: Any) -> None:
    """Two values share a canonical text exactly when JSON calls them equal (1 and 1.0 are, true and 1 are not)."""
    assert (jsontext.canonical(one) == jsontext.canonical(other)) == _equal(one, other)


@given(JSON)
def test_what_leaves_is_ascii(value: Any) -> None:
    """Nothing in a body can be outside SQS's character set, and nothing is lost on the way."""
    text = jsontext.compact(value)

    assert text.isascii()
    assert all(character >= " " for character in text)
    assert json.loads(text) == value


@pytest.mark.parametrize(
    ("text", "same"), [("42.50", "42.5"), ("1.0", "1"), ("-0.0", "0"), ("1e2", "100"), ('"\\u00e9"', '"é"')]
)
def test_spellings_of_one_value(text: str, same: str) -> None:
    """Numbers are their value, strings their characters."""
    assert jsontext.checksum(jsontext.parse(text)) == jsontext.checksum(jsontext.parse(same))


def test_large_integers_stay_exact() -> None:
    """Ids past 2^53 are not rounded into each other."""
    assert jsontext.canonical(jsontext.parse("9007199254740993")) == "9007199254740993"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "(root) is not JSON: Expecting value at line 1 column 1"),
        ('{"a":', "(root) is not JSON: Expecting value at line 1 column 6"),
        ("NaN", "(root) is not JSON: NaN is not a JSON number"),
        ('{"a": -Infinity}', "(root) is not JSON: -Infinity is not a JSON number"),
        ("1e400", "(root) is not JSON: the number 1e400 is out of range"),
        ("9" * 5000, "(root) is not JSON: an integer has too many digits"),
        ('{"a": 1, "a": 2}', "(root) is not JSON: a name occurs twice in one object"),
        ('[{"b": {"\\u0061": 1, "a": 1}}]', "(root) is not JSON: a name occurs twice in one object"),
        (b"\xff", "(root) is not JSON: invalid UTF-8 at byte 0"),
        ("[" * 34 + "]" * 34, "(root) is nested deeper than 32 levels"),
        ("[" * 200_000, "(root) is nested deeper than 32 levels"),
    ],
)
def test_refused(text: str | bytes, message: str) -> None:
    """Each refusal says what and where."""
    with pytest.raises(SchemaValidationError) as refusal:
        jsontext.parse(text)

    assert str(refusal.value) == message


@pytest.mark.parametrize(
    ("name", "pointer"), [("a", "/a"), ("a/b~c", "/a~1b~0c"), ("", "/"), ("x" * 200, "/" + "x" * 128)]
)
def test_a_pointer_to_a_field(name: str, pointer: str) -> None:
    """Escaped as RFC 6901 says; a name of any length makes a short one."""
    assert jsontext.pointer(name) == pointer


def test_32_levels_are_taken() -> None:
    """The limit itself is allowed."""
    assert jsontext.parse("[" * 33 + "]" * 33) is not None


def _equal(one: Any, other: Any) -> bool:
    """Equality of JSON values: Python's, but true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, float) and isinstance(other, float) and math.isclose(one, other):
        return one == other
    return bool(one == other)


def test_without_values() -> None:
    """Strings of the value go, at any depth and the longest first; names, numbers and what is short stay."""
    value: jsontext.Json = {"name": "Ada Lovelace", "list": [{"first": "Lovelace", "n": 4711}], "short": "Ada"}
    assert jsontext.without_values("'Ada Lovelace', Lovelace: name 4711 Ada", value) == "'…', …: name 4711 Ada"
    assert jsontext.without_values("nothing", 7) == "nothing"
