"""`lab gameday`: what it lists, what it refuses, how it leaves."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ops.cli.main import app
from ops.gamedays import catalogue, engine, runs, verdict
from ops.gamedays.journal import Journal
from ops.gamedays.recording import Recording
from ops.gamedays.schema_break import GAMEDAY
from tests.components.recording import ROOT
from tests.ops.gamedays import falsified
from tests.ops.gamedays.fake_stack import FakeTarget
from tests.ops.gamedays.made import RUN, good_run


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """`lab` with a home of its own, and stacks that are not there."""
    monkeypatch.setenv("LAB_HOME", str(tmp_path))

    def find(stack: str) -> Any:
        outputs = {} if stack == "prod" else {"FailureResetFunctionName": "failure-mode"}
        return FakeTarget(stack=stack, outputs=outputs)

    monkeypatch.setattr("ops.cli.target.find", find)
    return lambda *words, typed="": CliRunner().invoke(app, ["gameday", *words], input=typed)


@pytest.fixture
def performed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which GameDays were run; each is the good run made by hand."""
    names: list[str] = []

    def perform(gameday: Any, _target: object, _journal: object, *_: object, **__: object) -> engine.Outcome:
        names.append(gameday.name)
        run = good_run()
        return engine.Outcome(GAMEDAY, run, verdict.judge(GAMEDAY, run))

    monkeypatch.setattr(engine, "perform", perform)
    monkeypatch.setattr("ops.gamedays.report.write", lambda _outcome, _folder: "report.html")
    return names


def lay_down(home: Path, recording: Recording) -> None:
    """A run as it lies on the disk."""
    journal = Journal(runs.folder(home) / RUN)
    for line in recording.lines:
        journal.add(line["kind"], **{name: value for name, value in line.items() if name not in ("t", "kind")})


def test_list(lab: Callable[..., Result]) -> None:
    """Every GameDay, for people and for programs."""
    shown = json.loads(lab("list", "--json").stdout)["gamedays"]

    assert [one["name"] for one in shown] == [one.name for one in catalogue.ALL]
    assert shown[0]["mustFire"] == ["events-dlq-not-empty", "events-dlq-oldest-age"]
    assert all(one.name in lab("list").stdout for one in catalogue.ALL)


def test_run(lab: Callable[..., Result], tmp_path: Path, performed: list[str]) -> None:
    """A verdict that holds leaves with 0; all runs all, and leaves JUnit XML of all."""
    one, every = lab("run", "schema-break"), lab("run", "all", "--json")

    assert (one.exit_code, one.stdout.splitlines()[-1]) == (0, "PASSED: schema-break")
    assert sorted(performed[1:]) == sorted(gameday.name for gameday in catalogue.ALL)
    assert json.loads(every.stdout)["passed"] is True
    assert (runs.folder(tmp_path) / "junit.xml").is_file()


@pytest.mark.usefixtures("performed")
def test_the_tutorial_shows_what_a_run_says(lab: Callable[..., Result]) -> None:
    """Its name when it begins, and its verdict with the report; what it prints besides is for tests/pipelines."""

    def plain(line: str) -> str:
        return re.sub(r"[0-9]{8}-[0-9]{6}", "TIME", re.sub(r"\S+/report.html", "report.html", line))

    tutorial = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    shown = re.findall(r"^duplicates: .*", tutorial, re.MULTILINE)
    said = lab("run", "duplicates").stderr.splitlines()

    assert list(map(plain, said)) == list(map(plain, shown))


@pytest.mark.parametrize("words", [(), ("schema-break", "--resume", "x")])
def test_usage(lab: Callable[..., Result], performed: list[str], words: tuple[str, ...]) -> None:
    """A name or a run, not both and not none."""
    refused = lab("run", *words)

    assert (refused.exit_code, performed) == (2, [])


def test_an_unknown_name(lab: Callable[..., Result]) -> None:
    """Is refused with those that there are."""
    for refused in (lab("run", "nope"), lab("export", "nope")):
        assert refused.exit_code == 2
        assert "there is no GameDay 'nope'; there are: schema-break," in " ".join(re.split(r"[\s│]+", refused.stderr))


def test_on_aws_its_name_must_be_typed(lab: Callable[..., Result], performed: list[str]) -> None:
    """It says first what it will break; anything but the name leaves with 3."""
    for typed in ("", "yes\n", "local\n"):
        refused = lab("run", "outage", "--stack", "dev", typed=typed)
        assert refused.exit_code == 3
        assert "outage: breaks events of stack dev; only events that carry the run's own mark;" in refused.stderr
        assert "at any alarm but: events-breaker-open, " in refused.stderr
    assert performed == []

    assert lab("run", "outage", "--stack", "dev", typed="dev\n").exit_code == 0
    assert lab("run", "outage", "--stack", "dev", "--yes").exit_code == 0
    assert performed == ["outage", "outage"]


def test_production_is_never_broken(lab: Callable[..., Result], performed: list[str]) -> None:
    """Without failure injection, which production never has, not even --yes helps."""
    refused = lab("run", "outage", "--stack", "prod", "--yes")

    assert (refused.exit_code, performed) == (3, [])
    assert "failureInjection off" in refused.stderr


def test_report_judges_anew(lab: Callable[..., Result], tmp_path: Path) -> None:
    """What lies on the disk, whatever was said of it before: 0 or 1."""
    lay_down(tmp_path, falsified.miscounted(good_run()))

    failed = lab("report", RUN)

    assert failed.exit_code == 1
    assert "FAILED as many were accepted as the answers say" in failed.stdout
    assert (runs.folder(tmp_path) / RUN / "report.html").is_file()
    assert (runs.folder(tmp_path) / RUN / "junit.xml").is_file()


def test_a_run_that_is_over_is_not_resumed(lab: Callable[..., Result], tmp_path: Path, performed: list[str]) -> None:
    """Its report is what there is."""
    lay_down(tmp_path, good_run())
    Journal(runs.folder(tmp_path) / RUN).add("verdict", passed=True)

    refused = lab("run", "--resume", RUN)

    assert (refused.exit_code, performed) == (3, [])
    assert f"lab gameday report {RUN}" in refused.stderr
