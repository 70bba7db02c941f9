"""What the redrive tests share."""

from typing import Any

from tests.pipelines.lab import Lab, wait_for


def finished(lab: Lab, redrive_id: str, *, seconds: float = 60) -> dict[str, Any]:
    """The run once it has ended, with its whole ledger, of which it is not asked before: that keeps the run waiting."""

    def ended() -> bool:
        return bool(lab.call("GET", f"/redrive/{redrive_id}?limit=1")[1]["state"] != "RUNNING")

    wait_for(f"the end of {redrive_id}", ended, seconds=seconds)
    run: dict[str, Any] = lab.call("GET", f"/redrive/{redrive_id}?limit=1000")[1]
    while run["nextCursor"]:
        page = lab.call("GET", f"/redrive/{redrive_id}?limit=1000&cursor={run['nextCursor']}")[1]
        run["messages"] += page["messages"]
        run["nextCursor"] = page["nextCursor"]
    return run
