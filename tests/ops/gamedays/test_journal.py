"""The lines of a run."""

import threading
from pathlib import Path

from ops.gamedays.journal import Journal, Line


def test_lines_are_told_in_the_order_in_which_they_stand(tmp_path: Path) -> None:
    """Also when another thread adds one while the first is being told."""
    told: list[str] = []
    others: list[threading.Thread] = []

    def tell(line: Line) -> None:
        if line["kind"] == "first":
            others.append(threading.Thread(target=journal.add, args=["second"]))
            others[0].start()
            others[0].join(0.05)  # it waits for its turn; without one it is through by now
        told.append(line["kind"])

    journal = Journal(tmp_path / "run", tell)
    journal.add("first")
    others[0].join()
    assert told == [line["kind"] for line in journal.lines] == ["first", "second"]
