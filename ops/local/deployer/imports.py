"""Whether the code of functions can be imported, asked before it is deployed.

Lambda takes any code, and what can't be imported fails at each invocation from then on.
"""

from __future__ import annotations

import io
import json
import signal
import subprocess
import tempfile
import threading
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ops.local.deployer.blob import Blob
from ops.local.deployer.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ops.local.deployer.kinds.base import Resource
    from ops.local.deployer.state import Deployed

_PROBE = Path(__file__).parents[1] / "import_probe.py"
_CODE = ("code", "handler", "layers")


@dataclass(frozen=True, slots=True)
class Runtime:
    """What functions run on: an interpreter with the packages of the Lambda runtime, and what its processes see."""

    python: Path
    environment: Mapping[str, str]


class Imports:
    """Refuses functions whose handler can't be imported; as a context manager it ends its processes on leaving.

    Without a runtime to ask it refuses none. Safe for threads.
    """

    def __init__(self, runtime: Runtime | None, region: str, layers: Mapping[str, Blob] | None = None) -> None:
        self._runtime = runtime
        self._region = region
        self.layers: dict[str, Blob] = dict(layers or {})  # by ARN
        self._folders: dict[str, Path] = {}  # by digest of what was extracted
        self._probes: dict[tuple[Path, ...], subprocess.Popen[str]] = {}
        self._good: set[tuple[tuple[Path, ...], str]] = set()  # folders and request of what can be imported
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for probe in self._probes.values():
            with probe:  # closes its pipes and waits for its end
                probe.kill()
        if self._scratch is not None:
            self._scratch.cleanup()

    def remember(self, deployed: Deployed, content: object) -> None:
        """Hear of a resource that is there now; functions name layers by ARN."""
        if deployed.type == "aws:lambda/layerVersion:LayerVersion" and isinstance(content, Blob):
            self.layers[deployed.id] = content

    def check(self, it: Resource) -> None:
        """Refuse a function that is about to be made or changed and could not be started.

        Raises:
            DeployError: its code does not compile or its handler can't be imported; with file and line.
        """
        if self._runtime is None or it.type != "aws:lambda/function:Function" or not it.touches(*_CODE):
            return
        if not str(it.inputs.get("runtime", "")).startswith("python"):
            return
        with self._lock:
            base = self._base(self._runtime)
            code = self._extracted(base, it.inputs["code"])
            layers = [self.layers[arn] for arn in it.inputs.get("layers", []) if arn in self.layers]
            packages = [self._extracted(base, layer) / "python" for layer in layers]
            self._ask(self._runtime, (code, *packages), it)

    def _ask(self, runtime: Runtime, folders: tuple[Path, ...], it: Resource) -> None:
        """One process for each set of folders: its functions share what they import."""
        variables = {"AWS_REGION": self._region, "AWS_DEFAULT_REGION": self._region}
        variables |= it.inputs.get("environment", {}).get("variables", {})
        request = json.dumps({"handler": it.inputs["handler"], "variables": variables})
        if (folders, request) in self._good:
            return
        probe = self._probes.get(folders)
        if probe is None:
            probe = self._probes[folders] = _start(runtime, folders)
        try:
            print(request, file=probe.stdin, flush=True)
            answer = probe.stdout.readline() if probe.stdout else ""
        except BrokenPipeError:
            answer = ""
        if not answer:
            del self._probes[folders]
            with probe:
                raise _refusal(it, _death(probe.wait(), it))
        verdict = json.loads(answer)
        if not verdict["compiles"]:  # functions share their code: the one that was asked for first has no part in it
            raise DeployError(f"the functions' code does not compile, so it was not deployed: {verdict['fault']}")
        if verdict["fault"]:
            raise _refusal(it, verdict["fault"])
        self._good.add((folders, request))

    def _base(self, runtime: Runtime) -> Path:
        if self._scratch is None:
            self._scratch = tempfile.TemporaryDirectory(dir=runtime.environment.get("TMPDIR"))
        return Path(self._scratch.name)

    def _extracted(self, base: Path, archive: Blob) -> Path:
        if archive.sha256 not in self._folders:
            folder = base / archive.sha256[:16]
            with zipfile.ZipFile(io.BytesIO(archive.content)) as members:
                members.extractall(folder)
            self._folders[archive.sha256] = folder
        return self._folders[archive.sha256]


def _start(runtime: Runtime, folders: tuple[Path, ...]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [runtime.python, "-P", _PROBE, *folders],
        env=dict(runtime.environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # Ctrl-C is for the deployment
    )


def _refusal(it: Resource, fault: str) -> DeployError:
    return DeployError(f"function {it.physical!r} could not start, so it was not deployed: {fault}")


def _death(status: int, it: Resource) -> str:
    if status == -signal.SIGALRM:
        return f"importing {it.inputs['handler']} takes more than the 10 s of Lambda's init phase"
    return f"importing {it.inputs['handler']} ended the process (exit status {status})"
