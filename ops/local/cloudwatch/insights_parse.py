"""The command `parse` of Logs Insights."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from ops.local.cloudwatch.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Extract: TypeAlias = "Callable[[str], Sequence[str | None]]"

_FORM = re.compile(r"(@?[\w.]+)\s+(?:\"((?:\\.|[^\"\\])*)\"\s+as\s+([\w@.,\s]+)|/((?:\\.|[^/\\])+)/)")


def compiled(command: str) -> tuple[str, Extract, Sequence[str]]:
    """What a command says: the field, what it takes from a text, and under which names; all None where it fits not.

    The forms are `FIELD "glob with * and *" as a, b` and `FIELD /regex with (?<names>…)/`.

    Raises:
        UnsupportedError: it is another form, or places and names don't fit.
    """
    form = _FORM.fullmatch(command)
    if form is None:
        raise UnsupportedError(f"Logs Insights parse {command!r}: the laptop does not know this form")
    source, glob, names, regex = form.groups()
    if glob is not None:
        aliases = [name.strip() for name in names.split(",")]
        pattern = re.compile("(.*?)".join(map(re.escape, glob.split("*"))) + ("$" if glob.endswith("*") else ""))
    else:
        pattern = re.compile(regex.replace("(?<", "(?P<"))
        aliases = list(pattern.groupindex)
    if pattern.groups != len(aliases):
        raise UnsupportedError(f"Logs Insights parse {command!r}: {pattern.groups} places for {len(aliases)} names")

    def extract(text: str) -> Sequence[str | None]:
        found = pattern.search(text)
        return found.groups() if found else [None] * len(aliases)

    return source, extract, aliases
