"""The life of a stack under the real engine: made, found unchanged, interrupted, protected, taken down."""

import os
import signal
import subprocess
import threading

import pytest

from tests.engine.project import SECONDS, Project

_KEY = "key-that-nobody-may-see"
_HOOK = "https://hooks.example/T0/nobody-may-see"


def test_from_nothing_to_nothing(project: Project) -> None:
    """A preview makes nothing, `up` what it announced; then nothing changes, not after a refresh either; all can go."""
    project.pulumi("stack", "init", "dev")
    announced = project.pulumi("preview").counts
    assert project.cloud.made == {}

    assert project.up().counts == {"created": announced["create"]}
    assert not any(project.cloud.configured[0].get(key) for key in ("accessKey", "endpoints"))
    with project.cloud.watched() as calls:
        assert project.up().counts == {"unchanged": announced["create"]}
        assert project.up("--refresh").counts == {"unchanged": announced["create"]}
        project.pulumi("stack", "output", "ApiEndpoint")
    assert calls == []
    assert project.pulumi("destroy", "--yes").counts == {"deleted": announced["create"]}
    assert project.cloud.made == {}


def test_the_laptop_s_stack_goes_to_the_local_cloud(project: Project) -> None:
    """All of its pipelines, and the provider is pointed at the emulator."""
    project.pulumi("stack", "init", "local")
    project.up()

    (configured,) = project.cloud.configured
    assert (configured["accessKey"], configured["region"]) == ("test", "us-east-1")
    assert "http://127.0.0.1:4566" in configured["endpoints"]
    assert len(project.cloud.of("EventSourceMapping")) == 4  # three workers and the ingest of the lake


def test_what_aws_refuses_is_made_by_the_next_up(project: Project) -> None:
    """What was made before is kept and not made twice."""
    project.pulumi("stack", "init", "dev")
    everything = project.pulumi("preview").counts["create"]
    project.cloud.refused["events-worker"] = "AccessDenied: this is not for you"
    refused = project.up(fails=True)
    assert "AccessDenied: this is not for you" in refused.text

    project.cloud.refused.clear()
    again = project.up().counts
    assert again == {"created": everything - again["unchanged"], "unchanged": again["unchanged"]}
    assert again["unchanged"] > 1
    created = [(call.type, call.name) for call in project.cloud.calls if call.verb == "create"]
    assert len(created) == len(set(created))


@pytest.mark.parametrize("signals", [[signal.SIGINT, signal.SIGINT], [signal.SIGKILL]], ids=["Ctrl-C", "kill"])
def test_an_interrupted_up_is_taken_up_again(project: Project, signals: list[signal.Signals]) -> None:
    """Cut short in the middle of a creation: the next `up` makes what is missing, and nothing twice."""
    project.pulumi("stack", "init", "dev")
    held = project.cloud.held["events-worker"] = threading.Event()
    # one at a time: while it is held nothing else goes on, so that a kill leaves no half-written file of the backend
    with _started(
        project, "pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--parallel", "1"
    ) as running:
        assert held.wait(SECONDS)
        assert running.stdout is not None
        for number in signals:
            os.killpg(running.pid, number)
            any("^C received" in line for line in running.stdout)  # or nothing more comes
        running.communicate(timeout=SECONDS)
    project.cloud.held.clear()

    project.run("pulumi", "cancel", "--yes")  # a kill leaves the stack locked; of Ctrl-C nothing is left to cancel
    again = project.up()
    assert "created" in again.counts
    assert "interrupted while creating" in again.text
    created = [(call.type, call.name) for call in project.cloud.calls if call.verb == "create"]
    assert len(created) == len(set(created))
    project.pulumi("refresh", "--yes", "--clear-pending-creates")
    assert "pending operations" not in project.up().text


def test_protected_resources_stay(project: Project) -> None:
    """`destroy` of production names each resource that holds data, and deletes nothing until they are freed."""
    project.pulumi("stack", "init", "prod")
    project.pulumi("config", "set", "alarmEmail", "oncall@your.company")
    for number, name in enumerate(["events", "orders", "lake"]):
        project.pulumi("config", "set", "--path", f"pipelines[{number}]", name)
    project.up()
    with project.cloud.watched() as calls:
        refused = project.pulumi("destroy", "--yes", fails=True).text
    assert calls == []
    named = {line.rpartition("::")[2].partition('"')[0] for line in refused.splitlines() if "cannot be deleted" in line}
    assert named >= {"ingestion_state", "control-table", "orders-table", "lake-bronze", "lake-silver"}
    assert named >= {"control-failures", "events-queue", "orders-archive"}

    project.pulumi("config", "set", "useKmsCmk", "false")
    project.pulumi("config", "set", "withoutCustomerKey", "true")
    with project.cloud.watched() as calls:
        assert "ingestion-key" in project.pulumi("up", "--yes", fails=True).text
    assert calls == []
    project.pulumi("config", "rm", "withoutCustomerKey")
    project.pulumi("config", "set", "useKmsCmk", "true")

    project.pulumi("config", "set", "deletionAllowed", "true")
    project.up()
    project.pulumi("destroy", "--yes")
    assert project.cloud.made == {}


def test_no_secret_is_in_clear(project: Project) -> None:
    """Neither in the state, nor in outputs, nor in what is printed; nor in the stack's file."""
    project.pulumi("stack", "init", "dev")
    project.pulumi("config", "set", "authMode", "apiKey")
    project.pulumi("config", "set", "--secret", "apiKey", _KEY)
    project.pulumi("config", "set", "--secret", "webhookUrl", _HOOK)
    printed = [project.pulumi("preview", "--diff"), project.up("--diff"), project.pulumi("stack", "output", "--json")]
    assert _KEY in str(project.cloud.made)  # it did arrive
    assert _HOOK in str(project.cloud.made)

    printed += [project.pulumi("stack", "export"), project.pulumi("config"), project.up("--refresh", "--diff")]
    files = [path.read_text() for path in project.folder.glob("Pulumi.*.yaml")]
    for text in [*(answer.text for answer in printed), *files]:
        assert "nobody-may-see" not in text


def _started(project: Project, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
