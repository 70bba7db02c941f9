"""What a change of the configuration does to a running production: `docs/changes.md`, and that no data is lost by it.

UPDATE_DOCS=1 writes the document.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from components.security.protection import HOLDING_DATA
from tests.components.recording import EVERY_PIPELINE, ROOT, Recording, Registered, run_main

_DOCUMENT = ROOT / "docs" / "changes.md"
_RUNNING: Mapping[str, object] = {"pipelines": EVERY_PIPELINE, "glueDatabase": "lake"}
_QUEUE = "sqs.eu-central-1.amazonaws.com/123456789012/theirs"
_CHANGES: tuple[Mapping[str, object], ...] = (
    {"batchSize": 25},
    {"workerTimeoutSeconds": 60},
    {"groupBy": "/customerId"},
    {"queueType": "fifo", "groupBy": "/customerId", "batchSize": 10},
    {"logRetentionDays": 30},
    {"resourceTags": {"Team": "ingestion"}},
    {"iamNamePrefix": "acme-"},
    {"architecture": "x86_64"},
    {"authMode": "jwt", "jwtIssuer": "https://login.example/", "jwtAudience": ["lab"]},
    {"breakerHoldSeconds": 0},
    {"kmsAlias": "alias/other"},
    {"useKmsCmk": False, "withoutCustomerKey": True},
    {"archiveRetentionDays": 0},
    {"glueDatabase": "other"},
    {"glueDatabase": ""},
    {"pipelines": ["events", "lake"]},
    {"pipelines": ["events", "orders"], "glueDatabase": ""},
    {"existingQueueUrl": f"https://{_QUEUE}", "existingQueueArn": "arn:aws:sqs:eu-central-1:123456789012:theirs"},
    {"deletionAllowed": True},
    {"tagRestricted": True},
    {"permissionsBoundaryArn": "arn:aws:iam::123456789012:policy/boundary"},
    {"vpcSubnetIds": ["subnet-0123456789abcdef0"], "vpcSecurityGroupIds": ["sg-0123456789abcdef0"]},
    {"lakeStartDate": "2026-03-01"},
    {"existingDlqUrl": f"https://{_QUEUE}-dlq", "existingDlqArn": "arn:aws:sqs:eu-central-1:123456789012:theirs-dlq"},
)
# Inputs that the provider's documentation says force a new resource, of the types that the changes above are about, and
# of everything that holds data.
_REPLACED_BY = {
    "Alias": {"name"},
    "Authorizer": {"apiId"},
    "Bucket": {"bucket", "bucketPrefix", "objectLockEnabled"},
    "CatalogDatabase": {"name", "catalogId"},
    "CatalogTable": {"name", "databaseName"},
    "CompositeAlarm": {"alarmName"},
    "EventArchive": {"name", "eventSourceArn"},
    "EventRule": {"name", "eventBusName"},
    "EventSourceMapping": {"eventSourceArn"},
    "EventTarget": {"rule", "targetId", "eventBusName"},
    "Key": {"customerMasterKeySpec", "keyUsage", "multiRegion", "customKeyStoreId"},
    "LayerVersion": {"layerName", "code", "compatibleArchitectures", "compatibleRuntimes"},
    "LogGroup": {"name"},
    "MetricAlarm": {"name"},
    "Queue": {"name", "namePrefix", "fifoQueue"},
    "Role": {"name", "namePrefix"},
    "RolePolicy": {"role"},
    "Table": {"name", "hashKey", "rangeKey", "localSecondaryIndexes"},
    "TableBucket": {"name"},
}
_GIVEN_BY_NAME = {"Queue", "Role"}  # others are told the name itself
_HEAD = """# What a change of the configuration does in production

Made of the registrations by `UPDATE_DOCS=1 pytest tests/contract/test_changes.py`; a test keeps the two equal.
It starts from `Pulumi.prod.yaml` with all pipelines and `glueDatabase: lake`, and changes what the first column says.

A change that would delete or replace what holds data is refused by Pulumi, which names it: the last column. To go on,
`pulumi state unprotect URN` has Pulumi forget the resource, and AWS keep it with its data; `deletionAllowed` has it
deleted ([first-deploy.md](first-deploy.md#take-it-down)). Without `useKmsCmk` the configuration is refused before
that, unless it says `withoutCustomerKey`. Log groups hold data too and are not protected: they go with their
function.

| change | updated | replaced | deleted | made | refused for |
|---|---|---|---|---|---|
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Outcome:
    """What becomes of which resources, as they were."""

    updated: tuple[Registered, ...]
    replaced: tuple[Registered, ...]
    deleted: tuple[Registered, ...]
    made: tuple[Registered, ...]

    @property
    def lost(self) -> list[Registered]:
        """What holds data and would lose it."""
        return [r for r in (*self.replaced, *self.deleted) if r.type in HOLDING_DATA]


def _outcome(before: Recording, after: Recording) -> _Outcome:
    old, new = _by_name(before), _by_name(after)
    changed = {key: _changed(old[key], new[key]) for key in old.keys() & new.keys()}
    replaced: set[tuple[str, str]] = set()
    while more := {key for key, found in changed.items() if _replaces(old[key], found)} - replaced:
        replaced |= more
        for key in changed:  # what names a replaced resource is told its new id, ARN or name
            changed[key] |= _naming(new[key], [new[other] for other in sorted(more - {key})])
    return _Outcome(
        updated=tuple(old[key] for key in old if changed.get(key) and key not in replaced),
        replaced=tuple(old[key] for key in old if key in replaced),
        deleted=tuple(old[key] for key in old if key not in new),
        made=tuple(new[key] for key in new if key not in old),
    )


def _by_name(recording: Recording) -> dict[tuple[str, str], Registered]:
    return {(r.type, r.name): r for r in sorted(recording.resources, key=_order) if r.type.startswith("aws:")}


def _order(resource: Registered) -> tuple[str, str]:
    return resource.type, resource.name


def _changed(old: Registered, new: Registered) -> set[str]:
    """The inputs of which the provider is told another value."""
    keys = (old.inputs.keys() | new.inputs.keys()) - set(old.ignore_changes)
    return {key for key in keys if old.inputs.get(key) != new.inputs.get(key)}


def _replaces(resource: Registered, changed: set[str]) -> bool:
    return bool(changed & _REPLACED_BY.get(_class(resource), set()))


def _naming(resource: Registered, replaced: list[Registered]) -> set[str]:
    """The inputs in which these stand: by an id, ARN or URL, which the recording makes of the name, or by the name."""
    forms = [rf"(?:arn|https|id|invoke):(?://)?{re.escape(other.name)}(?![\w-])" for other in replaced]
    forms += [f'"{re.escape(other.name)}"' for other in replaced if _class(other) in _GIVEN_BY_NAME]
    named = re.compile("|".join(forms) or r"(?!)")
    keys = set(resource.inputs) - set(resource.ignore_changes)
    return {key for key in keys if named.search(json.dumps(resource.inputs[key]))}


def _class(resource: Registered) -> str:
    return resource.type.rpartition(":")[2]


def _render() -> str:
    rows = [
        " | ".join(["", _said(change), *map(_counted, _columns(outcome)), _named(outcome.lost), ""]).strip()
        for change, outcome in _outcomes()
    ]
    return _HEAD + "\n".join(rows) + "\n"


def _columns(outcome: _Outcome) -> tuple[tuple[Registered, ...], ...]:
    return outcome.updated, outcome.replaced, outcome.deleted, outcome.made


def _outcomes() -> Iterator[tuple[Mapping[str, object], _Outcome]]:
    before = run_main("prod", _RUNNING)
    for change in _CHANGES:
        yield change, _outcome(before, run_main("prod", {**_RUNNING, **change}))


def _said(change: Mapping[str, object]) -> str:
    texts = {key: str(value).lower() if isinstance(value, bool) else value for key, value in change.items()}
    return ", ".join(f"`{key}: {value}`" if value != "" else f"no `{key}`" for key, value in texts.items())


def _counted(resources: tuple[Registered, ...]) -> str:
    return ", ".join(f"{number} {type_}" for type_, number in sorted(Counter(map(_class, resources)).items()))


def _named(resources: list[Registered]) -> str:
    return ", ".join(f"`{r.name}`" for r in resources)


def test_the_document_tells_of_every_change(record_property: Any) -> None:
    """Each row is what the registrations before and after differ by."""
    text = _render()
    if os.environ.get("UPDATE_DOCS"):
        _DOCUMENT.write_text(text, encoding="utf-8")
    record_property("changes of production's configuration", len(_CHANGES))

    assert _DOCUMENT.read_text(encoding="utf-8") == text


def test_no_change_loses_data_in_production() -> None:
    """Whatever would be deleted or replaced with its data is protected, in Pulumi's state, before the change."""
    lost = {_said(change): outcome.lost for change, outcome in _outcomes()}

    assert sum(map(len, lost.values())) > 10  # there is something to protect
    assert [r.name for resources in lost.values() for r in resources if not (r.protect and r.retained)] == []


def test_everything_that_can_be_lost_has_its_replacing_inputs_listed() -> None:
    """Or its replacement would go for an update here."""
    assert {type_.rpartition(":")[2] for type_ in HOLDING_DATA} - _REPLACED_BY.keys() == set()


def test_unprotected_data_would_be_found() -> None:
    """The check above can fail: where deletion is allowed, the same change finds its resources unprotected."""
    free = {**_RUNNING, "deletionAllowed": True}
    outcome = _outcome(run_main("prod", free), run_main("prod", {**free, "glueDatabase": "other", "useKmsCmk": False}))

    assert {r.name for r in outcome.lost if not r.protect} == {
        "ingestion-bus-unreadable",
        "ingestion-key",
        "lake-catalog-database",
    }
