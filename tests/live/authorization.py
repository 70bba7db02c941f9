"""What AWS checks of a call: actions on resources, by the Service Authorization Reference.

Written down once more here, and not taken from the program, so that neither can be wrong alone.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from tests.live.wire import REGION, Call

ACCOUNT = "000000000000"
_OF = f"{REGION}:{ACCOUNT}"
_STATEMENT = re.compile(r'\s*(?:(INSERT)\s+INTO|(UPDATE)|(DELETE)\s+FROM|(SELECT)\s.*?\sFROM)\s+"([^"]+)"', re.DOTALL)
_TRANSACTED = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}


class Need(NamedTuple):
    """One action on one resource."""

    action: str
    resource: str


Checked = Callable[[Call], Iterator[Need]]


def needs(call: Call) -> set[Need]:
    """All that AWS checks before it does what a call asks for.

    Raises:
        AssertionError: the call is not in the table.
    """
    checked = _CHECKED.get((call.service, call.operation))
    assert checked, f"say in tests/live/authorization.py what AWS checks of {call.service} {call.operation}"
    return set(checked(call))


def _table(name: str) -> str:
    return name if name.startswith("arn:") else f"arn:aws:dynamodb:{_OF}:table/{name}"


def _on_queue(action: str) -> Checked:
    """SQS has no actions for batches: each entry needs what the single call needs."""

    def checked(call: Call) -> Iterator[Need]:
        yield Need(f"sqs:{action}", f"arn:aws:sqs:{_OF}:{call.params['QueueUrl'].rpartition('/')[2]}")

    return checked


def _on_table(action: str) -> Checked:
    def checked(call: Call) -> Iterator[Need]:
        index = call.params.get("IndexName")
        yield Need(f"dynamodb:{action}", _table(call.params["TableName"]) + (f"/index/{index}" if index else ""))

    return checked


def _batch_get(call: Call) -> Iterator[Need]:
    yield from (Need("dynamodb:BatchGetItem", _table(name)) for name in call.params["RequestItems"])


def _statements(call: Call) -> Iterator[Need]:
    """PartiQL is checked by what each statement does, on the table that stands in it."""
    for one in call.params["Statements"]:
        found = _STATEMENT.match(one["Statement"])
        assert found, one["Statement"]
        *words, table = found.groups()
        yield Need(f"dynamodb:PartiQL{next(word for word in words if word).title()}", _table(table))


def _transaction(call: Call) -> Iterator[Need]:
    """A transaction has no action of its own: each of its writes needs its own."""
    for item in call.params["TransactItems"]:
        for kind, write in item.items():
            yield Need(f"dynamodb:{_TRANSACTED[kind]}", _table(write["TableName"]))


def _bus(name: str) -> str:
    return name if name.startswith("arn:") else f"arn:aws:events:{_OF}:event-bus/{name}"


def _put_events(call: Call) -> Iterator[Need]:
    yield from (Need("events:PutEvents", _bus(entry["EventBusName"])) for entry in call.params["Entries"])


def _describe_bus(call: Call) -> Iterator[Need]:
    yield Need("events:DescribeEventBus", _bus(call.params["Name"]))


def _secret(call: Call) -> Iterator[Need]:
    yield Need("secretsmanager:GetSecretValue", call.params["SecretId"])


def _on_parameter(action: str) -> Checked:
    def checked(call: Call) -> Iterator[Need]:
        name: str = call.params["Name"]
        arn = f"arn:aws:ssm:{_OF}:parameter/{name.removeprefix('/')}"
        yield Need(f"ssm:{action}", name if name.startswith("arn:") else arn)

    return checked


def _invoke(call: Call) -> Iterator[Need]:
    yield Need("lambda:InvokeFunction", f"arn:aws:lambda:{_OF}:function:{call.params['FunctionName']}")


def _on_mapping(action: str) -> Checked:
    def checked(call: Call) -> Iterator[Need]:
        yield Need(f"lambda:{action}", f"arn:aws:lambda:{_OF}:event-source-mapping:{call.params['UUID']}")

    return checked


def _on_object(action: str, *, versions: bool = False) -> Checked:
    """S3 checks another action where a version is named, and a right to list where there is no such object."""

    def checked(call: Call) -> Iterator[Need]:
        bucket = f"arn:aws:s3:::{call.params['Bucket']}"
        version = "Version" if versions and "VersionId" in call.params else ""
        yield Need(f"s3:{action}{version}", f"{bucket}/{call.params['Key']}")
        if action == "GetObject" and call.status == 404:
            yield Need("s3:ListBucket", bucket)  # without it the answer is 403, and says nothing

    return checked


_CHECKED: Mapping[tuple[str, str], Checked] = {
    ("sqs", "SendMessageBatch"): _on_queue("SendMessage"),
    ("sqs", "ReceiveMessage"): _on_queue("ReceiveMessage"),
    ("sqs", "DeleteMessageBatch"): _on_queue("DeleteMessage"),
    ("sqs", "ChangeMessageVisibilityBatch"): _on_queue("ChangeMessageVisibility"),
    ("sqs", "GetQueueAttributes"): _on_queue("GetQueueAttributes"),
    ("dynamodb", "GetItem"): _on_table("GetItem"),
    ("dynamodb", "PutItem"): _on_table("PutItem"),
    ("dynamodb", "UpdateItem"): _on_table("UpdateItem"),
    ("dynamodb", "Query"): _on_table("Query"),
    ("dynamodb", "BatchGetItem"): _batch_get,
    ("dynamodb", "BatchExecuteStatement"): _statements,
    ("dynamodb", "TransactWriteItems"): _transaction,
    ("eventbridge", "PutEvents"): _put_events,
    ("eventbridge", "DescribeEventBus"): _describe_bus,
    ("secrets-manager", "GetSecretValue"): _secret,
    ("ssm", "GetParameter"): _on_parameter("GetParameter"),
    ("ssm", "PutParameter"): _on_parameter("PutParameter"),
    ("lambda", "Invoke"): _invoke,
    ("lambda", "GetEventSourceMapping"): _on_mapping("GetEventSourceMapping"),
    ("lambda", "UpdateEventSourceMapping"): _on_mapping("UpdateEventSourceMapping"),
    ("s3", "GetObject"): _on_object("GetObject", versions=True),
    ("s3", "PutObject"): _on_object("PutObject"),
    ("s3", "CreateMultipartUpload"): _on_object("PutObject"),
    ("s3", "UploadPart"): _on_object("PutObject"),
    ("s3", "CompleteMultipartUpload"): _on_object("PutObject"),
    ("s3", "DeleteObject"): _on_object("DeleteObject", versions=True),
}
