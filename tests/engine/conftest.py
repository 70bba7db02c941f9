"""The Pulumi CLI with its real engine, a stand-in for the provider, and nobody's account."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.project import Project, copied, environment
from tests.engine.standin import Cloud, served


def pytest_runtest_setup() -> None:
    """Skip what is here where there is no engine."""
    if shutil.which("pulumi") is None:
        pytest.skip("no pulumi on the PATH: https://www.pulumi.com/docs/install/")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One copy of the program for all: the engine installs its packages once."""
    return copied(tmp_path_factory.mktemp("program"))


@pytest.fixture
def project(folder: Path, tmp_path: Path) -> Iterator[Project]:
    """The program with its stack files as they are kept, no stack and an empty cloud."""
    cloud = Cloud()
    with served(cloud) as port:
        made = Project(folder, environment(tmp_path, port), cloud)
        made.reset_stack_files()
        yield made
