"""`python -m ops.local.cloudwatch HOME STATE_FILE`: runs until the emulator in HOME is gone."""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.config import Config

from ops.local.cloudwatch.daemon import Daemon, Place, run
from ops.local.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable

_CONFIG = Config(
    connect_timeout=2,
    read_timeout=20,
    retries={"mode": "standard", "total_max_attempts": 2},
    proxies={},
    user_agent_extra="ingestion-lab-cloudwatch",  # by which the emulator tells its looks from work
)


def main() -> None:
    """Find the emulator and run beside it."""
    home, state_file = map(Path, sys.argv[1:])
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("ops").setLevel(logging.INFO)
    emulator = Emulator.attach(home)
    if emulator is None:
        sys.exit(f"no emulator runs in {home}")
    place = Place(emulator.endpoint, state_file, emulator.log, emulator.scratch / "cloudwatch-cursor.json")
    daemon = Daemon(place, clients(emulator.endpoint), time.time(), emulator.work)
    run(daemon, lambda: Emulator.attach(home) is None)


def clients(endpoint: str) -> Callable[[str], Any]:
    """Makes clients of an emulator as its root user, by botocore's name of the service."""
    session = botocore.session.Session()
    session.set_credentials("test", "test")
    return lambda service: session.create_client(
        service, region_name="us-east-1", endpoint_url=endpoint, config=_CONFIG
    )


if __name__ == "__main__":
    main()
