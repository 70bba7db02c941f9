"""NOTICE.md names what is passed on with a deployment, and each of it brings its licence along."""

import importlib.metadata
import re
import subprocess

import uv

from tests.components.recording import ROOT

_NOTICE = (ROOT / "NOTICE.md").read_text(encoding="utf-8")


def _exported(group: str) -> set[str]:
    command = [uv.find_uv_bin(), "export", "--frozen", "--only-group", group, "--no-emit-project", "--no-hashes", "-q"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return set(re.findall(r"^([a-z0-9._-]+)==", done.stdout, re.MULTILINE))


def test_every_package_of_the_layers_is_named() -> None:
    """Each by its layer, and no other; the text of its licence is among its files."""
    named = set(re.findall(r"^\| the (functions'|lake's|tables') layer \| `([^`]+)` \|", _NOTICE, re.MULTILINE))

    assert named == {
        *(("functions'", name) for name in _exported("lambda")),
        *(("lake's", name) for name in _exported("lake")),
        *(("tables'", name) for name in _exported("iceberg")),
    }
    assert [name for _, name in sorted(named) if not _licences(name)] == []


def _licences(name: str) -> list[str]:
    return [str(path) for path in importlib.metadata.files(name) or () if re.search("LICEN[CS]E", str(path).upper())]
