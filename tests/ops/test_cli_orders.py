"""`lab orders` on a laptop with a deployed stack; what EventBridge does slowly is played by a client of ours."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import create_autospec

import pytest
from botocore.exceptions import ClientError

from ops.cli.orders.archive import Archive, ReplayError
from ops.local.deployer import deploy
from ops.local.emulator import ROOT, Emulator
from tests.ops.laptop import Laptop
from tests.ops.stack import free_port

_CONFIG = {"pipelines": ["orders"], "ordersWorkerTimeoutSeconds": 2, "observabilityEnabled": False}
_START = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    """One on which the orders pipeline runs."""
    laptop = Laptop(tmp_path_factory.mktemp("lab") / "home", free_port())
    with Emulator.start(laptop.home, port=laptop.port) as emulator:
        state = laptop.home / "local.json"
        deploy(ROOT, "local", endpoint=emulator.endpoint, state_file=state, config=_CONFIG)
        yield laptop


def _lab(laptop: Laptop, *arguments: str, code: int = 0) -> Any:
    done = laptop.lab("orders", *arguments, "--json")
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


def test_orders_are_placed_listed_and_shown(running: Laptop) -> None:
    """All succeed, are listed newest first page by page, and shown one by one."""
    sent = _lab(running, "send", "--count", "3", "--wait")
    first = _lab(running, "list", "--limit", "2")
    second = _lab(running, "list", "--limit", "100", "--next", first["nextToken"])
    shown = _lab(running, "show", sent["orders"][0]["orderId"])

    assert (sent["placed"], sent["refused"], sent["states"]) == (3, [], {"SUCCEEDED": 3})
    listed = [*first["orders"], *second["orders"]]
    assert {order["orderId"] for order in listed} >= {order["orderId"] for order in sent["orders"]}
    assert [order["createdAt"] for order in listed] == sorted((o["createdAt"] for o in listed), reverse=True)
    assert (shown["status"], shown["items"]) == ("PROCESSED", [{"sku": "SKU-0", "qty": 1}])


def test_orders_that_fail_are_told(running: Laptop) -> None:
    """With --wait a failure is an exit code."""
    sent = _lab(running, "send", "--count", "2", "--failing", "1", "--wait", code=1)

    assert sent["states"] == {"FAILED": 1, "SUCCEEDED": 1}


def test_a_replay_is_planned_started_and_followed(running: Laptop) -> None:
    """The plan starts nothing; the replay is followed to its end, and can be looked at later, but not cancelled."""
    _lab(running, "send", "--count", "2", "--wait")
    window = ("--start", "2026-01-01", "--end", "2126-01-01T00:00:00Z")
    plan = _lab(running, "replay", *window, "--dry-run")
    done = _lab(running, "replay", *window)
    again = _lab(running, "replay-watch", done["replay"])
    refused = running.lab("orders", "replay-cancel", done["replay"])

    assert plan == {
        "archive": plan["archive"],
        "rule": plan["rule"],
        "start": "2026-01-01T00:00:00+00:00",
        "end": "2126-01-01T00:00:00+00:00",
        "retentionDays": 14,
        "eventsInArchive": plan["eventsInArchive"],
        "dryRun": True,
    }
    assert plan["eventsInArchive"] >= 2
    assert (done["state"], again) == ("COMPLETED", done)
    assert (refused.exit_code, refused.stderr.startswith(f"error: replay {done['replay']} can't be cancelled:")) == (
        1,
        True,
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("replay",), "give a start, as in --start 2026-01-31T00:00:00Z, or --resume NAME"),
        (
            ("replay", "--start", "now"),
            "--start must be a date or a time, as in 2026-01-31 or 2026-01-31T12:00:00Z, got 'now'",
        ),
        (
            ("replay", "--start", "2026-02-01", "--end", "2026-01-31"),
            "--start must be before --end, got 2026-02-01T00:00:00+00:00 and 2026-01-31T00:00:00+00:00",
        ),
        (
            ("replay", "--start", "2026-02-01", "--resume", "x"),
            "--resume takes its window from the earlier replay: give neither --start nor --end",
        ),
        (("replay", "--resume", "x"), "there is no replay x"),
        (("replay-watch", "x"), "there is no replay x"),
        (("show", "unknown"), "there is no order with this id that has been worked on (404)"),
        (
            ("list", "--next", "x"),
            "the input is not valid (400); nextToken must be a nextToken of this API, as it was given",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_mistakes_are_told(running: Laptop, arguments: tuple[str, ...], said: str) -> None:
    """On stderr, in a sentence, with a code."""
    refused = running.lab("orders", *arguments)

    code = 2 if said.startswith(("--", "give ")) else 1
    assert (refused.exit_code, refused.stdout, refused.stderr) == (code, "", f"error: {said}\n")


class ExistsError(ClientError):
    """The replay is there already."""

    def __init__(self) -> None:
        super().__init__({"Error": {"Code": "ResourceAlreadyExistsException", "Message": ""}}, "StartReplay")


class Bridge:
    """EventBridge, as far as replays go: each look at a replay finds it further on."""

    class exceptions:  # noqa: N801 - botocore's name
        """Its errors."""

        ResourceAlreadyExistsException = ExistsError
        ResourceNotFoundException = KeyError
        ClientError = ClientError

    def __init__(self, *stands: tuple[str, int | None]) -> None:
        self.stands = list(stands)
        self.started: list[dict[str, Any]] = []
        self.loses_answers = False

    def start_replay(self, **given: Any) -> None:
        """Starts one; where answers are lost, the SDK's own repetition finds it started."""
        self.started.append(given)
        if self.loses_answers:
            raise ExistsError

    def describe_replay(self, *, ReplayName: str) -> dict[str, Any]:
        """Where it stands now."""
        assert ReplayName
        state, minutes = self.stands.pop(0) if len(self.stands) > 1 else self.stands[0]
        last = {} if minutes is None else {"EventLastReplayedTime": _START + timedelta(minutes=minutes)}
        window = {"EventStartTime": _START, "EventEndTime": _START + timedelta(minutes=60)}
        return {"State": state, **window, **last}


def _archive(bridge: Bridge) -> Archive:
    return Archive(bridge, "arn:archive", "arn:bus", "arn:rule", retention_days=14, events=7, lag=timedelta(minutes=10))


def test_a_replay_is_for_the_orders_rule_alone() -> None:
    """The bus that it goes to is the archive's own, its one listener the rule that fills the orders queue."""
    bridge = Bridge(("STARTING", None))
    name = _archive(bridge).start(_START, _START + timedelta(hours=1))

    assert bridge.started == [
        {
            "ReplayName": name,
            "Description": "lab orders replay",
            "EventSourceArn": "arn:archive",
            "EventStartTime": _START,
            "EventEndTime": _START + timedelta(hours=1),
            "Destination": {"Arn": "arn:bus", "FilterArns": ["arn:rule"]},
        }
    ]


def test_a_lost_answer_starts_no_second_replay() -> None:
    """What the repetition of the call finds is our own: its name is nobody else's."""
    bridge = Bridge(("RUNNING", None))
    bridge.loses_answers = True

    assert _archive(bridge).start(_START, _START + timedelta(hours=1)).startswith("orders-")
    assert len(bridge.started) == 1


def test_following_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """By per cent of the window, never backwards, to 100 when it is over."""
    monkeypatch.setattr("ops.cli.orders.archive._POLL_SECONDS", 0)
    bridge = Bridge(("STARTING", None), ("RUNNING", 15), ("RUNNING", 12), ("RUNNING", 59), ("COMPLETED", 60))
    told = create_autospec(lambda _count: None)
    last = _archive(bridge).follow("r", 30, told)

    assert [call.args[0] for call in told.call_args_list] == [0, 25, 0, 73, 2]
    assert (last["state"], last["lastReplayed"]) == ("COMPLETED", "2026-01-31T13:00:00+00:00")


def test_following_has_an_end() -> None:
    """After its seconds it says where the replay stands."""
    assert _archive(Bridge(("RUNNING", 30))).follow("r", 0, lambda _count: None)["state"] == "RUNNING"


@pytest.mark.parametrize(("state", "minutes", "first"), [("CANCELLED", 25, 25), ("FAILED", None, 0)])
def test_the_rest_of_a_replay(state: str, minutes: int | None, first: int) -> None:
    """From where it ended to its end; from its beginning where it told nothing."""
    window = _archive(Bridge((state, minutes))).left_of("r")

    assert window == (_START + timedelta(minutes=first), _START + timedelta(minutes=60))


@pytest.mark.parametrize("state", ["STARTING", "RUNNING", "CANCELLING", "COMPLETED"])
def test_only_what_ended_early_has_a_rest(state: str) -> None:
    """Anything else would be told twice for nothing."""
    with pytest.raises(ReplayError, match=rf"^replay r is {state}: only a cancelled or failed one can be resumed$"):
        _archive(Bridge((state, 10))).left_of("r")


def test_a_young_archive_is_told(running: Laptop) -> None:
    """On AWS events reach an archive late, so a window that ends now is not complete; the laptop's is."""
    archive, now = _archive(Bridge(("RUNNING", 1))), datetime.now(UTC)

    assert archive.is_young(now)
    assert not archive.is_young(now - timedelta(minutes=11))
    assert "ten minutes" not in running.lab("orders", "replay", "--start", "2026-01-01", "--dry-run").stderr
