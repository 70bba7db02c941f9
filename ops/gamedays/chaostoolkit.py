"""A GameDay as an experiment of the Chaos Toolkit, for those who run theirs with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ops.gamedays.stack import AWS_PATIENCE

if TYPE_CHECKING:
    from ops.gamedays.model import GameDay

_PROBE_SECONDS = 60


def experiment(gameday: GameDay, stack: str) -> dict[str, Any]:
    """The experiment (format 1.0.0): steady state by HTTP and by `lab`, the run as its method, rollback by `lab`.

    The GameDay's own engine injects, watches and judges. The Chaos Toolkit judges by its steady state alone: the
    GameDay's verdict is the exit status of the method, in the journal that it writes.
    """
    run = ["gameday", "run", gameday.name, "--stack", stack, "--yes"]
    seconds = gameday.limit_seconds * (1 if stack == "local" else AWS_PATIENCE) * 2
    return {
        "version": "1.0.0",
        "title": gameday.title,
        "description": f"{gameday.hypothesis} Blast radius: {gameday.blast_radius}.",
        "tags": ["ingestion-lab", gameday.pipeline, gameday.name],
        "configuration": {"api_url": {"type": "env", "key": "API_URL"}},
        "steady-state-hypothesis": {
            "title": "the API is healthy and nothing is on the dead-letter queue",
            "probes": [
                {
                    "type": "probe",
                    "name": "the API is healthy",
                    "tolerance": 200,
                    "provider": {"type": "http", "url": "${api_url}/health", "timeout": _PROBE_SECONDS},
                },
                {
                    "type": "probe",
                    "name": "nothing is on the dead-letter queue",
                    "tolerance": {"type": "regex", "pattern": '"totalMessages": 0\\b', "target": "stdout"},
                    "provider": _lab("redrive", "preview", "--pipeline", gameday.pipeline, "--stack", stack, "--json"),
                },
            ],
        },
        "method": [
            {
                "type": "action",
                "name": f"GameDay {gameday.name}",
                "provider": _lab(*run, seconds=seconds),
            }
        ],
        "rollbacks": [
            {
                "type": "action",
                "name": "no failure mode is on",
                "provider": _lab("failure", "reset", "--stack", stack),
            }
        ],
        "extensions": [
            {
                "name": "ingestion-lab",
                "mustFire": list(gameday.fires),
                "mayFire": sorted(gameday.expected - set(gameday.fires)),
                "steps": [
                    {"kind": step.kind, "title": step.title, "byHand": list(step.by_hand)} for step in gameday.steps
                ],
            }
        ],
    }


def _lab(*words: str, seconds: float = _PROBE_SECONDS) -> dict[str, Any]:
    return {"type": "process", "path": "lab", "arguments": list(words), "timeout": seconds}
