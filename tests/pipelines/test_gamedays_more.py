"""The other half of the GameDays, and one that is interrupted."""

import json
import signal
from pathlib import Path

from ops.gamedays import runs
from ops.gamedays.journal import Journal
from tests.pipelines import gamedays
from tests.pipelines.gamedays import Field
from tests.pipelines.lab import wait_for


class TestSecond(gamedays.GameDays):
    """On a stack of their own."""

    names = gamedays.SECOND

    def test_ctrl_c_rolls_back_and_the_run_goes_on_later(self, field_: Field) -> None:
        """The fault is off and nothing of the GameDay is left; --resume brings the run to its verdict."""
        lab = field_.lab
        process = field_.start("run", "duplicates")
        folder = runs.folder(lab.home)

        def injected() -> Path | None:
            latest = max(folder.glob("*-duplicates"), default=None)
            done = [line for line in Journal(latest).of("step") if line["state"] == "done"] if latest else []
            return latest if done and latest and not Journal(latest).is_over else None

        latest = wait_for("the injection", injected)
        assert latest is not None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)

        assert process.returncode == 130
        assert lab.call("GET", "/failure-mode")[1]["effective"] == "none"
        assert Journal(latest).outstanding() == []
        resumed = field_.start("run", "--resume", latest.name, "--json")
        shown, told = resumed.communicate(timeout=300)
        assert resumed.returncode == 0, told
        assert json.loads(shown)["runs"][0]["run"] == latest.name
