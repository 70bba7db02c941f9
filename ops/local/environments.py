"""What the processes of a home folder may see of this machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ops.local import processes

if TYPE_CHECKING:
    from pathlib import Path

_FUNCTION_PROCESSES = 64  # each takes 25 MB and more; who asks for more at once is throttled, as on AWS


def scratch(home: Path) -> Path:
    """Folder for files that are of no use once the emulator is gone, and are removed with it."""
    return home / "tmp"


def functions(home: Path) -> Path:
    """Folder with a file for each process that was forked for a function: its pid, and in it the function's name."""
    return scratch(home) / "functions"


def scrubbed(home: Path) -> dict[str, str]:
    """For any process: nothing of the caller's own environment."""
    temporary = scratch(home)
    temporary.mkdir(exist_ok=True)
    return {
        "PATH": os.defpath,
        "HOME": str(temporary),  # no ~/.aws
        "TMPDIR": str(temporary),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        processes.MARK: str(home),
    }


def of_emulator(home: Path, port: int) -> dict[str, str]:
    """All that the emulator and the functions may see of this machine."""
    return scrubbed(home) | {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "LOG_LEVEL": "INFO",  # deliveries are told in its log and nowhere else
        "AUTH": "true",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LAMBDA_ACCOUNT_CONCURRENCY": str(_FUNCTION_PROCESSES),
        "S3_DATA_DIR": str(scratch(home) / "s3"),
    }
