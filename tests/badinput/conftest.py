"""One pair of daemons for all tests of this folder; each test must leave them as they were."""

from collections.abc import Iterator

import pytest

from tests.badinput.daemons import Daemons, running_daemons


@pytest.fixture(scope="session")
def shared_daemons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemons]:
    with running_daemons(tmp_path_factory.mktemp("badinput")) as daemons:
        yield daemons


@pytest.fixture
def daemons(shared_daemons: Daemons) -> Iterator[Daemons]:
    """Both daemons, which must be up, serving and complete after the test."""
    yield shared_daemons
    shared_daemons.unharmed()
