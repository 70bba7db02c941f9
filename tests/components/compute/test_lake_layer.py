"""The lake's layer: what is left of pyarrow is enough, and fits into Lambda."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from components.compute import packaging
from tests.components.recording import ROOT, run_main

_MIB = 2**20
_DIRECT_UPLOAD = 50 * _MIB  # of a zip, by PublishLayerVersion itself
_UNZIPPED = 250 * _MIB  # code and all layers of a function together
# What the lake's functions do with it: JSON by a schema, computing, Parquet and back.
_WORK = """
import io, os, sys
import pyarrow as pa, pyarrow.compute as pc, pyarrow.json as pj, pyarrow.parquet as pq

lines = b'{"t": "2026-01-31T12:00:00Z", "kg": 2.5}\\n{"t": "2026-02-01T00:00:00Z", "kg": 7}\\n'
schema = pa.schema([("t", pa.timestamp("us", tz="UTC")), ("kg", pa.float64())])
table = pj.read_json(io.BytesIO(lines), parse_options=pj.ParseOptions(explicit_schema=schema))
heavy = table.filter(pc.greater(table["kg"], 5))
groups = table.group_by("kg").aggregate([("kg", "sum")])
for codec in ("zstd", "snappy"):
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, schema, compression=codec) as writer:
        writer.write_table(table)
    assert pq.read_table(io.BytesIO(sink.getvalue())).equals(table)
print(heavy.num_rows, groups.num_rows)
print(*sorted({module.__file__.split("/python/")[0] for module in (pa, pj, pq)}))
print(*sys.version_info[:2], flush=True)
os._exit(0)  # Lambda ends no interpreter either; at the end of one, Arrow's threads may abort it
"""


_IMPORT_WORKER = """
import importlib, os, sys
sys.path[:] = [path for path in sys.path if "site-packages" not in path] + sys.argv[1].split(":")
for name in sys.argv[2:]:
    module, _, function = name.rpartition(".")
    assert callable(getattr(importlib.import_module(module), function))
import pyarrow
print(os.path.dirname(os.path.dirname(pyarrow.__file__)))
"""


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layer as it is built for Lambda, but for the Python that runs this."""
    root = tmp_path_factory.mktemp("native")
    for name in ("uv.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, root)
    (root / "README.md").touch()
    for layer, folder in {packaging.LAKE: "opt", packaging.ICEBERG: "iceberg"}.items():
        archive = packaging.layer_zip("x86_64", root, _install_here, layer=layer)
        zipfile.ZipFile(archive).extractall(root / folder)
    return root / "opt"


def _install_here(root: Path, group: str, _platform: str, target: Path) -> None:
    export = packaging._uv(root, "export", "--frozen", "--only-group", group, "--no-emit-project", "--quiet")
    install = ("pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes")
    options = ("--target", str(target), "--python", sys.executable, "--requirement", "-")
    packaging._uv(root, *install, *options, stdin=export.stdout)


def _python_of_lambda() -> str | None:
    """An interpreter of the version and platform that the layer is built for, where the machine has one."""
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        return None
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    of_pyenv = map(str, pyenv.glob(f"versions/{packaging.PYTHON_VERSION}*/bin/python"))
    installed = [*of_pyenv, f"python{packaging.PYTHON_VERSION}"]
    return next((found for one in installed if (found := shutil.which(one)) and _starts(found)), None)


def _starts(python: str) -> bool:
    return subprocess.run([python, "-c", ""], check=False, capture_output=True).returncode == 0


def _work(python: str, layer: Path) -> list[str]:
    """What the lake's work prints in an interpreter that has nothing but the layer."""
    program = f"import sys; sys.path.append({str(layer / 'python')!r})\n{_WORK}"
    done = subprocess.run([python, "-I", "-S", "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_trimmed_layer_does_the_lakes_work(unpacked: Path) -> None:
    """In a clean interpreter, with nothing else installed, it reads, computes, writes and reads again."""
    work, place, version = _work(sys.executable, unpacked)

    assert work == "1 2"
    assert place == str(unpacked)
    assert version == f"{sys.version_info.major} {sys.version_info.minor}"


def test_functions_with_the_layer_import_with_it(unpacked: Path, runtime_packages: Path, tmp_path: Path) -> None:
    """Code and both layers are all that the lake's worker needs besides the runtime, here the emulator's packages."""
    for archive in (packaging.handlers_zip(), packaging.layer_zip("x86_64")):
        zipfile.ZipFile(archive).extractall(tmp_path)
    functions = run_main("dev", {"pipelines": ["events", "orders", "lake"]}).of("Function")
    handlers = [f.inputs["handler"] for f in functions if f.inputs["layers"] == ["arn:dependencies", "arn:lake"]]
    path = f"{tmp_path}:{tmp_path / 'python'}:{unpacked / 'python'}:{runtime_packages}"
    environment = {"AWS_DEFAULT_REGION": "eu-central-1", "HOME": str(tmp_path)}
    command = [sys.executable, "-I", "-S", "-c", _IMPORT_WORKER, path, *handlers]
    clean = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert handlers == ["handlers.lake.worker.handler"]
    assert (clean.stderr, clean.stdout.split()) == ("", [str(unpacked / "python")])


def test_the_committer_imports_with_its_layers(unpacked: Path, runtime_packages: Path, tmp_path: Path) -> None:
    """What is left of pyarrow is enough for pyiceberg, which finds all that it needs in a layer of its own."""
    for archive in (packaging.handlers_zip(), packaging.layer_zip("x86_64")):
        zipfile.ZipFile(archive).extractall(tmp_path)
    layers = f"{unpacked.parent / 'iceberg' / 'python'}:{unpacked / 'python'}"
    path = f"{tmp_path}:{tmp_path / 'python'}:{layers}:{runtime_packages}"
    environment = {"AWS_DEFAULT_REGION": "eu-central-1", "HOME": str(tmp_path)}
    used = ["handlers.lake.iceberg.commit.handler", "handlers.lake.iceberg.s3tables.s3_tables_catalog"]
    command = [sys.executable, "-I", "-S", "-c", _IMPORT_WORKER, path, *used]
    clean = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert (clean.stderr, clean.stdout.split()) == ("", [str(unpacked / "python")])


@pytest.mark.skipif(
    _python_of_lambda() is None, reason="no Python of Lambda's version here; the trimming is shown above"
)
def test_deployed_layer_does_the_lakes_work(tmp_path: Path) -> None:
    """The very zip that x86_64 functions get works in the Python version that Lambda runs."""
    zipfile.ZipFile(packaging.layer_zip("x86_64", layer=packaging.LAKE)).extractall(tmp_path)
    work, place, version = _work(str(_python_of_lambda()), tmp_path)

    assert work == "1 2"
    assert (place, version) == (str(tmp_path), packaging.PYTHON_VERSION.replace(".", " "))


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_layer_fits_into_lambda(architecture: str) -> None:
    """Small enough to be uploaded directly, and with code and the other layers for Lambda's file system."""
    lake = packaging.layer_zip(architecture, layer=packaging.LAKE)
    iceberg = packaging.layer_zip(architecture, layer=packaging.ICEBERG)
    others = (packaging.layer_zip(architecture), packaging.handlers_zip(), iceberg)
    unzipped = sum(entry.file_size for path in (lake, *others) for entry in zipfile.ZipFile(path).infolist())

    assert lake.stat().st_size < 0.8 * _DIRECT_UPLOAD
    assert iceberg.stat().st_size < 0.5 * _DIRECT_UPLOAD
    assert unzipped < 0.6 * _UNZIPPED


@pytest.mark.parametrize(("architecture", "machine"), [("arm64", "aarch64"), ("x86_64", "x86_64")])
def test_layer_is_for_its_processor_and_python(architecture: str, machine: str) -> None:
    """Every compiled module is of Lambda's Python version and of the functions' processor."""
    names = zipfile.ZipFile(packaging.layer_zip(architecture, layer=packaging.LAKE)).namelist()
    tag = f"cpython-{packaging.PYTHON_VERSION.replace('.', '')}-{machine}-linux-gnu"
    modules = {name.split(".", 1)[1] for name in names if name.endswith(".so")}

    assert modules == {f"{tag}.so"}
    assert {name.split("/")[1] for name in names if name.endswith("METADATA")} == {"pyarrow-26.0.1.dist-info"}
