"""Forks the processes of functions from one that has loaded what all of them load.

Run by the interpreter of the emulator's own environment, which knows nothing of this project: `ministack_main` starts
it with the number of a socket. Each request is JSON (`script`, `folder`, `environment`) with four descriptors, of which
the first three become the process's standard ones; the last it keeps open while it lives. The answer is its pid.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import signal
import socket
import sys
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session

_MOST_BYTES = 1024 * 1024
_SERVICES = ("dynamodb", "events", "lambda", "s3", "sqs", "ssm")  # what functions call
_BELOW = ("dateutil", "jmespath", "six")  # what the SDK stands on: a function may bring another version for itself


def main() -> None:
    """Serve until the emulator closes its end."""
    _load()
    gc.freeze()  # a collection would write into each page, and processes share the pages that none has written into
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that end
    with socket.socket(fileno=int(sys.argv[1])) as requests:
        while True:
            request, given, _, _ = socket.recv_fds(requests, _MOST_BYTES, 4)
            if not request:
                return
            pid = os.fork()
            if not pid:
                break
            for one in given:
                os.close(one)
            requests.send(str(pid).encode())
    _become(json.loads(request), given)


def _load() -> None:
    """Bring the SDK, and the services' descriptions: each session would read them anew, most of a function's start."""
    botocore.session.create_loader = cache(botocore.session.create_loader)
    session = botocore.session.Session()
    session.set_credentials("none", "none")
    for service in _SERVICES:
        session.create_client(service, region_name="us-east-1", endpoint_url="http://127.0.0.1:9").close()


def _become(request: dict[str, Any], given: list[int]) -> None:
    """Run the script as `python SCRIPT` would."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for place, one in enumerate(given[:3]):
        os.dup2(one, place)
        os.close(one)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    for name in [name for name in sys.modules if name.partition(".")[0] in _BELOW]:
        del sys.modules[name]
    script = request["script"]
    sys.argv = [script]
    sys.path.insert(0, str(Path(script).parent))
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
