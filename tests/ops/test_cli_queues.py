"""`lab queues` against two emulators: what is made, what is refused, what an interruption leaves to do."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import Result

from ops.cli import target
from ops.cli.queues import commands as queues
from ops.cli.queues import plan as queue_plan
from ops.cli.queues.plan import QueueError, Wanted
from ops.local.emulator import Emulator
from tests.components.config.configuring import read
from tests.ops.laptop import Laptop
from tests.ops.stack import client, wipe

_TIMES = {"CreatedTimestamp", "LastModifiedTimestamp"}
_DAY = 86_400
_KEY = "arn:aws:kms:us-east-1:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab"
_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@dataclass
class Cloud:
    """One of the emulators, and `lab` that speaks to it."""

    laptop: Laptop
    stack: str
    sqs: Any
    prefix: str

    def lab(self, *arguments: str, typed: str = "") -> Result:
        return self.laptop.lab("queues", *arguments, "--stack", self.stack, typed=typed)

    def queue(self, name: str) -> dict[str, str]:
        """A queue's attributes without their times; {} where there is none."""
        try:
            url = self.sqs.get_queue_url(QueueName=name)["QueueUrl"]
        except self.sqs.exceptions.QueueDoesNotExist:
            return {}
        found: dict[str, str] = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return {key: text for key, text in found.items() if key not in _TIMES}

    def names(self) -> list[str]:
        return sorted(url.rpartition("/")[2] for url in self.sqs.list_queues().get("QueueUrls", []))

    def values(self, name: str, dlq: str) -> dict[str, str]:
        """What is to be said of two queues in the end."""
        urls = {word: self.sqs.get_queue_url(QueueName=one)["QueueUrl"] for word, one in (("q", name), ("d", dlq))}
        return {
            "existingQueueUrl": urls["q"],
            "existingQueueArn": self.prefix + name,
            "existingDlqUrl": urls["d"],
            "existingDlqArn": self.prefix + dlq,
        }


@pytest.fixture
def cloud(emulator: Emulator) -> Cloud:
    """The laptop's cloud without any queue."""
    wipe(emulator)
    laptop = Laptop(emulator.home, emulator.port)
    return Cloud(laptop, "local", client(emulator, "sqs"), "arn:aws:sqs:us-east-1:000000000000:")


@pytest.fixture
def moto(moto_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cloud:
    """AWS as moto plays it: it knows TLS-only policies, but shows no redrive-allow policy."""
    for name, text in _CREDENTIALS.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_url)
    laptop = Laptop(tmp_path / "home", 4566)
    return Cloud(laptop, "dev", target.reach("dev").client("sqs"), "arn:aws:sqs:us-east-1:123456789012:")


def test_created_queue(cloud: Cloud) -> None:
    """Both queues have what the program's have but TLS, which the laptop lacks; the values to adopt them are told."""
    made = cloud.lab("create", "inbox", "--max-receive-count", "3", "--retention-days", "2", "--json")

    assert made.exit_code == 0, made.stderr
    assert json.loads(made.stdout)["values"] == cloud.values("inbox", "inbox-dlq")
    queue, dlq = cloud.queue("inbox"), cloud.queue("inbox-dlq")
    redrive = {"deadLetterTargetArn": cloud.prefix + "inbox-dlq", "maxReceiveCount": 3}
    allowed = {"redrivePermission": "byQueue", "sourceQueueArns": [cloud.prefix + "inbox"]}
    assert (json.loads(queue["RedrivePolicy"]), json.loads(dlq["RedriveAllowPolicy"])) == (redrive, allowed)
    assert (queue["MessageRetentionPeriod"], dlq["MessageRetentionPeriod"]) == (str(2 * _DAY), str(14 * _DAY))
    assert (queue["SqsManagedSseEnabled"], dlq["SqsManagedSseEnabled"]) == ("true", "true")
    assert (queue["VisibilityTimeout"], "Policy" in queue, "Policy" in dlq) == ("182", False, False)
    assert cloud.names() == ["inbox", "inbox-dlq"]


def test_created_queue_elsewhere(moto: Cloud) -> None:
    """Outside the laptop both queues refuse plain HTTP, each by its own ARN."""
    made = moto.lab("create", "inbox", "--json")

    assert made.exit_code == 0, made.stderr
    assert json.loads(made.stdout)["values"] == moto.values("inbox", "inbox-dlq")
    for name in ("inbox", "inbox-dlq"):
        assert json.loads(moto.queue(name)["Policy"])["Statement"] == [
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sqs:*",
                "Resource": moto.prefix + name,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ]
    assert moto.names() == ["inbox", "inbox-dlq"]


@pytest.mark.parametrize("where", ["cloud", "moto"])
def test_created_fifo_queue_with_a_customer_key(request: pytest.FixtureRequest, where: str) -> None:
    """Both are FIFO, scale by group and have the key."""
    cloud: Cloud = request.getfixturevalue(where)
    made = cloud.lab("create", "inbox", "--fifo", "--kms-key", _KEY)

    assert made.exit_code == 0, made.stderr
    assert cloud.names() == ["inbox-dlq.fifo", "inbox.fifo"]
    for name in cloud.names():
        found = cloud.queue(name)
        assert (found["FifoQueue"], found["KmsMasterKeyId"]) == ("true", _KEY)
        assert (found["DeduplicationScope"], found["FifoThroughputLimit"]) == ("messageGroup", "perMessageGroupId")
        assert found["SqsManagedSseEnabled"] == "false"
    assert made.stdout.startswith("steps done: 2\n")
    assert made.stderr.endswith("queueType fifo needs groupBy as well: where in an event its group is\n")
    again = json.loads(cloud.lab("create", "inbox", "--fifo", "--kms-key", _KEY, "--json", "--dry-run").stdout)
    assert again["values"] == cloud.values("inbox.fifo", "inbox-dlq.fifo") | {"queueType": "fifo"}


def test_values_of_a_fifo_queue_are_accepted_by_the_program(cloud: Cloud) -> None:
    """With a groupBy, which only the user knows, they are a configuration."""
    made = cloud.lab("create", "inbox", "--fifo", "--json")
    given = json.loads(made.stdout)["values"] | {"groupBy": "/customerId"}

    assert read(given).existing_queue_arn == f"{cloud.prefix}inbox.fifo"


def test_creating_again(cloud: Cloud) -> None:
    """The same again changes nothing and says so."""
    cloud.lab("create", "inbox")
    before = [cloud.queue(name) for name in cloud.names()]
    again = cloud.lab("create", "inbox", "--json")

    assert (again.exit_code, again.stderr) == (0, "both queues are as asked\n")
    assert json.loads(again.stdout) == {"dryRun": False, "steps": [], "values": cloud.values("inbox", "inbox-dlq")}
    assert [cloud.queue(name) for name in cloud.names()] == before


def test_creating_again_with_another_wish(cloud: Cloud) -> None:
    """The differences are told and nothing is done, until --update is given; then exactly they are changed."""
    cloud.lab("create", "inbox", "--max-receive-count", "5")
    before = cloud.queue("inbox")
    refused = cloud.lab("create", "inbox", "--max-receive-count", "7", "--visibility", "60")
    assert refused.exit_code == 3
    assert "change inbox\n    VisibilityTimeout: 182 -> 60\n    RedrivePolicy: " in refused.stderr
    assert refused.stderr.endswith("differs as shown; nothing was changed; --update changes it\n")
    assert cloud.queue("inbox") == before

    changed = cloud.lab("create", "inbox", "--max-receive-count", "7", "--visibility", "60", "--update")
    assert changed.exit_code == 0
    after = cloud.queue("inbox")
    assert {name for name in after if after[name] != before.get(name)} == {"VisibilityTimeout", "RedrivePolicy"}
    assert (after["VisibilityTimeout"], json.loads(after["RedrivePolicy"])["maxReceiveCount"]) == ("60", 7)


def test_unsafe_queue_made_safe(cloud: Cloud) -> None:
    """A queue that somebody made by hand is not touched without --update, and as safe as the others with it."""
    cloud.sqs.create_queue(QueueName="inbox")
    assert cloud.lab("create", "inbox").exit_code == 3
    assert cloud.names() == ["inbox"]

    assert cloud.lab("create", "inbox", "--update").exit_code == 0
    assert cloud.lab("create", "inbox").stderr == "both queues are as asked\n"


def test_dry_run_of_a_creation(cloud: Cloud) -> None:
    """It shows the plan, makes nothing, and says which values are not there yet."""
    shown = cloud.lab("create", "inbox", "--dry-run")

    assert (shown.exit_code, cloud.names()) == (0, [])
    assert [line for line in shown.stderr.splitlines() if not line.startswith(" ")] == [
        "create inbox-dlq",
        "create inbox",
    ]
    assert shown.stdout.splitlines()[:2] == ["steps would be done: 2", "existingQueueUrl: (not there yet)"]


def test_creation_taken_up_after_a_death(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that dies between its calls leaves what the same command completes without more being asked."""
    carry_out = queues._carry_out

    def dies(sqs: Any, steps: Any) -> None:
        carry_out(sqs, steps[:1])
        raise KeyboardInterrupt

    monkeypatch.setattr(queues, "_carry_out", dies)
    assert cloud.lab("create", "inbox").exit_code == 130
    assert cloud.names() == ["inbox-dlq"]
    monkeypatch.setattr(queues, "_carry_out", carry_out)

    taken_up = cloud.lab("create", "inbox")
    assert taken_up.stderr.splitlines()[0] == "create inbox"
    assert cloud.lab("create", "inbox").stderr == "both queues are as asked\n"


def test_attached_dlq(cloud: Cloud) -> None:
    """The queue gets a DLQ of its kind and keeps everything else that it has, its policy and messages included."""
    mine = '{"Version": "2012-10-17", "Statement": [{"Sid": "Mine", "Effect": "Allow", "Principal": "*", "Action": '
    policy = mine + f'"sqs:SendMessage", "Resource": "{cloud.prefix}legacy"}}]}}'
    attributes = {"VisibilityTimeout": "77", "DelaySeconds": "900", "MessageRetentionPeriod": "7200", "Policy": policy}
    url = cloud.sqs.create_queue(QueueName="legacy", Attributes=attributes)["QueueUrl"]
    cloud.sqs.send_message(QueueUrl=url, MessageBody="keep me")
    before = cloud.queue("legacy")
    attached = cloud.lab("attach-dlq", url, "--max-receive-count", "4", "--yes", "--json")

    assert attached.exit_code == 0, attached.stderr
    assert json.loads(attached.stdout)["values"] == cloud.values("legacy", "legacy-dlq")
    after = cloud.queue("legacy")
    assert json.loads(after.pop("RedrivePolicy")) == {
        "deadLetterTargetArn": cloud.prefix + "legacy-dlq",
        "maxReceiveCount": 4,
    }
    assert after == before
    assert json.loads(cloud.queue("legacy-dlq")["RedriveAllowPolicy"])["sourceQueueArns"] == [cloud.prefix + "legacy"]
    assert cloud.queue("legacy-dlq")["MessageRetentionPeriod"] == str(14 * _DAY)

    again = cloud.lab("attach-dlq", "legacy", "--max-receive-count", "4")
    assert (again.exit_code, again.stderr) == (0, "both queues are as asked\n")


def test_attached_dlq_of_a_fifo_queue_with_a_key(cloud: Cloud) -> None:
    """The DLQ is FIFO too and has the queue's key."""
    cloud.sqs.create_queue(QueueName="legacy.fifo", Attributes={"FifoQueue": "true", "KmsMasterKeyId": _KEY})

    assert cloud.lab("attach-dlq", "legacy.fifo", "--yes").exit_code == 0
    found = cloud.queue("legacy-dlq.fifo")
    assert (found["FifoQueue"], found["KmsMasterKeyId"]) == ("true", _KEY)


@pytest.mark.parametrize("typed", ["n\n", ""])
def test_attaching_is_asked_for(cloud: Cloud, typed: str) -> None:
    """Without a yes, nothing is done; nobody there to answer is a no."""
    cloud.sqs.create_queue(QueueName="legacy")
    before = cloud.queue("legacy")
    refused = cloud.lab("attach-dlq", "legacy", typed=typed)

    assert refused.exit_code == 3
    assert refused.stderr.endswith("error: nothing was changed; --yes skips this question\n")
    assert (cloud.names(), cloud.queue("legacy")) == (["legacy"], before)
    assert cloud.lab("attach-dlq", "legacy", typed="y\n").exit_code == 0
    assert cloud.names() == ["legacy", "legacy-dlq"]


def test_dry_run_of_an_attachment(cloud: Cloud) -> None:
    """It shows the plan, asks nothing and changes nothing."""
    cloud.sqs.create_queue(QueueName="legacy")
    before = cloud.queue("legacy")
    shown = cloud.lab("attach-dlq", "legacy", "--dry-run")

    assert shown.exit_code == 0
    assert "change legacy\n    RedrivePolicy: (unset) -> " in shown.stderr
    assert (cloud.names(), cloud.queue("legacy")) == (["legacy"], before)


def test_attachment_taken_up_after_a_death(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """A DLQ that was made before the process died is used by the next call."""
    cloud.sqs.create_queue(QueueName="legacy")
    carry_out = queues._carry_out

    def dies(sqs: Any, steps: Any) -> None:
        carry_out(sqs, steps[:1])
        raise KeyboardInterrupt

    monkeypatch.setattr(queues, "_carry_out", dies)
    assert cloud.lab("attach-dlq", "legacy", "--yes").exit_code == 130
    monkeypatch.setattr(queues, "_carry_out", carry_out)

    assert cloud.lab("attach-dlq", "legacy", "--yes").stderr.startswith("change legacy\n")
    assert "RedrivePolicy" in cloud.queue("legacy")


def test_attaching_a_dlq_that_serves_another_queue(cloud: Cloud) -> None:
    """Its redrive-allow policy then names both."""
    cloud.lab("create", "first")
    cloud.sqs.create_queue(QueueName="second")

    assert cloud.lab("attach-dlq", "second", "--dlq", "first-dlq", "--yes").exit_code == 0
    allowed = json.loads(cloud.queue("first-dlq")["RedriveAllowPolicy"])
    assert allowed["sourceQueueArns"] == [cloud.prefix + "first", cloud.prefix + "second"]
    target_arn = json.loads(cloud.queue("second")["RedrivePolicy"])["deadLetterTargetArn"]
    assert target_arn == cloud.prefix + "first-dlq"


def test_refused_attachments(cloud: Cloud) -> None:
    """Another DLQ, another kind, too short a retention, a closed DLQ, itself, nothing there: each with its reason."""
    deny = '{"redrivePermission": "denyAll"}'
    cloud.sqs.create_queue(QueueName="plain")
    cloud.sqs.create_queue(QueueName="closed", Attributes={"RedriveAllowPolicy": deny})
    cloud.sqs.create_queue(QueueName="long", Attributes={"MessageRetentionPeriod": str(14 * _DAY)})
    cloud.sqs.create_queue(QueueName="short", Attributes={"MessageRetentionPeriod": str(4 * _DAY)})
    cloud.lab("create", "served")
    before = {name: cloud.queue(name) for name in cloud.names()}
    refusals = {
        ("served", "--dlq", "short"): "served has a dead-letter queue already, nothing was changed; it has {",
        ("plain", "--dlq", "plain"): "plain can't be its own dead-letter queue",
        (
            "plain",
            "--dlq",
            "x.fifo",
        ): "a FIFO queue's DLQ must be FIFO and a standard queue's standard, got plain and x.",
        ("long",): "the DLQ must keep messages longer than the queue, or dead letters may expire on arrival (the",
        ("plain", "--dlq", "short"): "starts at the first send): plain keeps 345600 s, short would keep 345600 s",
        ("none",): "there is no queue none",
        ("a b",): "a queue's name has 1-80 letters, digits, _ and -, and may end in .fifo, got 'a b'",
    }
    for arguments, message in refusals.items():
        refused = cloud.lab("attach-dlq", *arguments, "--yes")
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert message in refused.stderr
    assert {name: cloud.queue(name) for name in cloud.names()} == before


def test_queue_closed_to_redrives() -> None:
    """A DLQ that lets no queue use it, or names ten already, is left as it is."""
    queue = {"QueueArn": "arn:aws:sqs:r:1:q", "MessageRetentionPeriod": "60"}
    full = json.dumps({"redrivePermission": "byQueue", "sourceQueueArns": [f"arn:{n}" for n in range(10)]})
    for policy, message in (('{"redrivePermission": "denyAll"}', "denyAll"), (full, "10 queues")):
        dlq = {"MessageRetentionPeriod": "61", "RedriveAllowPolicy": policy}
        with pytest.raises(QueueError, match=message):
            queue_plan.attachment(queue, "d", dlq, max_receive_count=5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["in box"], "a queue's name must have 1-76 letters, digits, _ and - (its DLQ is NAME-dlq; --fifo adds .fifo)"),
        (["inbox.fifo"], "got 'inbox.fifo'"),
        (["a" * 72, "--fifo"], "a queue's name must have 1-71 letters"),
        (
            ["inbox", "--kms-key", "my-key"],
            "a customer key is given by its ARN (arn:aws:kms:...:key/...), got 'my-key'",
        ),
    ],
)
def test_refused_creations(cloud: Cloud, arguments: list[str], message: str) -> None:
    """What SQS would refuse later, or take and never deliver, is refused before anything is made."""
    refused = cloud.lab("create", *arguments)

    assert (refused.exit_code, cloud.names()) == (1, [])
    assert message in refused.stderr


def test_change_of_encryption() -> None:
    """From SQS's key to a customer's and back: the one is taken back in the call that sets the other."""
    key = "arn:aws:kms:us-east-1:000000000000:key/k"
    plain = Wanted(name="q", prefix="arn:aws:sqs:r:1:")
    keyed = Wanted(name="q", prefix="arn:aws:sqs:r:1:", kms_key=key)

    to_key = queue_plan.creation(keyed, plain.queue(), plain.dlq())
    back = queue_plan.creation(plain, keyed.queue(), keyed.dlq())
    assert [step.attributes for step in to_key] == [{"KmsMasterKeyId": key, "SqsManagedSseEnabled": "false"}] * 2
    assert [step.attributes for step in back] == [{"KmsMasterKeyId": "", "SqsManagedSseEnabled": "true"}] * 2


def test_queues_need_no_deployment(laptop: Laptop) -> None:
    """A running cloud is enough, so that a queue can be there before the program that adopts it."""
    refused = laptop.lab("queues", "create", "inbox")
    assert (refused.exit_code, refused.stderr) == (1, "error: the laptop's stack is down; start it with: lab up\n")
    with Emulator.start(laptop.home):
        assert laptop.lab("queues", "create", "inbox").exit_code == 0


def test_refusal_of_aws_is_told(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """What SQS says reaches the user, without a traceback."""

    def refuse(*_: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "CreateQueue")

    monkeypatch.setattr(queues, "_carry_out", refuse)
    refused = cloud.lab("create", "inbox")
    assert refused.exit_code == 1
    assert refused.stderr.endswith(
        "error: An error occurred (AccessDenied) when calling the CreateQueue operation: no\n"
    )
