"""Programs outside of this tree: in Python with the wheel, in other languages with the component package of `plugin/`.

They are deployed as docs/reuse.md says.
"""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.contract.blocks import blocks
from tests.engine.project import ROOT, Project
from tests.engine.standin import ACCOUNT

_REGION = "eu-central-1"
_QUEUE = {
    ("aws:sqs/queue:Queue", "payments-queue"),
    ("aws:sqs/queue:Queue", "payments-dlq"),
    ("aws:sqs/queuePolicy:QueuePolicy", "payments-queue-policy"),
    ("aws:sqs/queuePolicy:QueuePolicy", "payments-dlq-policy"),
    ("aws:sqs/redriveAllowPolicy:RedriveAllowPolicy", "payments-dlq-redrive-allow"),
    ("aws:cloudwatch/metricAlarm:MetricAlarm", "payments-dlq-not-empty"),
}


def test_a_program_in_python(project: Project, tmp_path: Path) -> None:
    """A queue and its worker, whose zip has the program's own code beside the library."""
    shop = _copied(project, tmp_path, "queue_and_worker")
    _uv(shop, "build", "--wheel", "--out-dir", str(tmp_path), str(ROOT))
    _uv(shop, "venv", "--seed", "--python", sys.executable, ".venv")  # the CLI asks pip what is there
    _uv(shop, "pip", "install", "--python", ".venv/bin/python", *map(str, tmp_path.glob("*.whl")))
    _begin(shop, "python3 -m venv .venv")
    announced = shop.pulumi("preview").counts["create"]

    assert shop.up().counts == {"created": announced}
    assert _made(project) > _QUEUE
    (function,) = project.cloud.of("Function")
    assert function["handler"] == "payments.handler"
    assert shop.up().counts == {"unchanged": announced}
    shop.pulumi("destroy", "--yes")
    assert project.cloud.made == {}


def test_a_program_in_yaml(project: Project, tmp_path: Path) -> None:
    """Made as it says, found unchanged, protected as it says, and taken down."""
    shop = _outside(project, tmp_path, "yaml")
    announced = shop.pulumi("preview").counts["create"]

    assert shop.up().counts == {"created": announced}
    assert _made(project) == _QUEUE | {("aws:dynamodb/table:Table", "state")}
    queue, dlq = sorted(project.cloud.of("Queue"), key=lambda one: "dlq" in one["name"])
    assert (queue["visibilityTimeoutSeconds"], queue["maxMessageSize"]) == (180, 1_048_576)
    assert queue["redrivePolicy"] == json.dumps({"deadLetterTargetArn": dlq["arn"], "maxReceiveCount": 3})
    (table,) = project.cloud.of("Table")
    assert table["deletionProtectionEnabled"] is True
    assert _outputs(shop) == {
        "queueUrl": f"https://sqs.{_REGION}.amazonaws.com/{ACCOUNT}/{queue['name']}",
        "visibilitySeconds": 180,
        "tableName": table["name"],
    }
    assert shop.up().counts == {"unchanged": announced}

    assert "is protected from deletion" in shop.pulumi("destroy", "--yes", fails=True).text
    _write(shop, "deletionProtected: true", "deletionProtected: false")
    shop.up()
    shop.pulumi("destroy", "--yes")
    assert project.cloud.made == {}


def test_what_a_component_refuses_is_told_to_a_program_in_yaml(project: Project, tmp_path: Path) -> None:
    """With the limit and what was given; an input that there is not is told by its name; nothing is made."""
    shop = _outside(project, tmp_path, "yaml")
    _write(shop, "consumerTimeoutSeconds: 30", "consumerTimeoutSeconds: 901")
    assert "consumer_timeout_seconds must be 1-900, got 901" in shop.up(fails=True).text
    _write(shop, "consumerTimeoutSeconds: 901", "timeout: 30")
    assert "timeout" in shop.pulumi("preview", fails=True).text
    assert _made(project) <= {("aws:dynamodb/table:Table", "state")}


def test_a_program_in_typescript(project: Project, tmp_path: Path) -> None:
    """Its types are the schema's: the compiler takes it as it is, and no text for a number. It is made as it says."""
    shop = _outside(project, tmp_path, "typescript")
    compiled = shop.run("npx", "tsc")
    assert (compiled.text, compiled.code) == ("", 0)
    announced = shop.pulumi("preview").counts["create"]

    assert shop.up().counts == {"created": announced}
    mapping = ("aws:lambda/eventSourceMapping:EventSourceMapping", "payments-mapping")
    assert _made(project) == _QUEUE | {mapping}
    (consumer,) = project.cloud.of("EventSourceMapping")
    assert consumer["functionResponseTypes"] == ["ReportBatchItemFailures"]
    assert _outputs(shop).keys() == {"queueUrl"}
    assert shop.up().counts == {"unchanged": announced}

    _write(shop, "maxReceiveCount: 3", 'maxReceiveCount: "3"', file="index.ts")
    refused = shop.run("npx", "tsc")
    assert re.findall(r"error TS2322: Type '(\w+)' is not assignable to type '(.*)'", refused.text) == [
        ("string", "number")
    ]


def _outside(project: Project, folder: Path, language: str) -> Project:
    """The example in a folder of its own, with the package where the program is; installed, with a stack."""
    runtime = {"typescript": "nodejs"}.get(language, language)
    for tool in (f"pulumi-language-{runtime}", *(["npm"] if runtime == "nodejs" else [])):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool} on the PATH; the CLI comes with it")
    shop = _copied(project, folder, language)
    _write(shop, "../../plugin", os.path.relpath(project.folder / "plugin", shop.folder))
    _begin(shop, "pulumi install")
    return shop


def _copied(project: Project, folder: Path, example: str) -> Project:
    home = Path(shutil.copytree(ROOT / "examples" / example, folder / "shop"))
    return Project(home, project.environment, project.cloud)


def _begin(shop: Project, block: str) -> None:
    """What stands in the block of docs/reuse.md that begins so, up to its last command."""
    (text,) = (one.text for one in blocks() if one.first.startswith(f"reuse.md: {block}"))
    commands = re.findall(r"\bpulumi ([^&#\n]+)", text)

    assert commands.pop() == "up"
    for command in commands:
        shop.pulumi(*command.split())


def _uv(shop: Project, *arguments: str) -> None:
    done = shop.run("uv", *arguments)
    assert done.code == 0, done.text


def _write(shop: Project, before: str, after: str, *, file: str = "Pulumi.yaml") -> None:
    path = shop.folder / file
    text = path.read_text()
    assert text.count(before) == 1, text
    path.write_text(text.replace(before, after))


def _made(project: Project) -> set[tuple[str, str]]:
    return {(call.type, call.name) for call in project.cloud.calls if call.verb == "create"}


def _outputs(shop: Project) -> dict[str, object]:
    found: dict[str, object] = json.loads(shop.pulumi("stack", "output", "--json").text)
    return found
