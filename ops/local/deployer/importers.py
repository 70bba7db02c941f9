"""Which modules a handler imports, directly or not, read from the source: whom a changed file concerns."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

_FINDERS = frozenset({"importlib", "pkgutil"})  # who imports one of them may import any module of its own package

Version: TypeAlias = "tuple[int, int]"  # time of the last change and size


@dataclass(slots=True)
class Sources:
    """The modules of a package of `root`; each file is read once for each of its versions."""

    root: Path
    package: str
    _read: dict[Path, tuple[Version, set[str]]] = field(default_factory=dict)

    def versions(self) -> dict[Path, Version]:
        """The files that there are now."""
        found = {}
        for path in (self.root / self.package).rglob("*.py"):
            try:
                there = path.stat()
            except FileNotFoundError:  # editors replace files
                continue
            found[path] = (there.st_mtime_ns, there.st_size)
        return found

    def concerned(self, modules: Collection[str], changed: Collection[Path]) -> set[str]:
        """Those of `modules` that are or import one of the files that have changed, come or gone.

        Raises:
            SyntaxError: a file does not compile.
            OSError: a file can't be read.
        """
        imports = {self._name(path): self._imports(path, version) for path, version in self.versions().items()}
        hit = {self._name(path) for path in changed}
        return {module for module in modules if not hit.isdisjoint(_reached(module, imports))}

    def _name(self, path: Path) -> str:
        parts = path.relative_to(self.root).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def _imports(self, path: Path, version: Version) -> set[str]:
        known = self._read.get(path)
        if known is None or known[0] != version:
            source = path.read_bytes()
            try:
                compile(source, str(path), "exec")  # refuses more than the grammar does
            except (SyntaxError, ValueError) as error:  # what is no text has neither file nor line, or is another error
                line = getattr(error, "lineno", None) or 1
                raise SyntaxError(getattr(error, "msg", str(error)), (str(path), line, None, None)) from error
            name = self._name(path)
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            known = self._read[path] = (version, set(_named(ast.parse(source), package)))
        return known[1]


def _named(tree: ast.AST, package: str) -> Iterator[str]:
    """Every name that is imported, wherever in the file; PACKAGE.* stands for all modules of a package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")
            above = above[: len(above) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]  # of a package, perhaps its modules
        else:
            continue
        yield from names
        if not _FINDERS.isdisjoint(names):
            yield f"{package}.*"


def _reached(module: str, imports: Mapping[str, set[str]]) -> set[str]:
    """The module and every name that it imports, directly or not, with the packages that these are in."""
    reached: set[str] = set()
    ahead = [module]
    while ahead:
        name = ahead.pop()
        if name.endswith(".*"):
            ahead += [other for other in imports if other.startswith(name[:-1])]
        elif name and name not in reached:
            reached.add(name)
            ahead += [*imports.get(name, ()), name.rpartition(".")[0]]
    return reached
