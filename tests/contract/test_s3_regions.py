"""Reads fall over to the regions that S3 replicates to while the route's own is down, and say so; writes never do."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from storage.backends import s3_regions
from storage.blob_guard import GuardedBlobs
from storage.blobs import RangeRequest
from storage.errors import BackendUnavailable
from tests.contract.blob_contract import keys_of, put, read
from tests.contract.s3_lab import S3Lab, guarded
from tests.stack.fault_proxy import FaultProxy, fault_proxy
from tests.stack.fixtures import AwsAccount, unique

backend = "s3 (MiniStack)"
FIRST, SECOND = "eu-west-1", "ap-south-1"


@pytest.fixture
def s3(aws_account: AwsAccount, settings) -> Iterator[S3Lab]:
    lab = S3Lab(aws_account, settings)
    yield lab
    lab.close()


@pytest.fixture
def home(aws_account: AwsAccount) -> Iterator[FaultProxy]:
    """The route's own region, which can be down."""
    with fault_proxy(aws_account.endpoint.removeprefix("http://")) as proxy:
        yield proxy


@pytest.fixture
def replica(aws_account: AwsAccount) -> str:
    """A bucket of the second region, to which `replicated` copies."""
    bucket = unique("replica")
    client: Any = boto3.client("s3", **{**aws_account.options, "region_name": SECOND})
    client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": SECOND})
    return bucket


@pytest.fixture
def blobs(s3: S3Lab, home: FaultProxy, replica: str, aws_account: AwsAccount) -> GuardedBlobs:
    """Acme's objects, of which the first replica's bucket was never made."""
    places = [{"region": FIRST, "bucket": unique("never-made")}, {"region": SECOND, "bucket": replica}]
    s3.prepared()
    return guarded(s3.driver(home.url, replicas=[{**place, "endpoint": aws_account.endpoint} for place in places]))


def replicated(s3: S3Lab, replica: str) -> None:
    client: Any = boto3.client("s3", **s3.account.options)
    for entry in client.list_objects_v2(Bucket=s3.bucket)["Contents"]:
        client.copy_object(Bucket=replica, Key=entry["Key"], CopySource={"Bucket": s3.bucket, "Key": entry["Key"]})


@pytest.mark.line(143)
def test_while_the_region_is_down_the_next_one_that_can_answers_and_is_named(s3, blobs, home, replica):
    put(blobs, "doc", b"replicated")
    replicated(s3, replica)
    assert (blobs.head("doc").replica, blobs.get("doc").info.replica, blobs.list().replica) == (None, None, None)
    home.refuse()
    assert (blobs.head("doc").replica, blobs.get("doc").info.replica, blobs.list().replica) == (SECOND,) * 3
    assert (read(blobs, "doc"), read(blobs, "doc", RangeRequest(suffix=3)), keys_of(blobs)) == (
        b"replicated",
        b"ted",
        ["doc"],
    )


@pytest.mark.line(143, 145)
def test_a_replica_s_word_that_nothing_is_there_counts_for_nothing(blobs, home):
    home.refuse()
    for call in (lambda: blobs.head("doc"), lambda: blobs.get("doc")):
        with pytest.raises(BackendUnavailable):
            call()


@pytest.mark.line(143, 145)
def test_writes_wait_for_their_own_region_and_reads_return_to_it(s3, blobs, home, replica, monkeypatch):
    monkeypatch.setattr(s3_regions, "DOWN_SECONDS", 0.0)
    put(blobs, "doc", b"old")
    replicated(s3, replica)
    home.refuse()
    for call in (
        lambda: put(blobs, "doc", b"new"),
        lambda: blobs.delete("doc"),
        lambda: blobs.copy("doc", "copied"),
    ):
        with pytest.raises(BackendUnavailable):
            call()
    home.clear()
    put(blobs, "doc", b"new")
    assert (read(blobs, "doc"), blobs.head("doc").replica) == (b"new", None)
