"""The shell blocks of README and documentation run as they stand, and show what they say, on a stack of their own.

A block marked `bash` succeeds as a whole. In one marked `console` each line after `$ ` is a command that succeeds, and
the lines below it are what it prints: `…` stands for any text, a line `...` for any lines. Other blocks do not run.

Pages named own-….md change the program. Their blocks marked `diff` are applied to a copy of this repository, and those
that have a `title` are files of it; all pages together, as somebody would who follows each of them. Their commands run
on a stack of the copy.
"""

import os
import re
import shutil
import socket
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.blocks import NOT_RUN, shown_as

ROOT = Path(__file__).parents[2]
_PORT = "4566"
_BLOCK = re.compile(r"^```(bash|console)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r'^(````?)\w+ title="([^"]+)"\n(.*?)^\1$', re.DOTALL | re.MULTILINE)
_DIFF = re.compile(r"^```diff\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_WRITTEN = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))}
_TEXTS = {name: _FILE.sub("", text) for name, text in _WRITTEN.items()}
_OWN = sorted(name for name in _TEXTS if name.startswith("own-"))
_ELSEWHERE = NOT_RUN | {"README.md", *_OWN}
_PAGES = sorted(name for name, text in _TEXTS.items() if _BLOCK.search(text) and name not in _ELSEWHERE)
_MARK = "\x1e"  # before each command's output, with its number
_PROGRESS = re.compile(r"^.*: 0 of \d+ \.\.\.\n", re.MULTILINE)  # a terminal has bars instead


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The shell of a user, with a home and a port of the test's own."""
    variables = os.environ | {
        "LAB_HOME": str(tmp_path_factory.mktemp("home") / "lab"),
        "LAB_PORT": _free_port(),
        "PATH": f"{ROOT / '.venv/bin'}:{os.environ['PATH']}",
        "COLUMNS": "80",
    }
    yield variables
    subprocess.run(["lab", "down"], cwd=ROOT, env=variables, check=True, timeout=60)  # noqa: S607 - the venv's lab


@pytest.fixture(scope="module")
def stack(environment: dict[str, str]) -> dict[str, str]:
    """The same after `make up`."""
    asked = ["lab", "status", "--output", "ApiEndpoint"]
    if subprocess.run(asked, cwd=ROOT, env=environment, capture_output=True, check=False, timeout=60).returncode:
        subprocess.run(["lab", "up"], cwd=ROOT, env=environment, check=True, timeout=120)  # noqa: S607 - the venv's lab
    return environment


def test_readme(environment: dict[str, str]) -> None:
    """The first session, from `make up` on. It comes first here too: it shows a stack on which nothing was done."""
    _run("README.md", environment)


@pytest.mark.parametrize("page", _PAGES)
def test_page(page: str, stack: dict[str, str]) -> None:
    """Each page on its own, after `make up`."""
    _run(page, stack)


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """A copy of the repository that was changed as the pages say, and the shell of who did that."""
    root = tmp_path_factory.mktemp("own") / "lab"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split("\0")
    for name in filter(None, names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, root / name)
    for page in _OWN:
        _change(root, _WRITTEN[page])
    variables = os.environ | {
        "LAB_HOME": str(root.parent / "home"),
        "LAB_PORT": _free_port(),
        "PATH": f"{ROOT / '.venv/bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(root),  # the copy's packages before those that are installed
        "COLUMNS": "80",
    }
    yield root, variables
    subprocess.run(["lab", "down"], cwd=root, env=variables, check=True, timeout=60)  # noqa: S607 - the venv's lab


@pytest.mark.parametrize("page", _OWN)
def test_own(page: str, changed: tuple[Path, dict[str, str]]) -> None:
    """What is added to the program is deployed and does what the page says."""
    root, variables = changed

    _run(page, variables, root)


@pytest.mark.parametrize("page", ["README.md", *_PAGES, *_OWN])
def test_curl_fails_when_it_is_refused(page: str) -> None:
    """Without -f an error would be an answer like another, and a block would vouch for nothing."""
    blocks = "".join(block for _, block in _BLOCK.findall(_TEXTS[page]))
    commands = re.findall(r"\bcurl (?!-fsS |-s --fail-with-body ).*", blocks)

    assert commands == []


@pytest.mark.parametrize(
    ("shown", "printed", "fits"),
    [
        ("a\nb\n", "a\nb\n", True),
        ("a\n", "a\nb\n", False),
        ("a\nb\n", "a\n", False),
        ("in … s\n", "in 0.3 s\n", True),
        ("in … s\n", "in 0.3 m\n", False),
        ("...\nc\n", "a\nb\nc\n", True),
        ("...\n", "", True),
        ("...\nc\n", "a\nb\n", False),
        ("(x)\n", "(x)\n", True),
        ("", "error: no\n", False),
    ],
)
def test_what_is_shown_is_what_is_printed(shown: str, printed: str, fits: bool) -> None:  # noqa: FBT001 - a table
    """Line by line, but for what is left out."""
    assert bool(shown_as(shown).fullmatch(printed)) is fits


def _change(root: Path, text: str) -> None:
    """Do to the copy what the page says, and what `uv lock` does of it where there is an index."""
    for _, name, content in _FILE.findall(text):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="utf-8")
    for diff in _DIFF.findall(text):
        subprocess.run(["git", "apply", "-"], cwd=root, input=diff, text=True, check=True, timeout=60)  # noqa: S607
    groups = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    names = "".join(f'    {{ name = "{re.split("[=<>]", one)[0]}" }},\n' for one in groups["lambda"])
    lock = (root / "uv.lock").read_text(encoding="utf-8")
    locked = re.sub(r"^lambda = \[\n(    \{ name = .*\},\n)+", f"lambda = [\n{names}", lock, flags=re.MULTILINE)
    (root / "uv.lock").write_text(locked, encoding="utf-8")


def _run(page: str, environment: dict[str, str], root: Path = ROOT) -> None:
    commands = [command for kind, block in _BLOCK.findall(_TEXTS[page]) for command in _commands(kind, block)]
    lines = [f"printf '{_MARK}{number}\\n'\n{command}" for number, (command, _) in enumerate(commands)]
    script = "\n".join(["exec 2>&1", "set -euo pipefail", *lines]).replace(_PORT, environment["LAB_PORT"])
    shell = ["bash", "-c", script]
    run = subprocess.run(shell, cwd=root, env=environment, stdout=subprocess.PIPE, text=True, timeout=300, check=False)

    assert run.returncode == 0, run.stdout
    printed = [part.partition("\n")[2] for part in run.stdout.split(_MARK)[1:]]
    for (command, shown), text in zip(commands, printed, strict=True):
        told = re.sub(r" +$", "", _PROGRESS.sub("", text), flags=re.MULTILINE)
        told += "\n" if told and not told.endswith("\n") else ""
        assert shown is None or shown_as(shown).fullmatch(told), f"{command}\nshows\n{shown}\nbut printed\n{told}"


def _commands(kind: str, block: str) -> Iterator[tuple[str, str | None]]:
    """Each command with what it is said to print; None where nothing is said."""
    if kind == "bash":
        yield block, None
        return
    for command in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        typed, _, shown = command.partition("\n")
        yield typed, re.sub(r"\n+$", "\n", shown) if shown.strip() else ""


def _free_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])
