"""Reads fall over to the route's replica regions while its own is down, and say so; writes never do."""

import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest

from northstar.errors import NotFound
from storage.backends.s3 import S3Blobs
from storage.backends.s3_regions import DOWN_SECONDS
from storage.blob_guard import GuardedBlobs
from storage.blobs import ABSENT, RangeRequest
from storage.errors import BackendRejected, BackendUnavailable
from storage.metering import REPLICA_READS
from tests.contract.blob_contract import put, read
from tests.contract.s3_faults import S3Faults
from tests.contract.s3_lab import S3Lab, guarded
from tests.stack.fault_proxy import FaultProxy, fault_proxy
from tests.stack.fixtures import AwsAccount, unique

backend = "s3 (MiniStack)"
HOME_REGION, REPLICA_REGION = "us-east-1", "eu-west-1"


@pytest.fixture
def home(aws_account: AwsAccount, settings) -> Iterator[S3Lab]:
    lab = S3Lab(aws_account, settings)
    yield lab
    lab.close()


@pytest.fixture
def replica(strict_aws_account: AwsAccount, home: S3Lab, settings) -> Iterator[S3Lab]:
    """The replica's bucket, at another server: what S3 replicates is put there by hand."""
    account = replace(strict_aws_account, region=REPLICA_REGION, access_key=home.account.access_key)
    lab = S3Lab(account, settings)
    lab.prepared()
    yield lab
    lab.close()


@pytest.fixture
def proxy(home: S3Lab) -> Iterator[FaultProxy]:
    with fault_proxy(home.account.endpoint.removeprefix("http://")) as proxy:
        yield proxy


@pytest.fixture
def driver(home: S3Lab, replica: S3Lab, proxy: FaultProxy) -> S3Blobs:
    """The route's driver; only the way to its own region leads through the proxy."""
    place = {"region": REPLICA_REGION, "bucket": replica.bucket, "endpoint": replica.account.endpoint}
    return home.prepared(endpoint=proxy.url, replicas=[place])


@pytest.fixture
def blobs(driver: S3Blobs) -> GuardedBlobs:
    return guarded(driver)


@pytest.fixture
def replicated(blobs: GuardedBlobs, replica: S3Lab) -> None:
    """Two objects that the replica has, one of them in an old version, and one that it does not have yet."""
    there = guarded(replica.driver())
    for key, old in (("same", b"same"), ("newer", b"old bytes")):
        put(there, key, old)
        put(blobs, key, b"same" if key == "same" else b"new bytes")
    put(blobs, "new", b"just written")


@pytest.mark.parametrize("fault", ["refuse", "reset", "black_hole"])
def test_a_read_falls_over_and_says_which_region_answered(blobs, replicated, proxy, fault):
    getattr(proxy, fault)()
    blob = blobs.get("same", RangeRequest(1))
    assert (blob.info.replica, b"".join(blob.chunks)) == (REPLICA_REGION, b"ame")
    assert (blobs.head("same").replica, blobs.list().replica) == (REPLICA_REGION, REPLICA_REGION)
    assert [entry.key for entry in blobs.list().blobs] == ["newer", "same"]


def test_an_old_version_from_a_replica_is_never_told_as_the_newest(blobs, replicated, proxy):
    assert (blobs.head("newer").replica, read(blobs, "newer")) == (None, b"new bytes")
    proxy.refuse()
    blob = blobs.get("newer")
    assert (b"".join(blob.chunks), blob.info.replica) == (b"old bytes", REPLICA_REGION)


def test_what_a_replica_does_not_have_is_not_told_as_missing(blobs, replicated, proxy):
    proxy.refuse()
    for call in (lambda: blobs.get("new"), lambda: blobs.head("new"), lambda: blobs.head("never")):
        with pytest.raises(BackendUnavailable, match="cannot be reached"):
            call()


@pytest.mark.parametrize("code", ["SlowDown", "ServiceUnavailable"])
def test_a_region_that_answers_503_is_down_too(driver, blobs, replicated, code):
    S3Faults(driver).answer("GET", 503, code)
    assert blobs.get("same").info.replica == REPLICA_REGION


def test_a_replica_that_refuses_hides_nothing_and_helps_nobody(home, replica, proxy, replicated):
    missing = {"region": REPLICA_REGION, "bucket": unique("bucket"), "endpoint": replica.account.endpoint}
    blobs = guarded(home.driver(proxy.url, replicas=[missing]))
    assert read(blobs, "same") == b"same"
    proxy.refuse()
    with pytest.raises(BackendUnavailable, match="cannot be reached"):
        read(blobs, "same")


def test_a_refusal_is_no_reason_to_fall_over(driver, blobs, replicated):
    S3Faults(driver).answer("GET", 403, "AccessDenied")
    with pytest.raises(BackendRejected):
        blobs.get("same")


def test_writes_and_copies_never_go_to_a_replica(blobs, replicated, replica, proxy):
    proxy.refuse()
    writes = (
        lambda: put(blobs, "written"),
        lambda: put(blobs, "same", b"changed", expect=ABSENT),
        lambda: blobs.delete("same"),
        lambda: blobs.copy("same", "copied"),
    )
    for write in writes:
        with pytest.raises(BackendUnavailable):
            write()
    assert [entry.key for entry in guarded(replica.driver()).list().blobs] == ["newer", "same"]
    with pytest.raises((BackendUnavailable, NotFound)):
        blobs.copy("new", "copied")


def later(now):
    return now() + DOWN_SECONDS


def test_a_region_that_is_back_is_used_again_and_one_that_is_down_is_not_waited_for_each_time(
    driver, blobs, replicated, proxy, monkeypatch
):
    proxy.refuse()
    assert blobs.head("same").replica == REPLICA_REGION
    proxy.clear()
    faults = S3Faults(driver)
    assert (blobs.head("same").replica, faults.sent) == (REPLICA_REGION, [])
    monkeypatch.setattr("storage.backends.s3_regions.time.monotonic", partial(later, time.monotonic))
    assert (blobs.head("same").replica, len(faults.sent)) == (None, 1)


def test_a_region_that_nobody_knows_to_be_back_is_asked_when_the_replica_has_nothing(blobs, replicated, proxy):
    proxy.refuse()
    blobs.head("same")
    proxy.clear()
    assert (read(blobs, "new"), blobs.head("never")) == (b"just written", None)


def test_it_is_logged_and_counted(blobs, replicated, proxy, caplog):
    count = REPLICA_READS.labels("object_store", "s3", "head", REPLICA_REGION)
    before = count._value.get()
    proxy.refuse()
    with caplog.at_level(logging.WARNING):
        blobs.head("same")
    assert count._value.get() == before + 1
    assert f"S3 in {HOME_REGION} does not answer" in caplog.text


def test_regions_are_asked_in_their_order(home, replica, proxy, replicated):
    nowhere = {"region": "ap-south-1", "bucket": unique("bucket"), "endpoint": home.allow("http://127.0.0.1:9")}
    second = {"region": REPLICA_REGION, "bucket": replica.bucket, "endpoint": replica.account.endpoint}
    blobs = guarded(home.driver(proxy.url, replicas=[nowhere, second]))
    proxy.refuse()
    assert blobs.head("same").replica == REPLICA_REGION


def test_ping_names_the_replica_that_is_wrong(home, replica, driver):
    driver.ping()
    missing = {"region": REPLICA_REGION, "bucket": unique("bucket"), "endpoint": replica.account.endpoint}
    with pytest.raises(BackendRejected, match=rf"The replica in {REPLICA_REGION}: There is no bucket"):
        home.driver(replicas=[missing]).ping()
