"""All commands of `lab`: the same on the laptop and on AWS (--stack)."""

from __future__ import annotations

from ops.cli import failure, gameday, logs, redrive
from ops.cli.alarms import alarms
from ops.cli.commands import application
from ops.cli.console import console
from ops.cli.cost import cost
from ops.cli.doctor.commands import doctor
from ops.cli.down import down
from ops.cli.events import commands as events
from ops.cli.invoke import invoke
from ops.cli.lake import commands as lake
from ops.cli.orders import commands as orders
from ops.cli.plan import plan
from ops.cli.queues import commands as queues
from ops.cli.rights import rights
from ops.cli.runbook import runbook
from ops.cli.status import status
from ops.cli.up import up
from ops.cli.watch import watch

app = application()
for _command in (up, down, status, watch, alarms, runbook, doctor, cost, plan, rights, console, events.send, invoke):
    app.command()(_command)
_GROUPS = {
    "events": events.app,
    "orders": orders.app,
    "logs": logs.app,
    "failure": failure.app,
    "gameday": gameday.app,
    "redrive": redrive.app,
    "lake": lake.app,
    "queues": queues.app,
}
for _name, _group in _GROUPS.items():
    app.add_typer(_group, name=_name)
