"""The bytes behind pulumi's assets and archives."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pulumi

from ops.local.deployer.blob import Blob
from ops.local.deployer.errors import DeployError

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the zip format's first moment: equal content gives equal bytes


def pack(source: pulumi.Asset | pulumi.Archive, root: Path) -> Blob:
    """Read an asset, or zip an archive unless it is a zip already; paths are relative to `root`.

    Raises:
        DeployError: the file is missing, or the source is remote, which would make the laptop depend on the network.
    """
    try:
        if isinstance(source, pulumi.FileArchive) and (root / source.path).is_file():
            return Blob((root / source.path).read_bytes())
        if isinstance(source, pulumi.Archive):
            return Blob(_zip(dict(_members(source, root, ""))))
        return Blob(_read(source, root))
    except OSError as error:
        raise DeployError(f"an asset of the program can't be read: {error}") from error


def _members(archive: pulumi.Archive, root: Path, prefix: str) -> list[tuple[str, bytes]]:
    if isinstance(archive, pulumi.FileArchive):
        folder = root / archive.path
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        if not files:
            raise DeployError(f"an archive of the program is empty or missing: {folder}")
        return [(prefix + path.relative_to(folder).as_posix(), path.read_bytes()) for path in files]
    if isinstance(archive, pulumi.AssetArchive):
        members: list[tuple[str, bytes]] = []
        for name, item in archive.assets.items():
            if isinstance(item, pulumi.Archive):
                members += _members(item, root, f"{prefix}{name}/")
            else:
                members.append((prefix + name, _read(item, root)))
        return members
    raise DeployError(f"{type(archive).__name__} is not supported on the laptop: use a local file")


def _read(asset: pulumi.Asset, root: Path) -> bytes:
    if isinstance(asset, pulumi.StringAsset):
        return asset.text.encode()
    if isinstance(asset, pulumi.FileAsset):
        return (root / Path(asset.path)).read_bytes()
    raise DeployError(f"{type(asset).__name__} is not supported on the laptop: use a local file")


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = 0o644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, members[name])
    return buffer.getvalue()
