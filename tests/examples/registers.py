"""Run where the wheel is installed, and nothing of this tree: prints what the programs in these folders register.

`{folder: [[type, name, inputs]]}`; each program runs in its own folder, as the Pulumi CLI would have it.
"""

import asyncio
import json
import os
import runpy
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import rpc, set_mocks, settings
from pulumi.runtime.stack import run_pulumi_func

_KNOWN = {"accountId": "123456789012", "partition": "aws", "region": "eu-central-1"}


class Recording(pulumi.runtime.Mocks):
    """What a program registers; outputs are the inputs and invented ARNs."""

    def __init__(self) -> None:
        self.made: list[tuple[str, str, Any]] = []

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        """The resource as AWS would have made it."""
        self.made.append((args.typ, args.name, _plain(args.inputs)))
        outputs = {"arn": f"arn:{args.name}", "url": f"https://{args.name}", "name": args.name, "uuid": args.name}
        outputs |= {"invokeArn": args.name, "executionArn": args.name, "apiEndpoint": args.name, "keyId": args.name}
        return args.name, {**outputs, **args.inputs}

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        """The deployer's surroundings."""
        return _KNOWN if args.token.startswith("aws:index/get") else {}, []


def _plain(value: Any) -> Any:
    if isinstance(value, pulumi.FileArchive):
        return value.path
    if rpc.is_rpc_secret(value):
        return _plain(rpc.unwrap_rpc_secret(value))
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


async def _run(recording: Recording) -> None:
    asyncio.get_running_loop().set_default_executor(
        # pulumi asks each thread for its event loop, which Python 3.14 makes no more
        ThreadPoolExecutor(initializer=lambda: asyncio.set_event_loop(asyncio.new_event_loop()))
    )
    settings.reset_options()
    set_mocks(recording, "shop", "dev", preview=False)
    pulumi.runtime.set_config("shop:alarmTopicArn", "arn:alarms")
    await run_pulumi_func(lambda: runpy.run_path("__main__.py", run_name="__main__"))  # type: ignore[arg-type, return-value]


def main(folders: list[str]) -> None:
    """Run each program."""
    found = {}
    home = Path.cwd()
    for folder in folders:
        os.chdir(home / folder)
        recording = Recording()
        asyncio.run(_run(recording))
        found[folder] = recording.made
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
