"""The load of `lab send` for Locust, which spreads it over processes and machines; docs/load.md says how."""

from __future__ import annotations

import itertools
import json
import os
import uuid
from functools import cache
from typing import Any, ClassVar

from locust import HttpUser, constant, constant_throughput, events, task

from ops.cli import target
from ops.cli.api import Identity
from ops.load.scenario import PATHS, Scenario

_PIPELINE: Any = os.environ.get("LAB_PIPELINE", "events")
_RATE = float(os.environ.get("LAB_RATE", "1"))


@events.init.add_listener
def find(environment: Any, **_: object) -> None:  # noqa: ANN401 - Locust's
    """Find out once in each process where to, and as whom; with --host no stack is asked."""
    if environment.host:
        session = cache(lambda: target.account(None, None))
        Caller.identity = Identity(os.environ.get("LAB_AUTH_MODE", "iam"), is_laptop=False, session=session)
        return
    found = target.find(os.environ.get("LAB_STACK", target.LOCAL))
    environment.host, Caller.identity = found.api, found.identity


class Caller(HttpUser):
    """One who sends; the events are those of its own run, so that no two users send the same by chance."""

    identity: ClassVar[Identity]
    wait_time = constant_throughput(_RATE) if _RATE else constant(0)

    def on_start(self) -> None:
        """Begin a run."""
        self._numbers = itertools.count()
        self._scenario = Scenario(
            run=uuid.uuid4().hex[:8],
            pipeline=_PIPELINE,
            duplicates=float(os.environ.get("LAB_DUPLICATES", "0")),
            poison=float(os.environ.get("LAB_POISON", "0")),
            groups=int(os.environ.get("LAB_GROUPS", "0")),
        )

    @task
    def send(self) -> None:
        """Send the next one; what is not accepted counts as a failure, and is not sent again."""
        item, path = self._scenario.item(next(self._numbers)), PATHS[_PIPELINE]
        body = json.dumps(item.body)
        headers = {"Content-Type": "application/json", **item.headers}
        shown = self.identity.headers("POST", f"{self.host}{path}", path, body)
        self.client.post(path, data=body, headers={**headers, **shown}, name=f"POST {path}")
