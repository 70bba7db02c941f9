"""What the texts of an alarm say: its severity, in the names of its topics, and its runbook, in its description."""

import re

SEVERITIES = ("critical", "warning")
_SEVERITY = re.compile(rf"\b({'|'.join(SEVERITIES)})\b")
_RUNBOOK = re.compile(r"\bRunbook:\s*(\S+)")


def severity(name: str) -> str | None:
    """The severity that a name holds, of a topic or of the alarm that sums up all alarms of one severity."""
    found = _SEVERITY.search(name)
    return found[1] if found else None


def runbook(description: str) -> str | None:
    """The path or URL of the runbook that a description ends with."""
    found = _RUNBOOK.search(description)
    return found[1] if found else None
