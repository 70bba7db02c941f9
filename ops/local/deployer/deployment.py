"""A deployment, from the program's folder to its outputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pulumi

from ops.local.deployer.aws import Aws
from ops.local.deployer.config import encrypted_keys, project_name, stack_config
from ops.local.deployer.engine import Changes, Engine
from ops.local.deployer.errors import DeployError
from ops.local.deployer.imports import Imports
from ops.local.deployer.plan import Plan
from ops.local.deployer.program import Outputs, Program
from ops.local.deployer.rehearsal import Registered, Rehearsal
from ops.local.deployer.state import State
from ops.local.errors import LabError
from ops.local.files import BusyError, locked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ops.local.deployer.blob import Blob
    from ops.local.deployer.imports import Runtime

_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Deployment:
    """Result of a deployment."""

    outputs: dict[str, Any]  # what the program exported
    changes: Changes
    region: str = _REGION
    layers: dict[str, Blob] = field(default_factory=dict)  # by ARN: what functions import beside their code


def deploy(  # noqa: PLR0913 - one keyword per decision of the caller
    root: Path,
    stack: str,
    *,
    endpoint: str,
    state_file: Path,
    config: Mapping[str, object] | None = None,
    notify: Callable[[str], None] = lambda _: None,
    lose_data: bool = False,
    refresh: bool = False,
    runtime: Runtime | None = None,
) -> Deployment:
    """Bring the account behind `endpoint` to what the program in `root` registers as `stack`.

    `config` overrides keys of the stack's YAML. `notify` hears of replacements. What an interrupted run has made is in
    the state file: the next run goes on from there. `refresh` sets anew what has not changed in the program, too, for
    what somebody has changed by hand. Functions that could not start on `runtime` are refused. What is refused of a
    change changes nothing, unless AWS refuses it or it holds data since the change has begun.

    Raises:
        DataLossError: what has left the program holds data, which `lose_data` does not allow to lose.
        DeployError: the configuration, the program or AWS refuses; the program's own words for what it refuses.
    """
    program = Program(root.resolve(), project_name(root), stack, stack_config(root, stack, config or {}))
    try:
        with locked(state_file.with_suffix(".lock"), wait=False):
            state = State.load(state_file, endpoint)
            aws = Aws(endpoint, program.config.get("aws:region", _REGION))
            with Imports(runtime, aws.region) as imports:
                if state.resources:
                    plan = Plan(aws, state, program.root, imports)
                    outputs = _run(program, plan)
                    plan.refuse_losses(lose_data=lose_data)
                    if plan.changes_nothing() and not refresh:
                        state.finish(outputs.shown())
                        done = Changes(unchanged=list(state.resources))
                        return Deployment(outputs.values, done, aws.region, imports.layers)
                engine = Engine(aws, state, program.root, notify, imports, refresh=refresh)
                outputs = _run(program, engine)
            engine.settle()
            engine.remove_strays(lose_data=lose_data)
            state.finish(outputs.shown())
            return Deployment(outputs.values, engine.changes, aws.region, imports.layers)
    except BusyError as busy:
        raise DeployError(f"another deployment to this stack is running: {busy}") from busy


def rehearse(
    root: Path,
    stack: str,
    decrypt: Callable[[str], str] | None = None,
    config: Mapping[str, object] | None = None,
) -> tuple[Registered, ...]:
    """What the program in `root` would register as `stack`, wherever that is; nothing is made, and nobody is asked.

    `decrypt` returns the value of a key that the stack's YAML has encrypted; without it, such a key is refused.
    `config` overrides keys of the stack's YAML.

    Raises:
        DeployError: the configuration or the program refuses; the program's own words for what it refuses.
    """
    secrets = encrypted_keys(root, stack)
    decrypted = {key: decrypt(key) for key in sorted(secrets)} if decrypt else {}
    config = stack_config(root, stack, decrypted | dict(config or {}))
    rehearsal = Rehearsal()
    _run(Program(root.resolve(), project_name(root), stack, config, secrets), rehearsal)
    return tuple(rehearsal.registered)


def _run(program: Program, engine: Engine | Rehearsal) -> Outputs:
    try:
        return program.run(engine, engine.stop)
    except Exception as error:  # noqa: BLE001 - a program may raise anything; all of it is told, none is hidden
        cause = engine.failure or error  # the first failure: what waited for it has failed after it
        raise DeployError(_words(cause)) from cause


def _words(error: BaseException) -> str:
    """What the program meant to say: the bare message of a refusal, the place as well for anything unexpected."""
    if isinstance(error, ValueError | pulumi.RunError | LabError):
        return str(error)
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})" if trace else ""
    return f"{type(error).__name__}: {error}{place}"
