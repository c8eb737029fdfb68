"""What every backend's document tests share: acme's documents, made from the module's own `open_documents`."""

import pytest

from storage.guard import GuardedDocuments
from tests.contract.document_contract import OpenDocuments


@pytest.fixture
def documents(open_documents: OpenDocuments) -> GuardedDocuments:
    """Acme's documents."""
    return open_documents()
