"""What the S3 driver adds to the contract: how objects stand in the bucket, and what is sent how often."""

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from northstar.errors import InvalidRequest, VersionConflict
from storage.backends.s3 import S3Blobs
from storage.backends.s3_parts import MIB, MOST_BYTES, MOST_PARTS, PART_BYTES, grown, size_of_parts
from storage.blob_guard import GuardedBlobs
from storage.blobs import ABSENT, Area, RangeRequest
from storage.errors import BackendRejected, ChecksumMismatch, InvalidKey
from tests.contract.blob_contract import put, read
from tests.contract.s3_faults import S3Faults
from tests.contract.s3_lab import S3Lab, guarded
from tests.stack.fixtures import AwsAccount, unique

backend = "s3 (MiniStack)"
LARGE = bytes(range(256)) * (4 * 9_000)
"""A body of two parts."""
HOME = "tenants/acme/dev/raw/"


@pytest.fixture
def s3(aws_account: AwsAccount, settings) -> Iterator[S3Lab]:
    lab = S3Lab(aws_account, settings)
    yield lab
    lab.close()


@pytest.fixture
def driver(s3: S3Lab) -> S3Blobs:
    return s3.prepared()


@pytest.fixture
def blobs(driver: S3Blobs) -> GuardedBlobs:
    return guarded(driver)


@pytest.fixture
def faults(driver: S3Blobs) -> S3Faults:
    return S3Faults(driver)


@pytest.fixture
def client(s3: S3Lab) -> Any:
    return boto3.client("s3", **s3.account.options)


def names_in(client: Any, s3: S3Lab, prefix: str = "") -> list[str]:
    return [entry["Key"] for entry in client.list_objects_v2(Bucket=s3.bucket, Prefix=prefix).get("Contents", [])]


# how objects stand in the bucket


def test_an_object_is_readable_with_any_tool_of_aws(s3, client, blobs):
    info = put(blobs, "reports/2026.txt", b"hello", metadata={"author": "ada"}, content_type="text/x-odd")
    stored = client.head_object(Bucket=s3.bucket, Key=f"{HOME}reports/2026.txt", ChecksumMode="ENABLED")
    assert info.uri == f"s3://{s3.bucket}/{HOME}reports/2026.txt"
    assert (stored["ContentType"], stored["Metadata"]["author"]) == ("text/x-odd", "ada")
    assert stored["Metadata"]["northstar_sha256"] == hashlib.sha256(b"hello").hexdigest()
    assert stored["ChecksumSHA256"]


def test_a_prefix_stands_before_everything(s3, client):
    blobs = guarded(s3.prepared(prefix="northstar/"))
    put(blobs, "k")
    blobs.put("large", [LARGE], content_type="text/plain")
    assert names_in(client, s3) == [f"northstar/{HOME}k", f"northstar/{HOME}large"]
    assert [entry.key for entry in blobs.list().blobs] == ["k", "large"]


def test_objects_are_stored_as_the_route_says(s3, client):
    kms = {"encryption": "aws:kms", "kms_key_id": "alias/data", "storage_class": "STANDARD_IA"}
    blobs = guarded(s3.prepared(**kms))
    put(blobs, "small")
    blobs.put("large", [LARGE], content_type="text/plain")
    blobs.copy("small", "copied", expect=ABSENT)
    for key in ("small", "large", "copied"):
        stored = client.head_object(Bucket=s3.bucket, Key=HOME + key)
        assert (stored["ServerSideEncryption"], stored["StorageClass"]) == ("aws:kms", "STANDARD_IA")
        assert stored["SSEKMSKeyId"].endswith("alias/data")
    assert guarded(s3.driver(encryption="AES256")).put("k", [b"x"], content_type="a/b").size == 1
    assert client.head_object(Bucket=s3.bucket, Key=f"{HOME}k")["ServerSideEncryption"] == "AES256"


@pytest.mark.line(13)
def test_foreign_names_are_told_apart_and_break_no_listing(s3, client, blobs):
    foreign = ["a//b", "a/../b", "back\\slash", "ctrl\x01", "dir/", "new\nline", "x" * 950]
    for name in foreign:
        client.put_object(Bucket=s3.bucket, Key=HOME + name, Body=b"foreign")
    for key in ("a/fine", "z"):
        put(blobs, key)
    page = blobs.list()
    assert ([entry.key for entry in page.blobs], sorted(page.foreign)) == (["a/fine", "z"], sorted(foreign))
    folded = blobs.list(delimiter="/")
    assert (folded.prefixes, [entry.key for entry in folded.blobs]) == (("a/", "dir/"), ["z"])
    seen, cursor = [], None
    while True:
        page = blobs.list(limit=1, cursor=cursor, prefix="a/", delimiter="/")
        seen += [*(entry.key for entry in page.blobs), *page.prefixes, *page.foreign]
        cursor = page.cursor
        if cursor is None:
            break
    assert sorted(seen) == ["a/../", "a//", "a/fine"]


def test_bytes_that_came_past_northstar_have_no_checksum_and_can_be_copied(s3, client, blobs):
    client.put_object(Bucket=s3.bucket, Key=f"{HOME}past", Body=b"past us")
    info = blobs.head("past")
    assert (info.sha256, info.size, read(blobs, "past")) == (None, 7, b"past us")
    assert blobs.copy("past", "copied").sha256 is None
    known = hashlib.sha256(b"past us").hexdigest()
    assert (blobs.copy("past", "known", sha256=known).sha256, read(blobs, "known")) == (known, b"past us")


def test_metadata_that_another_program_damaged_is_told(s3, client, blobs):
    client.put_object(Bucket=s3.bucket, Key=f"{HOME}bad", Body=b"", Metadata={"northstar_metadata": "%%"})
    with pytest.raises(BackendRejected, match="damaged"):
        blobs.head("bad")


@pytest.mark.line(87)
def test_bytes_that_another_program_changed_are_not_handed_out(s3, client, blobs):
    put(blobs, "doc", b"stored")
    known = client.head_object(Bucket=s3.bucket, Key=f"{HOME}doc")["Metadata"]
    client.put_object(Bucket=s3.bucket, Key=f"{HOME}doc", Body=b"forged", Metadata=known)
    with pytest.raises(ChecksumMismatch):
        read(blobs, "doc")


# what is sent, and how often


def test_small_objects_cost_one_request_each(blobs, faults):
    blobs.put("k", [b"small"], content_type="text/plain")
    blobs.put("k", [b"x"] * 1000, content_type="text/plain", expect=blobs.head("k").etag)
    read(blobs, "k")
    blobs.list()
    assert [each.split(" ")[0] for each in faults.sent] == ["PUT", "HEAD", "PUT", "GET", "GET"]


def test_a_body_of_one_part_is_sent_in_one_request_and_a_byte_more_in_parts(blobs, faults):
    blobs.put("k", [b"x" * PART_BYTES], content_type="text/plain")
    assert len(faults.sent) == 1
    blobs.put("k", [b"x" * PART_BYTES, b"y"], content_type="text/plain")
    assert faults.count("partNumber=") == 2


def test_a_large_body_of_known_checksum_goes_straight_to_its_key(s3, blobs, faults):
    blobs.put("k", [LARGE], content_type="text/plain", sha256=hashlib.sha256(LARGE).hexdigest())
    assert faults.count("/staging/") == 0
    blobs.put("k", [LARGE], content_type="text/plain")
    assert faults.count("POST") == 4
    assert faults.count("/staging/") == 5  # begun, two parts, completed, removed


@pytest.mark.parametrize("size", [None, 0, 1, PART_BYTES, 80 * 1024 * MIB, 85 * 1024 * MIB, MOST_BYTES])
def test_ten_thousand_parts_hold_any_object(size):
    announced = size_of_parts(size)
    most = size or MOST_BYTES
    assert sum(max(announced, grown(number)) for number in range(1, MOST_PARTS + 1)) >= most
    assert PART_BYTES <= announced <= 32 * MIB
    assert grown(MOST_PARTS) == 32 * MIB
    assert [grown(number) for number in (1, 5000, 5001)] == [PART_BYTES, PART_BYTES, 2 * PART_BYTES]


def test_a_name_over_1024_bytes_is_refused_before_anything_is_sent(blobs, faults):
    scoped = guarded(blobs._driver, project="p" * 100, surface="s" * 100)
    with pytest.raises(InvalidKey, match="1024"):
        put(scoped, "x" * 850)
    assert faults.sent == []


def test_an_etag_that_none_can_be_is_a_conflict_and_not_sent(blobs, faults):
    for call in (
        lambda: put(blobs, "k", expect='in"jected\r\nx: y'),
        lambda: blobs.delete("k", expect="\u00e9"),
        lambda: blobs.put("k", [LARGE], content_type="a/b", expect="a b"),
    ):
        with pytest.raises(VersionConflict):
            call()
    assert faults.sent == []


# the sweep


def test_a_sweep_takes_what_was_begun_before_of_one_tenant_and_env_only(s3, client, blobs):
    staging = ["tenants/acme/dev/staging/1", "tenants/acme-corp/dev/staging/1", "tenants/acme/dev2/staging/1"]
    for name in staging:
        client.put_object(Bucket=s3.bucket, Key=name, Body=b"staged")
    loose = {name: client.create_multipart_upload(Bucket=s3.bucket, Key=name) for name in (*staging, f"{HOME}k")}
    for key in ("k", "uploads/k", "staging/k"):
        put(blobs, key, b"kept")
    put(blobs, "k", b"an upload", area=Area.UPLOADS)
    before, after = datetime.now(UTC) - timedelta(days=1), datetime.now(UTC) + timedelta(days=1)
    assert blobs.sweep(before=before) == blobs.sweep(before=before, dry_run=True)
    assert (blobs.sweep(before=before).parts, blobs.sweep(before=after, dry_run=True).parts) == (0, 3)
    swept = blobs.sweep(before=after)
    assert (swept.uploads, swept.parts) == (1, 3)
    assert names_in(client, s3, "tenants/acme") == [
        *staging[1:2],
        *(f"{HOME}{key}" for key in ("k", "staging/k", "uploads/k")),
        staging[2],
    ]
    left = {upload["Key"] for upload in client.list_multipart_uploads(Bucket=s3.bucket)["Uploads"]}
    assert left == {*staging[1:]}
    assert len(loose) == 4


def test_a_sweep_walks_any_number_of_uploads_and_projects(s3, client, blobs, faults):
    scopes = [f"projects/{number:04}/" for number in range(3)] + ["surfaces/s/"]
    for scope in scopes:
        for number in range(3):
            client.put_object(Bucket=s3.bucket, Key=f"tenants/acme/dev/{scope}uploads/{number}", Body=b"")
        client.put_object(Bucket=s3.bucket, Key=f"tenants/acme/dev/{scope}raw/uploads/x", Body=b"")
    assert blobs.sweep(before=datetime.now(UTC) + timedelta(days=1)).uploads == 12
    assert len(names_in(client, s3)) == 4


def test_an_upload_that_is_sent_anew_during_a_sweep_stays(s3, client, blobs, faults):
    put(blobs, "k", b"upload", area=Area.UPLOADS)
    faults.answer("DELETE", 412, "PreconditionFailed")
    assert blobs.sweep(before=datetime.now(UTC) + timedelta(days=1)).uploads == 0


def test_what_is_no_range_is_refused_before_anything_is_sent(blobs, faults):
    with pytest.raises(InvalidRequest):
        blobs.get("k", RangeRequest(5, 4))
    assert faults.sent == []


def test_two_buckets_know_nothing_of_each_other(s3, blobs):
    put(blobs, "k", b"one")
    other = guarded(s3.prepared(bucket=unique("bucket")))
    assert (other.head("k"), other.list().blobs) == (None, ())


@pytest.mark.parametrize("announced", [False, True])
def test_parts_are_sent_as_s3_demands_of_parts_with_checksums(blobs, faults, announced):
    """AWS answers "Checksum Type mismatch" or "must include the checksum for each part" to anything less; MiniStack takes it."""
    digest = hashlib.sha256(LARGE).hexdigest() if announced else None
    blobs.put("k", [LARGE], content_type="text/plain", sha256=digest)
    begun = next(headers for request, headers, _ in faults.requests if request.endswith("?uploads="))
    parts = {request: headers for request, headers, body in faults.requests if "partNumber=" in request and body}
    sent = [parts[request]["x-amz-checksum-sha256"] for request in sorted(parts)]
    ended = next(body for request, _, body in faults.requests if request.startswith("POST") and "uploadId=" in request)
    assert begun["x-amz-checksum-algorithm"] == "SHA256"
    assert re.findall(r"<ChecksumSHA256>(.*?)</ChecksumSHA256>", ended.decode()) == sent
