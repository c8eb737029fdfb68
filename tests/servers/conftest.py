"""Accounts at our test servers, one for each test."""

from collections.abc import Iterator

import pytest

from tests.servers.cosmos_lab import Lab, cosmos_lab
from tests.servers.firestore_lab import Lab as FirestoreLab
from tests.servers.firestore_lab import firestore_lab
from tests.stack.fixtures import CosmosServer, unique


@pytest.fixture
def cosmos(cosmos_server: CosmosServer) -> Iterator[Lab]:
    """An account of its own at the Cosmos DB server."""
    with cosmos_lab(f"{cosmos_server.url}/{unique('account')}", cosmos_server.key) as lab:
        yield lab


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[FirestoreLab]:
    """A project of its own at our Firestore server, or at Google's emulator where a test asks for "google"."""
    theirs = getattr(request, "param", "ours") == "google"
    project = request.getfixturevalue("firestore_emulator_project" if theirs else "firestore_project")
    with firestore_lab(project.address, project.project) as lab:
        yield lab
