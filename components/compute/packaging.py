"""Reproducible zips: the same content gives the same bytes, so that nothing is redeployed without a change.

It imports no Pulumi, so that the laptop brings edited code to a stack that runs without loading it.
"""

import errno
import hashlib
import io
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import uv

ROOT = Path(__file__).resolve().parents[2]
PYTHON_VERSION = "3.13"

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold
_REGULAR_FILE = 0o100644 << 16
_FULL = os.strerror(errno.ENOSPC)
_QUICK = 1  # deflate's best level saves another tenth in five times the time
_PLATFORMS = {"arm64": "aarch64-manylinux_2_28", "x86_64": "x86_64-manylinux_2_28"}  # Lambda's glibc is 2.34
_INSTALLER_FILES = ("INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_cache.json")  # differ by machine


class LayerError(Exception):
    """A layer can't be built; the message holds uv's own."""


Install = Callable[[Path, str, str, Path], None]  # root, dependency group, platform, folder for the packages


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer that is built from the lock: its name, its dependency group, and what of the group is left out."""

    name: str
    group: str
    unused: tuple[str, ...] = ()  # patterns of paths, in which a * also stands for slashes
    deflated: bool = False


DEPENDENCIES = Layer("dependencies", "lambda")
# Of pyarrow only the libraries remain that reading JSON, computing and writing Parquet need: 100 of 165 MiB (the limit
# is 250 for the code and all layers). Deflated it is 36 MiB, below the 50 MB that Lambda takes in a direct upload.
LAKE = Layer(
    "lake",
    "lake",
    unused=(
        *("pyarrow/include*", "pyarrow/src/*", "pyarrow/tests/*", "pyarrow/*.pyx", "pyarrow/*.p?[di]"),
        *("pyarrow/libarrow*.so", "pyarrow/libarrow*.so.*.*.*"),  # more copies of libarrow*.so.<version>
        *("pyarrow/*_flight.*", "pyarrow/*_s3.*", "pyarrow/*_encryption.*", "pyarrow/*_orc.*"),
        *("pyarrow/_azurefs.*", "pyarrow/_gcsfs.*", "pyarrow/_hdfs.*", "pyarrow/_s3fs.*"),
        *("pyarrow/_pyarrow_cpp_tests.*", "pyarrow/_substrait.*"),
    ),
    deflated=True,
)


def handlers_zip(root: Path = ROOT) -> Path:
    """Zip the package `handlers` of this tree to `.build/handlers.zip`, and return that path."""
    sources = (path for path in (root / "handlers").rglob("*.py") if "__pycache__" not in path.parts)
    return _publish(root / ".build" / "handlers.zip", _zipped(root, sources))


def layer_zip(
    architecture: str, root: Path = ROOT, install: Install | None = None, *, layer: Layer = DEPENDENCIES
) -> Path:
    """Zip a locked dependency group as a layer for this architecture, and return its path.

    It is built once per content of `uv.lock` and of the layer's rules, and an interrupted build leaves no file. A
    deflated layer is reproducible on one machine only: with another zlib the same content gives other bytes, and the
    layer is published once more.

    Raises:
        LayerError: the packages could not be fetched.
    """
    made_from = hashlib.sha256((root / "uv.lock").read_bytes() + repr(layer).encode()).hexdigest()[:16]
    target = root / ".build" / f"{layer.name}-{architecture}-{made_from}.zip"
    if target.exists():
        return target
    try:
        with tempfile.TemporaryDirectory() as scratch:
            python = Path(scratch) / "python"
            (install or _install)(root, layer.group, _PLATFORMS[architecture], python)
            return _publish(target, _zipped(Path(scratch), _layer_files(python, layer), deflated=layer.deflated))
    except OSError as error:
        raise LayerError(f"a layer could not be built: {error}") from error


def _install(root: Path, group: str, platform: str, target: Path) -> None:
    export = ["export", "--frozen", "--only-group", group, "--no-emit-project", "--quiet"]
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
    done = subprocess.run(command, cwd=root, input=stdin, capture_output=True, text=True, check=False)  # noqa: S603 - our own argument list
    if done.returncode != 0 and _FULL in done.stderr:
        raise LayerError(f"a layer could not be built, because the disk is full:\n{done.stderr.strip()}")
    if done.returncode != 0:
        raise LayerError(f"a layer could not be built, because uv could not fetch its packages:\n{done.stderr.strip()}")
    return done


def _layer_files(python: Path, layer: Layer) -> Iterator[Path]:
    # scripts start with the path of the interpreter that installed them, compiled files with its version
    shutil.rmtree(python / "bin", ignore_errors=True)
    for path in python.rglob("*"):
        if path.is_file() and path.suffix != ".pyc" and path.name not in _INSTALLER_FILES and path.name != ".lock":
            name = path.relative_to(python).as_posix()
            if not any(fnmatchcase(name, pattern) for pattern in layer.unused):
                yield path


def _zipped(base: Path, files: Iterator[Path], *, deflated: bool = False) -> bytes:
    buffer = io.BytesIO()
    # else stored, because what deflate makes of the same bytes depends on the zlib that Python was built with
    method = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path.relative_to(base).as_posix(), _EPOCH)
            entry.create_system = 3  # Unix, on every machine: it says how to read the mode
            entry.external_attr = _REGULAR_FILE
            archive.writestr(entry, path.read_bytes(), method, compresslevel=_QUICK)
    return buffer.getvalue()


def _publish(target: Path, content: bytes) -> Path:
    """Write the file atomically."""
    target.parent.mkdir(exist_ok=True)
    partial = target.with_suffix(f".{os.getpid()}.partial")
    partial.write_bytes(content)
    return partial.replace(target)
