"""A deployment that stands as it is wanted is known without a run of the program; on a tree that is made up."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from ops.local import standing
from ops.local.emulator import ROOT, Emulator
from ops.local.standing import Standing

_FILES = ("__main__.py", "Pulumi.yaml", "uv.lock", "components/queue.py", "handlers/a.py", "handlers/lake/schemas/s.py")


@dataclass
class Account:
    """Stands for the emulator."""

    told: str = "life 7"

    def changes(self) -> str:
        return self.told


@dataclass
class Tree:
    """A program's folder, its account and its state file."""

    root: Path
    account: Account
    state: Path

    def look(self) -> Standing | None:
        return standing.look(self.root, self.emulator, self.state)

    def note(self, before: Standing | None) -> None:
        standing.note(self.root, self.emulator, self.state, before)

    def edited(self) -> frozenset[str] | None:
        now, before = self.look(), standing.read(self.state)
        return now.edited(before) if now and before else None

    @property
    def emulator(self) -> Emulator:
        return cast("Emulator", self.account)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """One that is deployed and stands as it is wanted."""
    root = tmp_path / "root"
    for name in _FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / "ops").mkdir()
    state = tmp_path / "local.json"
    state.write_text("{}")
    tree = Tree(root, Account(), state)
    tree.note(tree.look())
    assert tree.edited() == frozenset()
    return tree


@pytest.mark.parametrize("name", _FILES)
def test_an_edit_is_seen(tree: Tree, name: str) -> None:
    """Of whatever the program is made of, by content: a file that is touched is the same, and one that is back is."""
    (tree.root / name).touch()
    assert tree.edited() == frozenset()
    (tree.root / name).write_text("edited")
    assert tree.edited() == frozenset({name})
    (tree.root / name).write_text(name)
    assert tree.edited() == frozenset()


def test_files_that_come_and_go_are_seen(tree: Tree) -> None:
    """With those that only packaging or the deployer would take."""
    (tree.root / "handlers/a.py").unlink()
    (tree.root / "components/more.txt").write_text("")
    (tree.root / "Pulumi.local.yaml").write_text("")
    (tree.root / "ops/deployer.py").write_text("")
    names = ("handlers/a.py", "components/more.txt", "Pulumi.local.yaml", "ops/deployer.py")
    assert tree.edited() == frozenset(names)


def test_what_else_has_changed_is_no_edit(tree: Tree) -> None:
    """Somebody has changed a resource, there is another emulator, or another deployment: nothing is known."""
    for told in ("life 8", "another 7", ""):
        tree.account.told = told
        assert tree.edited() is None
    tree.account.told = "life 7"
    tree.state.write_text("{ }")
    assert tree.edited() is None


def test_packages_that_come_and_go(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """They may make another program of the same text."""
    monkeypatch.setattr(standing, "_tools", lambda: "more")
    assert tree.edited() is None


def test_a_deployment_during_which_something_was_changed(tree: Tree) -> None:
    """It may be of before or after: nothing is noted, and what was noted before no longer counts."""
    before = tree.look()
    (tree.root / "handlers/a.py").write_text("edited meanwhile")
    tree.note(before)
    assert (standing.read(tree.state), tree.edited()) == (None, None)

    before = tree.look()
    tree.account.told = "life 8"
    tree.note(before)
    assert standing.read(tree.state) is None
    tree.note(None)
    assert standing.read(tree.state) is None


def test_the_first_deployment(tree: Tree) -> None:
    """Before it there was no state; what it has made is known afterwards."""
    tree.state.unlink()
    before = tree.look()
    tree.state.write_text("{}")
    tree.note(before)
    assert tree.edited() == frozenset()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"files": 7, "tools": "", "account": "", "state": ""}'])
def test_a_note_that_is_none(tree: Tree, content: str) -> None:
    """Whatever was written over it counts as nothing noted."""
    tree.state.with_suffix(".standing.json").write_text(content)
    assert tree.edited() is None


def test_a_file_that_goes_while_it_is_looked_at(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it can't be told how all stands."""

    def gone(*_: Any) -> bytes:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_bytes", gone)
    assert tree.look() is None


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("handlers/events/step.py", True),
        ("handlers/lake/schemas/shipments.py", False),
        ("handlers/py.typed", False),
        ("components/naming.py", False),
        ("ops/cli/up.py", False),
        ("__main__.py", False),
    ],
)
def test_what_is_code_alone(path: str, code: bool) -> None:  # noqa: FBT001 - a column of the table
    """What the program makes resources of is more than that."""
    assert standing.is_code(path) is code


def test_who_reads_the_code() -> None:
    """Of the program's text, only packaging and the lake's types name the folder as a path: they are what is known."""
    named = [
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / "components").rglob("*.py"))
        if any(f'/ "{name}"' in path.read_text(encoding="utf-8") for name in ("handlers", "schemas"))
    ]
    assert named == ["components/compute/packaging.py", "components/storage/types.py"]
