"""The deployer on the emulator, with a program that has every resource type it knows."""

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from ops.local.deployer import Changes, DeployError
from ops.local.deployer.kinds import KINDS
from ops.local.emulator import ROOT
from ops.local.files import locked
from tests.ops.stack import FIXTURE, Stack, small_program, wait_for, wipe

_ALL = 53  # resources of the fixture
_TABLES = "arn:aws:s3tables:us-east-1:000000000000:bucket/tables"
_LAYER = "aws:lambda/layerVersion:LayerVersion::layer"
_PRESET = [  # set in every new bucket
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls::bucket-ownership",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock::bucket-private",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration::bucket-encryption",
]
_QUERY = "aws:cloudwatch/queryDefinition:QueryDefinition::query"  # kept in the state file and nowhere else


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 - our own emulator
        return str(answer.read().decode())


def test_everything(stack: Stack) -> None:
    """A program with every type that the deployer knows: what it makes works, and its outputs are what AWS would give.

    Function, layer, environment, role, integration and route are shown by a request; no secret is in the state file.
    """
    deployment = stack.deploy()
    created = deployment.changes.created
    assert ({key.partition("::")[0] for key in created}, len(created)) == (set(KINDS), _ALL)
    endpoint = stack.emulator.endpoint
    api = stack.client("apigatewayv2").get_apis()["Items"][0]["ApiId"]
    mapping = stack.client("lambda").list_event_source_mappings()["EventSourceMappings"][0]["UUID"]
    stream = stack.client("dynamodb").describe_table(TableName="table")["Table"]["LatestStreamArn"]
    shown = {
        "account": "000000000000",
        "place": "aws/us-east-1",
        "apiEndpoint": f"{endpoint}/_aws/execute-api/{api}",
        "queueUrl": f"{endpoint}/000000000000/queue",
        "dlqUrl": f"{endpoint}/000000000000/dlq",
        "tableName": "table",
        "streamArn": stream,
        "ids": {
            "mapping": mapping,
            "function": "function",
            "ordered": "ordered.fifo",
            "layer": "arn:aws:lambda:us-east-1:000000000000:layer:fixture-layer:1",
        },
    }
    assert deployment.outputs == shown | {"environment": {"variables": {"TABLE": "table", "TOKEN": "hidden-token"}}}
    assert stack.state()["outputs"] == shown | {"environment": "[secret]"}
    assert "hidden-token" not in stack.state_file.read_text()
    assert _get(f"{deployment.outputs['apiEndpoint']}/echo/hello") == "hello 7 table hidden-token"


def test_second_run_changes_nothing(stack: Stack) -> None:
    """The same program again: everything is found as it was left, with the same outputs."""
    first = stack.deploy()
    second = stack.deploy()
    assert (second.outputs, sorted(second.changes.unchanged)) == (first.outputs, sorted(first.changes.created))
    assert second.changes == Changes(unchanged=second.changes.unchanged)


def test_what_was_changed_by_hand_is_set_anew(stack: Stack) -> None:
    """Only with `refresh`: queues, functions and their reservations; what an operator sets stays as he has set it."""
    url = stack.deploy().outputs["queueUrl"]
    sqs, functions, ssm = stack.client("sqs"), stack.client("lambda"), stack.client("ssm")
    before = functions.get_function_configuration(FunctionName="function")
    reserved = functions.get_function_concurrency(FunctionName="function").get("ReservedConcurrentExecutions")
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "7"})
    functions.update_function_configuration(FunctionName="function", Timeout=899, Environment={"Variables": {}})
    functions.put_function_concurrency(FunctionName="function", ReservedConcurrentExecutions=0)
    ssm.put_parameter(Name="/fixture/mode", Value="by-hand", Overwrite=True)

    def seen() -> tuple[str, int, dict[str, str], int | None]:
        found = functions.get_function_configuration(FunctionName="function")
        return (
            sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]["VisibilityTimeout"],
            found["Timeout"],
            found["Environment"]["Variables"],
            functions.get_function_concurrency(FunctionName="function").get("ReservedConcurrentExecutions"),
        )

    stack.deploy()
    assert seen() == ("7", 899, {}, 0)
    changes = stack.deploy(refresh=True).changes
    assert seen() == ("30", before["Timeout"], before["Environment"]["Variables"], reserved)
    assert (len(changes.updated), changes.created, changes.replaced, changes.deleted) == (_ALL, [], [], [])
    assert sorted(changes.drifted) == [
        "function: Environment was changed",
        f"function: ReservedConcurrentExecutions was 0, is {reserved} again",
        f"function: Timeout was 899, is {before['Timeout']} again",
        "queue: VisibilityTimeout was 7, is 30 again",
    ]
    assert stack.deploy(refresh=True).changes.drifted == []
    assert ssm.get_parameter(Name="/fixture/mode")["Parameter"]["Value"] == "by-hand"
    assert len(stack.deploy().changes.unchanged) == _ALL


def test_tuned_in_place(stack: Stack) -> None:
    """Changed inputs arrive at the running resources, others are left alone; messages and alarm states stay."""
    stack.deploy()
    sqs, functions = stack.client("sqs"), stack.client("lambda")
    url = sqs.get_queue_url(QueueName="queue")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="waiting")
    watched = stack.client("cloudwatch")
    watched.set_alarm_state(AlarmName="fixture-plain", StateValue="ALARM", StateReason="a test")
    changes = stack.deploy(visibility=60, batchSize=3, threshold=7).changes
    assert sorted(changes.updated) == [
        "aws:cloudwatch/eventArchive:EventArchive::archive",
        "aws:cloudwatch/metricAlarm:MetricAlarm::plain",
        "aws:lambda/eventSourceMapping:EventSourceMapping::mapping",
        "aws:lambda/function:Function::function",
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration::bucket-lifecycle",
        "aws:sqs/queue:Queue::queue",
    ]
    assert (changes.created, changes.replaced, len(changes.unchanged)) == ([], [_LAYER], _ALL - 7)
    assert changes.deleted == [f"{_LAYER}~arn:aws:lambda:us-east-1:000000000000:layer:fixture-layer:1"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert attributes["VisibilityTimeout"] == "60"
    kept: list[str] = []  # S3's test may come first: the queue delays what is sent to it

    def received() -> bool:
        answer = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5, MaxNumberOfMessages=10)
        kept.extend(message["Body"] for message in answer.get("Messages", []))
        return "waiting" in kept

    wait_for(received, "the message")
    assert functions.list_event_source_mappings()["EventSourceMappings"][0]["BatchSize"] == 3
    assert [v["Version"] for v in functions.list_layer_versions(LayerName="fixture-layer")["LayerVersions"]] == [2]
    assert stack.client("events").describe_archive(ArchiveName="archive")["RetentionDays"] == 60
    alarm = watched.describe_alarms(AlarmNames=["fixture-plain"])["MetricAlarms"][0]
    assert (alarm["Threshold"], alarm["StateValue"], alarm["TreatMissingData"]) == (7, "ALARM", "notBreaching")
    assert stack.notices == ["replacing aws:lambda/layerVersion:LayerVersion 'layer': code can't be changed in place"]


def test_removed_inputs_go_back_to_their_defaults(stack: Stack) -> None:
    """An input that the program no longer gives is reset, tags are removed, a resource it no longer has is deleted."""
    stack.deploy()
    changes = stack.deploy(extras=False).changes
    sqs, functions = stack.client("sqs"), stack.client("lambda")
    url = sqs.get_queue_url(QueueName="queue")["QueueUrl"]
    assert sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["DelaySeconds"])["Attributes"] == {
        "DelaySeconds": "0"
    }
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"project": "fixture"}
    assert functions.get_function_configuration(FunctionName="function")["MemorySize"] == 128
    assert "ReservedConcurrentExecutions" not in functions.get_function_concurrency(FunctionName="function")
    assert functions.get_function(FunctionName="function")["Tags"] == {"project": "fixture"}
    assert "CorsConfiguration" not in stack.client("apigatewayv2").get_apis()["Items"][0]
    gateway, api = stack.client("apigatewayv2"), stack.client("apigatewayv2").get_apis()["Items"][0]["ApiId"]
    authorizers = {made["Name"]: made for made in gateway.get_authorizers(ApiId=api)["Items"]}
    routes = {route["RouteKey"]: route for route in gateway.get_routes(ApiId=api)["Items"]}
    assert authorizers["keys"]["AuthorizerResultTtlInSeconds"] == 300
    guarded = routes["GET /guarded"]
    assert (guarded["AuthorizationType"], guarded.get("AuthorizationScopes", [])) == ("CUSTOM", [])
    assert guarded["AuthorizerId"] == authorizers["keys"]["AuthorizerId"]
    tables, of_bucket = stack.client("s3tables"), {"tableBucketARN": _TABLES}
    encryption = tables.get_table_bucket_encryption(**of_bucket)["encryptionConfiguration"]
    removal = tables.get_table_bucket_maintenance_configuration(**of_bucket)["configuration"]
    assert (encryption, tables.list_tags_for_resource(resourceArn=_TABLES)["tags"]) == (
        {"sseAlgorithm": "AES256"},
        {"project": "fixture"},
    )
    assert removal["icebergUnreferencedFileRemoval"]["settings"] == {
        "icebergUnreferencedFileRemoval": {"unreferencedDays": 4, "nonCurrentDays": 5}
    }
    role_tags = stack.client("iam").list_role_tags(RoleName="role")["Tags"]
    assert role_tags == [{"Key": "project", "Value": "fixture"}]
    assert changes.deleted == ["aws:lambda/permission:Permission::permission"]
    left = json.loads(functions.get_policy(FunctionName="function")["Policy"])["Statement"]
    assert [statement["Sid"] for statement in left] == ["bucket-permission"]


def test_everything_removed(stack: Stack, tmp_path: Path) -> None:
    """A program that has become empty leaves nothing behind, whatever depends on what, nor a notice of S3."""
    stack.deploy()
    empty = small_program(tmp_path / "empty", "")
    assert len(stack.deploy(empty, lose_data=True).changes.deleted) == _ALL
    assert (stack.state()["resources"], stack.state()["outputs"]) == ([], {})
    assert stack.client("sqs").list_queues().get("QueueUrls", []) == []
    assert stack.client("lambda").list_functions()["Functions"] == []
    assert stack.client("dynamodb").list_tables()["TableNames"] == []
    assert stack.client("iam").list_roles()["Roles"] == []
    assert stack.client("apigatewayv2").get_apis()["Items"] == []
    assert [bus["Name"] for bus in stack.client("events").list_event_buses()["EventBuses"]] == ["default"]
    assert stack.client("s3tables").list_table_buckets()["tableBuckets"] == []


def test_wiped_emulator(stack: Stack) -> None:
    """State that speaks of things which are gone is not believed, but of what is in the file alone or in any bucket."""
    stack.deploy()
    wipe(stack.emulator)
    again = stack.deploy()
    assert (len(again.changes.created), sorted(again.changes.unchanged)) == (_ALL - 2, [_QUERY, _PRESET[0]])
    assert _get(f"{again.outputs['apiEndpoint']}/echo/again") == "again 7 table hidden-token"


def test_lost_state(stack: Stack) -> None:
    """Without its state file it adopts what it finds by name, and makes again what has no name: key, layer, query.

    So it does with what every new bucket has too, since nothing tells its own from that.
    """
    first = stack.deploy()
    stack.state_file.unlink()
    second = stack.deploy()
    assert sorted(second.changes.created) == [_QUERY, "aws:kms/key:Key::key", _LAYER, *_PRESET]
    assert second.outputs["apiEndpoint"] == first.outputs["apiEndpoint"]
    assert len(stack.client("lambda").list_event_source_mappings()["EventSourceMappings"]) == 1
    assert len(stack.client("apigatewayv2").get_apis()["Items"]) == 1


def test_killed_in_the_middle(stack: Stack) -> None:
    """After SIGKILL in mid-deployment the next run completes it and leaves nothing double."""
    script = (
        "import sys; from pathlib import Path; from ops.local.deployer import deploy;"
        "deploy(Path(sys.argv[1]), 'local', endpoint=sys.argv[2], state_file=Path(sys.argv[3]))"
    )
    arguments = [str(FIXTURE), stack.emulator.endpoint, str(stack.state_file)]
    with subprocess.Popen([sys.executable, "-c", script, *arguments], cwd=ROOT) as run:
        wait_for(lambda: stack.state_file.exists() and len(stack.state()["resources"]) >= 5, "some resources")
        run.send_signal(signal.SIGKILL)
    made = len(stack.state()["resources"])
    assert made < _ALL
    changes = stack.deploy().changes
    assert len(changes.unchanged) == made
    assert len(changes.created) + len(changes.updated) == _ALL - made
    assert len(stack.client("apigatewayv2").get_apis()["Items"]) == 1
    assert len(stack.client("lambda").list_event_source_mappings()["EventSourceMappings"]) == 1
    assert len(stack.client("sqs").list_queues()["QueueUrls"]) == 3


def test_two_at_once(stack: Stack) -> None:
    """The second of two deployments to one stack is refused."""
    with (
        locked(stack.state_file.with_suffix(".lock")),
        pytest.raises(DeployError, match="another deployment to this stack is running"),
    ):
        stack.deploy()
