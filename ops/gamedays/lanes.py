"""Several GameDays at a time, where they don't disturb each other."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ops.gamedays.model import GameDay


class Lanes:
    """Runs GameDays, a few at once, and none beside another that claims the same.

    `interrupted` tells those that are under way that they have to roll back and end.
    """

    def __init__(self, gamedays: Sequence[GameDay], perform: Callable[[GameDay], None], *, lanes: int = 2) -> None:
        self.interrupted = threading.Event()
        self._waiting = list(gamedays)
        self._perform = perform
        self._lanes = lanes
        self._turn = threading.Condition()
        self._claimed: set[str] = set()
        self._errors: list[BaseException] = []

    def run(self) -> None:
        """Run them all; the first that raises is the last that is begun.

        Raises:
            BaseException: what that one has raised, once those beside it have come to their end.
            KeyboardInterrupt: somebody has stopped it; those that were under way are rolled back.
        """
        threads = [threading.Thread(target=self._work) for _ in range(self._lanes)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except KeyboardInterrupt:
            self.interrupted.set()
            for thread in threads:
                thread.join()
            raise
        if self._errors:
            raise self._errors[0]

    def _work(self) -> None:
        while gameday := self._take():
            try:
                self._perform(gameday)
            except BaseException as error:  # noqa: BLE001 - raised by the thread that waits for this one
                self._errors.append(error)
            with self._turn:
                self._claimed -= gameday.claims
                self._turn.notify_all()

    def _take(self) -> GameDay | None:
        """The next whose claims are free; None when there is none left."""
        with self._turn:
            while self._waiting and not self._errors and not self.interrupted.is_set():
                if free := [one for one in self._waiting if not one.claims & self._claimed]:
                    self._waiting.remove(free[0])
                    self._claimed |= free[0].claims
                    return free[0]
                self._turn.wait(1.0)
        return None
