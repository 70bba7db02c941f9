"""What a stack on AWS needs of the machine and of the account, before the first deployment and after."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as UnreachableError

from ops.cli import subscribers, target
from ops.cli.doctor import concurrency, configuration
from ops.cli.doctor.check import Check, ok, problem, unknown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ops.local.deployer import Registered

_PULUMI = "https://www.pulumi.com/docs/install/"
_SUBSCRIBERS = "subscribers"
_CREDENTIALS = "export AWS_PROFILE=…, or aws sso login, or aws configure"


@dataclass(frozen=True, slots=True)
class _Account:
    """Where the stack is deployed to, and with whose credentials."""

    region: str
    session: Any

    def client(self, service: str) -> Any:  # noqa: ANN401 - one class per service
        return self.session.create_client(service, region_name=self.region)


def checks(stack: str) -> Iterator[Check]:
    """All that can be looked at without changing anything; each is in the list, whatever came of those before it."""
    yield _pulumi()
    yield _uv()
    accepted, registered = configuration.look(stack)
    yield accepted
    found = _reach(stack)
    if isinstance(found, Check):
        yield found
        yield unknown("credentials", "no region, no AWS", found.mend)
        yield unknown(concurrency.NAME, "no region, no AWS", found.mend)
        yield unknown(_SUBSCRIBERS, "no region, no AWS", found.mend)
        return
    yield _region(stack, found.region)
    identity = _credentials(found)
    yield identity
    if identity.state != "ok":
        yield unknown(concurrency.NAME, "AWS does not know who asks", identity.mend)
        yield unknown(_SUBSCRIBERS, "AWS does not know who asks", identity.mend)
    elif registered is None:
        yield unknown(concurrency.NAME, "what the stack asks for is not known", accepted.mend)
        yield unknown(_SUBSCRIBERS, "who is to hear of alarms is not known", accepted.mend)
    else:
        yield _concurrency(found, concurrency.demand(registered))
        yield _subscribers(found, stack, registered)


def _pulumi() -> Check:
    path = shutil.which("pulumi")
    return ok("pulumi", path) if path else problem("pulumi", "is not on the PATH", f"install it: {_PULUMI}")


def _uv() -> Check:
    """The Pulumi CLI looks for it on the PATH; `lab up` finds the one that is beside `lab`, too."""
    beside = Path(sys.executable).parent
    if path := shutil.which("uv"):
        return ok("uv", path)
    if path := shutil.which("uv", path=str(beside)):
        return ok("uv", f"{path}, for lab up; pulumi up by itself needs it on the PATH: export PATH={beside}:$PATH")
    return problem("uv", "is not on the PATH", "make check installs it beside lab")


def _reach(stack: str) -> _Account | Check:
    """The account as the stack's provider sees it, or why it can't be told."""
    from ops.local.deployer import DeployError  # noqa: PLC0415 - loaded by now
    from ops.local.deployer.config import written  # noqa: PLC0415

    try:
        region, profile = (written(configuration.PROGRAM, stack, f"aws:{key}") for key in ("region", "profile"))
        session = target.account(None, profile)
        region = region or session.get_config_variable("region")
    except (DeployError, BotoCoreError) as error:
        return unknown("region", str(error), f"see that Pulumi.{stack}.yaml is there and right")
    if not region:
        mend = f"pulumi config set aws:region eu-central-1 --stack {stack}"
        return problem("region", "neither the stack nor the environment names one", mend)
    return _Account(region, session)


def _region(stack: str, region: str) -> Check:
    """`lab` and the aws CLI look where the caller's settings say, the deployment goes where the stack's say."""
    own = target.account(None, None).get_config_variable("region")
    if own != region:
        found = f"the stack is for {region}, and lab and the aws CLI look in {own or 'none'}"
        return problem("region", found, f"export AWS_DEFAULT_REGION={region} AWS_REGION={region}")
    return ok("region", f"{region}, for {stack}, lab and the aws CLI")


def _credentials(found: _Account) -> Check:
    try:
        identity = found.client("sts").get_caller_identity()
    except (UnreachableError, HTTPClientError) as error:
        return unknown("credentials", str(error), "reach AWS: network, proxy, region")
    except (BotoCoreError, ClientError) as error:
        return problem("credentials", str(error), _CREDENTIALS)
    return ok("credentials", f"{identity['Arn']} of account {identity['Account']}")


def _concurrency(found: _Account, wanted: concurrency.Demand) -> Check:
    client = found.client("lambda")
    try:
        limits = client.get_account_settings()["AccountLimit"]
        quota = concurrency.Quota(
            limit=limits["ConcurrentExecutions"],
            unreserved=limits["UnreservedConcurrentExecutions"],
            held=_held(client, wanted.reserved),
        )
    except (BotoCoreError, ClientError) as error:
        return unknown(
            concurrency.NAME,
            str(error),
            "ask for lambda:GetAccountSettings, lambda:ListFunctions and lambda:GetFunctionConcurrency",
        )
    return concurrency.judge(wanted, quota, found.region)


def _subscribers(found: _Account, stack: str, registered: Sequence[Registered]) -> Check:
    """Whether those who are configured hear of alarms: AWS sends the owner of an address a link, and waits 48 hours."""
    wanted = [one for one in registered if one.type.endswith(":TopicSubscription")]
    try:
        there = subscribers.subscribers(found.client("cloudwatch"), found.client("sns"), stack)
    except (BotoCoreError, ClientError) as error:
        mend = "ask for cloudwatch:DescribeAlarms and sns:ListSubscriptionsByTopic"
        return unknown(_SUBSCRIBERS, str(error), mend)
    if not there:
        return ok(_SUBSCRIBERS, "no alarm that notifies is deployed")
    pending = {
        (arn, one.protocol, one.endpoint) for arn, topic in there.items() for one in topic if one.state == "pending"
    }
    if pending:
        arn, protocol, endpoint = min(pending)
        return problem(
            _SUBSCRIBERS,
            f"{', '.join(sorted({who for _, _, who in pending}))} has not confirmed, and hears of no alarm",
            "follow the link in AWS's message, which works for 48 hours; another one, for each topic: "
            f"aws sns subscribe --topic-arn {arn} --protocol {protocol} --notification-endpoint {endpoint}",
        )
    deaf = [arn for arn, topic in there.items() if not any(one.state == "confirmed" for one in topic)]
    if deaf and not wanted:
        return ok(_SUBSCRIBERS, "none, as configured: alarmEmail and webhookUrl are empty")
    if deaf:
        mend = f"pulumi up --refresh --stack {stack}, and follow the link in AWS's message within 48 hours"
        return problem(_SUBSCRIBERS, f"nobody is subscribed to {', '.join(deaf)}", mend)
    return ok(_SUBSCRIBERS, "confirmed on every topic of alarms")


def _held(client: Any, reserving: Mapping[str, int]) -> int:  # noqa: ANN401 - made by name
    """What the stack's functions have reserved by an earlier deployment; they are known by their log groups."""
    if not reserving:
        return 0
    pages = client.get_paginator("list_functions").paginate()
    own = [
        function["FunctionName"]
        for page in pages
        for function in page["Functions"]
        if function.get("LoggingConfig", {}).get("LogGroup") in reserving
    ]
    held = (client.get_function_concurrency(FunctionName=name) for name in own)
    return sum(one.get("ReservedConcurrentExecutions", 0) for one in held)
