"""`lab orders`: place orders, show them, replay them from the archive of the bus."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, urlencode

import typer

from ops.cli import output, records, target, timing
from ops.cli.api import ATTEMPTS, Answer, ApiClient
from ops.cli.orders import archive as replays

if TYPE_CHECKING:
    from ops.cli.target import Target

app = typer.Typer(help="Place orders, look at them, replay them from the archive.", no_args_is_help=True)

_FAILING_SKU = "FAIL-ME"

NameArgument = Annotated[str, typer.Argument(help="The replay's name, as replay printed it.")]
WatchOption = Annotated[bool, typer.Option("--watch/--no-watch", help="Follow the replay to its end.")]
WaitOption = Annotated[bool, typer.Option("--wait", help="Wait until every order is SUCCEEDED or FAILED for good.")]
PatienceOption = Annotated[float, typer.Option("--timeout", min=0, help="Seconds to follow it at most.")]


@app.command()
def send(  # noqa: PLR0913, PLR0917 - one option each
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many orders to place.")] = 10,
    failing: Annotated[int, typer.Option("--failing", min=0, help="How many of them have the SKU FAIL-ME.")] = 0,
    wait: WaitOption = False,  # noqa: FBT002 - an option
    timeout: Annotated[float, typer.Option("--timeout", min=0, help="Seconds that --wait waits.")] = 60,
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Place made-up orders through the API, each under an Idempotency-Key, so that a retry places none twice.

    Leaves with 1 when one was refused, or, with --wait, when one did not succeed.

    Example: lab orders send --count 20 --failing 2 --wait
    """
    found = _with_orders(stack)
    client, placed, refused = ApiClient(found.api, found.identity), list[dict[str, Any]](), list[str]()
    with output.progress("placing orders", count) as advance:
        for number in range(count):
            answer = _place(client, _FAILING_SKU if number < failing else f"SKU-{number % 7}")
            placed += [answer.body] if answer.status == 202 else []
            refused += [f"{answer.status}: {answer.body}"] if answer.status != 202 else []
            advance(1)
    client.close()
    statuses = _wait(found, placed, timeout) if wait else None
    document = {"placed": len(placed), "refused": refused, "orders": placed, "states": statuses}
    if as_json:
        output.as_json(document)
    else:
        states = "" if statuses is None else f": {', '.join(f'{n} {s}' for s, n in sorted(statuses.items()))}"
        output.result([f"placed {len(placed)} of {count}{states}", *refused])
    if refused or (statuses and set(statuses) != {"SUCCEEDED"}):
        raise typer.Exit(output.FAILED)


@app.command("list")
def list_orders(
    limit: Annotated[int, typer.Option("--limit", min=1, max=100, help="How many to show.")] = 20,
    token: Annotated[str, typer.Option("--next", help="The nextToken of the page before.")] = "",
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Show orders, newest first.

    Example: lab orders list --limit 5
    """
    query = {"limit": limit} | ({"nextToken": token} if token else {})
    page = _with_orders(stack).ask("GET", f"/orders?{urlencode(query)}")
    if as_json:
        output.as_json(page)
        return
    rows = [[o["orderId"], o["status"], o["createdAt"], len(o["items"])] for o in page["orders"]]
    output.table("Orders", ["order", "status", "created", "items"], rows)
    if page["nextToken"]:
        output.say(f"there are more: --next {page['nextToken']}")


@app.command()
def show(
    order_id: Annotated[str, typer.Argument(help="The order's id.")],
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Show one order.

    Example: lab orders show 7f9c2ba4-0d3b-4c19-9a52-1c8f1f6f2f0e
    """
    order = _with_orders(stack).ask("GET", f"/orders/{quote(order_id, safe='')}")
    if as_json:
        output.as_json(order)
    else:
        output.table(order_id, ["attribute", "value"], sorted(order.items()))


@app.command()
def replay(  # noqa: PLR0913, PLR0917 - one option each
    start: Annotated[str, typer.Option("--start", help="From this time on, as in 2026-01-31T12:00:00Z.")] = "",
    end: Annotated[str, typer.Option("--end", help="Up to this time; default: now.")] = "",
    resume: Annotated[str, typer.Option("--resume", help="Go on where this cancelled or failed replay ended.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be replayed; start nothing.")] = False,  # noqa: FBT002
    watch: WatchOption = True,  # noqa: FBT002 - an option
    timeout: PatienceOption = 3600,
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Replay the orders of a period from the archive, to the orders queue alone.

    Orders that have been processed are recognized by their eventId: nothing is done twice. Ctrl-C ends the command,
    not the replay. Needs events:DescribeArchive, events:StartReplay and events:DescribeReplay.

    Example: lab orders replay --start 2026-01-31T00:00:00Z --end 2026-02-01T00:00:00Z --dry-run
    """
    archive = replays.find(_with_orders(stack))
    if resume and (start or end):
        output.misuse("--resume takes its window from the earlier replay: give neither --start nor --end")
    if not resume and not start:
        output.misuse("give a start, as in --start 2026-01-31T00:00:00Z, or --resume NAME")
    window = archive.left_of(resume) if resume else (_moment("--start", start), _moment("--end", end))
    if window[0] >= window[1]:
        output.misuse(f"--start must be before --end, got {window[0].isoformat()} and {window[1].isoformat()}")
    if archive.is_young(window[1]):
        output.say("the archive may still lack events of the last ten minutes: replay those later")
    if dry_run:
        _tell(archive.plan(*window), as_json=as_json)
        return
    name = archive.start(*window)
    output.say(f"replay {name} started; orders that were processed are no-ops by their eventId")
    _tell(_follow(archive, name, timeout) if watch else archive.describe(name), as_json=as_json)


@app.command("replay-watch")
def replay_watch(
    name: NameArgument,
    timeout: PatienceOption = 3600,
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Follow a replay to its end.

    Example: lab orders replay-watch orders-20260131T120000-1a2b3c4d
    """
    _tell(_follow(replays.find(_with_orders(stack)), name, timeout), as_json=as_json)


@app.command("replay-cancel")
def replay_cancel(
    name: NameArgument,
    stack: target.StackOption = target.LOCAL,
    as_json: target.JsonOption = False,  # noqa: FBT002 - an option
) -> None:
    """Cancel a replay. `replay --resume NAME` replays the rest.

    Example: lab orders replay-cancel orders-20260131T120000-1a2b3c4d
    """
    archive = replays.find(_with_orders(stack))
    archive.cancel(name)
    _tell(archive.describe(name), as_json=as_json)


def _with_orders(stack: str) -> Target:
    found = target.find(stack)
    if "orders" not in found.pipelines:
        output.fail(f"the stack {stack} has no orders pipeline: add orders to its configuration key pipelines")
    return found


def _place(client: ApiClient, sku: str) -> Answer:
    """Places one order; what is refused for now is sent again under the same key."""
    body, key = {"items": [{"sku": sku, "qty": 1}]}, uuid.uuid4().hex
    for attempt in range(1, ATTEMPTS):
        answer = client.try_post("/orders", body, {"Idempotency-Key": key})
        if not answer.is_transient:
            return answer
        time.sleep(answer.pause(attempt))
    return client.try_post("/orders", body, {"Idempotency-Key": key})


def _wait(found: Target, placed: list[dict[str, Any]], timeout: float) -> dict[str, int]:
    keys = {str(order["eventId"]) for order in placed}
    with output.progress("waiting for the worker", len(keys)) as advance:
        return dict(Counter(records.settle(found, keys, timeout, advance, pipeline="orders").values()))


def _follow(archive: replays.Archive, name: str, timeout: float) -> dict[str, Any]:
    archive.describe(name)  # is there one?
    with output.progress(f"replaying {name}", 100) as advance:
        last = archive.follow(name, timeout, advance)
    if last["state"] not in replays.FINAL:
        output.say(f"the replay is still running; watch it with: lab orders replay-watch {name}")
    return last


def _tell(document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.as_json(document)
    else:
        output.table("Replay", ["", ""], list(document.items()))
    if document.get("state") in replays.FAILED:
        raise typer.Exit(output.FAILED)


def _moment(option: str, text: str) -> datetime:
    return timing.moment(option, text) if text else datetime.now(UTC)
