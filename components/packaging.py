"""Zips that are the same bytes whenever their content is the same, so that nothing redeploys for nothing."""

import hashlib
import io
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import uv

ROOT = Path(__file__).resolve().parent.parent
PYTHON_VERSION = "3.13"

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold
_REGULAR_FILE = 0o100644 << 16
_PLATFORMS = {"arm64": "aarch64-manylinux2014", "x86_64": "x86_64-manylinux2014"}
_INSTALLERS_NOTES = ("INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_cache.json")  # differ by machine

Install = Callable[[Path, str, Path], None]


def handlers_zip(root: Path = ROOT) -> Path:
    """Zips the package `handlers` of this tree to `.build/handlers.zip` and returns that path."""
    sources = (path for path in (root / "handlers").rglob("*.py") if "__pycache__" not in path.parts)
    return _publish(root / ".build" / "handlers.zip", _zipped(root, sources))


def layer_zip(architecture: str, root: Path = ROOT, install: Install | None = None) -> Path:
    """Zips the locked `lambda` dependency group as a layer for this architecture and returns its path.

    Built once per content of `uv.lock`; a build that dies leaves nothing that a later one would take for whole.

    Raises:
        subprocess.CalledProcessError: the packages could not be fetched; uv's words are on stderr.
    """
    lock = hashlib.sha256((root / "uv.lock").read_bytes()).hexdigest()[:16]
    target = root / ".build" / f"dependencies-{architecture}-{lock}.zip"
    if target.exists():
        return target
    with tempfile.TemporaryDirectory() as scratch:
        (install or _install)(root, _PLATFORMS[architecture], Path(scratch) / "python")
        return _publish(target, _zipped(Path(scratch), _layer_files(Path(scratch) / "python")))


def _install(root: Path, platform: str, target: Path) -> None:
    export = ["export", "--frozen", "--only-group", "lambda", "--no-emit-project", "--quiet"]
    requirements = _uv(root, *export).stdout
    options = ["--target", str(target), "--python-platform", platform, "--python-version", PYTHON_VERSION]
    _uv(
        root,
        *("pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes"),
        *(*options, "--requirement", "-"),
        stdin=requirements,
    )


def _uv(root: Path, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [uv.find_uv_bin(), *arguments]
    return subprocess.run(command, cwd=root, input=stdin, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 - our own argument list


def _layer_files(python: Path) -> Iterator[Path]:
    # scripts start with the path of the interpreter that installed them, compiled files with its version
    shutil.rmtree(python / "bin", ignore_errors=True)
    for path in python.rglob("*"):
        if path.is_file() and path.suffix != ".pyc" and path.name not in _INSTALLERS_NOTES and path.name != ".lock":
            yield path


def _zipped(base: Path, files: Iterator[Path]) -> bytes:
    buffer = io.BytesIO()
    # stored, because what deflate makes of the same bytes depends on the zlib that Python was built with
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path.relative_to(base).as_posix(), _EPOCH)
            entry.create_system = 3  # Unix, on every machine: it says how to read the mode
            entry.external_attr = _REGULAR_FILE
            archive.writestr(entry, path.read_bytes())
    return buffer.getvalue()


def _publish(target: Path, content: bytes) -> Path:
    """Puts the whole content in place at once."""
    target.parent.mkdir(exist_ok=True)
    partial = target.with_suffix(f".{os.getpid()}.partial")
    partial.write_bytes(content)
    return partial.replace(target)
