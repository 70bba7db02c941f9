"""The zips that Lambda gets."""

import dataclasses
import errno
import hashlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import uv

from components.compute import packaging
from tests.components.recording import ROOT, run_main

_BUILD_AND_DIE = """
import os, signal, sys
from pathlib import Path
from components.compute import packaging

def install(root, group, platform, target):
    (target / "half").mkdir(parents=True)
    (target / "half" / "__init__.py").write_text("")
    os.kill(os.getpid(), signal.SIGKILL)

packaging.layer_zip("arm64", Path(sys.argv[1]), install)
"""
_IMPORT_HANDLERS = """
import importlib, sys
sys.path[:] = [path for path in sys.path if "site-packages" not in path] + sys.argv[1].split(":")
sys.modules["pyarrow"] = None  # the emulator has it, Lambda's runtime has not
for name in sys.argv[2:]:
    module, _, attribute = name.rpartition(".")
    assert callable(getattr(importlib.import_module(module), attribute)), name
    print(importlib.import_module(module).__file__)
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small project: a package `handlers` and a lock."""
    (tmp_path / "handlers" / "events" / "__pycache__").mkdir(parents=True)
    (tmp_path / "handlers" / "__init__.py").write_text('"""Handlers."""\n')
    (tmp_path / "handlers" / "events" / "clock.py").write_text("NOW = 0\n")
    (tmp_path / "handlers" / "events" / "notes.txt").write_text("no code")
    (tmp_path / "handlers" / "events" / "__pycache__" / "clock.py").write_text("stale")
    (tmp_path / "uv.lock").write_text("version = 1\n")
    return tmp_path


def _installs(calls: list[str]) -> packaging.Install:
    def install(_root: Path, group: str, platform: str, target: Path) -> None:
        calls.append(f"{group} for {platform}")
        (target / "bin").mkdir(parents=True)
        (target / "bin" / "tool").write_text(f"#!{sys.executable}\n")
        (target / "lib-1.dist-info").mkdir()
        (target / "lib-1.dist-info" / "METADATA").write_text("Name: lib\n")
        (target / "lib-1.dist-info" / "RECORD").write_text(f"{len(calls)}")
        (target / "lib.py").write_text("X = 1\n")
        (target / "lib.pyc").write_bytes(b"compiled")
        (target / "pyarrow" / "tests").mkdir(parents=True)
        (target / "pyarrow" / "lib.py").write_text("X = 1\n" * 100)
        (target / "pyarrow" / "tests" / "test_lib.py").write_text("assert True\n")

    return install


def test_handlers_zip_holds_the_sources_only(tree: Path) -> None:
    """Code and nothing else, under the package's own name, readable by everyone and without a time."""
    archive = packaging.handlers_zip(tree)
    entries = zipfile.ZipFile(archive).infolist()

    assert archive == tree / ".build" / "handlers.zip"
    assert [e.filename for e in entries] == ["handlers/__init__.py", "handlers/events/clock.py"]
    assert {(e.date_time, e.external_attr >> 16, e.create_system) for e in entries} == {
        ((1980, 1, 1, 0, 0, 0), 0o100644, 3)
    }


def test_handlers_zip_is_the_same_bytes_from_the_same_content(
    tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A copy elsewhere, with other times and modes, gives the same zip; a changed line gives another."""
    copy = tmp_path_factory.mktemp("copy") / "tree"
    shutil.copytree(tree, copy, copy_function=shutil.copyfile)
    (copy / "handlers" / "__init__.py").chmod(0o600)
    first = packaging.handlers_zip(tree).read_bytes()

    assert packaging.handlers_zip(copy).read_bytes() == first
    (copy / "handlers" / "__init__.py").write_text('"""Others."""\n')
    assert packaging.handlers_zip(copy).read_bytes() != first


def test_handlers_zip_takes_a_folder_of_the_callers_own(tree: Path, tmp_path: Path) -> None:
    """Its files stand beside the handlers, data too, compiled code not; it must not have the handlers' name in it."""
    own = tmp_path / "own"
    (own / "__pycache__").mkdir(parents=True)
    (own / "__pycache__" / "pay.pyc").write_bytes(b"compiled")
    (own / "pay.py").write_text("def handler(): ...\n")
    (own / "rates.csv").write_text("EUR,1\n")
    archive = packaging.handlers_zip(tree, own=own)

    assert archive == tree / ".build" / "handlers-with-own.zip"
    assert zipfile.ZipFile(archive).namelist() == [
        "handlers/__init__.py",
        "handlers/events/clock.py",
        "pay.py",
        "rates.csv",
    ]
    (own / "handlers.py").write_text("")
    with pytest.raises(ValueError, match=r"own must have no handlers of its own: so the library is called in the zip$"):
        packaging.handlers_zip(tree, own=own)
    with pytest.raises(ValueError, match=r"^own must be a folder with the code of functions, got .*nowhere$"):
        packaging.handlers_zip(tree, own=tmp_path / "nowhere")


@pytest.mark.parametrize(("form", "digest"), [("stored", "2dad4e419494"), ("deflated", "d729ff0522c9")])
def test_zips_are_the_same_bytes_on_every_machine(tmp_path: Path, form: str, digest: str) -> None:
    """Whatever Python, and the zlib that it was built with: these are the bytes, and every reader takes them."""
    texts = {"a.txt": b"a" * 10_000, "b/c.txt": bytes(range(256)) * 64, "b/\u00e9.txt": b"", "b.txt": b"b"}
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(text)
    content = packaging._zipped({name: tmp_path / name for name in texts}, deflated=form == "deflated")

    assert hashlib.sha256(content).hexdigest()[:12] == digest
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == texts
        assert archive.namelist() == ["a.txt", "b/c.txt", "b/\u00e9.txt", "b.txt"]


def test_layer_holds_what_runs_and_is_the_same_bytes_each_time(tree: Path) -> None:
    """Packages below `python/`, without scripts, compiled files and notes of the installing machine."""
    calls: list[str] = []
    first = packaging.layer_zip("arm64", tree, _installs(calls))
    content = first.read_bytes()
    first.unlink()

    assert zipfile.ZipFile(packaging.layer_zip("arm64", tree, _installs(calls))).namelist() == [
        "python/lib-1.dist-info/METADATA",
        "python/lib.py",
        "python/pyarrow/lib.py",
        "python/pyarrow/tests/test_lib.py",
    ]
    assert first.read_bytes() == content
    assert calls == ["lambda for aarch64-manylinux_2_28"] * 2


def test_lake_layer_is_trimmed_and_deflated(tree: Path) -> None:
    """What its rules name is left out, the rest takes less room, and again the same bytes come of the same content."""
    first = packaging.layer_zip("x86_64", tree, _installs([]), layer=packaging.LAKE)
    content = first.read_bytes()
    entries = {e.filename: e for e in zipfile.ZipFile(first).infolist()}
    first.unlink()

    assert list(entries) == ["python/lib-1.dist-info/METADATA", "python/lib.py", "python/pyarrow/lib.py"]
    assert entries["python/pyarrow/lib.py"].compress_size < entries["python/pyarrow/lib.py"].file_size
    assert packaging.layer_zip("x86_64", tree, _installs([]), layer=packaging.LAKE).read_bytes() == content


def test_layer_is_built_once_for_each_lock_and_architecture(tree: Path) -> None:
    """The same lock is not installed twice; for another processor, lock, layer or rule it is."""
    calls: list[str] = []
    install = _installs(calls)
    arm = {packaging.layer_zip("arm64", tree, install) for _ in range(2)}
    intel = packaging.layer_zip("x86_64", tree, install)
    (tree / "uv.lock").write_text("version = 2\n")
    newer = packaging.layer_zip("arm64", tree, install)
    other = packaging.layer_zip("arm64", tree, install, layer=packaging.LAKE)
    looser = packaging.layer_zip("arm64", tree, install, layer=dataclasses.replace(packaging.LAKE, unused=()))

    assert len({*arm, intel, newer, other, looser}) == 5
    assert calls == [
        "lambda for aarch64-manylinux_2_28",
        "lambda for x86_64-manylinux_2_28",
        "lambda for aarch64-manylinux_2_28",
        "lake for aarch64-manylinux_2_28",
        "lake for aarch64-manylinux_2_28",
    ]


def test_killed_layer_build_leaves_nothing_that_looks_whole(tree: Path) -> None:
    """A process killed in mid-install leaves no zip behind, and the next build succeeds."""
    died = subprocess.run([sys.executable, "-c", _BUILD_AND_DIE, str(tree)], cwd=ROOT, check=False)

    assert died.returncode == -signal.SIGKILL
    assert list(tree.rglob("*.zip")) == []
    assert packaging.layer_zip("arm64", tree, _installs([])).exists()


def test_failed_layer_build_says_so_and_leaves_nothing(tree: Path) -> None:
    """When the packages can't be fetched the program refuses to go on, in uv's words, before it makes a zip."""
    with pytest.raises(packaging.LayerError, match=r"^a layer could not be built, .*:\nerror: Failed to parse"):
        packaging.layer_zip("arm64", tree)
    assert list(tree.rglob("*.zip")) == []


def test_full_disk(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever notices it, uv or we, it is named, and nothing that looks whole is left."""
    said = "error: failed to write to file\n  Caused by: No space left on device (os error 28)"
    full = subprocess.CompletedProcess[str]([], 2, "", said)
    with monkeypatch.context() as patched:
        patched.setattr(subprocess, "run", lambda *_, **__: full)
        with pytest.raises(
            packaging.LayerError, match=r"^a layer could not be built, because the disk is full:\nerror"
        ):
            packaging.layer_zip("arm64", tree)

    def fill(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "x")

    with pytest.raises(packaging.LayerError, match=r"^a layer could not be built: .*No space left on device: 'x'$"):
        packaging.layer_zip("arm64", tree, fill)
    assert list(tree.rglob("*.zip")) == []


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_locked_layer_is_pure_and_complete(architecture: str) -> None:
    """The real layer: the locked Lambda group and what it needs, no boto3 (the runtime has it), nothing compiled."""
    names = zipfile.ZipFile(packaging.layer_zip(architecture)).namelist()
    export = [
        uv.find_uv_bin(),
        "export",
        "--frozen",
        "--only-group",
        "lambda",
        "--no-emit-project",
        "--no-hashes",
        "-q",
    ]
    locked = subprocess.run(export, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    packages = re.findall(r"^([\w.-]+)==([\w.]+)", locked, re.MULTILINE)

    assert "aws-lambda-powertools" in dict(packages)
    assert {name.split("/")[1] for name in names if name.endswith("METADATA")} == {
        f"{name.replace('-', '_')}-{version}.dist-info" for name, version in packages
    }
    assert [name for name in names if not name.startswith("python/") or name.endswith((".pyc", ".so"))] == []


def test_deployed_handlers_import_with_nothing_but_the_runtime_beside_them(
    runtime_packages: Path, tmp_path: Path
) -> None:
    """Zip and layer, with the emulator's own packages in place of the Lambda runtime's, are all that handlers need.

    Those that have a layer besides are tested with it.
    """
    for archive in (packaging.handlers_zip(), packaging.layer_zip("arm64")):
        zipfile.ZipFile(archive).extractall(tmp_path)
    functions = run_main("dev", {"pipelines": ["events", "orders", "lake"]}).of("Function")
    handlers = sorted({f.inputs["handler"] for f in functions if f.inputs["layers"] == ["arn:dependencies"]})
    path = f"{tmp_path}:{tmp_path / 'python'}:{runtime_packages}"
    environment = {"AWS_DEFAULT_REGION": "eu-central-1", "HOME": str(tmp_path)}
    clean = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _IMPORT_HANDLERS, path, *handlers],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert clean.stderr == ""
    assert clean.stdout.splitlines() == [
        str(tmp_path / Path(*handler.split(".")[:-1]).with_suffix(".py")) for handler in handlers
    ]
