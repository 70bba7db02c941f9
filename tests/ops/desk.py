"""An operator who follows runbooks: prints them with `lab runbook` and runs their lines, in this process."""

import io
import json
import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any
from unittest.mock import patch

from awscli import argprocess, clidriver  # type: ignore[import-untyped]

from ops.cli import runbook, target
from ops.local.emulator import Emulator
from tests.ops.laptop import Laptop
from tests.ops.stack import client, wait_for

_BLOCK = re.compile(r"^```bash\n(.*?)^```", re.DOTALL | re.MULTILINE)
_OPERAND = re.compile(r"\$\(([^()]*(?:\([^()]*\)[^()]*)*)\)")
_ASSIGNMENT = re.compile(r"([A-Z_]+)=(\S*)")


class StepError(AssertionError):
    """A line of a runbook did not succeed."""


@dataclass
class Desk:
    """A laptop with the program deployed to it; `ran` are the lines that were run."""

    laptop: Laptop
    emulator: Emulator
    ran: set[str] = field(default_factory=set)
    _clients: dict[str, Any] = field(default_factory=dict)

    @property
    def outputs(self) -> dict[str, Any]:
        """What the program exports."""
        found: dict[str, Any] = json.loads((self.laptop.home / "local.json").read_text())["outputs"]
        return found

    def client(self, service: str) -> Any:
        """A client of the emulator, made once."""
        if service not in self._clients:
            self._clients[service] = client(self.emulator, service)
        return self._clients[service]

    def lab(self, *arguments: str, code: int = 0) -> str:
        """What `lab` prints; it leaves with that code."""
        done = self.laptop.lab(*arguments)
        if done.exit_code != code:
            raise StepError(f"lab {' '.join(arguments)} left with {done.exit_code}: {done.output}")
        return done.stdout

    def status(self) -> dict[str, Any]:
        """What `lab status` tells programs."""
        found: dict[str, Any] = json.loads(self.lab("status", "--json", "--no-states"))
        return found

    @cached_property
    def place(self) -> runbook.Place:
        """The stack as `lab runbook` reads runbooks for it."""
        with patch.dict(os.environ, {"LAB_HOME": str(self.laptop.home)}):
            return runbook.here(target.find("local"))

    def lines(self, name: str, part: str = "", key: str = "") -> list[str]:
        """The lines of a runbook, or of one of its parts."""
        text = runbook.render(name, self.place, key)
        if part:
            text = text.partition(f"\n## {part}\n")[2].partition("\n## ")[0]
        return [line for block in _BLOCK.findall(text) for line in block.splitlines() if not line.startswith("#")]

    def follow(self, name: str, part: str, having: str = "", key: str = "") -> str:
        """Run the lines of a part that have not been run yet, or those that have these words, once; what they print."""
        wanted = dict.fromkeys(line for line in self.lines(name, part, key) if having in line)
        assert wanted, f"{name} has no line with {having!r} in {part}"
        return "".join(self.run(line) for line in wanted if having or line not in self.ran)

    def together(self, names: Iterable[str], part: str, having: str) -> list[str]:
        """Run the lines of several runbooks that have these words, all at once: they wait most of the time."""
        lines = {line: None for name in names for line in self.lines(name, part) if having in line}
        assert lines, f"none has a line with {having!r} in {part}"
        self.ran.update(lines)
        return self._at_once([shlex.split(line)[1:] for line in lines])

    def _at_once(self, commands: Iterable[Sequence[str]]) -> list[str]:
        """What `lab` prints for each, run side by side."""
        runs = [self.laptop.start(*words) for words in commands]
        printed = []
        for run in runs:
            with run:
                stdout, stderr = run.communicate(timeout=120)
            if run.returncode:
                raise StepError(f"{run.args!r} left with {run.returncode}: {stdout} {stderr}")
            printed.append(stdout)
        return printed

    def run(self, line: str) -> str:
        """What a line prints, as a shell would."""
        self.ran.add(line)
        return "".join(self._expanded(line))

    def _expanded(self, line: str) -> Iterator[str]:
        while inner := _OPERAND.search(line):
            within = "".join(self._expanded(inner[1])).strip()
            line = line[: inner.start()] + within + line[inner.end() :]
        for part in line.split(" && "):
            command, _, file = part.partition(" > ")
            words = shlex.split(command)
            variables = {}
            while found := _ASSIGNMENT.fullmatch(words[0]):
                variables[found[1]] = found[2]
                words.pop(0)
            printed = self._call(words, variables)
            if file:
                Path(file).write_text(printed)
            else:
                yield printed

    def _call(self, words: list[str], variables: Mapping[str, str]) -> str:
        if words[0] == "aws":
            return aws(words[1:], variables)
        if words[0] == "lab":
            return self.lab(*words[1:])
        assert words[0] in ("curl", "date"), words
        return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout

    def depth(self, url: str) -> int:
        """Messages in a queue, wherever they are."""
        names = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
        found = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(map(int, found.values()))

    def drained(self, url: str) -> None:
        """Return when there is nothing left in a queue."""
        wait_for(lambda: self.depth(url) == 0, f"the end of {url}")

    def put(self, url: str, body: str) -> None:
        """A message onto a queue whose policy lets only AWS or a function send."""
        sqs = self.client("sqs")
        policy = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
        sqs.send_message(QueueUrl=url, MessageBody=body)
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})

    def send(self, pipeline: str, count: int = 3) -> None:
        """Something new, whose outcome is not waited for."""
        if pipeline == "lake":
            for number in range(count):
                self.lab("lake", "generate", "--type", "shipments", "--count", "1", "--output", "one.jsonl")
                key = f"bronze/shipments/{time.monotonic_ns()}-{number}.jsonl"
                body = Path("one.jsonl").read_bytes()
                self.client("s3").put_object(Bucket=self.outputs["lake"]["bronzeBucket"], Key=key, Body=body)
        else:
            words = ("send",) if pipeline == "events" else ("orders", "send")
            self.lab(*words, "--count", str(count))


def aws(words: Sequence[str], variables: Mapping[str, str]) -> str:
    """The aws CLI, without the second that each process of it takes to begin; it leaves files to the process's end."""
    printed, told = io.StringIO(), io.StringIO()
    with ExitStack() as files, patch.dict(os.environ, variables), redirect_stdout(printed), redirect_stderr(told):

        def opened(path: str, mode: str) -> IO[Any]:
            return files.enter_context(Path(path).open(mode))

        files.enter_context(patch.object(argprocess, "open", opened, create=True))
        code = clidriver.create_clidriver().main([*words])
    if code:
        raise StepError(f"aws {shlex.join(words)} left with {code}: {told.getvalue()}")
    return printed.getvalue()
