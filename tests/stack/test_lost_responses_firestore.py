"""What a lost response does to a write of Firestore with the SDK's own retries: twice, on our server as on Google's."""

from collections.abc import Iterator

import pytest
from google.cloud import firestore

from tests.stack.fault_proxy import FaultProxy, fault_proxy
from tests.stack.fixtures import FirestoreProject


@pytest.fixture(params=["firestore_project", "firestore_emulator_project"])
def project(request: pytest.FixtureRequest) -> FirestoreProject:
    given: FirestoreProject = request.getfixturevalue(request.param)
    return given


@pytest.fixture
def proxy(project: FirestoreProject) -> Iterator[FaultProxy]:
    with fault_proxy(project.address) as proxy:
        yield proxy


@pytest.fixture
def document(
    project: FirestoreProject, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> Iterator[firestore.DocumentReference]:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", proxy.address)
    client = firestore.Client(project=project.project)
    document = client.document("things/a")
    document.set({"n": 0})
    yield document
    client.close()


def test_an_increment_whose_response_is_lost_counts_twice(document: firestore.DocumentReference, proxy: FaultProxy):
    proxy.drop_response(once=1)
    document.update({"n": firestore.Increment(1)})
    assert (proxy.events, document.get().get("n")) == (1, 2)


def test_an_increment_whose_request_is_lost_counts_once(document: firestore.DocumentReference, proxy: FaultProxy):
    proxy.reset(once=1)
    document.update({"n": firestore.Increment(1)})
    assert (proxy.events, document.get().get("n")) == (1, 1)
