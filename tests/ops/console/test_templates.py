"""Templates of the control room: what can be said of all pages without one of them."""

import re
from collections import Counter
from collections.abc import Iterator

import pytest
from jinja2 import Environment, meta, nodes

from ops.console.views import FOLDER

_TEMPLATES = FOLDER / "templates"
_PAGES = sorted(one.name for one in _TEMPLATES.glob("[a-z]*.html") if one.name != "base.html")
_EXPRESSION = re.compile(r"\{\{.*?\}\}")
_ID = re.compile(r"""\sid="([^"{]+)"|\bid = "([^"]+)\"""")


def _ids(name: str) -> Iterator[str]:
    """The ids of a template and of all that it consists of; what is made in a loop has an expression in it."""
    text = (_TEMPLATES / name).read_text(encoding="utf-8")
    yield from (plain or given for plain, given in _ID.findall(_EXPRESSION.sub("{", text)))
    tree = Environment(autoescape=True).parse(text)
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name in ("field", "typed"):
            told = {one.key: one.value for one in call.kwargs}
            at = {"field": (0, 5), "typed": (2, 2)}[call.node.name]
            found = told.get("id") or next((call.args[place] for place in reversed(at) if place < len(call.args)), None)
            if isinstance(found, nodes.Const):
                yield str(found.value)
            elif found is None:
                yield "confirm"
    for part in meta.find_referenced_templates(tree):
        if part and part != "_fields.html":
            yield from _ids(part)


@pytest.mark.parametrize("name", _PAGES)
def test_no_id_stands_on_a_page_twice(name: str) -> None:
    """Styles, labels and what is asked for again find one element by it: the header's ids are taken on every page."""
    assert [one for one, many in Counter(_ids(name)).items() if many > 1] == []


def test_ids_are_found_wherever_they_are_made() -> None:
    """In the text, by a field, by what an include is given, in the header."""
    found = set(_ids("lake.html"))
    assert {"now", "main", "objects", "sample-confirm", "confirm", "file-type", "rows"} <= found
