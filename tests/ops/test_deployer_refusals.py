"""What the deployer refuses, what it replaces, and what it would never lose."""

import os
import re
import sys
from pathlib import Path

import pytest

from ops.local.deployer import DataLossError, DeployError, Runtime, deploy
from ops.local.deployer.plan import Plan
from tests.ops.stack import Stack, small_program


def _queue(*, fifo: bool) -> str:
    return f"aws.sqs.Queue('ordered', fifo_queue={fifo})"


def _queues(stack: Stack) -> dict[str, str]:
    """Visibility time-out of each queue."""
    sqs = stack.client("sqs")
    wanted = ["VisibilityTimeout"]
    return {
        url.rpartition("/")[2]: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=wanted)["Attributes"][wanted[0]]
        for url in sqs.list_queues().get("QueueUrls", [])
    }


def _table(key: str) -> str:
    return (
        f"aws.dynamodb.Table('table', billing_mode='PAY_PER_REQUEST', hash_key='{key}', "
        f"attributes=[{{'name': '{key}', 'type': 'S'}}])"
    )


def test_replacement(stack: Stack, tmp_path: Path) -> None:
    """What can't be changed in place is replaced while it is empty, and said."""
    stack.deploy(small_program(tmp_path / "small", f"{_queue(fifo=True)}\n{_table('pk')}"))
    changes = stack.deploy(small_program(tmp_path / "small", f"{_queue(fifo=False)}\n{_table('other')}")).changes
    assert sorted(changes.replaced) == ["aws:dynamodb/table:Table::table", "aws:sqs/queue:Queue::ordered"]
    assert sorted(stack.notices) == [
        "replacing aws:dynamodb/table:Table 'table': attributes, hashKey can't be changed in place",
        "replacing aws:sqs/queue:Queue 'ordered': fifoQueue can't be changed in place",
    ]
    table = stack.client("dynamodb").describe_table(TableName="table")["Table"]
    assert table["KeySchema"] == [{"AttributeName": "other", "KeyType": "HASH"}]
    assert stack.client("sqs").list_queues()["QueueUrls"] == [f"{stack.emulator.endpoint}/000000000000/ordered"]


def test_replacement_that_would_lose_messages(stack: Stack, tmp_path: Path) -> None:
    """A queue that holds a message is not replaced."""
    stack.deploy(small_program(tmp_path / "small", _queue(fifo=True)))
    sqs = stack.client("sqs")
    url = sqs.get_queue_url(QueueName="ordered.fifo")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="kept", MessageGroupId="g", MessageDeduplicationId="1")
    with pytest.raises(DeployError) as refused:
        stack.deploy(small_program(tmp_path / "small", _queue(fifo=False)))
    assert str(refused.value) == (
        "aws:sqs/queue:Queue 'ordered': fifoQueue can't be changed in place, and a replacement would lose 1 messages; "
        "empty it first, or give the new one another name"
    )
    assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "kept"


def test_deletion_that_would_lose_data(stack: Stack, tmp_path: Path) -> None:
    """What has left the program and holds data stays, all of it, until that is agreed to; what holds none just goes."""
    bus = "bus = aws.cloudwatch.EventBus('bus', name='bus')"
    archive = "aws.cloudwatch.EventArchive('archive', name='archive', event_source_arn=bus.arn)"
    body = [_queue(fifo=True), _table("pk"), bus, archive, "aws.s3.Bucket('b', bucket='bucket', force_destroy=True)"]
    full = small_program(tmp_path / "full", "\n".join(body))
    empty = small_program(tmp_path / "empty", "")
    stack.deploy(full)
    sqs = stack.client("sqs")
    url = sqs.get_queue_url(QueueName="ordered.fifo")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="kept", MessageGroupId="g", MessageDeduplicationId="1")
    stack.client("dynamodb").put_item(TableName="table", Item={"pk": {"S": "kept"}})
    stack.client("s3").put_object(Bucket="bucket", Key="k", Body=b"kept")
    event = {"EventBusName": "bus", "Source": "kept", "DetailType": "kept", "Detail": "{}"}
    stack.client("events").put_events(Entries=[event])

    with pytest.raises(DataLossError) as refused:
        stack.deploy(empty)
    assert sorted(refused.value.lost) == [
        "aws:cloudwatch/eventArchive:EventArchive 'archive': 1 events",
        "aws:dynamodb/table:Table 'table': items",
        "aws:s3/bucket:Bucket 'b': objects",
        "aws:sqs/queue:Queue 'ordered': 1 messages",
    ]
    assert len(stack.deploy(full).changes.unchanged) == len(body)
    assert len(stack.deploy(empty, lose_data=True).changes.deleted) == len(body)
    stack.deploy(full)
    assert len(stack.deploy(empty).changes.deleted) == len(body)


_BEFORE = "aws.sqs.Queue('tuned', visibility_timeout_seconds=30)\naws.sqs.Queue('empty', visibility_timeout_seconds=0)"
_AFTER = "aws.sqs.Queue('new')\naws.sqs.Queue('tuned', visibility_timeout_seconds=60)"  # and 'empty' has left
_QUEUES_BEFORE = {"empty": "0", "tuned": "30"}


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (_table("pk"), "", r"was kept: aws:dynamodb/table:Table 'table': items\. Put it back into the conf"),
        (
            _table("pk"),
            _table("other"),
            "attributes, hashKey can't be changed in place, and a replacement would lose items",
        ),
        (_table("pk"), f"{_table('pk')}\naws.route53.Zone('odd', name='odd.example')", "is not known to the laptop's"),
        (
            _table("pk"),
            f"{_table('pk')}\naws.sqs.Queue('new', opts=pulumi.ResourceOptions(parent=aws.sqs.Queue('p')))",
            "clash",
        ),
    ],
    ids=["leaves", "replaced", "unknown", "clash"],
)
def test_what_is_refused_changes_nothing(stack: Stack, tmp_path: Path, before: str, after: str, message: str) -> None:
    """A change is refused whole: what else it would make, tune or delete stays as it was, and so does the record."""
    stack.deploy(small_program(tmp_path / "small", f"{_BEFORE}\n{before}"))
    stack.client("dynamodb").put_item(TableName="table", Item={"pk": {"S": "kept"}})
    record = stack.state()
    with pytest.raises(DeployError, match=message):
        stack.deploy(small_program(tmp_path / "small", f"{_AFTER}\n{after}"))
    assert (_queues(stack), stack.state()) == (_QUEUES_BEFORE, record)


_FUNCTION = """
role = aws.iam.Role("r", name="r", assume_role_policy='{{"Version": "2012-10-17", "Statement": []}}')
layer = aws.lambda_.LayerVersion("deps", layer_name="deps", code=pulumi.AssetArchive(
    {{"python/{module}.py": pulumi.StringAsset("")}}))
aws.lambda_.Function("f", name="f", runtime="python3.13", handler="app.handler", layers=[layer.arn],
    role=role.arn,
    code=pulumi.AssetArchive({{"app.py": pulumi.StringAsset("import deps\\ndef handler(event, context): {body}")}}))
"""


@pytest.mark.parametrize(
    ("after", "fault"),
    [
        ({"module": "deps", "body": "return {"}, "SyntaxError: '{' was never closed"),
        ({"module": "other", "body": "..."}, "app.py:1: ModuleNotFoundError: No module named 'deps'"),
    ],
    ids=["its code", "its layer"],
)
def test_code_that_can_not_start_changes_nothing(
    stack: Stack, tmp_path: Path, after: dict[str, str], fault: str
) -> None:
    """A function that could not start after a change of its code or of its layer alone: all stays as it was."""
    runtime = Runtime(Path(sys.executable), {"TMPDIR": str(tmp_path)})

    def change(queues: str, function: dict[str, str]) -> None:
        root = small_program(tmp_path / "small", f"{queues}\n{_FUNCTION.format(**function)}")
        deploy(root, "local", endpoint=stack.emulator.endpoint, state_file=stack.state_file, runtime=runtime)

    change(_BEFORE, {"module": "deps", "body": "..."})
    record = stack.state()
    with pytest.raises(DeployError, match=re.escape(fault)):
        change(_AFTER, after)
    assert (_queues(stack), stack.state()) == (_QUEUES_BEFORE, record)


def test_data_that_comes_while_a_change_is_made(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue that was empty when the change began, and is no more when its turn to be deleted comes, stays."""
    stack.deploy(small_program(tmp_path / "small", "aws.sqs.Queue('leaves')"))
    sqs = stack.client("sqs")
    url = sqs.get_queue_url(QueueName="leaves")["QueueUrl"]
    refuse = Plan.refuse_losses

    def late(plan: Plan, *, lose_data: bool) -> None:
        refuse(plan, lose_data=lose_data)
        sqs.send_message(QueueUrl=url, MessageBody="late")

    monkeypatch.setattr(Plan, "refuse_losses", late)
    with pytest.raises(DataLossError, match="Queue 'leaves': 1 messages"):
        stack.deploy(small_program(tmp_path / "small", ""))
    assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "late"


def test_replacement_that_would_lose_items(stack: Stack, tmp_path: Path) -> None:
    """A table that holds an item is not replaced."""
    stack.deploy(small_program(tmp_path / "small", _table("pk")))
    stack.client("dynamodb").put_item(TableName="table", Item={"pk": {"S": "kept"}})
    with pytest.raises(DeployError, match=r"attributes, hashKey can't be changed in place, and .* would lose items"):
        stack.deploy(small_program(tmp_path / "small", _table("other")))
    assert stack.client("dynamodb").scan(TableName="table")["Count"] == 1


def test_renamed(stack: Stack, tmp_path: Path) -> None:
    """Another physical name is another queue: the old one goes."""
    stack.deploy(small_program(tmp_path / "small", "aws.sqs.Queue('q', name='before')"))
    changes = stack.deploy(small_program(tmp_path / "small", "aws.sqs.Queue('q', name='after')")).changes
    assert changes.replaced == ["aws:sqs/queue:Queue::q"]
    assert stack.client("sqs").list_queues()["QueueUrls"] == [f"{stack.emulator.endpoint}/000000000000/after"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "aws.route53.Zone('odd', name='odd.example')",
            r"aws:route53/zone:Zone \('odd'\) is not known to",
        ),
        (
            "aws.sqs.Queue('odd', name_prefix='o-')",
            r"aws:sqs/queue:Queue 'odd': the laptop's deployer would drop namePr",
        ),
        (
            "aws.cloudwatch.EventBus('odd', log_config={'level': 'INFO'}, dead_letter_config={'arn': 'a'})",
            r"aws:cloudwatch/eventBus:EventBus 'odd': the laptop's deployer would drop logConfig; teach it",
        ),
        (
            (
                "aws.dynamodb.Table('odd', hash_key='k', attributes=[{'name': 'k', 'type': 'S'}], "
                "global_secondary_indexes=[{'name': 'i', 'projection_type': 'ALL', 'write_capacity': 1}])"
            ),
            r"aws:dynamodb/table:Table 'odd': .* would drop globalSecondaryIndexes.writeCapacity; teach it in",
        ),
        (
            "raise ValueError('batchSize must be 1-10, got 11\\nttlDays must be 1-9')",
            r"\AbatchSize .* 11\nttlDays .* 1-9\Z",
        ),
        ("raise pulumi.RunError('as it is')", r"\Aas it is\Z"),
        ("raise SystemExit(32) from pulumi.RunError('as the engine heard it')", r"\Aas the engine heard it\Z"),
        ("raise KeyError('nobody expects this')", r"\AKeyError: 'nobody expects this' \(.*small/__main__.py:3\)\Z"),
        ("import nowhere", r"\AModuleNotFoundError: No module named 'nowhere' \(.*__main__.py:3\)\Z"),
        (
            "aws.sqs.Queue('q')\naws.sqs.Queue('q', opts=pulumi.ResourceOptions(parent=aws.sqs.Queue('p')))",
            "they clash",
        ),
        ("aws.sqs.Queue.get('q', 'http://elsewhere/q')", "can't read or import existing resources"),
        ("aws.sqs.Queue('q', opts=pulumi.ResourceOptions(import_='q'))", "can't read or import existing resources"),
        ("aws.get_availability_zones()", "getAvailabilityZones is not known to the laptop's deployer"),
        (
            "aws.lambda_.LayerVersion('l', layer_name='l', code=pulumi.FileArchive('missing'))",
            "an archive of the program is empty or missing: .*missing",
        ),
        (
            "aws.lambda_.LayerVersion('l', layer_name='l', code=pulumi.RemoteArchive('https://example.org/l.zip'))",
            "RemoteArchive is not supported on the laptop: use a local file",
        ),
    ],
)
def test_refusals(stack: Stack, tmp_path: Path, body: str, message: str) -> None:
    """One clear error for what it would not do right, and the program's own words for what the program refuses."""
    with pytest.raises(DeployError) as refused:
        stack.deploy(small_program(tmp_path / "small", body))
    assert re.search(message, str(refused.value), re.DOTALL), str(refused.value)


_ALARM = (
    "aws.cloudwatch.MetricAlarm('a', namespace='N', metric_name='m', period=60, evaluation_periods=1, threshold=1, "
    "comparison_operator='GreaterThanThreshold', {})"
)
_FILTER = (
    "aws.cloudwatch.LogMetricFilter('f', log_group_name=aws.cloudwatch.LogGroup('g', name='g').name, pattern='[a, b]', "
    "metric_transformation={'name': 'm', 'namespace': 'N', 'value': '1'})"
)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (_ALARM.format("extended_statistic='TM(1%:9%)'"), r"alarm a: the laptop does not know TM\(1%:9%\)"),
        (_ALARM.format("statistic='Sum', unit='Count'"), "would drop unit"),
        (_FILTER, r"metric filter of m: the laptop does not know \[a, b\]"),
        (
            "aws.cloudwatch.QueryDefinition('q', query_string='fields a | anomaly')",
            "Logs Insights: the laptop does not know the command 'anomaly'",
        ),
    ],
)
def test_what_the_laptop_could_not_watch(stack: Stack, tmp_path: Path, body: str, message: str) -> None:
    """An alarm, a filter or a query that the laptop's CloudWatch would get wrong is refused."""
    with pytest.raises(DeployError, match=message):
        stack.deploy(small_program(tmp_path / "small", body))


def test_a_program_that_refuses_makes_nothing(stack: Stack, tmp_path: Path) -> None:
    """An error at the end of the program's text comes before the first resource is made."""
    with pytest.raises(DeployError, match=r"\Arefused\Z"):
        stack.deploy(small_program(tmp_path / "small", "aws.sqs.Queue('early')\nraise ValueError('refused')"))
    assert stack.client("sqs").list_queues().get("QueueUrls", []) == []


def test_failure_of_aws_names_the_resource(stack: Stack, tmp_path: Path) -> None:
    """What AWS refuses comes with the resource, and what was made before it is remembered."""
    body = "q = aws.sqs.Queue('good')\naws.sqs.Queue('bad', visibility_timeout_seconds=q.arn.apply(lambda _: 99999))"
    with pytest.raises(DeployError, match=r"aws:sqs/queue:Queue 'bad': An error occurred \(InvalidAttributeValue\)"):
        stack.deploy(small_program(tmp_path / "small", body))
    assert [entry["name"] for entry in stack.state()["resources"]] == ["good"]


def test_environment_of_the_caller_is_left_alone(stack: Stack, tmp_path: Path) -> None:
    """A deployment changes neither the path nor the folder of the process."""
    before = (list(sys.path), Path.cwd(), dict(os.environ))
    stack.deploy(small_program(tmp_path / "small", "pulumi.export('one', 1)"))
    assert (list(sys.path), Path.cwd(), dict(os.environ)) == before
