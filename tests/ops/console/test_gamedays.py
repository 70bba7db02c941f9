"""GameDays in the control room: one is started, watched, stopped, and its report opened."""

import json
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from ops.console.guard import POLICY, SEALED
from ops.console.runner import Runner
from ops.gamedays import catalogue, runs
from ops.gamedays.recording import Recording
from ops.local.files import locked
from tests.ops.console.served import FakeStack, Served, answering, found, serving
from tests.ops.gamedays import falsified
from tests.ops.gamedays.made import RUN, good_run
from tests.ops.stack import wait_for

_GROUP = {"workerFunctionName": "w", "queueUrl": "q"}
# Stands for `python -m ops.gamedays`: writes what the test has laid out, and ends when its stdin does.
_STUB = """
import json, os, pathlib, sys, time
stack, name, run = sys.argv[1:]
home = pathlib.Path(os.environ["LAB_HOME"])
if (home / "refusal").exists():
    sys.exit((home / "refusal").read_text())
place = home / "gamedays" / run
place.mkdir()
def write(*lines):
    with (place / "run.jsonl").open("a") as file:
        file.writelines(json.dumps({"t": time.time(), **line}) + "\\n" for line in lines)
write(*json.loads((home / "lines").read_text()))
os.read(0, 1)
write({"kind": "stopped", "why": "interrupted", "aborted": True},
      {"kind": "undone", "id": 0, "what": "capture", "by": "rollback"},
      {"kind": "verdict", "passed": False})
"""
_BEGINNING: list[dict[str, Any]] = [
    {"kind": "run", "run": "r", "name": "duplicates", "stack": "dev", "life": 0, "endpoint": "", "alarms": ["e", "u"],
     "foreign": []},
    {"kind": "steady"},
    {"kind": "undo", "id": 0, "what": "capture", "data": {}, "step": -1},
    {"kind": "step", "number": 0, "step": "inject", "title": "t", "state": "begun"},
    {"kind": "note", "text": "<b>look</b>"},
    {"kind": "accepted", "group": "g", "at": 1.0, "ms": 2.0, "count": 2, "ids": ["a", "b"]},
    {"kind": "sample", "queues": {"main": {"visible": 3, "hidden": 1, "delayed": 0}}, "alarms": ["u"], "consumer": ""},
]  # fmt: skip


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the runs lie."""
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    (tmp_path / "lines").write_text(json.dumps(_BEGINNING))
    return tmp_path


@pytest.fixture
def stack() -> FakeStack:
    """One on AWS that may be broken."""
    made = FakeStack(events=_GROUP, orders=_GROUP, FailureResetFunctionName="failure-mode")
    made.answers["GET", "/failure-mode"] = {"effective": "none"}
    return made


@pytest.fixture
def console(stack: FakeStack, home: Path) -> Iterator[Served]:
    """A console of it."""
    with serving(found(stack), "dev", Runner((sys.executable, "-S", "-c", _STUB))) as served:
        yield served
    assert home.is_dir()


def _lay_down(home: Path, recording: Recording, run: str = RUN) -> Path:
    """A run of the stack as it lies on the disk."""
    folder = runs.folder(home) / run
    folder.mkdir(parents=True)
    lines = [{**line, "stack": "dev"} if line["kind"] == "run" else line for line in recording.lines]
    (folder / "run.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def _text(console: Served, path: str) -> str:
    answer = console.get(path)
    assert answer.status == 200
    return unescape(" ".join(answer.text.split()))


def test_those_of_its_pipelines_can_be_run(console: Served) -> None:
    """With what they break, and for how long at most: on AWS everything takes longer."""
    text = _text(console, "/gamedays")

    for one in catalogue.ALL:
        assert (f'value="{one.name}"' in text) is (one.pipeline in ("events", "orders"))
    assert " checked" not in text
    assert f"events; 36 min at most; {catalogue.named('duplicates').blast_radius}" in text


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"name": "duplicates"}, "Type the name of the stack: dev"),
        ({"name": "duplicates", "confirm": "prod"}, "Type the name of the stack: dev"),
        ({"name": "nope", "confirm": "dev"}, "Choose one of these"),
        ({"confirm": "dev"}, "Choose one of these"),
        ({"name": "broken-file", "confirm": "dev"}, "This stack has no lake pipeline"),
    ],
)
def test_what_may_not_be_run_is_refused_at_its_field(
    console: Served, home: Path, form: dict[str, str], told: str
) -> None:
    """Nothing is started."""
    assert '<p class="told error"' in console.post("/gamedays/start", **form).text
    assert told in console.post("/gamedays/start", **form).text
    assert not runs.folder(home).exists()


def test_a_stack_without_the_failure_lab_is_never_broken(console: Served, stack: FakeStack, home: Path) -> None:
    """As every production stack: whatever is typed."""
    del stack.outputs["FailureResetFunctionName"]
    text = unescape(console.post("/gamedays/start", name="duplicates", confirm="dev").text)

    assert "Stack 'dev' has failureInjection off, as every production stack: no GameDay may break it." in text
    assert not runs.folder(home).exists()


def _start(console: Served) -> str:
    """Start one and wait for its first lines; returns its page's path."""
    path = console.post("/gamedays/start", name="duplicates", confirm="dev").headers["hx-redirect"]
    wait_for(lambda: "<b>inject</b>" in console.get(path).text and "<b>4</b> main" in console.get(path).text, "lines")
    return path


def test_a_run_is_watched_and_stopped(console: Served, home: Path) -> None:
    """Phases, alarms, queues, what was accepted; one at a time; stopped, it is rolled back and has a verdict."""
    path = _start(console)
    text = _text(console, path)
    assert '<span class="pill busy" role="status">RUNNING</span>' in text
    assert '<li class="done"><b>steady</b>' in text
    assert '<li class="now" aria-current="step"><b>inject</b>' in text
    assert '<li class="open"><b>repair</b>' in text
    assert '<b>u</b> <span class="pill bad">in ALARM, which nobody expects</span>' in text
    assert "<b>2</b> accepted so far; the primary sources are asked in the last phase" in text
    assert "&lt;b&gt;look" in console.get(path).text
    assert "a GameDay runs" in _text(console, "/now")
    live = console.get(f"{path}/live")
    assert live.status == 200

    run = path.rpartition("/")[2]
    assert f"{run} runs; one at a time." in console.post("/gamedays/start", name="outage", confirm="dev").text
    assert [folder.name for folder in runs.folder(home).iterdir() if folder.is_dir()] == [run]

    console.post("/gamedays/nobody/stop")
    assert "Abort and roll back" in console.get(path).text
    console.post(f"{path}/stop")
    wait_for(lambda: ">STOPPED<" in console.get(path).text, "a verdict")
    text = _text(console, path)
    assert "<p>somebody has stopped it; everything was rolled back</p>" in text
    assert "rolled back: capture" in text
    assert '<li class="done"><b>roll back</b>' in text
    assert '<span class="pill bad">FAILED</span> <b>every step was done</b>' in text
    assert "Abort" not in text
    wait_for(lambda: "a GameDay runs" not in console.get("/now").text, "its end")
    assert '<span class="pill warn">STOPPED</span>' in _text(console, "/gamedays/live")


def test_one_that_was_started_elsewhere_is_shown_and_not_disturbed(console: Served, home: Path) -> None:
    """By `lab gameday run` in a terminal: no second one, and it is stopped there."""
    with locked(runs.folder(home) / "dev.lock"):
        answer = console.post("/gamedays/start", name="duplicates", confirm="dev")
        assert "A GameDay that was started elsewhere runs on stack dev; one at a time." in answer.text


def test_no_fault_is_switched_on_while_one_runs(console: Served, stack: FakeStack, home: Path) -> None:
    """It counts on its own: the form says what to do instead, and keeps what was typed."""
    with answering(stack), locked(runs.folder(home) / "dev.lock"):
        text = console.post("/failure/set", mode="hang", ttl="61").text
    assert "A GameDay runs on stack dev and counts on its own fault: wait for its end, or stop it first" in text
    assert 'value="61"' in text
    assert stack.asked == []


def test_what_could_not_be_run_says_why(console: Served, home: Path) -> None:
    """With the last that its process has said."""
    (home / "refusal").write_text("another line\nthe laptop's stack is down\n")
    path = console.post("/gamedays/start", name="duplicates", confirm="dev").headers["hx-redirect"]
    wait_for(lambda: ">REFUSED<" in console.get(path).text, "its end")

    assert "the laptop's stack is down" in _text(console, path)


def test_the_end_of_the_console_rolls_it_back(stack: FakeStack, home: Path) -> None:
    """As Ctrl-C does with `lab gameday run`: the console waits for it."""
    with serving(found(stack), "dev", Runner((sys.executable, "-S", "-c", _STUB))) as console:
        run = _start(console).rpartition("/")[2]

    assert runs.find(home, run)[1].is_over


@pytest.mark.parametrize(
    ("lines", "state", "told"),
    [
        ([], "KILLED", "nobody has rolled it back; the next one that is started does"),
        ([{"kind": "unsteady", "why": ["a", "b"]}], "REFUSED", "the stack is not in a steady state: a; b"),
        ([{"kind": "stopped", "why": "KeyboardInterrupt"}], "STOPPED", "stopped: KeyboardInterrupt; go on with it:"),
        ([{"kind": "stopped", "why": "x"}, {"kind": "resumed", "step": 0}], "KILLED", "nobody has rolled it back"),
        ([{"kind": "verdict", "passed": True}], "PASSED", "still in ALARM at the end, which nobody expects"),
        ([{"kind": "stopped", "why": "x rang"}, {"kind": "verdict", "passed": False}], "FAILED", "stopped: x rang"),
        ([{"kind": "stopped", "why": "interrupted"}, {"kind": "verdict", "passed": False}], "STOPPED", "somebody has"),
    ],
)
def test_what_has_become_of_a_run(console: Served, home: Path, lines: list[Any], state: str, told: str) -> None:
    """In the list and on its page, whoever has run it."""
    timed = [{"t": float(number), **line} for number, line in enumerate([*_BEGINNING, *lines])]
    _lay_down(home, Recording(timed))

    assert f">{state}<" in console.get("/gamedays").text
    text = _text(console, f"/gamedays/{RUN}")
    assert f'role="status">{state}<' in text
    assert told in text


def test_a_run_with_its_ledger(console: Served, home: Path) -> None:
    """Each look in a line; the list has the last one."""
    _lay_down(home, Recording([*good_run().lines, {"t": 1031.0, "kind": "verdict", "passed": True}]))

    assert "6 accepted = 6 succeeded + 0 dead-lettered + 0 in flight + 0 lost" in _text(console, "/gamedays")
    cells = ["6", "3", "3", "0", "0"]
    assert '<th scope="row">broken</th>' + "".join(f"<td>{one}</td>" for one in cells) in _text(
        console, f"/gamedays/{RUN}"
    ).replace("> <", "><")
    text = _text(console, f"/gamedays/{RUN}")
    assert text.count("taken back by a step: ") + text.count("rolled back: ") == text.count("2 changes") + 1 == 2


def test_a_list_is_read_again_when_it_has_grown(console: Served, home: Path) -> None:
    """Not else: 204 for who has seen it."""
    folder = _lay_down(home, good_run())
    seen = console.get("/gamedays/live").headers["x-seen"]
    assert console.get(f"/gamedays/live?seen={seen}").status == 204
    with (folder / "run.jsonl").open("a") as file:
        file.write('{"t": 1031.0, "kind": "verdict", "passed": true}\n')
    assert ">PASSED<" in console.get(f"/gamedays/live?seen={seen}").text
    _lay_down(home, falsified.silenced(good_run(), "events-dlq-not-empty"), "20270102-030405-schema-break")
    assert console.get("/gamedays").text.count('<li class="outcome">') == 2


def test_a_report_is_shut_in(console: Served, home: Path) -> None:
    """It has its own styles, so no policy of the console's fits: it gets a stricter one, without scripts or origin."""
    folder = _lay_down(home, good_run())
    assert "no such report" in console.get(f"/gamedays/{RUN}/report").text
    (folder / "report.html").write_text("<p>the report")
    answer = console.get(f"/gamedays/{RUN}/report")

    assert (answer.text, answer.headers["content-type"]) == ("<p>the report", "text/html; charset=utf-8")
    assert answer.headers["content-security-policy"] == SEALED["Content-Security-Policy"]
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'; ")
    assert answer.headers["x-frame-options"] == "DENY"
    assert console.get(f"/gamedays/{RUN}").headers["content-security-policy"] == POLICY


@pytest.mark.parametrize("run", ["nobody", "..", "%2e%2e%2fgamedays", f"{RUN}%00"])
def test_a_run_that_is_not_there(console: Served, home: Path, run: str) -> None:
    """Nothing else of the disk is shown, whatever the address says."""
    _lay_down(home, good_run())
    for path in (f"/gamedays/{run}", f"/gamedays/{run}/report"):
        assert console.get(path).status in (200, 404)
        assert "the report" not in console.get(path).text
        assert "RUNNING" not in console.get(path).text
    assert console.get(f"/gamedays/{run}/live").status in (204, 404)


def test_a_run_that_has_not_begun(console: Served, home: Path) -> None:
    """Its file is there and its first line is not: nothing is known of it yet."""
    folder = runs.folder(home) / RUN
    folder.mkdir(parents=True)
    (folder / "run.jsonl").touch()

    assert console.get("/gamedays").status == 200
    assert "no such run" in console.get(f"/gamedays/{RUN}").text
