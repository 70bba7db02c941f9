"""What holds for every command of `lab`: its help, its exit codes, its JSON, its completion."""

from collections.abc import Iterator
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner, Result

from ops.cli import commands, output
from ops.cli.main import app

_SCREEN = {"COLUMNS": "80", "TERMINAL_WIDTH": "80"}
_LINES = 40


def _all(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from _all(child, (*path, name))


_COMMANDS = {" ".join(("lab", *path)): (path, command) for path, command in _all(typer.main.get_command(app))}
_LEAVES = [name for name, (_, command) in _COMMANDS.items() if not getattr(command, "commands", {})]


def _run(*words: str, **environment: str) -> Result:
    return CliRunner().invoke(app, words, env=_SCREEN | environment, prog_name="lab")


def _told(command: Any) -> list[Any]:
    """A command and those below it, with what each does, takes and says of itself."""
    return [
        (path, one.help, getattr(one.callback, "__wrapped__", None), [(p.name, p.opts, p.default) for p in one.params])
        for path, one in _all(command)
    ]


def test_a_command_alone_is_the_same() -> None:
    """`lab` loads the one that is named: each can be, and is what it is among the others."""
    among = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # a group
    alone: dict[str, Any] = {name: typer.main.get_command(commands.only(name)) for name in commands.COMMANDS}

    assert {name: list(one.commands) for name, one in alone.items()} == {name: [name] for name in among}
    assert {name: _told(alone[name].commands[name]) for name in among} == {name: _told(among[name]) for name in among}


@pytest.mark.parametrize("name", _COMMANDS)
def test_help_fits_a_screen(name: str) -> None:
    """Of 80 columns; an example is shown where something is done (tests/contract/test_docs.py holds what it is)."""
    path, _ = _COMMANDS[name]
    lines = _run(*path, "--help").stdout.splitlines()

    assert 5 < len(lines) <= _LINES
    assert max(map(len, lines)) <= int(_SCREEN["COLUMNS"])


@pytest.mark.parametrize("name", _LEAVES)
def test_programs_can_read_it(name: str) -> None:
    """Every command has --json, but for those that print nothing else."""
    _, command = _COMMANDS[name]

    options = {option for parameter in command.params for option in parameter.opts}

    assert "--json" in options or name in {"lab gameday export", "lab rights"}


@pytest.mark.parametrize("name", _COMMANDS)
def test_what_can_not_be_meant_is_a_usage_error(name: str) -> None:
    """An option that is not there, and a command that is not."""
    path, _ = _COMMANDS[name]

    assert _run(*path, "--no-such-option").exit_code == output.USAGE


@pytest.mark.parametrize(
    "words",
    [
        ("logs", "tail", "--since", "soon"),
        ("failure", "set", "poison_payload", "--match", "id"),
        ("lake", "generate", "--type", "nothing"),
        ("lake", "replay-copy", "--type", "shipments", "--start", "soon"),
        ("up", "--empty", "--stack", "dev"),
        ("up", "--empty", "--watch"),
        ("send", "--file", "-", "--duplicates", "5"),
        ("send", "--key", "k", "--duplicates", "5"),
        ("up", "--watch", "--stack", "dev"),
        ("rights", "--stack", "dev", "--account", "mine"),
        ("rights", "--account", "123456789012"),
    ],
    ids=" ".join,
)
def test_values_that_can_not_be_meant_are_usage_errors(words: tuple[str, ...]) -> None:
    """Told before anything is asked."""
    done = _run(*words)

    assert (done.exit_code, done.stderr.startswith("error: ")) == (output.USAGE, True)


@pytest.mark.parametrize(("typed", "wanted"), [("lab red", "redrive"), ("lab redrive pur", "purge")])
def test_shells_complete(typed: str, wanted: str) -> None:
    """Typer's own completion, as bash asks for it."""
    number = str(len(typed.split()) - 1)

    assert wanted in _run(_LAB_COMPLETE="complete_bash", COMP_WORDS=typed, COMP_CWORD=number).stdout.split()
