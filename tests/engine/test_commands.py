"""What people type: every command of the documentation, and what they are told when something is wrong."""

import re
import shutil
from pathlib import Path

from tests.engine.project import ROOT, Project, environment

_GUIDE = ROOT / "docs" / "first-deploy.md"
_OF_OTHERS = ROOT / "docs" / "reuse.md"  # configures programs of its own
_DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("ops/runbooks/*.md"), *ROOT.glob("Pulumi*.yaml")]
_KEY = "0123456789abcdefghij"
_HOOK = "https://hooks.example/T0"
_STANDS_FOR = {"NEW,OLD": f"{_KEY},{_KEY[::-1]}", "NEW": _KEY, "https://…": _HOOK}


def _words(command: str) -> list[str]:
    return [_STANDS_FOR.get(word.strip("'"), word.strip("'")) for word in command.partition("  ")[0].split()]


def test_every_documented_setting_is_taken(project: Project) -> None:
    """Each key that the documentation sets, one after the other, and the program takes all of them together."""
    found: dict[str, list[str]] = {}
    for document in (path for path in _DOCUMENTS if path not in {_GUIDE, _OF_OTHERS}):
        for command in re.findall(r"pulumi config set ((?:--\w+ )*\w[^\n`|;)&]*)", document.read_text()):
            words = _words(command)
            key = next(word for word in words if not word.startswith("--"))
            if key != "KEY":  # which stands for any
                found[key] = words
    assert {"apiKey", "batchSize", "workerMaxConcurrency"} <= set(found)

    project.pulumi("stack", "init", "dev")
    project.pulumi("config", "set", "authMode", "apiKey")
    for words in found.values():
        project.pulumi("config", "set", *words, typed=_HOOK)
    project.pulumi("preview")


def test_the_guide_runs(project: Project) -> None:
    """Its first deployment, its changes and its way down, in their order; test_stack.py goes production's way down."""
    sections = dict(re.findall(r"^## (.*)\n((?:(?!## ).*\n)*)", _GUIDE.read_text(), re.MULTILINE))
    for title in ("Deploy", "Configure", "Take it down"):
        for command in re.findall(r"^\$ pulumi (.*)$", sections[title].partition("\nIn production")[0], re.MULTILINE):
            words = _words(command)
            if words[0] in {"up", "destroy"} or words[:2] == ["stack", "rm"]:
                words.append("--yes")
            if words[0] != "login":  # the tests have a backend of their own
                project.pulumi(*words, typed=_HOOK)
    assert project.cloud.made == {}


def test_a_second_region(project: Project) -> None:
    """By the commands of docs/regions.md: a whole stack, there."""
    page = (ROOT / "docs" / "regions.md").read_text()
    for command in re.findall(r"^\$ pulumi (.*)$", page, re.MULTILINE):
        project.pulumi(*_words(command), *(["--yes"] if command == "up" else []))

    assert {configured["region"] for configured in project.cloud.configured} == {"eu-west-1"}
    assert project.cloud.of("Queue")


def test_everything_wrong_is_told_at_once_and_nothing_else(project: Project) -> None:
    """The values, the unknown key, the secret in clear with the command that mends it; no line of Pulumi's own."""
    project.pulumi("stack", "init", "dev")
    for key, value in {"batchSize": "0", "ttldays": "7", "webhookUrl": _HOOK}.items():
        project.pulumi("config", "set", key, value)
    refused = project.pulumi("preview", fails=True)

    assert refused.errors == ["error: 3 configuration values are wrong; nothing was made:"]
    told = refused.text.rpartition("nothing was made:\n")[2].partition("\n\n")[0]
    assert [line.strip() for line in told.splitlines()] == [
        "- ingestion-lab:ttldays is not a key of this program; got '7'",
        "- ingestion-lab:batchSize must be a whole number from 1 to 10000; got '0'",
        "- ingestion-lab:webhookUrl must be encrypted: pulumi config set --secret webhookUrl; got it in clear",
    ]
    assert "Traceback" not in refused.text
    assert "unhandled" not in refused.text


def test_a_wrong_type_is_stopped_by_pulumi(project: Project) -> None:
    """Before the program runs."""
    project.pulumi("stack", "init", "dev")
    project.pulumi("config", "set", "batchSize", "ten")

    assert project.pulumi("preview", fails=True).errors == [
        "error: validating stack config: Stack 'dev' with configuration key 'batchSize' must be of type 'integer'"
    ]


def test_only_what_the_program_needs_is_installed(project: Project) -> None:
    """`lab` is there, the tools are not."""
    project.pulumi("stack", "init", "dev")
    project.pulumi("preview")

    assert (project.venv / "bin" / "lab").exists()
    assert not (project.venv / "bin" / "pytest").exists()
    assert (project.folder / "uv.lock").read_bytes() == (ROOT / "uv.lock").read_bytes()


def test_without_uv(project: Project, tmp_path: Path) -> None:
    """The CLI says what to install."""
    port = int(project.environment["PULUMI_DEBUG_PROVIDERS"].partition(":")[2])
    bare = Project(project.folder, environment(tmp_path, port, with_uv=False), project.cloud)
    bare.pulumi("stack", "init", "dev")

    assert "Could not find `uv` executable" in bare.pulumi("preview", fails=True).text


def test_without_a_package_index(project: Project, tmp_path: Path) -> None:
    """The words are uv's, and there is no traceback."""
    project.pulumi("stack", "init", "dev")
    project.pulumi("preview")  # makes the environment, as long as there is an index
    build = shutil.move(project.folder / ".build", tmp_path / "build")
    try:
        refused = project.pulumi("preview", fails=True, UV_OFFLINE="1", UV_CACHE_DIR=str(tmp_path / "cache"))
    finally:
        shutil.rmtree(project.folder / ".build", ignore_errors=True)
        shutil.move(build, project.folder / ".build")

    first = "error: a layer could not be built, because uv could not fetch its packages:"
    assert first in refused.errors
    assert "Traceback" not in refused.text
    assert "unhandled" not in refused.text
