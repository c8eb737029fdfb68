"""The promises of a networked backend when the network breaks, over Azure Blob Storage by Azurite."""

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from northstar.modes import LAB
from storage.backends.azure_blob import AzureBlobs
from storage.blob_guard import GuardedBlobs
from tests.contract.azure_lab import BACKEND, azure_config, azure_driver, guarded
from tests.contract.blob_contract_faults import BlobFaultContract, OpenAt


@pytest.fixture
def server_address(azure_container) -> str:
    return str(azure_container.endpoint).removeprefix("http://")


@pytest.fixture
def open_at(azure_container) -> Iterator[OpenAt]:
    with ExitStack() as opened:
        opened.enter_context(azure_driver(azure_config(azure_container)))  # which makes the container

        def open_them(address: str) -> GuardedBlobs:
            config = azure_config(azure_container, endpoint=f"http://{address}")
            return guarded(opened.enter_context(closing(AzureBlobs(config, mode=LAB, epoch=1))))

        yield open_them


class TestFaults(BlobFaultContract):
    backend = BACKEND
