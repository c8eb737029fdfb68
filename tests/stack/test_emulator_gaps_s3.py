"""Where MiniStack does not do what S3 does: a test that fails here tells that a gap is closed."""

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
import urllib3
from botocore.config import Config

from tests.stack.fixtures import AwsAccount, unique


@pytest.fixture
def bucket(aws_account: AwsAccount) -> str:
    name = unique("bucket")
    client_of(aws_account).create_bucket(Bucket=name)
    return name


@pytest.fixture
def client(aws_account: AwsAccount) -> Iterator[Any]:
    client = client_of(aws_account)
    yield client
    client.close()


def client_of(account: AwsAccount) -> Any:
    return boto3.client("s3", config=Config(signature_version="s3v4"), **account.options)


def body_of(client: Any, bucket: str, key: str) -> bytes:
    data: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    return data


def test_parts_below_5_mb_are_accepted(client: Any, bucket: str):
    upload = {
        "Bucket": bucket,
        "Key": "k",
        "UploadId": client.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"],
    }
    parts = [
        {"PartNumber": number, "ETag": client.upload_part(**upload, PartNumber=number, Body=b"small")["ETag"]}
        for number in (1, 2)
    ]
    client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert body_of(client, bucket, "k") == b"smallsmall"


def test_a_copy_ignores_the_conditions_on_its_target(client: Any, bucket: str):
    for key in ("source", "target"):
        client.put_object(Bucket=bucket, Key=key, Body=key.encode())
    source = {"Bucket": bucket, "Key": "source"}
    client.copy_object(Bucket=bucket, Key="target", CopySource=source, IfNoneMatch="*")
    client.copy_object(Bucket=bucket, Key="target", CopySource=source, IfMatch='"other"')
    assert body_of(client, bucket, "target") == b"source"


def test_a_header_s_signature_by_the_account_s_own_key_is_not_verified(aws_account: AwsAccount, bucket: str):
    forged = client_of(AwsAccount(aws_account.endpoint, aws_account.access_key, "forged"))
    assert forged.put_object(Bucket=bucket, Key="k", Body=b"")["ETag"]


def test_nor_is_it_where_everything_else_is_verified(strict_aws_account: AwsAccount):
    forged = client_of(AwsAccount(strict_aws_account.endpoint, strict_aws_account.access_key, "forged"))
    assert forged.create_bucket(Bucket=unique("bucket"))["Location"]


def test_a_form_s_signature_is_verified_only_with_auth(
    aws_account: AwsAccount, strict_aws_account: AwsAccount, bucket: str
):
    statuses = {}
    for account in (aws_account, strict_aws_account):
        client = client_of(account)
        if account is strict_aws_account:
            client.create_bucket(Bucket=bucket)
        form = client.generate_presigned_post(bucket, "k")
        form["fields"]["x-amz-signature"] = "0" * 64
        fields = {**form["fields"], "file": ("k", b"bytes")}
        statuses[account] = urllib3.request("POST", form["url"], fields=fields).status
    assert list(statuses.values()) == [204, 403]


def test_the_checksum_of_a_form_is_not_verified(client: Any, bucket: str):
    checksum = b64encode(hashlib.sha256(b"right").digest()).decode()
    field = {"x-amz-checksum-sha256": checksum}
    form = client.generate_presigned_post(bucket, "k", Fields=field, Conditions=[field])
    fields = {**form["fields"], "file": ("k", b"wrong")}
    assert urllib3.request("POST", form["url"], fields=fields).status == 204


def test_start_after_a_common_prefix_skips_all_that_folds_into_it(client: Any, bucket: str):
    """S3 looks at names: what comes after `dir/` begins with it, and folds into it again."""
    client.put_object(Bucket=bucket, Key="dir/1", Body=b"")
    page = client.list_objects_v2(Bucket=bucket, Delimiter="/", StartAfter="dir/")
    assert "CommonPrefixes" not in page


def test_nothing_is_ever_throttled(client: Any, bucket: str):
    for _ in range(300):
        client.put_object(Bucket=bucket, Key="k", Body=b"")


def test_last_modified_of_an_upload_in_parts_is_when_it_ended(client: Any, bucket: str):
    """S3 keeps when it began; the driver asks in any case."""
    upload = {
        "Bucket": bucket,
        "Key": "k",
        "UploadId": client.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"],
    }
    begun = client.list_multipart_uploads(Bucket=bucket)["Uploads"][0]["Initiated"]
    etag = client.upload_part(**upload, PartNumber=1, Body=b"x")["ETag"]
    client.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    assert client.list_objects_v2(Bucket=bucket)["Contents"][0]["LastModified"] > begun
