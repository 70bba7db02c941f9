"""What identifies the bytes of an object, from what S3 says of it; where S3 says nothing of use, from the bytes.

S3 documents an ETag as the MD5 of the bytes for an object that was put in one piece and that S3's own key encrypts, or
none. Under a KMS key, a customer's own key (SSE-C), or for an object that came in parts, it is no checksum: the same
bytes put again get another one. There S3 may know a checksum of the whole object.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

_MD5 = re.compile(r"[0-9a-f]{32}")
# The checksums that tell contents apart, by S3's name of the field. CRC32 and CRC32C have 32 bits: over years of a key
# that is written every hour two contents would share one, and the rows of one would overwrite those of the other.
_CHECKSUMS = {"ChecksumSHA256": ("sha256", 32), "ChecksumCRC64NVME": ("crc64nvme", 8)}  # bytes


def declared(answer: Mapping[str, Any]) -> str | None:
    """The content id by an answer of S3 (GET or HEAD with `ChecksumMode`, or a copy): the ETag, or `algorithm:hex`.

    None where it has to be computed. A checksum of parts is none of the object.
    """
    etag = answer["ETag"].strip('"')
    by_s3 = answer.get("ServerSideEncryption", "AES256") == "AES256" and "SSECustomerAlgorithm" not in answer
    if by_s3 and _MD5.fullmatch(etag):
        return str(etag)
    if answer.get("ChecksumType") != "FULL_OBJECT":
        return None
    for name, (algorithm, size) in _CHECKSUMS.items():
        if value := _decoded(answer.get(name, ""), size):
            return f"{algorithm}:{value.hex()}"
    return None


def computed(blocks: Iterable[bytes]) -> str:
    """The content id of these bytes, which is also the one that S3's SHA-256 of the whole object gives."""
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return f"sha256:{digest.hexdigest()}"


def algorithm(content_id: str | None) -> str | None:
    """The checksum that a copy must be made with so that it keeps this content id; None where any will do."""
    if content_id is None:
        return "SHA256"
    name, colon, _ = content_id.partition(":")
    return name.upper() if colon else None


def _decoded(value: str, size: int) -> bytes:
    """The bytes of a checksum, none where it is not one (with the number of parts behind it, it is one of them)."""
    try:
        given = base64.b64decode(value, validate=True)
    except ValueError:
        return b""
    return given if len(given) == size else b""
