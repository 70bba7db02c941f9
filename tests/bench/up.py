"""What bringing up the laptop's stack takes, and what its first callers wait: ``python -m tests.bench.up [ROUNDS]``.

In a copy of this tree: `lab up --console` from nothing, with warm caches of bytecode; again without a change; and after
an edit of one function. After each first one, 16 connections post 10 events each, at once. CPU of a command is its own
and its children's; that of the processes which it has started and leaves running stands beside it.
"""

import http.client
import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from urllib.parse import urlsplit
from uuid import uuid4

from tests.bench.laptop import Laptop, Taken, laptop
from tests.bench.report import Row, conclude, json_file, row

_ROUNDS = 3
_CONNECTIONS = 16
_POSTS = 10  # on each
_TIMEOUT_SECONDS = 30
_EDITED = "handlers/events/step.py"
_BARS = {"from down": "≤ 5 s", "unchanged": "≤ 1.5 s", "one function edited": "≤ 2 s", "burst": "≤ 1.5 s"}


def _burst(api: str) -> list[float]:
    """Seconds that each post took; a time-out counts as what was waited for it."""
    place = urlsplit(api)
    together = Barrier(_CONNECTIONS)

    def connection(_: int) -> list[float]:
        taken = []
        client = http.client.HTTPConnection(str(place.hostname), place.port, timeout=_TIMEOUT_SECONDS)
        together.wait()
        for _ in range(_POSTS):
            body = json.dumps({"orderId": uuid4().hex, "amount": 42.5})
            started = time.perf_counter()
            try:
                client.request("POST", f"{place.path}/events", body, {"content-type": "application/json"})
                answer = client.getresponse()
                answer.read()
                assert answer.status == 202, answer.status
            except TimeoutError:
                client.close()
            taken.append(time.perf_counter() - started)
        client.close()
        return taken

    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        return [one for taken in pool.map(connection, range(_CONNECTIONS)) for one in taken]


def _api(said: str) -> str:
    return next(line.removeprefix("API URL: ") for line in said.splitlines() if line.startswith("API URL: "))


def _measure(one: Laptop, rounds: int) -> Iterator[tuple[str, Taken | list[float]]]:
    one.up()  # compiles what it loads
    one.down()
    for number in range(rounds):
        first = one.up()
        yield "from down", first
        yield "burst", _burst(_api(first.said))
        yield "unchanged", one.up()
        one.edit(_EDITED, f"\n# edit {number}\n")
        yield "one function edited", one.up()
        one.down()


def _told(taken: Sequence[Taken]) -> str:
    words = {"wall": "s wall", "cpu": "s CPU", "cloud": "s CPU of the local cloud"}
    return ", ".join(
        f"{statistics.median(getattr(one, name) for one in taken):.2f} {word}" for name, word in words.items()
    )


def _rows(found: Sequence[tuple[str, Taken | list[float]]]) -> Iterator[Row]:
    for name, bar in _BARS.items():
        if name == "burst":
            bursts = [one for kind, one in found if kind == name and isinstance(one, list)]
            late = [statistics.quantiles(one, n=20)[-1] for one in bursts]
            lost = sum(seconds >= _TIMEOUT_SECONDS for one in bursts for seconds in one)
            longest = max(max(one) for one in bursts)
            told = f"{_CONNECTIONS} connections with {_POSTS} posts each; longest {longest:.2f} s, {lost} time-outs"
            yield row("first burst after lab up, p95", late, bar, told)
            continue
        taken = [one for kind, one in found if kind == name and isinstance(one, Taken)]
        by_cpu = name == "from down"
        values = [one.cpu if by_cpu else one.wall for one in taken]
        yield row(f"lab up, {name}, {'CPU' if by_cpu else 'wall'}", values, bar, _told(taken))


def main(arguments: list[str]) -> int:
    """Prints the figures; see the module."""
    rest, file = json_file(arguments)
    with laptop() as one:
        found = list(_measure(one, int(rest[0]) if rest else _ROUNDS))
    return conclude("up", list(_rows(found)), file, note=_NOTE)


_NOTE = """
From down, most of the time is for loading Pulumi, its provider's modules and the SDK, and for a run of the program;
without a change none of them is loaded, and for an edited function the SDK alone. Not tried: to make resources of the
registrations of an earlier run.
"""

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
