"""What the provider sends for an input that is left out, from its own documentation, and what the laptop sends."""

import importlib
import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from ops.local.deployer.kinds import KINDS
from tests.engine import standin

_FILLED = "AWS or the emulator would choose something else: the laptop's deployer sends it too"
_SAME = "AWS chooses the same when it is left out"
_NEVER_SENT = "the provider's own setting, which no AWS call has"

# Type and input: how the provider's documentation writes the value, the value, and what follows from it.
_DEFAULTS: Mapping[tuple[str, str], tuple[str, object, str]] = {
    ("Api", "routeSelectionExpression"): ("`$request.method $request.path`", "$request.method $request.path", _SAME),
    ("Api", "disableExecuteApiEndpoint"): ("By default, clients can invoke", False, _SAME),
    ("Authorizer", "authorizerResultTtlInSeconds"): ("`300`", 300, _SAME),
    ("Integration", "connectionType"): ("`INTERNET`", "INTERNET", _FILLED),
    ("Integration", "payloadFormatVersion"): ("`1.0`", "1.0", _FILLED),
    ("Integration", "timeoutMilliseconds"): ("30 seconds for HTTP APIs", 30_000, _SAME),
    ("Route", "authorizationType"): ("`NONE`", "NONE", _SAME),
    ("Stage", "autoDeploy"): ("`false`", False, _SAME),
    ("CompositeAlarm", "actionsEnabled"): ("`true`", True, _SAME),
    ("MetricAlarm", "actionsEnabled"): ("`true`", True, _SAME),
    ("MetricAlarm", "treatMissingData"): ("`missing`", "missing", _SAME),
    ("EventArchive", "eventPattern"): ("every event received", None, _SAME),
    ("EventArchive", "retentionDays"): ("archives indefinitely", 0, _SAME),
    ("EventRule", "eventBusName"): ("the `default` event bus", "default", _SAME),
    ("EventRule", "state"): ("`ENABLED`", "ENABLED", _SAME),
    ("EventTarget", "eventBusName"): ("the `default` event bus", "default", _SAME),
    ("Table", "billingMode"): ("`PROVISIONED`", "PROVISIONED", _SAME),
    ("Table", "deletionProtectionEnabled"): ("`false`", False, _SAME),
    ("Table", "tableClass"): ("`STANDARD`", "STANDARD", _SAME),
    ("Role", "maxSessionDuration"): ("one hour", 3600, _SAME),
    ("Key", "customerMasterKeySpec"): ("`SYMMETRIC_DEFAULT`", "SYMMETRIC_DEFAULT", _SAME),
    ("Key", "deletionWindowInDays"): ("`30`", 30, _SAME),
    ("Key", "enableKeyRotation"): ("`false`", False, _SAME),
    ("Key", "keyUsage"): ("`ENCRYPT_DECRYPT`", "ENCRYPT_DECRYPT", _SAME),
    ("Key", "multiRegion"): ("`false`", False, _SAME),
    ("EventSourceMapping", "batchSize"): ("`10` for SQS", 10, _SAME),
    ("EventSourceMapping", "enabled"): ("`true`", True, _SAME),
    ("EventSourceMapping", "maximumBatchingWindowInSeconds"): ("as soon as records are available", 0, _SAME),
    ("Function", "architectures"): ('`["x86_64"]`', ["x86_64"], _SAME),
    ("Function", "kmsKeyArn"): ("a default service key", None, _SAME),
    ("Function", "memorySize"): ("128", 128, _SAME),
    ("Function", "publish"): ("`false`", False, _SAME),
    ("Function", "reservedConcurrentExecutions"): ("`-1`", -1, _SAME),
    ("Function", "timeout"): ("3", 3, _SAME),
    ("FunctionEventInvokeConfig", "maximumRetryAttempts"): ("2", 2, _SAME),
    ("BucketPublicAccessBlock", "blockPublicAcls"): ("`false`", False, _SAME),
    ("BucketPublicAccessBlock", "blockPublicPolicy"): ("`false`", False, _SAME),
    ("BucketPublicAccessBlock", "ignorePublicAcls"): ("`false`", False, _SAME),
    ("BucketPublicAccessBlock", "restrictPublicBuckets"): ("`false`", False, _SAME),
    ("Topic", "fifoTopic"): ("`false`", False, _SAME),
    ("TopicSubscription", "confirmationTimeoutInMinutes"): ("`1`", 1, _NEVER_SENT),
    ("TopicSubscription", "endpointAutoConfirms"): ("`false`", False, _NEVER_SENT),
    ("TopicSubscription", "filterPolicyScope"): ("`MessageAttributes` (default)", "MessageAttributes", _SAME),
    ("TopicSubscription", "rawMessageDelivery"): ("`false`", False, _SAME),
    ("StateMachine", "type"): ("`STANDARD`", "STANDARD", _SAME),
    ("Queue", "deduplicationScope"): ("`queue` (default)", "queue", _SAME),
    ("Queue", "delaySeconds"): ("0 seconds", 0, _FILLED),
    ("Queue", "fifoQueue"): ("`false`", False, _SAME),
    ("Queue", "fifoThroughputLimit"): ("`perQueue` (default)", "perQueue", _SAME),
    ("Queue", "kmsDataKeyReusePeriodSeconds"): ("300", 300, _SAME),
    ("Queue", "maxMessageSize"): ("262144", 262_144, _FILLED),
    ("Queue", "messageRetentionSeconds"): ("345600", 345_600, _FILLED),
    ("Queue", "receiveWaitTimeSeconds"): ("is 0,", 0, _FILLED),
    ("Queue", "visibilityTimeoutSeconds"): ("is 30.", 30, _FILLED),
}
# Sentences with the word that tell no default of the input itself.
_OTHER = re.compile(
    r"`default_tags`|Default route settings|size is 2048 by default|default event bus\. For|either `\$default`|default "
    r"parameter tier"
)


def _documented(token: str) -> Iterator[tuple[str, str]]:
    """The inputs that the laptop's deployer knows of a type, and the sentences on their defaults."""
    package, _, class_ = token.removeprefix("aws:").replace("/", ":").split(":")
    module = importlib.import_module(f"pulumi_aws.{'lambda_' if package == 'lambda' else package}")
    for name, member in inspect.getmembers(getattr(module, f"{class_}Args"), lambda it: isinstance(it, property)):
        key = re.sub(r"_([a-z])", lambda found: found[1].upper(), name)
        lines = re.split(r"\n", inspect.getdoc(member.fget) or "")
        told = " ".join(
            line for line in lines if re.search(r"\bdefault", line, re.IGNORECASE) and not _OTHER.search(line)
        )
        if key in KINDS[token].fields and told and key != "region":
            yield key, told


def test_every_documented_default_is_known(record_property: Any) -> None:
    """The provider's documentation names no default that the table does not have, and writes those as the table does.

    A provider that changes one, or documents another, is seen here before it is seen in an account.
    """
    told = {(token.rpartition(":")[2], key): text for token in KINDS for key, text in _documented(token)}
    differing = {where: told[where] for where, (written, *_) in _DEFAULTS.items() if written not in told.get(where, "")}

    record_property("types walked", len(KINDS))
    record_property("defaults", len(told))
    assert told.keys() == _DEFAULTS.keys()
    assert differing == {}


@pytest.mark.parametrize("token", KINDS)
def test_the_laptop_sends_what_the_provider_sends(token: str) -> None:
    """Where AWS or the emulator would choose something else, what is left out is sent on the laptop as well."""
    type_ = token.rpartition(":")[2]
    wanted = {key: value for (of, key), (_, value, follows) in _DEFAULTS.items() if of == type_ and follows == _FILLED}

    assert KINDS[token].provider_defaults == wanted


def test_a_default_that_is_not_sent_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue of the laptop that would get the emulator's own limits fails the check."""
    token = "aws:sqs/queue:Queue"
    monkeypatch.setattr(KINDS[token], "provider_defaults", {})

    with pytest.raises(AssertionError):
        test_the_laptop_sends_what_the_provider_sends(token)


def test_the_stand_in_of_the_engine_tests_fills_the_same() -> None:
    """The stand-in for the provider has no default of its own making."""
    filled = [(token.rpartition(":")[2], values) for token, values in standin.DEFAULTS.items()]
    ours = {(type_, key): value for type_, values in filled for key, value in values.items()}
    known = {where: value for where, (_, value, _) in _DEFAULTS.items()}

    assert {where: value for where, value in ours.items() if known.get(where, value) != value} == {}
