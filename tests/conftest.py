"""What holds for every test: those that wait for a whole pipeline go first, so that the short ones fill the time."""

import gc

import pytest

_LONGEST_FIRST = ("tests/pipelines/", "tests/live/", "tests/contract/", "tests/ops/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; their own order stays."""
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    folders = (rank for rank, folder in enumerate(_LONGEST_FIRST) if item.nodeid.startswith(folder))
    return next(folders, len(_LONGEST_FIRST))


def pytest_collection_finish() -> None:
    """Keeps the modules and tests out of every later garbage collection: walking them costs more than most tests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
