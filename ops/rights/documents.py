"""IAM policies for whoever deploys a stack, of what its program registers: actions by type, on the stack's names."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from ops.local.errors import LabError
from ops.rights.actions import BOUND, DROPPED, EMPTIED, KINDS, MAPPED, NETWORK, RIGHTS, UNBOUND

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ops.cost.fixed import Resource

Statement = dict[str, Any]
LARGEST = 6144  # characters of a managed policy, without blanks
_BUCKET, _BUS, _FUNCTION = "aws:s3/bucket:Bucket", "aws:cloudwatch/eventBus:EventBus", "aws:lambda/function:Function"
_ROLE, _TABLE_BUCKET = "aws:iam/role:Role", "aws:s3tables/tableBucket:TableBucket"
_MADE_UP, _UNIQUE = "?" * 7, "?" * 26  # how names end that Pulumi makes up, and those that the provider does


class RightsError(LabError):
    """It can't be said which rights it takes; the message says why."""


def documents(resources: Sequence[Resource], stack: str, place: Mapping[str, str]) -> list[dict[str, Any]]:
    """As many policies as it takes, each small enough for a managed policy.

    `place` has `partition`, `region` and `account`.

    Raises:
        RightsError: something is registered of which no rights are known.
    """
    found: list[dict[str, Any]] = []
    for statement in _statements([one for one in resources if one.type.startswith("aws:")], stack, place):
        if found and _size([*found[-1]["Statement"], statement]) <= LARGEST:
            found[-1]["Statement"].append(statement)
        else:
            found.append({"Version": "2012-10-17", "Statement": [statement]})
    return found


def _size(statements: Sequence[Statement]) -> int:
    return len(json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":")))


def _statements(resources: Sequence[Resource], stack: str, place: Mapping[str, str]) -> list[Statement]:
    if unknown := sorted({one.type for one in resources} - RIGHTS.keys()):
        raise RightsError(f"say in ops/rights/actions.py what it takes to deploy {unknown[0]}")
    arns = _arns(resources, stack, place)
    rights = [RIGHTS[kind] for kind in sorted({one.type for one in resources})]
    found: list[Statement] = []
    for of in sorted({one.of for one in rights if one.of}):
        sid, there = KINDS[of].sid, arns[of]
        if plain := {action for one in rights if one.of == of for action in one.actions}:
            found += _of_roles(resources, plain, there) if of == _ROLE else [_allow(sid, plain, there)]
        if tagged := {action for one in rights if one.of == of for action in one.known_by_tags}:
            found.append(_allow(f"{sid}ByTag", tagged, there, _tags(resources, of)))
    anywhere = {action for one in rights for action in one.anywhere} | _network(resources)
    return [*found, *_more(resources, arns), *([_allow("Anywhere", anywhere, ["*"])] if anywhere else [])]


def _more(resources: Sequence[Resource], arns: Mapping[str, Sequence[str]]) -> list[Statement]:
    """What goes by more than the types of resources."""
    found = []
    if any(one.type.endswith(":EventSourceMapping") for one in resources):
        functions = sorted(set(arns[_FUNCTION]))
        found.append(_allow("MappingsOfFunctions", MAPPED, ["*"], {"ArnLike": {"lambda:FunctionArn": functions}}))
    layers = {str(arn) for one in resources if one.type == _FUNCTION for arn in one.inputs.get("layers") or []}
    if theirs := sorted(arn for arn in layers if arn.startswith("arn:aws")):
        found.append(_allow("LayersOfOthers", ["lambda:GetLayerVersion"], theirs))
    if any(one.type == _BUCKET and one.inputs.get("forceDestroy") for one in resources):
        found.append(_allow("EmptiedBuckets", EMPTIED, [f"{arn}{end}" for arn in arns[_BUCKET] for end in ("", "/*")]))
    if any(one.type == _TABLE_BUCKET and one.inputs.get("forceDestroy") for one in resources):
        found.append(_allow("DroppedTables", DROPPED, arns[_TABLE_BUCKET]))
    trusting: dict[str, list[Resource]] = {}
    for role in (one for one in resources if one.type == _ROLE):
        for service in _services(role):
            trusting.setdefault(service, []).append(role)
    for service, roles in sorted(trusting.items()):
        names = {arn for arn in arns[_ROLE] if any(f"/{_begin(role)}" in arn for role in roles)}
        condition = {"StringEquals": {"iam:PassedToService": service}}
        found.append(_allow(f"RolesOf{service.split('.')[0].title()}", ["iam:PassRole"], names, condition))
    return found


def _of_roles(resources: Sequence[Resource], actions: Iterable[str], arns: Sequence[str]) -> list[Statement]:
    """With a permissions boundary, roles are made and given rights with it alone, and keep it."""
    boundaries = {str(one.inputs.get("permissionsBoundary") or "") for one in resources if one.type == _ROLE}
    if "" in boundaries:
        return [_allow("Roles", actions, arns)]
    condition = {"ArnEquals": {"iam:PermissionsBoundary": sorted(boundaries)}}
    return [
        _allow("Roles", set(actions) - {*BOUND, *UNBOUND}, arns),
        _allow("RolesWithBoundary", BOUND, arns, condition),
    ]


def _network(resources: Sequence[Resource]) -> set[str]:
    return set(NETWORK) if any(one.type == _FUNCTION and one.inputs.get("vpcConfig") for one in resources) else set()


def _services(role: Resource) -> set[str]:
    """Who may take the role on."""
    found = set()
    for statement in json.loads(role.inputs["assumeRolePolicy"])["Statement"]:
        service = statement["Principal"].get("Service", [])
        found |= {service} if isinstance(service, str) else set(service)
    return found


def _tags(resources: Sequence[Resource], of: str) -> dict[str, Any]:
    """The condition that a resource is the stack's, where all of them have tags."""
    tags = [one.inputs.get("tags") or {} for one in resources if one.type == of]
    common = {key: value for key, value in tags[0].items() if all(one.get(key) == value for one in tags)}
    known = {f"aws:ResourceTag/{key}": common[key] for key in ("Project", "Stack") if key in common}
    return {"StringEquals": known} if known else {}


def _allow(
    sid: str, actions: Iterable[str], resources: Iterable[str], condition: Mapping[str, Any] | None = None
) -> Statement:
    made = {"Sid": sid, "Effect": "Allow", "Action": sorted(set(actions)), "Resource": sorted(set(resources))}
    return made | ({"Condition": dict(condition)} if condition else {})


def _arns(resources: Sequence[Resource], stack: str, place: Mapping[str, str]) -> dict[str, list[str]]:
    """The ARNs of all that have some, by type, names that are not known beforehand with `?` for each character."""
    found: dict[str, list[str]] = {}
    for one in resources:
        if kind := KINDS.get(one.type):
            name = _name(one, resources, stack)
            texts = [f"arn:{{partition}}:{arn}".format(name=name, **place) for arn in kind.arns]
            found.setdefault(one.type, []).extend(texts)
    return found


def _name(one: Resource, resources: Sequence[Resource], stack: str) -> str:
    kind = KINDS[one.type]
    bus = one.inputs.get("eventBusName")  # of a rule; where it is the stack's own, by its logical name
    own = next((_name(it, resources, stack) for it in resources if it.type == _BUS and it.name == bus), bus)
    path = f"{own}/" if own and own != "default" else ""
    if named := one.inputs.get(kind.named_by):
        end = re.sub(rf"^(.*?[-/]{re.escape(stack)}[-/]).+", r"\1*", str(named)).removeprefix("/")
        end = f"/{end}" if one.type.endswith(":LogGroup") else end
        return f"{path}{end}"
    return f"{path}{_begin(one)}{'.fifo' if one.inputs.get('fifoQueue') or one.inputs.get('fifoTopic') else ''}"


def _begin(one: Resource) -> str:
    """The name that it gets, as far as it is known."""
    begun = one.inputs.get(KINDS[one.type].begun_by)
    return f"{begun}{_UNIQUE}" if begun else f"{one.name}-{_MADE_UP}"
