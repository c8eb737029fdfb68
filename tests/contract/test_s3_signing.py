"""Our signature of a request is the one that the SDK makes, and S3 refuses any other."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
import time_machine
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from storage.backends.s3_http import Request
from storage.backends.s3_signing import query_string, quoted, sign
from storage.blobs import ABSENT
from storage.errors import BackendRejected
from tests.contract.blob_contract import put, read
from tests.contract.s3_lab import S3Lab, guarded
from tests.stack.fixtures import AwsAccount

backend = "s3 (MiniStack)"
NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
HOST = "bucket.s3.eu-central-1.amazonaws.com"
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
values = st.from_regex(re.compile(r"[!-~]( ?[!-~]){0,20}", re.ASCII), fullmatch=True)


@given(
    st.sampled_from(["GET", "PUT", "POST", "DELETE"]),
    names,
    st.dictionaries(st.from_regex(re.compile(r"[a-z-]{1,12}", re.ASCII), fullmatch=True), names, max_size=4),
    st.dictionaries(st.sampled_from(["range", "content-type", "if-match", "x-amz-meta-a"]), values),
    st.sampled_from([None, "session-token=="]),
)
def test_it_is_the_signature_of_the_sdk_for_any_request(method, name, query, headers, token):
    keys = ReadOnlyCredentials("AKIAEXAMPLE", "wJalrXUtnFEMI/K7MDENG", token)
    path, asked = f"/{quoted(name)}", query_string(query)
    ours = {"host": HOST, **headers}
    theirs = AWSRequest(method, f"https://{HOST}{path}" + (f"?{asked}" if asked else ""), headers=dict(headers))
    with time_machine.travel(NOW, tick=False):
        sign(Request("Any", method, name), path, asked, ours, keys=keys, region="eu-central-1")
        S3SigV4Auth(keys, "s3", "eu-central-1").add_auth(theirs)
    assert ours["authorization"] == theirs.headers["Authorization"]


@pytest.fixture
def s3(strict_aws_account: AwsAccount, settings) -> Iterator[S3Lab]:
    lab = S3Lab(strict_aws_account, settings)
    yield lab
    lab.close()


def test_every_kind_of_request_is_accepted_where_signatures_are_verified(s3):
    s3.prepared()
    blobs = guarded(s3.driver(**user_of(s3, allowing(allow(["s3:*"], "*")))))
    large = bytes(range(256)) * 70_000
    for key in ("plain", "odd keys/caf\u00e9 +=&?#%41"):
        put(blobs, key, b"small", metadata={"m": "two  spaces"})
        assert blobs.head(key).metadata == {"m": "two  spaces"}
        blobs.put(key, [large], content_type='text/plain; a="b  c"')
        assert (read(blobs, key), blobs.copy(key, "copied", expect=ABSENT).size) == (large, len(large))
        assert blobs.list(prefix=key[:3], delimiter="/").blobs or blobs.list(prefix=key[:3], delimiter="/").prefixes
        assert (blobs.delete(key), blobs.delete("copied")) == (True, True)
    assert blobs.sweep(before=datetime.now(UTC)).parts == 0


def test_another_secret_is_refused_and_told_as_that(s3):
    s3.prepared()
    keys = user_of(s3, allowing(allow(["s3:*"], "*")))
    blobs = guarded(s3.driver(**keys | {"secret_access_key": "another"}))
    for call in (lambda: put(blobs, "k"), lambda: blobs.get("k"), blobs.list):
        with pytest.raises(BackendRejected, match=r"does not accept the credentials \(SignatureDoesNotMatch\)"):
            call()


def user_of(s3: S3Lab, policy: dict[str, Any]) -> dict[str, str]:
    """Return the keys of a new user of the account whom the policy allows what it says."""
    iam = boto3.client("iam", **s3.account.options)
    iam.create_user(UserName="northstar")
    iam.put_user_policy(UserName="northstar", PolicyName="data", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName="northstar")["AccessKey"]
    return {"access_key_id": key["AccessKeyId"], "secret_access_key": key["SecretAccessKey"]}


def allowing(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(actions: list[str], resource: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource}


def test_the_documented_permissions_are_enough(s3):
    s3.prepared()
    bucket = f"arn:aws:s3:::{s3.bucket}"
    of_bucket = ["s3:ListBucket", "s3:ListBucketMultipartUploads"]
    of_objects = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    driver = s3.driver(**user_of(s3, allowing(allow(of_bucket, bucket), allow(of_objects, f"{bucket}/*"))))
    blobs = guarded(driver)
    driver.ping()
    put(blobs, "k", b"small")
    blobs.put("large", [b"x" * 9_000_000], content_type="text/plain")
    blobs.copy("large", "copied", expect=ABSENT)
    assert (read(blobs, "k"), blobs.head("missing"), len(blobs.list().blobs)) == (b"small", None, 3)
    with pytest.raises(EOFError):
        blobs.put("broken", broken(), content_type="text/plain")
    assert (blobs.delete("k"), blobs.sweep(before=datetime.now(UTC)).parts) == (True, 0)


def broken() -> Iterator[bytes]:
    yield b"x" * 20_000_000
    raise EOFError


def test_a_user_who_may_only_read_is_told_what_to_allow(s3):
    s3.prepared()
    bucket = f"arn:aws:s3:::{s3.bucket}"
    statements = [allow(["s3:ListBucket"], bucket), allow(["s3:GetObject"], f"{bucket}/tenants/acme/*")]
    driver = s3.driver(**user_of(s3, allowing(*statements)))
    with pytest.raises(BackendRejected, match="does not allow PutObject") as refusal:
        put(guarded(driver), "k")
    assert f"s3:PutObject and s3:GetObject on the bucket {s3.bucket}" in refusal.value.fix
    with pytest.raises(BackendRejected, match="does not allow"):
        guarded(driver, tenant="globex").get("k")
