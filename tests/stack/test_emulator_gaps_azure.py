"""Where Azurite differs from Azure Blob Storage: each gap is stated here, so that a newer version which closes it is noticed."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.storage.blob import BlobSasPermissions, BlobServiceClient, ContainerClient, generate_blob_sas

from tests.stack.fixtures import AzureContainer

VERSION = "2026-02-06"


@pytest.fixture
def container(azure_container: AzureContainer) -> Iterator[ContainerClient]:
    named = {"account_name": azure_container.account, "account_key": azure_container.key}
    url = f"{azure_container.endpoint}/{azure_container.account}"
    with BlobServiceClient(url, credential=named, api_version=VERSION, retry_total=0) as service:
        client = service.get_container_client(azure_container.container)
        client.create_container()
        yield client


def block_id(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def names(container: ContainerClient, **options: Any) -> list[str]:
    return [blob.name for blob in container.list_blobs(**options)]


def test_a_dot_at_the_end_of_a_name_is_kept_where_the_service_drops_it(container: ContainerClient):
    container.upload_blob("report.", b"")
    assert names(container) == ["report."]


@pytest.mark.parametrize("name", ["a\ufffe", "a\uffff"])
def test_a_name_that_xml_cannot_hold_breaks_the_emulator(container: ContainerClient, name: str):
    container.upload_blob(name, b"")
    with pytest.raises(HttpResponseError):
        names(container)


def test_a_listing_is_ordered_by_utf_16_units(container: ContainerClient):
    for name in ("\U0001f680", "\uff08"):
        container.upload_blob(name, b"")
    assert names(container) == ["\U0001f680", "\uff08"]


def test_a_delimiter_of_several_characters_folds_after_its_first(container: ContainerClient):
    container.upload_blob("a--b", b"")
    assert [found.name for found in container.walk_blobs(delimiter="--")] == ["a-"]


def test_a_create_only_put_is_refused_where_only_blocks_lie_that_were_never_committed(container: ContainerClient):
    blob = container.get_blob_client("doc")
    blob.stage_block(block_id("1"), b"x")
    with pytest.raises(ResourceExistsError):
        blob.upload_blob(b"whole")


def test_a_put_in_one_request_leaves_blocks_that_the_service_takes_away(container: ContainerClient):
    blob = container.get_blob_client("doc")
    blob.stage_block(block_id("1"), b"x")
    blob.upload_blob(b"whole", overwrite=True)
    assert len(blob.get_block_list("uncommitted")[1]) == 1


def test_put_blob_from_url_is_missing(container: ContainerClient, azure_container: AzureContainer):
    source = container.upload_blob("source", b"x")
    place = (azure_container.account, azure_container.container, "source")
    read = BlobSasPermissions(read=True)
    token = generate_blob_sas(*place, account_key=azure_container.key, permission=read, expiry="2099-01-01")
    with pytest.raises(HttpResponseError) as failed:
        container.get_blob_client("target").upload_blob_from_url(f"{source.url}?{token}")
    assert failed.value.status_code == 501


def test_there_are_no_versions_and_no_hierarchical_namespace(container: ContainerClient):
    blob = container.upload_blob("doc", b"x")
    assert blob.get_blob_properties().version_id is None
    assert not container.get_account_information().get("is_hns_enabled")


def test_an_encryption_scope_is_not_looked_for(container: ContainerClient):
    blob = container.get_blob_client("doc")
    blob.upload_blob(b"x", encryption_scope="no-such-scope")
    assert blob.get_blob_properties().encryption_scope is None
