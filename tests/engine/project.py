"""The program in a folder of its own, and the Pulumi CLI at work on it."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import uv

from tests.engine.standin import Cloud

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 600.0
_FOLDERS = ("components", "handlers", "ingestion_lab", "ops", "plugin", "policy")
_FILES = (
    "Pulumi*.yaml",
    "__main__.py",
    "hatch_build.py",
    "pyproject.toml",
    "uv.lock",
    "README.md",
    "LICENSE",
    ".build/*-*.zip",
)
_COUNT = re.compile(r"^ +(?:[~+-]+ )?([0-9]+) (?:to )?(\w+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command printed, both streams together, and its exit code."""

    text: str
    code: int

    @property
    def counts(self) -> dict[str, int]:
        """What became, or would become, of the resources; the stack itself and components are counted too."""
        return {word: int(number) for number, word in _COUNT.findall(self.text.rpartition("Resources:")[2])}

    @property
    def errors(self) -> list[str]:
        """The lines with which the CLI tells an error."""
        return [line.strip() for line in self.text.splitlines() if re.match(r" *error: ", line)]


@dataclass
class Project:
    """A copy of the program, in which stack files may be written."""

    folder: Path
    environment: Mapping[str, str]
    cloud: Cloud = field(default_factory=Cloud)

    @property
    def venv(self) -> Path:
        """The environment that the engine makes for the program."""
        return self.folder / ".venv"

    def pulumi(self, *arguments: str, fails: bool = False, typed: str = "", **environment: str) -> Answer:
        """Run a command of the CLI, which has to succeed, or to fail."""
        command = ("pulumi", *arguments, "--non-interactive", "--color", "never")
        answer = self.run(*command, typed=typed, **environment)
        assert (answer.code != 0) == fails, f"{' '.join(command)}: exit code {answer.code}\n{answer.text}"
        return answer

    def up(self, *arguments: str, fails: bool = False) -> Answer:
        """Deploy without being asked."""
        return self.pulumi("up", "--yes", "--skip-preview", *arguments, fails=fails)

    def run(self, *command: str, typed: str = "", **environment: str) -> Answer:
        """Run a command in the folder."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**self.environment, **environment},
            input=typed,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return Answer(done.stdout, done.returncode)

    def reset_stack_files(self) -> None:
        """The stack files as they are kept with the program."""
        for path in self.folder.glob("Pulumi.*.yaml"):
            path.unlink()
        for path in ROOT.glob("Pulumi.*.yaml"):
            shutil.copy(path, self.folder)


def copied(folder: Path) -> Path:
    """Copy into the folder what a deployment needs, layers that are built already included."""
    for name in _FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "venv"))
    for pattern in _FILES:
        for path in ROOT.glob(pattern):
            (folder / path.relative_to(ROOT)).parent.mkdir(exist_ok=True)
            shutil.copy(path, folder / path.relative_to(ROOT))
    return folder


def environment(scratch: Path, port: int, *, with_uv: bool = True) -> dict[str, str]:
    """What the CLI sees: nobody's account, a backend and plugins of its own, uv on the PATH or not."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith(("PULUMI_", "AWS_", "LAB_"))}
    for key in ("VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT"):
        ours.pop(key, None)
    folders = [entry for entry in ours["PATH"].split(os.pathsep) if not (Path(entry) / "uv").exists()]
    tools = scratch / "tools"
    tools.mkdir(exist_ok=True)
    if not (tools / "uv").exists():
        (tools / "uv").symlink_to(uv.find_uv_bin())
    (scratch / "backend").mkdir(exist_ok=True)
    return ours | {
        "PATH": os.pathsep.join([str(tools), *folders] if with_uv else folders),
        "PULUMI_HOME": str(scratch / "home"),
        "PULUMI_BACKEND_URL": f"file://{scratch / 'backend'}",
        "PULUMI_CONFIG_PASSPHRASE": "correct horse battery staple",
        "PULUMI_DEBUG_PROVIDERS": f"aws:{port}",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "UV_PYTHON": sys.executable,
    }
