"""The policy pack under the real engine: it lets the program pass, and stops what it is to stop before it is made."""

import json
import re

from tests.engine.project import ROOT, Project

_BARE = '\nimport pulumi_aws\npulumi_aws.sqs.Queue("bare")\n'


def test_ours_passes_and_a_bare_queue_does_not(project: Project) -> None:
    """With the pack everything of the program is made; a queue beside it with nothing stated is refused, and why.

    A policy that is configured as docs/policy-pack.md does it says the same and stops nothing.
    """
    project.pulumi("install", "--cwd", "policy")
    project.pulumi("stack", "init", "dev")
    made = project.up("--policy-pack", "policy").counts["created"]
    assert made > len(project.cloud.made)  # components are counted, and no resource

    program = project.folder / "__main__.py"
    original = program.read_text()
    try:
        program.write_text(original + _BARE)
        refused = project.up("--policy-pack", "policy", fails=True).text
        asked = [call for call in project.cloud.calls if call.name == "bare"]
        told = project.up("--policy-pack", "policy", "--policy-pack-config", _configured(project)).text
    finally:
        program.write_text(original)
    assert "message-size-stated" in refused  # the provider has filled its default in by then
    assert "queue-encryption-stated" in refused
    assert asked == []
    assert "message-size-stated" in told
    assert [call.verb for call in project.cloud.calls if call.name == "bare"] == ["create"]


def _configured(project: Project) -> str:
    page = (ROOT / "docs" / "policy-pack.md").read_text()
    (documented,) = re.findall(r"^    (\{.*\})$", page, re.MULTILINE)
    advisory = dict.fromkeys(("message-size-stated", "queue-encryption-stated"), "advisory")
    (project.folder / "policy.json").write_text(json.dumps(json.loads(documented) | advisory))
    return "policy.json"
