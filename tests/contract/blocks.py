"""The blocks of README and documentation, and the commands that are typed in them."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import botocore.session
import typer.main
from botocore import xform_name

from ops.cli.main import app

ROOT = Path(__file__).parents[2]
NOT_RUN = {"first-deploy.md"}  # needs the Pulumi CLI and an account; tests/engine runs what it can
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_FENCED = re.compile(r"^(`{3,})([^`\n]*)\n(.*?)^\1$\n?", re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r"(?<=\n\n)(?: {4}\S.*\n(?:(?: {4}.*)?\n)*?)(?=\S|\Z)")
_ASSIGNMENT = re.compile(r"[A-Z_]+=\S*")
_OPERAND = re.compile(r"\$\(([^()]*(?:\([^()]*\)[^()]*)*)\)")
_OPTIONS_OF_AWS = {"--output", "--query"}  # of every command; the rest is in the service's model


class Block(NamedTuple):
    """What stands in a block of a page: its language, "" where none is said, and its text."""

    page: str
    language: str
    text: str

    @property
    def first(self) -> str:
        """Page and first line, by which one knows it."""
        return f"{self.page}: {self.text.partition(chr(10))[0].strip()}"

    @property
    def is_drawing(self) -> bool:
        """Whether it has boxes or arrows and no commands."""
        return self.language == "" and any(sign in self.text for sign in "┌▶│")


def blocks() -> Iterator[Block]:
    """Every block, page by page; lines that are indented under a blank one are a block as well."""
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        yield from (Block(path.name, language.strip(), body) for _, language, body in _FENCED.findall(text))
        rest = _FENCED.sub("", text)
        yield from (Block(path.name, "", found.replace("\n    ", "\n")) for found in _INDENTED.findall(rest))


def commands(line: str) -> Iterator[tuple[str, ...]]:
    """The words of the commands, and of each command within them: `$(…)` is replaced by a plain word."""
    while inner := _OPERAND.search(line):
        yield from commands(inner[1])
        line = line[: inner.start()] + "WORD" + line[inner.end() :]
    for part in line.split(" && "):
        words = shlex.split(part.partition(" > ")[0], comments=True)
        while words and _ASSIGNMENT.fullmatch(words[0]):
            words.pop(0)
        if words:
            yield tuple(words)


def fault_of_lab(words: tuple[str, ...]) -> str:
    """Why `lab` has no such command, or none with such options; "" where it has."""
    command, path = _lab(), words[1:]
    while path and (found := getattr(command, "commands", {}).get(path[0])) is not None:
        command, path = found, path[1:]
    options = {option for parameter in command.params for option in parameter.opts}
    if getattr(command, "commands", {}):
        return f"{' '.join(words)}: which command?"
    unknown = {word for word in path if word.startswith("--")} - options
    return f"{' '.join(words)}: has no {sorted(unknown)}" if unknown else ""


def fault_of_aws(words: tuple[str, ...]) -> str:
    """Why AWS has no such operation, or none with such parameters; "" where it has. The service comes first."""
    service, operation, *parameters = words[1:]
    model = _service("s3" if service == "s3api" else service)
    operations = {xform_name(name, "-"): name for name in model.operation_names}
    if operation not in operations:
        return f"{service} has no {operation}"
    shape = model.operation_model(operations[operation]).input_shape
    options = {f"--{xform_name(name, '-')}": member for name, member in (shape.members if shape else {}).items()}
    options |= {f"--no-{name[2:]}": member for name, member in options.items() if member.type_name == "boolean"}
    needed = {f"--{xform_name(name, '-')}" for name in (shape.required_members if shape else [])}
    given = {word for word in parameters if word.startswith("--")}
    unknown, missing = given - options.keys() - _OPTIONS_OF_AWS, needed - given
    return f"{' '.join(words)}: unknown {sorted(unknown)}, missing {sorted(missing)}" if unknown or missing else ""


@cache
def _lab() -> Any:
    return typer.main.get_command(app)


@cache
def _service(name: str) -> Any:
    return botocore.session.Session().get_service_model(name)


def shown_as(shown: str) -> re.Pattern[str]:
    """What a page says that is printed: `…` stands for any text, a line `...` for any lines."""
    lines = (
        r"(?:.*\n)*" if line == "..." else re.escape(line).replace("…", ".*") + r"\n" for line in shown.splitlines()
    )
    return re.compile("".join(lines))
