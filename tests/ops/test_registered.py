"""What commands that only compute take from the program, where production can't be deployed yet."""

import pytest

from ops.cli import program
from ops.local.deployer import DeployError


def test_production_is_computed_before_anybody_hears_of_its_alarms(capfd: pytest.CaptureFixture[str]) -> None:
    """Pulumi.prod.yaml as it is kept has no address: what it lacks is said, and the rest is answered."""
    found = program.registered("prod")

    assert [one.inputs["endpoint"] for one in found if one.type.endswith(":TopicSubscription")]
    said = capfd.readouterr().err
    assert said.startswith("as if alarmEmail were set, without which nothing is deployed: ")
    assert "alarmEmail must be set in production" in " ".join(said.split())


def test_what_else_is_wrong_is_refused() -> None:
    """In the program's own words, with all that is wrong, and nothing of the stand-in."""
    with pytest.raises(DeployError, match="alarmEmail must be set in production") as refused:
        program.registered("prod", {"batchSize": 0})

    assert "batchSize" in str(refused.value)
    assert "nobody@example.com" not in str(refused.value)
