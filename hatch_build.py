"""Builds the wheel: the folders of this tree as packages of the one package `ingestion_lab`.

`components` and `handlers` are names that anybody's program may have, so they do not land at top level. In this tree
they are imported by these names, and so they are in the zips of its functions; in the wheel each import of them, and
each name of one of their modules that stands as a text (the handler of a function), begins with `ingestion_lab.`.
Lines keep their numbers. See docs/reuse.md.
"""

import ast
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_PACKAGE = "ingestion_lab"
_FOLDERS = ("components", "handlers")
_DATA = ("ops/queries/*.txt", "pyproject.toml", "uv.lock")  # what components read
_MODULE = re.compile(rf"(?:{'|'.join(_FOLDERS)})(?:\.[A-Za-z_][A-Za-z0-9_]*)+")


class WheelHook(BuildHookInterface):  # type: ignore[type-arg]
    """Gives the wheel the renamed sources. An editable installation shows this tree as it is."""

    _made: Path | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the package, and have it included."""
        if version == "editable":
            return
        self._made = Path(tempfile.mkdtemp())
        make_package(Path(self.root), self._made)
        build_data["force_include"][str(self._made)] = _PACKAGE
        self.metadata.core.scripts.clear()  # `lab` is at work on this tree

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Remove what was made."""
        if self._made:
            shutil.rmtree(self._made)


def make_package(root: Path, target: Path) -> None:
    """Write the package `ingestion_lab` of this tree."""
    own = {path: path.relative_to(root / _PACKAGE) for path in (root / _PACKAGE).glob("*.py")}
    folders = {path: path.relative_to(root) for folder in _FOLDERS for path in (root / folder).rglob("*.py")}
    data = {path: path.relative_to(root) for pattern in _DATA for path in root.glob(pattern)}
    for path, name in {**own, **folders, **data}.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text(encoding="utf-8")
        (target / name).write_text(renamed(text) if path.suffix == ".py" else text, encoding="utf-8")


def renamed(source: str) -> str:
    """Return the source with our packages as those of `ingestion_lab`.

    Raises:
        ValueError: it names them in a way that can't be renamed in place.
    """
    lines = source.encode().splitlines(keepends=True)
    for line, column, name in sorted(_names(source), reverse=True):
        text = lines[line - 1]
        if not text.startswith(name.encode(), column):
            raise ValueError(f"line {line}: {name} is not where it was looked for, in {text.decode()!r}")
        lines[line - 1] = text[:column] + f"{_PACKAGE}.".encode() + text[column:]
    return b"".join(lines).decode()


def _names(source: str) -> list[tuple[int, int, str]]:
    """Where our packages are named: line, column in bytes, and name."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ImportFrom(module=str(module), level=0) if module.partition(".")[0] in _FOLDERS:
                found.append((node.lineno, node.col_offset + len("from "), module))
            case ast.Import() if any(alias.name.partition(".")[0] in _FOLDERS for alias in node.names):
                raise ValueError(f"line {node.lineno}: write from … import …, which can be renamed")
            case ast.Constant(value=str(text)) if _MODULE.fullmatch(text):
                found.append((node.lineno, node.col_offset + 1, text))
            case _:
                pass
    return found
