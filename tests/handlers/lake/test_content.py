"""What identifies the bytes of an object, by S3's answers as AWS documents them."""

import base64
import hashlib
from typing import Any

import pytest

from handlers.lake import content

_MD5 = hashlib.md5(b"bytes", usedforsecurity=False).hexdigest()
_SHA256 = base64.b64encode(hashlib.sha256(b"bytes").digest()).decode()
_WHOLE = {"ChecksumType": "FULL_OBJECT"}
_KMS = {"ETag": f'"{_MD5}"', "ServerSideEncryption": "aws:kms"}
_PARTS = {"ETag": f'"{_MD5}-2"', "ServerSideEncryption": "AES256"}
_COMPUTED = f"sha256:{hashlib.sha256(b'bytes').hexdigest()}"


@pytest.mark.parametrize(
    ("answer", "content_id"),
    [
        ({"ETag": f'"{_MD5}"'}, _MD5),
        ({"ETag": f'"{_MD5}"', "ServerSideEncryption": "AES256"}, _MD5),
        # whatever client put it: each brings another checksum
        ({"ETag": f'"{_MD5}"', **_WHOLE, "ChecksumSHA256": _SHA256}, _MD5),
        (_KMS, None),
        (_KMS | {"ServerSideEncryption": "aws:kms:dsse"}, None),
        ({"ETag": f'"{_MD5}"', "SSECustomerAlgorithm": "AES256"}, None),
        (_PARTS, None),
        (_KMS | _WHOLE | {"ChecksumCRC64NVME": "rosUhgp5mIg="}, "crc64nvme:ae8b14860a799888"),
        (_PARTS | _WHOLE | {"ChecksumCRC64NVME": "rosUhgp5mIg="}, "crc64nvme:ae8b14860a799888"),
        (_KMS | _WHOLE | {"ChecksumSHA256": _SHA256}, _COMPUTED),
        (_KMS | {"ChecksumType": "COMPOSITE", "ChecksumSHA256": _SHA256}, None),
        (_KMS | {"ChecksumCRC64NVME": "rosUhgp5mIg="}, None),
        # 32 bits are too few; what both emulators call a checksum of the whole is one of its parts
        (_KMS | _WHOLE | {"ChecksumCRC32": "DUoRhQ=="}, None),
        (_PARTS | _WHOLE | {"ChecksumSHA256": f"{_SHA256}-2"}, None),
        (_PARTS | _WHOLE | {"ChecksumCRC64NVME": "DUoRhQ=="}, None),
    ],
)
def test_what_s3_says_of_the_bytes(answer: dict[str, Any], content_id: str | None) -> None:
    """The ETag where it is an MD5, else a checksum of the whole object that is one, else nothing."""
    assert content.declared(answer) == content_id


def test_what_is_computed_is_what_s3_would_say() -> None:
    """In one pass over blocks of any size."""
    assert content.computed([b"by", b"", b"tes"]) == _COMPUTED


@pytest.mark.parametrize(
    ("content_id", "algorithm"),
    [(_MD5, None), ("crc64nvme:00", "CRC64NVME"), ("sha256:00", "SHA256"), (None, "SHA256")],
)
def test_a_copy_is_made_with_the_checksum_that_identifies(content_id: str | None, algorithm: str | None) -> None:
    """What would have to be computed is copied with the checksum that would be."""
    assert content.algorithm(content_id) == algorithm
