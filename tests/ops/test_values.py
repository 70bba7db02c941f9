"""Inputs made plain: numbers, secrets, archives; and what of them may be written down."""

import hashlib
import io
import zipfile
from pathlib import Path

import pulumi
import pytest
from pulumi.runtime import rpc

from ops.local.deployer.assets import pack
from ops.local.deployer.errors import DeployError
from ops.local.deployer.translate import Fields, Sub, translate, unknown
from ops.local.deployer.values import plain


def test_plain_inputs(tmp_path: Path) -> None:
    """Whole numbers are integers again, secrets are unwrapped and remembered as such, at any depth."""
    found = plain({"size": 3.0, "rate": 2.5, "list": [{"n": 1.0}], "token": rpc.wrap_rpc_secret({"t": "s"})}, tmp_path)
    assert found.values == {"size": 3, "rate": 2.5, "list": [{"n": 1}], "token": {"t": "s"}}
    assert found.secret == {"token"}
    assert found.recorded() == {
        "size": 3,
        "rate": 2.5,
        "list": [{"n": 1}],
        "token": {"secret": hashlib.sha256(b'{"t": "s"}').hexdigest()},
    }
    assert found.sealed({"arn": "a"}) == {
        "size": 3,
        "rate": 2.5,
        "list": [{"n": 1}],
        "token": rpc.wrap_rpc_secret({"t": "s"}),
        "arn": "a",
    }


def test_archives_are_known_by_content(tmp_path: Path) -> None:
    """The same files give the same zip, wherever and whenever; a ready zip is taken as it is."""
    for folder in ("one", "two"):
        (tmp_path / folder / "package").mkdir(parents=True)
        (tmp_path / folder / "package" / "a.py").write_text("A = 1\n")
    assets: dict[str, pulumi.Asset | pulumi.Archive] = {
        "package": pulumi.FileArchive("two/package"),
        "b.txt": pulumi.StringAsset("b"),
    }
    first = pack(pulumi.FileArchive("one"), tmp_path)
    nested = pack(pulumi.AssetArchive(assets), tmp_path)
    with zipfile.ZipFile(io.BytesIO(nested.content)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "b.txt": b"b",
            "package/a.py": b"A = 1\n",
        }
    assert pack(pulumi.FileArchive("two"), tmp_path) == first
    (tmp_path / "ready.zip").write_bytes(first.content)
    assert pack(pulumi.FileArchive("ready.zip"), tmp_path) == first
    assert plain({"code": pulumi.FileArchive("one")}, tmp_path).recorded() == {"code": {"sha256": first.sha256}}


@pytest.mark.parametrize(
    ("asset", "message"),
    [
        (pulumi.FileAsset("missing"), "an asset of the program can't be read: .*missing"),
        (pulumi.RemoteAsset("https://example.org/a"), "RemoteAsset is not supported on the laptop: use a local file"),
    ],
)
def test_unreadable_assets(tmp_path: Path, asset: pulumi.Asset, message: str) -> None:
    """What can't be read here is named."""
    with pytest.raises(DeployError, match=message):
        pack(asset, tmp_path)


def test_translation() -> None:
    """One table renames the inputs and tells which ones it does not know, at any depth."""
    fields: Fields = {"name": "Name", "filter": Sub("Filter", {"rules": Sub("Rules", {"pattern": "Pattern"})})}
    inputs = {"name": "n", "filter": {"rules": [{"pattern": "p"}, {"pattern": "q"}]}}
    assert translate(fields, inputs) == {"Name": "n", "Filter": {"Rules": [{"Pattern": "p"}, {"Pattern": "q"}]}}
    assert list(unknown(fields, inputs)) == []
    odd = {"name": "n", "size": 1, "filter": {"rules": [{"pattern": "p"}, {"weight": 1}], "mode": "x"}}
    assert list(unknown(fields, odd)) == ["size", "filter.rules.weight", "filter.mode"]
