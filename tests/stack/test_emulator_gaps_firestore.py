"""Where Google's Firestore emulator does not do what Firestore does: a test that fails here tells that a gap is closed."""

from collections.abc import Iterator

import grpc
import pytest
from google.api_core.exceptions import Aborted, MethodNotImplemented
from google.cloud import firestore
from google.cloud.firestore_admin_v1 import FirestoreAdminClient
from google.cloud.firestore_admin_v1.services.firestore_admin.transports import FirestoreAdminGrpcTransport

from tests.stack.fixtures import FirestoreProject

MOST_INDEX_ENTRIES = 40_000
"""The service's limit of a document."""


@pytest.fixture
def things(
    firestore_emulator_project: FirestoreProject, monkeypatch: pytest.MonkeyPatch
) -> Iterator[firestore.CollectionReference]:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", firestore_emulator_project.address)
    client = firestore.Client(project=firestore_emulator_project.project)
    yield client.collection("things")
    client.close()


def test_a_query_that_needs_a_composite_index_is_answered_without(things: firestore.CollectionReference):
    for number in range(3):
        things.document(str(number)).set({"colour": "red", "number": number})
    red = things.where(filter=firestore.FieldFilter("colour", "==", "red"))
    descending = red.order_by("number", direction=firestore.Query.DESCENDING)
    assert [document.id for document in descending.stream()] == ["2", "1", "0"]


def test_a_document_may_have_more_index_entries_than_the_service_allows(things: firestore.CollectionReference):
    things.document("many").set({"numbers": list(range(MOST_INDEX_ENTRIES + 1))})


def test_a_write_beside_an_open_transaction_is_aborted_after_its_wait_for_the_lock(
    things: firestore.CollectionReference,
):
    """It holds locks as the service does, but gives up after two seconds; many transactions on one document starve."""
    document = things.document("locked")
    document.set({"n": 0})
    transaction = things._client.transaction()
    transaction._begin()
    document.get(transaction=transaction)
    with pytest.raises(Aborted, match="lock timeout"):
        document.update({"n": 1}, retry=None)
    transaction._rollback()
    document.update({"n": 1})


def test_indexes_and_expiry_cannot_be_administered(firestore_emulator_project: FirestoreProject):
    field = f"projects/{firestore_emulator_project.project}/databases/(default)/collectionGroups/things/fields/n"
    with grpc.insecure_channel(firestore_emulator_project.address) as channel:
        admin = FirestoreAdminClient(transport=FirestoreAdminGrpcTransport(channel=channel))
        with pytest.raises(MethodNotImplemented):
            admin.get_field(name=field)
