"""The exported experiments are valid by the Chaos Toolkit's own rules."""

import copy
import json

import pytest
from chaoslib.exceptions import InvalidActivity
from chaoslib.experiment import ensure_experiment_is_valid
from typer.testing import CliRunner

from ops.cli.main import app
from ops.gamedays import catalogue, chaostoolkit


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the experiment wants it: `lab` is on the PATH, the API's address is exported."""
    monkeypatch.setenv("API_URL", "http://127.0.0.1:1")
    monkeypatch.setattr("shutil.which", lambda program, *_: f"/bin/{program}")
    monkeypatch.setattr("os.access", lambda *_: True)


@pytest.mark.parametrize("name", [one.name for one in catalogue.ALL])
def test_it_is_valid(name: str) -> None:
    """As printed; its method runs that GameDay on that stack, unasked."""
    shown = CliRunner().invoke(app, ["gameday", "export", name, "--stack", "dev"])
    experiment = json.loads(shown.stdout)

    ensure_experiment_is_valid(experiment)
    (run,) = experiment["method"]
    assert run["provider"]["arguments"] == ["gameday", "run", name, "--stack", "dev", "--yes"]


def test_the_rules_can_refuse() -> None:
    """What is valid is not so because nothing is looked at."""
    experiment = copy.deepcopy(chaostoolkit.experiment(catalogue.ALL[0], "local"))
    del experiment["method"][0]["provider"]["path"]

    with pytest.raises(InvalidActivity):
        ensure_experiment_is_valid(experiment)
