"""The backfill of docs/lake-care.md: a job that S3's API takes, whose copies the lake works with the same result."""

import json
import re
from typing import Any

import botocore.session
from botocore.validate import ParamValidator

from tests.components.recording import ROOT
from tests.ops.lake_work import Lake, lines, shipment

_DOCUMENTED = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "lake-care.md").read_text(encoding="utf-8"), re.DOTALL)
_JOB: dict[str, Any] = next(job for job in map(json.loads, _DOCUMENTED) if "ManifestGenerator" in job)


def test_job_is_one_of_the_api() -> None:
    """Every field is one of CreateJob, by AWS's own description, and no required one is missing."""
    service = botocore.session.get_session().get_service_model("s3control")
    shape = service.operation_model("CreateJob").input_shape
    assert shape is not None
    report = ParamValidator().validate({"AccountId": "111122223333", **_JOB}, shape)

    assert report.generate_report() == ""


def test_copies_are_worked_with_the_same_result(lake: Lake) -> None:
    """The copies that the job makes are announced and worked under the job's id: the same files, each row once."""
    key = lake.put("shipments/a.jsonl", lines(*(shipment(n) for n in range(20)), b"[]"))
    before = {name: lake.read(name) for name in lake.files()}
    copy = _JOB["Operation"]["S3PutObjectCopy"]
    place = {"Bucket": lake.stage.bucket, "Key": key}
    lake.s3.copy_object(
        **place,
        CopySource=place,
        MetadataDirective=copy["MetadataDirective"],
        Metadata=copy["NewObjectMetadata"]["UserMetadata"],
    )
    assert lake.announced_work() > 0
    assert {name: lake.read(name) for name in lake.files()} == before
    names = [item["idempotencyKey"]["S"] for item in lake.client("dynamodb").scan(TableName="state")["Items"]]
    assert sum("~backfill-2026-01" in name for name in names) == sum("~" not in name for name in names)
    assert lake.told("check", "--count-source")["problems"] == {}
