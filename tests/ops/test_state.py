"""The deployer's memory: what a thread has put is in the file when the call returns, whoever wrote it."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ops.local.cloudwatch.definitions import definitions
from ops.local.cloudwatch.errors import UnsupportedError
from ops.local.deployer.errors import DeployError
from ops.local.deployer.state import Deployed, State
from ops.local.files import write_atomically
from tests.ops.stack import wait_for

_STATE = '{"endpoint": "http://here", "outputs": {}, "resources": [%s]}'
_WRITE = "ops.local.deployer.state.write_atomically"


def _named(name: str) -> Deployed:
    return Deployed("t", name, f"id-{name}", {"size": 1}, {})


def _in_file(path: Path) -> set[str]:
    return {entry["name"] for entry in json.loads(path.read_text())["resources"]}


def test_what_was_put_is_in_the_file(tmp_path: Path) -> None:
    """From many threads at once: after each call the file has its resource, and in the end all of them."""
    state = State.load(tmp_path / "local.json", "http://here")

    def put(number: int) -> bool:
        state.put(_named(str(number)))
        return str(number) in _in_file(state.path)

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(put, range(200)))
    again = State.load(state.path, "http://here")
    assert {entry.name for entry in again.resources.values()} == {str(number) for number in range(200)}


@pytest.mark.parametrize(
    "content",
    [
        *("", "[]", "7", "{}", '{"endpoint": "http://here", "outputs": [1], "resources": []}'),
        '{"endpoint": "http://here", "outputs": {}, "resources": 7}',
        _STATE % '{"type": "t"}',
        _STATE % "[]",
        _STATE % '{"type": 7, "name": "n", "id": "i", "inputs": {}, "outputs": {}}',
        _STATE % '{"type": "t", "name": "n", "id": "i", "inputs": [], "outputs": {}}',
    ],
)
def test_what_is_no_state_file(tmp_path: Path, content: str) -> None:
    """Whatever stands there in its place, it is said with the way out; the laptop's CloudWatch says the same."""
    path = tmp_path / "local.json"
    path.write_text(content)
    with pytest.raises(DeployError, match=r"is not a state file of the deployer; to begin anew, .*: lab down, lab up"):
        State.load(path, "http://here")


@pytest.mark.parametrize("content", ["", "[]", "7", "{}", '{"resources": 7}', '{"resources": [[]]}'])
def test_what_is_no_state_file_for_cloudwatch(tmp_path: Path, content: str) -> None:
    """It goes on when the file is right again, so it says so and does not end."""
    path = tmp_path / "local.json"
    path.write_text(content)
    with pytest.raises((UnsupportedError, ValueError)):
        definitions(path)


def test_those_who_wait_share_one_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one writes, what the others put meanwhile goes into the file with the next writing, all at once."""
    state = State.load(tmp_path / "local.json", "http://here")
    free, begun, written = threading.Event(), threading.Event(), list[int]()

    def slow(path: Path, text: str) -> None:
        begun.set()
        assert free.wait(20)
        write_atomically(path, text)
        written.append(len(_in_file(path)))

    monkeypatch.setattr(_WRITE, slow)
    with ThreadPoolExecutor(16) as pool:
        first = pool.submit(state.put, _named("first"))
        assert begun.wait(20)
        others = [pool.submit(state.put, _named(str(number))) for number in range(10)]
        wait_for(lambda: len(state.resources) == 11, "all in memory")
        assert not first.done()
        free.set()
        for done in (first, *others):
            done.result(20)
    assert written == [1, 11]


def test_a_writing_that_fails_is_tried_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is told to whoever put; the resource is not taken for written, and the next writing has it."""
    state = State.load(tmp_path / "local.json", "http://here")

    def full(_path: Path, _text: str) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(_WRITE, full)
        with pytest.raises(OSError, match="no space left"):
            state.put(_named("lost?"))
    state.finish({})
    assert _in_file(state.path) == {"lost?"}
