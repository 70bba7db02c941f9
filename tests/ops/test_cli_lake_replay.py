"""`lab lake replay-copy` on the laptop, and what both replays share: windows, rights, refusals, the place kept."""

import base64
import io
import json
import signal
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from typer.testing import Result

from handlers.lake import content
from ops.cli import target
from ops.cli.lake.bronze import Item
from ops.cli.lake.replay import Copier
from ops.cli.lake.runs import Outcome
from ops.cli.timing import Pace
from ops.local.deployer import emulator_iam
from ops.local.emulator import Emulator
from ops.local.errors import LabError
from tests.ops.lake_stage import LINES, Stage, interrupt_at, report_of, set_up
from tests.ops.stack import wait_for

_COPY = ("replay-copy", "--type", "shipments", "--rate", "0")


@pytest.fixture
def stage(emulator: Emulator) -> Stage:
    """An empty lake."""
    return set_up(emulator)


def _hear(stage: Stage, count: int) -> list[tuple[str, str]]:
    """So many announcements, and no more that have come by then."""
    heard: list[tuple[str, str]] = []

    def enough() -> bool:
        heard.extend(stage.announced())
        return len(heard) >= count

    wait_for(enough, f"{count} announcements")
    return sorted(heard)


def _moment(offset: float = 0) -> str:
    return (datetime.now(UTC) + timedelta(seconds=offset)).isoformat()


def test_copied_objects_are_announced_anew(stage: Stage) -> None:
    """Each object of the type once, whole and with all that it carried; other types and other names not."""
    kept = {"ContentType": "application/x-ndjson", "Metadata": {"by": "crm"}, "CacheControl": "no-store"}
    key = stage.put("shipments/a b+c.jsonl", LINES, **kept, Tagging="team=x")
    stage.put("shipments/deep/er/b.json.gz", b"gz")
    for other in ("shipments/readme.txt", "invoice_lines/c.jsonl"):
        stage.put(other)
    _hear(stage, 4)
    before = stage.versions()
    done = stage.lab(*_COPY, "--yes", "--json")

    assert done.exit_code == 0, done.stderr
    told = report_of(done)
    assert told.pop("replayId").startswith("rp-")
    assert told == {
        "dryRun": False,
        "resumed": False,
        "objects": 2,
        "bytes": len(LINES) + 2,
        "messages": 0,
        "skipped": {},
    }
    assert _hear(stage, 2) == [
        ("ObjectCreated:Copy", "bronze/shipments/a+b%2Bc.jsonl"),
        ("ObjectCreated:Copy", "bronze/shipments/deep/er/b.json.gz"),
    ]
    copied = stage.s3.get_object(Bucket=stage.bucket, Key=key)
    assert {name: copied[name] for name in kept} == kept
    assert copied["Body"].read() == LINES
    assert stage.s3.get_object_tagging(Bucket=stage.bucket, Key=key)["TagSet"] == [{"Key": "team", "Value": "x"}]
    added = set(stage.versions()) - set(before)
    assert {(key, etag) for key, _, etag in added} < {(key, etag) for key, _, etag in before}
    assert (len(added), stage.runs()) == (2, [])


def test_copied_again(stage: Stage) -> None:
    """With --again every copy carries the id of this one replay; without it the last one stays."""
    keys = [stage.put(f"shipments/{name}.jsonl", Metadata={"by": "crm"}) for name in "ab"]

    def metadata() -> list[dict[str, str]]:
        return [stage.s3.head_object(Bucket=stage.bucket, Key=key)["Metadata"] for key in keys]

    first = report_of(stage.lab(*_COPY, "--yes", "--again", "--json"))["replayId"]
    assert metadata() == [{"by": "crm", "replay": first}] * 2
    second = report_of(stage.lab(*_COPY, "--yes", "--json"))["replayId"]
    assert (metadata(), first != second) == ([{"by": "crm", "replay": first}] * 2, True)


def test_object_of_parts(stage: Stage) -> None:
    """It is copied as it was cut, so that its ETag, and with it the lake's knowledge of it, stays."""
    place = {"Bucket": stage.bucket, "Key": "bronze/shipments/big.jsonl"}
    etag = _in_parts(stage.s3, place, Metadata={"by": "crm"})
    assert etag.endswith('-3"')
    _hear(stage, 1)
    done = stage.lab(*_COPY, "--yes", "--again", "--json")

    assert done.exit_code == 0, done.stderr
    assert _hear(stage, 1) == [("ObjectCreated:CompleteMultipartUpload", "bronze/shipments/big.jsonl")]
    copied = stage.s3.get_object(**place)
    assert copied["Metadata"] == {"by": "crm", "replay": report_of(done)["replayId"]}
    assert (copied["ETag"], copied["Body"].read()) == (etag, b"".join(_PARTS))
    assert len(stage.versions()) == 2


_PARTS = (b"x" * (5 * 2**20), b"y" * (6 * 2**20), b"z\n")


def _in_parts(s3: Any, place: dict[str, str], **given: Any) -> str:
    upload = s3.create_multipart_upload(**place, **given)["UploadId"]
    parts = []
    for number, body in enumerate(_PARTS, 1):
        sent = s3.upload_part(**place, UploadId=upload, PartNumber=number, Body=body)
        parts.append({"PartNumber": number, "ETag": sent["ETag"]})
    done = s3.complete_multipart_upload(**place, UploadId=upload, MultipartUpload={"Parts": parts})
    return str(done["ETag"])


@mock_aws
def test_object_of_parts_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same on moto, which also keeps the tags of such uploads; its HEAD knows the parts, not its GET."""

    def part_size(self: Copier, item: Item, number: int) -> int:
        return int(self.s3.head_object(Bucket=self.bucket, Key=item.key, PartNumber=number)["ContentLength"])

    monkeypatch.setattr(Copier, "_part_size", part_size)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3 = target.Target("dev", {}, None).client("s3")
    s3.create_bucket(Bucket="lab-bronze")
    place = {"Bucket": "lab-bronze", "Key": "bronze/shipments/big.jsonl"}
    etag = _in_parts(s3, place, Tagging="team=a%20b", ContentType="text/x")

    assert Copier(s3, "lab-bronze", "rp-1", Pace(0))(Item(place["Key"], etag.strip('"'), 1)) == Outcome()
    copied = s3.get_object(**place)
    assert (copied["ETag"], copied["Metadata"], copied["ContentType"]) == (etag, {"replay": "rp-1"}, "text/x")
    assert s3.get_object_tagging(**place)["TagSet"] == [{"Key": "team", "Value": "a b"}]
    assert copied["Body"].read() == b"".join(_PARTS)


def test_interrupted_copy_of_parts(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C between two parts leaves no upload behind and the object as it was."""
    place = {"Bucket": stage.bucket, "Key": "bronze/shipments/big.jsonl"}
    _in_parts(stage.s3, place)
    before = stage.versions()
    size = Copier._part_size

    def interrupted(self: Copier, item: Item, number: int) -> int:
        if number == 2:
            raise KeyboardInterrupt
        return size(self, item, number)

    monkeypatch.setattr(Copier, "_part_size", interrupted)
    assert stage.lab(*_COPY, "--yes").exit_code == 130
    assert stage.versions() == before
    assert stage.s3.list_multipart_uploads(Bucket=stage.bucket).get("Uploads", []) == []


@pytest.mark.parametrize("command", [("replay-copy", "--type", "shipments"), ("replay-queue",)])
def test_dry_run(stage: Stage, command: tuple[str, ...]) -> None:
    """It counts what would be replayed, asks nothing and changes nothing."""
    stage.put("shipments/a.jsonl", LINES)
    stage.put("shipments/b.jsonl", LINES)
    _hear(stage, 2)
    before = stage.versions()
    shown = stage.lab(*command, "--dry-run", "--json")

    assert shown.exit_code == 0, shown.stderr
    assert report_of(shown) == {"dryRun": True, "bucket": stage.bucket, "objects": 2, "bytes": 2 * len(LINES)}
    assert (stage.versions(), stage.announced(), stage.messages()) == (before, [], [])
    assert not (stage.laptop.home / "replays").exists()


def test_copying_is_asked_for(stage: Stage) -> None:
    """A no, or nobody there, changes nothing; a yes copies."""
    stage.put("shipments/a.jsonl")
    for typed in ("n\n", ""):
        refused = stage.lab(*_COPY, typed=typed)
        assert refused.exit_code == 3
        assert "Replay 1 objects (3 bytes) of lab-bronze? [y/N]" in refused.stderr
        assert refused.stderr.endswith("error: nothing was changed; --yes skips this question\n")
    assert (len(stage.versions()), stage.runs()) == (1, [])
    assert stage.lab(*_COPY, typed="y\n").exit_code == 0
    assert len(stage.versions()) == 2


def test_window(stage: Stage) -> None:
    """By type, by the beginning of the name, and by the time of the last write: from start, until before end."""
    for name in ("shipments/2026/a", "shipments/2027/b", "invoice_lines/2026/c"):
        stage.put(f"{name}.jsonl")

    def found(*arguments: str) -> int:
        return int(report_of(stage.lab("replay-queue", *arguments, "--dry-run", "--json"))["objects"])

    assert [found(), found("--type", "shipments"), found("--type", "shipments", "--prefix", "2027/")] == [3, 2, 1]
    written = stage.s3.head_object(Bucket=stage.bucket, Key="bronze/shipments/2026/a.jsonl")["LastModified"]
    assert found("--start", written.isoformat(), "--end", _moment(60)) == 3
    assert found("--end", written.isoformat()) == 0
    assert found("--start", _moment(60)) == 0
    assert found("--start", "2020-01-01", "--end", "2020-01-02") == 0


def test_nothing_to_replay(stage: Stage) -> None:
    """That is no failure and asks nothing."""
    done = stage.lab(*_COPY)
    assert (done.exit_code, done.stdout, stage.runs()) == (0, "replayed 0 objects, 0 bytes\n", [])


def test_killed_copy_goes_on(stage: Stage) -> None:
    """Ctrl-C keeps the place: the same command copies each of the rest once, under the same id."""
    keys = [stage.put(f"shipments/{name}.jsonl") for name in "abcdef"]
    _hear(stage, 6)
    slow = ("lake", *_COPY[:-1], "8", "--again", "--yes")  # at 8 a second there is time to interrupt

    def started() -> bool:
        return any(json.loads(path.read_text())["run"]["last_key"] for path in stage.runs())

    with stage.laptop.start(*slow) as run:
        wait_for(started, "the first copy")
        run.send_signal(signal.SIGINT)
        stdout, stderr = run.communicate()
    assert (run.returncode, stderr.splitlines()[-1]) == (130, "error: interrupted")
    assert "stopped before the end; the same command continues there\n" in stderr
    (file,) = stage.runs()
    saved = json.loads(file.read_text())["run"]
    assert stdout.startswith(f"replayed {saved['objects']} objects, ")

    rest = stage.laptop.lab(*slow, "--json")
    said = f"continuing {saved['id']} after {saved['last_key']}, {saved['objects']} objects done"
    assert f"{said}; --restart starts over\n" in rest.stderr
    told = report_of(rest)
    assert (told["resumed"], told["replayId"]) == (True, saved["id"])
    # One that was interrupted between the copy and the note of it is written after the window's end: it is not counted.
    assert told["objects"] == 6 or (told["objects"], len(stage.versions())) == (5, 12)
    assert [stage.s3.head_object(Bucket=stage.bucket, Key=key)["Metadata"] for key in keys] == [
        {"replay": saved["id"]}
    ] * 6
    # Interrupted between the copy and the note of it, one object is copied twice; what is announced twice does no harm.
    assert len(stage.versions()) in {12, 13}
    assert stage.runs() == []


def test_restart(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupted replay can be given up for a new one; another wish is another replay."""
    for name in "ab":
        stage.put(f"shipments/{name}.jsonl")
    interrupt_at(monkeypatch, Copier, 2)
    assert stage.lab(*_COPY, "--yes").exit_code == 130
    monkeypatch.undo()

    other = report_of(stage.lab(*_COPY, "--yes", "--again", "--json"))
    assert (other["objects"], other["resumed"], len(stage.runs())) == (2, False, 1)
    anew = report_of(stage.lab(*_COPY, "--yes", "--restart", "--json"))
    assert (anew["objects"], anew["resumed"], stage.runs()) == (2, False, [])


def test_another_life(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was interrupted on a laptop's former cloud is not gone on with on the next one."""
    for name in "ab":
        stage.put(f"shipments/{name}.jsonl")
    with monkeypatch.context() as patch:
        interrupt_at(patch, Copier, 2)
        stage.lab(*_COPY, "--yes")
    reborn = replace(stage.emulator, pid=stage.emulator.pid + 1)
    monkeypatch.setattr(Emulator, "attach", lambda _: reborn)

    told = report_of(stage.lab(*_COPY, "--yes", "--json"))
    assert (told["objects"], told["resumed"]) == (2, False)


def test_torn_file(stage: Stage) -> None:
    """A file that is not ours is told, not guessed at."""
    stage.put("shipments/a.jsonl")
    with pytest.MonkeyPatch.context() as patch:
        interrupt_at(patch, Copier, 1)
        stage.lab(*_COPY, "--yes")
    stage.runs()[0].write_text("{")
    refused = stage.lab(*_COPY, "--yes")
    assert refused.exit_code == 1
    assert refused.stderr.endswith("--restart starts over\n")
    assert stage.lab(*_COPY, "--yes", "--restart").exit_code == 0


def test_one_at_a_time(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second process does not work on the same replay."""
    stage.put("shipments/a.jsonl")
    seen = []

    def inner(*_: object) -> Outcome:
        seen.append(stage.lab(*_COPY, "--yes"))
        return Outcome()

    monkeypatch.setattr(Copier, "__call__", inner)
    assert stage.lab(*_COPY, "--yes").exit_code == 0
    assert (seen[0].exit_code, seen[0].stderr) == (1, "error: another process is running the same replay\n")


_ETAG = f'"{"0" * 32}"'


class Refusing:
    """An S3 that answers one operation in its own way, and the others well."""

    def __init__(self, operation: str, answer: Callable[[], Any]) -> None:
        self._operation = operation
        self._answer = answer

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        if operation == self._operation:
            return lambda **_: self._answer()
        return lambda **_: {"Metadata": {}, "ETag": _ETAG, "CopyObjectResult": {"ETag": _ETAG}}


def _raise(code: str) -> Any:
    raise ClientError({"Error": {"Code": code, "Message": "m"}}, "o")


@pytest.mark.parametrize(
    ("operation", "answer", "reason"),
    [
        ("head_object", lambda: _raise("404"), "is gone"),
        ("head_object", lambda: _raise("412"), "was overwritten meanwhile, which S3 has announced"),
        ("copy_object", lambda: _raise("PreconditionFailed"), "was overwritten meanwhile, which S3 has announced"),
        ("copy_object", lambda: _raise("ConditionalRequestConflict"), "was overwritten meanwhile, which S3 has announ"),
        ("copy_object", lambda: _raise("InvalidObjectState"), "is archived; restore it first"),
    ],
)
def test_objects_that_are_not_copied(operation: str, answer: Callable[[], Any], reason: str) -> None:
    """Each with its reason, and the replay goes on with the next one."""
    s3: Any = Refusing(operation, answer)
    assert Copier(s3, "b", "", Pace(0))(Item("k", _ETAG[1:-1], 1)).skipped.startswith(reason)


def test_skipped_objects_arereport_of(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted by reason; the others are replayed, and the code says that it was not all."""
    stage.put("shipments/a.jsonl")
    stage.put("shipments/b.jsonl")
    stage.put("shipments/c.jsonl")
    copy = Copier._copy
    monkeypatch.setattr(
        Copier, "_copy", lambda self, item: _raise("InvalidObjectState") if "b." in item.key else copy(self, item)
    )
    done = stage.lab(*_COPY, "--yes", "--json")

    assert (done.exit_code, report_of(done)["objects"]) == (1, 2)
    assert report_of(done)["skipped"] == {"is archived; restore it first": 1}
    assert "Skipped" in stage.lab(*_COPY, "--yes").stdout
    assert stage.runs() == []


def test_object_under_a_key_on_the_laptop(stage: Stage) -> None:
    """It is copied under the same key."""
    given = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "arn:aws:kms:us-east-1:000000000000:key/k"}
    key = stage.put("shipments/b.jsonl", LINES, **given)

    assert report_of(stage.lab(*_COPY, "--yes", "--json"))["objects"] == 1
    copied = stage.s3.get_object(Bucket=stage.bucket, Key=key)
    assert ({name: copied[name] for name in given}, copied["Body"].read()) == (given, LINES)


def test_copy_that_becomes_another_object() -> None:
    """If S3 identifies a copy otherwise after all, nothing else is copied."""
    s3: Any = Refusing("copy_object", lambda: {"CopyObjectResult": {"ETag": '"other"'}})
    with pytest.raises(LabError, match=f"the copy of k is known by None, not by {_ETAG[1:-1]}: the lake takes it for"):
        Copier(s3, "b", "", Pace(0))(Item("k", _ETAG[1:-1], 1))


_CRC = {"ChecksumCRC64NVME": "rosUhgp5mIg=", "ChecksumType": "FULL_OBJECT"}
_SHA = {"ChecksumSHA256": base64.b64encode(bytes(32)).decode(), "ChecksumType": "FULL_OBJECT"}


@dataclass
class AwsS3:
    """One object of S3 as AWS documents it: an ETag that a key or parts make new each time, checksums as asked for."""

    key: str
    parts: int = 0
    checksum: dict[str, str] = field(default_factory=dict)
    made: dict[str, Any] = field(default_factory=dict)  # how the copy was asked for
    writes: int = 0

    def described(self) -> dict[str, Any]:
        etag = f"{self.writes if self.key or self.parts else 0:032x}" + f"-{self.parts}" * bool(self.parts)
        encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.key, "BucketKeyEnabled": True}
        return {"ETag": f'"{etag}"', **(encryption if self.key else {"ServerSideEncryption": "AES256"})}

    def head_object(self, *, ChecksumMode: str, IfMatch: str, **_: str) -> dict[str, Any]:
        assert (ChecksumMode, IfMatch) == ("ENABLED", self.described()["ETag"])
        return {**self.described(), **self.checksum, "Metadata": {}}

    def copy_object(self, **asked: Any) -> dict[str, Any]:
        return self._write(asked, 0)

    def create_multipart_upload(self, **asked: Any) -> dict[str, str]:
        self.made = asked
        return {"UploadId": "u"}

    def complete_multipart_upload(self, *, MultipartUpload: dict[str, Any], **_: str) -> dict[str, Any]:
        written = self._write(self.made, len(MultipartUpload["Parts"]))
        return {**written, **written["CopyObjectResult"]}

    def get_object_tagging(self, **_: str) -> dict[str, Any]:
        return {"TagSet": []}

    def get_object(self, **_: Any) -> dict[str, Any]:
        return {"Body": io.BytesIO(), "ContentLength": 5}

    def upload_part_copy(self, **_: Any) -> dict[str, Any]:
        return {"CopyPartResult": {"ETag": '"part"'}}

    def _write(self, asked: dict[str, Any], parts: int) -> dict[str, Any]:
        self.made, self.writes, self.parts = asked, self.writes + 1, parts
        self.key = asked.get("SSEKMSKeyId", "")
        algorithm = asked.get("ChecksumAlgorithm", "CRC64NVME")  # which S3 makes of an object without any
        whole = {"SHA256": {} if parts else _SHA, "CRC64NVME": _CRC}
        self.checksum = whole[algorithm] if not parts or asked.get("ChecksumType") == "FULL_OBJECT" else {}
        plain: dict[str, Any] = self.described()
        return plain | {"CopyObjectResult": {"ETag": plain.pop("ETag"), **self.checksum}}


@pytest.mark.parametrize(
    ("key", "parts", "checksum"),
    [
        ("", 0, {}),
        ("", 2, {}),
        ("", 2, _CRC),
        ("k", 0, {}),
        ("k", 0, _CRC),
        ("k", 0, _SHA),
        ("k", 2, {}),
        ("k", 2, _CRC),
    ],
)
def test_a_copy_stays_the_same_object(key: str, parts: int, checksum: dict[str, str]) -> None:
    """Whatever identifies it: under its own key, in as many parts, with the checksum that it is known by."""
    s3 = AwsS3(key, parts, checksum)
    before = s3.described()
    known = content.declared(before | checksum)
    answer = Copier(cast("Any", s3), "b", "", Pace(0))(Item("k", before["ETag"].strip('"'), 10))

    after = s3.described()
    assert (answer, s3.writes, s3.parts) == (Outcome(), 1, parts)
    assert {name: s3.made.get(name) for name in before if name != "ETag"} == {
        name: value for name, value in after.items() if name != "ETag"
    }
    assert (after["ETag"] == before["ETag"]) is not bool(key or parts)
    computed = f"sha256:{bytes(32).hex()}"
    assert (content.declared(after | s3.checksum) or computed) == (known or computed)


def test_refusal_keeps_the_place(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What will not pass at the next object either stops the replay there, in S3's own words."""
    for name in "ab":
        stage.put(f"shipments/{name}.jsonl")
    copy = Copier._copy
    monkeypatch.setattr(
        Copier, "_copy", lambda self, item: _raise("AccessDenied") if "b." in item.key else copy(self, item)
    )
    refused = stage.lab(*_COPY, "--yes")
    assert refused.exit_code == 1
    assert refused.stderr.endswith("error: An error occurred (AccessDenied) when calling the o operation: m\n")
    monkeypatch.undo()

    assert report_of(stage.lab(*_COPY, "--yes", "--json"))["objects"] == 2
    assert len(stage.versions()) == 4


@pytest.mark.parametrize("command", ["replay-copy", "replay-queue"])
def test_rights(stage: Stage, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """The printed policy is enough for the command, under enforced IAM; without one of its statements it is not."""
    stage.put("shipments/a.jsonl", LINES)
    _in_parts(stage.s3, {"Bucket": stage.bucket, "Key": "bronze/shipments/big.jsonl"})
    policy = report_of(stage.lab(command, "--type", "shipments", "--policy"))
    arguments = (command, "--type", "shipments", "--rate", "0", *(["--yes"] if command == "replay-copy" else []))

    def run(policy: dict[str, Any]) -> Result:
        adapted = json.loads(emulator_iam.role_policy(json.dumps(policy)))
        with stage.acting_in(adapted) as given, monkeypatch.context() as patch:
            real = target.Target.client

            def client_of_role(self: target.Target, service: str) -> Any:
                made = real(self, service)
                made._request_signer._credentials.access_key = given["AccessKeyId"]
                made._request_signer._credentials.secret_key = given["SecretAccessKey"]
                made._request_signer._credentials.token = given["SessionToken"]
                return made

            patch.setattr(target.Target, "client", client_of_role)
            return stage.lab(*arguments)

    assert (run(policy).exit_code, stage.runs()) == (0, [])
    for statement in policy["Statement"]:
        rest = [other for other in policy["Statement"] if other is not statement]
        refused = run(policy | {"Statement": rest or [{"Effect": "Allow", "Action": "iam:GetUser", "Resource": "*"}]})
        assert (statement["Sid"], refused.exit_code) == (statement["Sid"], 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("replay-copy", "--type", "../x"), "--type must be the name of a folder in bronze/, got '../x'"),
        (("replay-copy", "--type", "x", "--start", "y"), "--start must be a date or a time, as in 2026-01-31 or 2026-"),
        (("replay-queue", "--prefix", "x"), "--prefix is relative to a type's folder: it needs --type"),
        (
            ("replay-queue", "--start", "2026-01-02", "--end", "2026-01-02"),
            "--start must lie before --end, got 2026-01-02T00:00:00+00:00 and 2026-01-02T00:00:00+00:00",
        ),
    ],
)
def test_refused(stage: Stage, arguments: tuple[str, ...], message: str) -> None:
    """Each wrong wish is told with what was given."""
    refused = stage.lab(*arguments)
    assert (refused.exit_code in (1, 2), refused.stdout) == (True, "")
    assert f"error: {message}" in refused.stderr


def test_stack_without_a_lake(stage: Stage) -> None:
    """The message says what decides about it."""
    file = stage.emulator.home / "local.json"
    state = json.loads(file.read_text())
    state["outputs"].pop("lake")
    file.write_text(json.dumps(state))
    refused = stage.lab("replay-queue")
    assert (refused.exit_code, refused.stderr) == (
        1,
        "error: the stack local has no lake; the configuration key pipelines says which pipelines it has\n",
    )


def test_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns are spaced by what was done before them; a pause in between is not made up for."""
    now = [100.0]
    slept: list[float] = []
    monkeypatch.setattr("ops.cli.timing.time.monotonic", lambda: now[0])
    monkeypatch.setattr("ops.cli.timing.time.sleep", slept.append)
    pace = Pace(10)
    for count, passes in ((5, 0.0), (10, 5.0), (1, 0.0)):
        pace.turn(count)
        now[0] += passes

    assert slept == [0.0, 0.5, 0.0]
    Pace(0).turn(1000)
    assert len(slept) == 3
