"""Where gcp-storage-emulator does not do what Cloud Storage does: a test that fails here tells that a gap is closed."""

from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
from google.api_core.exceptions import MethodNotImplemented
from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Bucket, Client
from google.oauth2.service_account import Credentials

from tests.stack.fixtures import GcsBucket, service_account_key


@pytest.fixture
def bucket(gcs_emulator_bucket: GcsBucket) -> Iterator[Bucket]:
    options = {"api_endpoint": gcs_emulator_bucket.url}
    client = Client(project="acme-prod", credentials=AnonymousCredentials(), client_options=options)
    yield client.create_bucket(gcs_emulator_bucket.bucket)
    client.close()


@pytest.mark.parametrize("condition", [0, 1])
def test_conditions_are_ignored(bucket: Bucket, condition: int):
    blob = bucket.blob("k")
    blob.upload_from_string(b"1")
    blob.upload_from_string(b"2", if_generation_match=condition)
    assert blob.download_as_bytes() == b"2"
    blob.delete(if_generation_match=condition)


def test_a_listing_has_one_page_whatever_is_asked_for(bucket: Bucket):
    for number in range(5):
        bucket.blob(f"k{number}").upload_from_string(b"x")
    pages = [[blob.name for blob in page] for page in bucket.list_blobs(page_size=2).pages]
    assert pages == [[f"k{number}" for number in range(5)]]
    assert len(list(bucket.list_blobs(start_offset="k3"))) == 5


def test_a_range_beyond_the_end_is_an_empty_part(bucket: Bucket):
    blob = bucket.blob("k")
    blob.upload_from_string(b"x")
    assert blob.download_as_bytes(start=10) == b""


def test_a_rewrite_keeps_the_source_s_type_and_metadata_whatever_is_asked_for(bucket: Bucket):
    source = bucket.blob("source")
    source.metadata = {"old": "1"}
    source.upload_from_string(b"x", content_type="text/old")
    target = bucket.blob("target")
    target.metadata, target.content_type = {"new": "2"}, "text/new"
    target.rewrite(source)
    found = bucket.get_blob("target")
    assert (found.content_type, found.metadata) == ("text/old", {"old": "1"})


def test_objects_are_not_moved(bucket: Bucket):
    blob = bucket.blob("k")
    blob.upload_from_string(b"x")
    with pytest.raises(MethodNotImplemented):
        bucket.move_blob(blob, "l")


def test_a_download_of_the_xml_api_tells_nothing_of_the_object(bucket: Bucket, gcs_emulator_bucket: GcsBucket):
    bucket.blob("k").upload_from_string(b"x")
    answer = httpx.get(f"{gcs_emulator_bucket.url}/{bucket.name}/k")
    assert (answer.status_code, answer.content) == (200, b"x")
    assert not {"last-modified", "x-goog-generation"} & set(answer.headers)


def test_signatures_are_not_looked_at(bucket: Bucket, gcs_emulator_bucket: GcsBucket):
    blob = bucket.blob("k")
    blob.upload_from_string(b"x")
    signer = Credentials.from_service_account_info(service_account_key())
    url = blob.generate_signed_url(
        version="v4",
        expiration=timedelta(seconds=60),
        credentials=signer,
        api_access_endpoint=gcs_emulator_bucket.url,
    )
    for other in (url.replace("X-Goog-Signature=", "X-Goog-Signature=00"), url.partition("?")[0]):
        assert httpx.get(other).content == b"x"
