"""What the laptop's stack stands on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ops.cli import target
from ops.cli.doctor.check import Check, ok, problem
from ops.local.cloudwatch import service
from ops.local.emulator import Emulator, other_listener, stale_record
from ops.local.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator

_DOWN = "lab down"


def checks() -> Iterator[Check]:
    """All that can be looked at without starting anything; of a stack that is deployed also whether it works."""
    yield _port()
    yield _emulator()
    yield (state := _state())
    emulator = Emulator.attach(target.home())
    if state.state == "ok" and emulator is not None and emulator.answers() and target.state_file().exists():
        yield _cloudwatch(emulator)
        yield _api()


def _cloudwatch(emulator: Emulator) -> Check:
    """The process that makes metrics and alarms."""
    process = service.attach(emulator)
    if process is None:
        found = f"does not run, so metrics and alarms are old; its log: {service.log(emulator)}"
        return problem("cloudwatch", found, "lab up starts it")
    return ok("cloudwatch", f"runs (pid {process.pid})")


def _api() -> Check:
    try:
        target.find(target.LOCAL).ask("GET", "/health")
    except (LabError, OSError) as error:
        return problem("api", f"GET /health: {error}", "lab logs tail; a stack changed by hand: lab up --refresh")
    return ok("api", "GET /health is answered")


def _port() -> Check:
    try:
        port = target.port()
        wanted = target.wanted_port()
    except target.TargetError as error:
        return problem("port", str(error), "unset LAB_PORT")
    running = Emulator.attach(target.home())
    if running is not None:
        unused = "" if wanted in (None, running.port) else f"; LAB_PORT={wanted} is not used before {_DOWN}"
        return ok("port", f"{running.port} is the local cloud's own{unused}")
    if holder := other_listener(target.home(), port):
        return problem(
            "port", f"{port} is in use by {holder}", f"stop it, or choose another: LAB_PORT={port + 1} make up"
        )
    return ok("port", f"{port} is free")


def _emulator() -> Check:
    home = target.home()
    if reason := stale_record(home):
        return problem("emulator", reason, f"{_DOWN} removes what it left; lab up starts a new one")
    emulator = Emulator.attach(home)
    if emulator is None:
        return ok("emulator", "does not run; lab up starts it")
    if not emulator.answers():
        found = f"{emulator.endpoint} (pid {emulator.pid}, log {emulator.log}) does not answer"
        return problem("emulator", found, f"{_DOWN}, lab up")
    return ok("emulator", f"answers at {emulator.endpoint} (pid {emulator.pid})")


def _state() -> Check:
    """What was deployed belongs to the emulator that runs."""
    path = target.state_file()
    if not path.exists():
        return ok("state", "nothing is deployed")
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        endpoint, resources = state["endpoint"], len(state["resources"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        return problem("state", f"{path} can't be read: {type(error).__name__}: {error}", f"{_DOWN} removes it")
    emulator = Emulator.attach(target.home())
    if emulator is None or emulator.endpoint != endpoint:
        gone = f"{path} is of the local cloud at {endpoint}, which does not run"
        return problem("state", gone, "lab up deploys anew; what was on that cloud is gone")
    if not state.get("outputs"):
        return problem(
            "state", f"a deployment to {endpoint} was cut short after {resources} resources", "lab up goes on"
        )
    return ok("state", f"{resources} resources are deployed to {endpoint}")
