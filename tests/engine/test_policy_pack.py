"""The policy pack under the real engine: it lets the program pass, and stops what it is to stop before it is made."""

from tests.engine.project import Project

_BARE = '\nimport pulumi_aws\npulumi_aws.sqs.Queue("bare")\n'


def test_ours_passes_and_a_bare_queue_does_not(project: Project) -> None:
    """With the pack everything of the program is made; a queue beside it with nothing stated is refused, and why."""
    project.pulumi("install", "--cwd", "policy")
    project.pulumi("stack", "init", "dev")
    made = project.up("--policy-pack", "policy").counts["created"]
    assert made > len(project.cloud.made)  # components are counted, and no resource

    program = project.folder / "__main__.py"
    original = program.read_text()
    try:
        program.write_text(original + _BARE)
        refused = project.up("--policy-pack", "policy", fails=True).text
    finally:
        program.write_text(original)
    assert "message-size-stated" in refused  # the provider has filled its default in by then
    assert "queue-encryption-stated" in refused
    assert not [call for call in project.cloud.calls if call.name == "bare"]
