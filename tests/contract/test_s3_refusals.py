"""What S3 refuses, as a caller of the driver and whoever writes its config meet it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from pydantic import ValidationError

from northstar.errors import AlreadyExists, ForbiddenEndpoint, VersionConflict
from storage.backends.s3 import S3Blobs
from storage.backends.s3_config import S3Config
from storage.backends.service import Unanswered
from storage.blob_guard import GuardedBlobs
from storage.blobs import ABSENT
from storage.errors import BackendRejected, BackendUnavailable, Throttled, ValueTooLarge
from tests.contract.blob_contract import put, read
from tests.contract.s3_faults import S3Faults
from tests.contract.s3_lab import S3Lab, guarded
from tests.stack.fixtures import AwsAccount

backend = "s3 (MiniStack)"
LARGE = bytes(range(256)) * (4 * 9_000)
"""A body of two parts."""


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


# refusals


@pytest.mark.parametrize(
    ("status", "code", "words", "fix"),
    [
        (404, "NoSuchBucket", "There is no bucket", "routes prepare"),
        (403, "AccessDenied", "does not allow GetObject", "s3:GetObject and s3:ListBucket"),
        (403, "InvalidAccessKeyId", "does not accept the credentials", "keys"),
        (403, "RequestTimeTooSkewed", "does not accept the credentials", "clock"),
        (400, "ExpiredToken", "does not accept the credentials", "keys"),
        (400, "SomethingNew", r"refused GetObject \(SomethingNew\)", "policy"),
        (403, "InvalidObjectState", r"refused GetObject \(InvalidObjectState\)", "policy"),
    ],
)
def test_a_refusal_says_what_to_do_and_is_not_repeated(blobs, faults, status, code, words, fix):  # noqa: PLR0917
    faults.answer("GET", status, code)
    with pytest.raises(BackendRejected, match=words) as refusal:
        blobs.get("k")
    assert fix in refusal.value.fix
    assert "canary" not in f"{refusal.value} {refusal.value.fix}"
    assert len(faults.sent) == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [(301, "PermanentRedirect"), (400, "AuthorizationHeaderMalformed"), (301, ""), (400, ""), (403, "")],
)
def test_a_bucket_in_another_region_is_told_with_its_region(blobs, faults, status, code):
    faults.answer("HEAD", status, code, x_amz_bucket_region="eu-west-1")
    with pytest.raises(BackendRejected, match="another region: eu-west-1") as refusal:
        blobs.head("k")
    assert refusal.value.fix == "Set the route's region to eu-west-1."


@pytest.mark.parametrize(("status", "code"), [(503, "SlowDown"), (500, "InternalError"), (503, "ServiceUnavailable")])
def test_a_read_is_repeated_by_the_guard_alone(blobs, faults, status, code):
    put(blobs, "k", b"bytes")
    faults.answer("GET", status, code, times=2)
    assert read(blobs, "k") == b"bytes"
    assert faults.count("GET") == 3
    faults.answer("GET", status, code, times=3)
    with pytest.raises(BackendUnavailable) as told:
        blobs.get("k")
    assert not isinstance(told.value, Unanswered)


@pytest.mark.parametrize("code", ["SlowDown", "RequestTimeout", "BadDigest", "XAmzContentSHA256Mismatch"])
def test_a_write_that_has_certainly_not_happened_is_sent_again(blobs, faults, code):
    status = 503 if code == "SlowDown" else 400
    faults.answer("PUT", status, code, times=2)
    blobs.put("k", [b"bytes"], content_type="text/plain")
    assert (read(blobs, "k"), faults.count("PUT")) == (b"bytes", 3)
    faults.answer("PUT", status, code, times=3)
    with pytest.raises(Throttled if code == "SlowDown" else BackendUnavailable):
        blobs.put("k", [b"other"], content_type="text/plain")
    assert read(blobs, "k") == b"bytes"


def test_throttled_parts_are_sent_again(blobs, faults):
    faults.answer("uploads=", 503, "SlowDown")
    faults.answer("partNumber=1", 503, "SlowDown", times=2)
    faults.answer("uploadId=", 500, "InternalError")
    blobs.put("k", [LARGE], content_type="text/plain")
    assert read(blobs, "k") == LARGE


def test_a_write_whose_answer_was_an_error_of_the_server_is_looked_for_and_never_sent_twice(blobs, faults):
    faults.answer("PUT", 500, "InternalError")
    with pytest.raises(Unanswered, match="may have happened or not"):
        blobs.put("k", [b"bytes"], content_type="text/plain")
    assert [each.split(" ")[0] for each in faults.sent] == ["PUT", "HEAD"]


@pytest.mark.parametrize("code", ["ConditionalRequestConflict", "OperationAborted"])
def test_a_write_beside_another_is_tried_again_and_then_told(blobs, faults, code):
    faults.answer("PUT", 409, code, times=2)
    put(blobs, "k", b"bytes", expect=ABSENT)
    for request, call in (
        ("PUT", lambda: put(blobs, "k", b"other")),
        ("uploadId=", lambda: blobs.copy("k", "copied", expect=ABSENT)),
        ("DELETE", lambda: blobs.delete("k", expect=blobs.head("k").etag)),
    ):
        faults.answer(request, 409, code, times=3)
        with pytest.raises(BackendUnavailable, match="under way"):
            call()
    assert (read(blobs, "k"), blobs.head("copied")) == (b"bytes", None)


def test_an_error_inside_an_answer_of_success_is_one(blobs, faults):
    put(blobs, "k")
    faults.answer("copied", 200, "InternalError")
    with pytest.raises(Unanswered):
        blobs.copy("k", "copied")
    assert blobs.head("copied") is None
    faults.answer("copied", 200, "SlowDown")
    assert blobs.copy("k", "copied").size == 4


@pytest.mark.parametrize(("expect", "refusal"), [(ABSENT, AlreadyExists), ("0" * 32, VersionConflict)])
def test_a_condition_that_fails_inside_an_answer_of_success_is_told_as_any_other(blobs, faults, expect, refusal):
    put(blobs, "k")
    faults.answer("copied?uploadId=", 200, "PreconditionFailed")
    with pytest.raises(refusal):
        blobs.copy("k", "copied", expect=expect)


def test_an_object_larger_than_s3_takes_is_refused(blobs, faults):
    faults.answer("PUT", 400, "EntityTooLarge")
    with pytest.raises(ValueTooLarge):
        put(blobs, "k")


@pytest.mark.line(147)
def test_a_refusal_carries_the_sdk_s_form_and_the_client_can_be_had(driver, blobs, faults):
    faults.answer("GET", 403, "AccessDenied")
    with pytest.raises(BackendRejected) as refusal:
        blobs.get("k")
    assert isinstance(refusal.value.__cause__, driver.native().exceptions.ClientError)
    faults.answer("GET", 403, "SignatureDoesNotMatch")
    with pytest.raises(BackendRejected) as refusal:
        blobs.get("k")
    assert refusal.value.__cause__ is None


# buckets


@pytest.mark.line(145)
def test_a_missing_bucket_is_named_by_every_operation_and_made_by_prepare(s3):
    driver = s3.driver()
    blobs = guarded(driver)
    for call in (
        driver.ping,
        lambda: blobs.head("k"),
        lambda: blobs.get("k"),
        lambda: blobs.delete("k"),
        blobs.list,
        lambda: put(blobs, "k"),
        lambda: blobs.put("k", [LARGE], content_type="a/b"),
        lambda: blobs.sweep(before=datetime.now(UTC)),
    ):
        with pytest.raises(BackendRejected, match=f"no bucket {s3.bucket}") as refusal:
            call()
        assert "routes prepare" in refusal.value.fix
    for _ in range(2):
        driver.prepare()
    assert driver.ping() is None
    assert blobs.head("k") is None


def test_a_bucket_is_made_in_its_region(s3, client):
    s3.prepared(region="eu-central-1")
    assert client.get_bucket_location(Bucket=s3.bucket)["LocationConstraint"] == "eu-central-1"


def test_a_bucket_of_somebody_else_is_told(s3, driver, faults):
    faults.answer(f"GET /{s3.bucket}", 404, "NoSuchBucket")
    faults.answer(f"PUT /{s3.bucket}", 409, "BucketAlreadyExists")
    with pytest.raises(BackendRejected, match="somebody else"):
        driver.prepare()


@pytest.mark.line(142)
def test_a_closed_driver_says_so_and_may_be_closed_again(driver):
    for _ in range(2):
        driver.close()
    for call in (driver.ping, lambda: guarded(driver).get("k"), driver.native):
        with pytest.raises(BackendUnavailable, match="closed"):
            call()


# the config


def config_of(**options: Any) -> S3Config:
    return S3Config.model_validate({"region": "eu-central-1", "bucket": "acme-data"} | options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bucket": "Upper"}, "bucket"),
        ({"bucket": "ab"}, "bucket"),
        ({"region": "here"}, "region"),
        ({"prefix": "no-slash"}, "end in a slash"),
        ({"prefix": "a//b/"}, "segments"),
        ({"prefix": "x" * 100 + "/"}, "100 bytes"),
        ({"storage_class": "DEEP_ARCHIVE"}, "storage_class"),
        ({"kms_key_id": "alias/x"}, "goes with encryption aws:kms"),
        ({"access_key_id": "a"}, "go together"),
        ({"replicas": [{"region": "eu-central-1", "bucket": "other-data"}]}, "other regions"),
        ({"replicas": [{"region": "eu-west-1"}]}, "bucket"),
        ({"replicas": [{"region": "eu-west-1", "bucket": "other-data", "extra": 1}]}, "extra"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_a_wrong_config_says_what_is_wrong(options, words):
    with pytest.raises(ValidationError, match=words):
        config_of(**options)


def test_a_bucket_is_required():
    with pytest.raises(ValidationError, match="bucket"):
        S3Config.model_validate({"region": "eu-central-1"})


def test_a_replica_s_endpoint_must_be_allowed_too():
    with pytest.raises(ForbiddenEndpoint):
        config_of(replicas=[{"region": "eu-west-1", "bucket": "other-data", "endpoint": "https://elsewhere.example"}])


def test_only_the_place_of_the_data_makes_another_place():
    assert set(config_of().location()) == {"bucket", "endpoint", "prefix", "region"}
