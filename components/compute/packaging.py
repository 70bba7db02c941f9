"""Reproducible zips: the same content gives the same bytes, so that nothing is redeployed without a change.

It imports no Pulumi, so that the laptop brings edited code to a stack that runs without loading it.
"""

import errno
import hashlib
import os
import shutil
import struct
import subprocess
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import deflate
import uv

ROOT = Path(__file__).resolve().parents[2]  # this tree, or the package `ingestion_lab` where that is installed
PYTHON_VERSION = "3.13"

_SELF = ".components.compute.packaging"
_OF_THE_PACKAGE = ("__init__.py", "function.py")  # besides the handlers, where they are in a package
_PACKAGE = __name__.removesuffix(_SELF) if __name__.endswith(_SELF) else ""  # what `handlers` is a part of

_EPOCH = (0, 1 << 5 | 1)  # time and date in MS-DOS's form: 1980-01-01, the earliest that a zip can hold
_ZIP_VERSION = 20
_UTF_8 = 1 << 11  # a name that is not ASCII
_UNIX = 3  # the system of the mode, on every machine
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

# 35 MiB in place of 55: without another catalog's client, a second build of a codec, and what only pyiceberg's command
# line needs. pyarrow is in the lake's layer.
ICEBERG = Layer(
    "iceberg",
    "iceberg",
    unused=("hive_metastore/*", "zstandard/_cffi.*", "zstandard/backend_cffi.py", "pygments/*"),
    deflated=True,
)


def handlers_zip(root: Path = ROOT, *, own: Path | None = None) -> Path:
    """Zip the handlers, and beside them the files of a folder of the caller's own, and return the zip's path.

    In this tree the handlers are the package `handlers` of the zip; where the distribution is installed they are in
    the package `ingestion_lab`, as they are imported there.

    Raises:
        ValueError: `own` is no folder, or has something of the handlers' name in it.
    """
    base = root.parent if _PACKAGE else root
    sources = [*(root / "handlers").rglob("*.py"), *(root / name for name in _OF_THE_PACKAGE if _PACKAGE)]
    files = {path.relative_to(base).as_posix(): path for path in sources if "__pycache__" not in path.parts}
    if own is not None:
        files |= _own_files(own, top=_PACKAGE or "handlers")
    name = "handlers.zip" if own is None else f"handlers-with-{own.resolve().name}.zip"
    return _publish(_build_folder(root) / name, _zipped(files))


def _own_files(own: Path, *, top: str) -> dict[str, Path]:
    if not own.is_dir():
        raise ValueError(f"own must be a folder with the code of functions, got {own}")
    if (own / top).exists() or (own / f"{top}.py").exists():
        raise ValueError(f"{own} must have no {top} of its own: so the library is called in the zip")
    found = (path for path in own.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(own).as_posix(): path for path in found}


def layer_zip(
    architecture: str, root: Path = ROOT, install: Install | None = None, *, layer: Layer = DEPENDENCIES
) -> Path:
    """Zip a locked dependency group as a layer for this architecture, and return its path.

    It is built once per content of `uv.lock` and of the layer's rules, and an interrupted build leaves no file.

    Raises:
        LayerError: the packages could not be fetched.
    """
    made_from = hashlib.sha256((root / "uv.lock").read_bytes() + repr(layer).encode()).hexdigest()[:16]
    target = _build_folder(root) / f"{layer.name}-{architecture}-{made_from}.zip"
    if target.exists():
        return target
    try:
        with tempfile.TemporaryDirectory() as scratch:
            python = Path(scratch) / "python"
            (install or _install)(root, layer.group, _PLATFORMS[architecture], python)
            files = {path.relative_to(scratch).as_posix(): path for path in _layer_files(python, layer)}
            return _publish(target, _zipped(files, deflated=layer.deflated))
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


def _build_folder(root: Path) -> Path:
    """Where zips are kept: in this tree, or with the program that uses the installed distribution."""
    return Path.cwd() / ".build" if _PACKAGE else root / ".build"


def _zipped(files: Mapping[str, Path], *, deflated: bool = False) -> bytes:
    """A zip of these files by their names in it, in the same bytes on every machine.

    Written here, because what `zipfile` makes of the same bytes depends on the zlib that Python was built with; and
    below 4 GiB and 65,536 files, as every package of a function is.
    """
    body, directory = bytearray(), bytearray()
    method = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    for name in sorted(files, key=PurePosixPath):
        content = files[name].read_bytes()
        packed = bytes(deflate.deflate_compress(content, _QUICK)) if deflated else content
        encoded = name.encode()
        what = (method, *_EPOCH, zlib.crc32(content), len(packed), len(content), len(encoded), 0)
        header = struct.pack("<HHHHHIIIHH", _ZIP_VERSION, 0 if name.isascii() else _UTF_8, *what)
        where = struct.pack("<HHHII", 0, 0, 0, _REGULAR_FILE, len(body))
        directory += b"PK\1\2" + bytes([_ZIP_VERSION, _UNIX]) + header + where + encoded
        body += b"PK\3\4" + header + encoded + packed
    end = struct.pack("<HHHHIIH", 0, 0, len(files), len(files), len(directory), len(body), 0)
    return bytes(body + directory + b"PK\5\6" + end)


def _publish(target: Path, content: bytes) -> Path:
    """Write the file atomically."""
    target.parent.mkdir(exist_ok=True)
    partial = target.with_suffix(f".{os.getpid()}.partial")
    partial.write_bytes(content)
    return partial.replace(target)
