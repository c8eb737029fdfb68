"""Signed URLs and signed forms at the Cloud Storage test server: what the signer said, in its time, and nothing else."""

import base64
import hashlib
from collections.abc import Iterator

import httpx
import pytest

from tests.servers.gcs_lab import BUCKET, SIGNER, Lab, gcs_lab, public_pem

DAY_SECONDS = 24 * 3600
IMAGE = {"Content-Type": "image/png"}
STATUS_200 = {"success_action_status": "200"}


@pytest.fixture
def gcs() -> Iterator[Lab]:
    with gcs_lab() as lab:
        yield lab


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of an XML error."""
    assert answer.headers["content-type"].startswith("application/xml"), answer.text
    return answer.status_code, answer.text.partition("<Code>")[2].partition("</Code>")[0]


def read(gcs: Lab, name: str) -> bytes | None:
    blob = gcs.bucket.get_blob(name)
    return bytes(blob.download_as_bytes()) if blob else None


def post(gcs: Lab, fields: dict[str, str], data: bytes = b"file") -> httpx.Response:
    files = {"file": ("upload", data, "text/x")}
    return gcs.http.post(f"/{BUCKET}", data=fields, files=files)


@pytest.mark.parametrize("name", ["raw/a b+c%d.txt", "ünï/日本", "q?x=1&y#z", "~tilde", "a//b/"])
def test_a_signed_url_serves_its_object_under_any_name(gcs: Lab, name: str):
    assert gcs.http.put(gcs.signed(name, "PUT"), content=b"body").status_code == 200
    answer = gcs.http.get(gcs.signed(name))
    assert (answer.status_code, answer.content) == (200, b"body")
    assert gcs.http.delete(gcs.signed(name, "DELETE")).status_code == 204
    assert refusal(gcs.http.get(gcs.signed(name))) == (404, "NoSuchKey")


def test_a_head_tells_everything_but_the_bytes(gcs: Lab):
    blob = gcs.put("a", b"body", content_type="text/x")
    answer = gcs.http.head(gcs.signed("a", "HEAD"))
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "4")
    assert answer.headers["x-goog-generation"] == str(blob.generation)
    assert answer.headers["x-goog-hash"] == f"crc32c={blob.crc32c},md5={blob.md5_hash}"
    assert answer.headers["etag"] == f'"{hashlib.md5(b"body").hexdigest()}"'


def test_a_range_of_a_signed_url(gcs: Lab):
    gcs.put("a", b"0123456789")
    url = gcs.signed("a")
    assert gcs.http.get(url, headers={"Range": "bytes=2-4"}).content == b"234"
    assert refusal(gcs.http.get(url, headers={"Range": "bytes=10-"})) == (416, "InvalidRange")


def test_a_url_for_one_method_is_none_for_another(gcs: Lab):
    gcs.put("a", b"before")
    for method in ("PUT", "DELETE", "HEAD", "POST"):
        assert gcs.http.request(method, gcs.signed("a")).status_code == 403
    assert gcs.http.get(gcs.signed("a", "PUT")).status_code == 403
    assert read(gcs, "a") == b"before"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("raw/acme", "raw/globex"),
        (BUCKET, "globex-data"),
        ("X-Goog-Signature=", "X-Goog-Signature=00"),
        ("X-Goog-Expires=60", "X-Goog-Expires=61"),
        ("northstar.iam", "other.iam"),
        ("&X-Goog-Signature", "&generation=1&X-Goog-Signature"),
        ("&X-Goog-Signature", "&x=&X-Goog-Signature"),
    ],
)
def test_a_url_that_was_changed_is_refused(gcs: Lab, before: str, after: str):
    url = gcs.signed("raw/acme", "PUT")
    assert before in url
    assert refusal(gcs.http.put(url.replace(before, after), content=b"x")) == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize("name", ["Signature", "Credential", "Date", "Expires", "SignedHeaders", "Algorithm"])
def test_a_url_without_one_of_its_parts_is_refused(gcs: Lab, name: str):
    url = httpx.URL(gcs.signed("a"))
    answer = gcs.http.get(url.copy_remove_param(f"X-Goog-{name}"))
    assert answer.status_code in {400, 403}


def test_a_url_is_signed_for_one_host(gcs: Lab):
    assert refusal(gcs.http.get(gcs.signed("a"), headers={"Host": "storage.googleapis.com"}))[0] == 403


def test_another_key_s_url_is_refused_until_the_key_is_known(gcs: Lab):
    gcs.put("a")
    url = gcs.signed("a", key=1)
    assert refusal(gcs.http.get(url)) == (403, "SignatureDoesNotMatch")
    gcs.control("POST", "accounts", client_email=SIGNER, public_key=public_pem(1).decode())
    assert gcs.http.get(url).status_code == 200


def test_without_a_signature_nothing_is_served(gcs: Lab):
    gcs.put("a")
    assert refusal(gcs.http.get(f"/{BUCKET}/a")) == (403, "AccessDenied")
    assert refusal(gcs.http.put(f"/{BUCKET}/a", content=b"x")) == (403, "AccessDenied")


def test_a_url_lives_as_long_as_it_says(gcs: Lab):
    gcs.put("a")
    url = gcs.signed("a", seconds=3600)
    gcs.control("POST", "clock", offset_seconds=3590)
    assert gcs.http.get(url).status_code == 200
    gcs.control("POST", "clock", offset_seconds=3602)
    assert refusal(gcs.http.get(url)) == (400, "ExpiredToken")
    gcs.control("POST", "clock", offset_seconds=-DAY_SECONDS)
    assert refusal(gcs.http.get(url)) == (403, "RequestTimeTooSkewed")


def test_a_url_lives_for_7_days_at_most(gcs: Lab):
    url = gcs.signed("a", seconds=7 * DAY_SECONDS)
    gcs.control("POST", "clock", offset_seconds=7 * DAY_SECONDS - 10)
    assert gcs.http.get(url).status_code == 404
    with pytest.raises(ValueError, match="604800"):
        gcs.signed("a", seconds=7 * DAY_SECONDS + 1)


def test_a_content_type_that_is_signed_must_be_sent(gcs: Lab):
    url = gcs.signed("a", "PUT", content_type="image/png")
    assert refusal(gcs.http.put(url, content=b"x", headers={"Content-Type": "text/html"})) == (
        403,
        "SignatureDoesNotMatch",
    )
    assert refusal(gcs.http.put(url, content=b"x")) == (400, "MalformedSecurityHeader")
    assert gcs.http.put(url, content=b"x", headers=IMAGE).status_code == 200
    assert gcs.bucket.get_blob("a").content_type == "image/png"


def test_an_extension_header_that_is_not_signed_is_refused(gcs: Lab):
    answer = gcs.http.put(gcs.signed("a", "PUT"), content=b"x", headers={"x-goog-meta-k": "v"})
    assert refusal(answer) == (403, "AccessDenied")


def test_a_url_that_creates_does_so_once(gcs: Lab):
    headers = {"x-goog-if-generation-match": "0", "x-goog-meta-k": "v"}
    url = gcs.signed("a", "PUT", headers=headers.copy())
    assert gcs.http.put(url, content=b"first", headers=headers).status_code == 200
    assert refusal(gcs.http.put(url, content=b"second", headers=headers)) == (412, "PreconditionFailed")
    assert gcs.bucket.get_blob("a").metadata == {"k": "v"}
    assert read(gcs, "a") == b"first"


@pytest.mark.parametrize(("size", "code"), [(1, "EntityTooSmall"), (11, "EntityTooLarge"), (10, "")])
def test_a_size_that_is_signed_is_kept(gcs: Lab, size: int, code: str):
    headers = {"x-goog-content-length-range": "2,10"}
    answer = gcs.http.put(gcs.signed("a", "PUT", headers=headers.copy()), content=b"x" * size, headers=headers)
    assert (answer.status_code, read(gcs, "a")) == (200, b"x" * 10) if not code else refusal(answer) == (400, code)


@pytest.mark.parametrize("header", ["content-md5", "x-goog-hash", "x-goog-content-sha256"])
def test_a_checksum_that_is_signed_is_kept(gcs: Lab, header: str):
    md5 = base64.b64encode(hashlib.md5(b"body").digest()).decode()
    values = {"content-md5": md5, "x-goog-hash": f"md5={md5}"}
    headers = {header: values.get(header, hashlib.sha256(b"body").hexdigest())}
    url = gcs.signed("a", "PUT", headers=headers.copy())
    assert refusal(gcs.http.put(url, content=b"evil", headers=headers)) == (400, "BadDigest")
    assert read(gcs, "a") is None
    assert gcs.http.put(url, content=b"body", headers=headers).status_code == 200


def test_a_download_may_be_given_another_type_and_a_name(gcs: Lab):
    gcs.put("a")
    url = gcs.signed("a", response_type="text/x", response_disposition='attachment; filename="a b"')
    headers = gcs.http.get(url).headers
    assert (headers["content-type"], headers["content-disposition"]) == ("text/x", 'attachment; filename="a b"')


def test_a_signed_post_begins_a_resumable_upload(gcs: Lab):
    start = {"x-goog-resumable": "start", "Content-Type": "image/png"}
    began = gcs.http.post(gcs.signed("raw/a b", "RESUMABLE", content_type="image/png"), headers=start)
    assert began.status_code == 201
    first = gcs.http.put(
        began.headers["location"], content=b"x" * 262144, headers={"Content-Range": "bytes 0-262143/262145"}
    )
    assert (first.status_code, first.headers["range"]) == (308, "bytes=0-262143")
    last = gcs.http.put(
        began.headers["location"], content=b"y", headers={"Content-Range": "bytes 262144-262144/262145"}
    )
    assert (last.status_code, last.headers["x-goog-stored-content-length"]) == (200, "262145")
    assert gcs.bucket.get_blob("raw/a b").content_type == "image/png"


def test_a_form_uploads_one_file_under_its_key(gcs: Lab):
    fields = gcs.form("raw/ünï", fields={"Content-Type": "image/png", "x-goog-meta-k": "v"})
    assert post(gcs, fields).status_code == 204
    found = gcs.bucket.get_blob("raw/ünï")
    assert (found.download_as_bytes(), found.content_type, found.metadata) == (b"file", "image/png", {"k": "v"})


def test_a_form_names_the_status_of_its_success(gcs: Lab):
    assert post(gcs, gcs.form("a", fields=STATUS_200)).status_code == 200
    answer = post(gcs, gcs.form("a", fields={"success_action_status": "201"}))
    assert (answer.status_code, "<Key>a</Key>" in answer.text) == (201, True)


@pytest.mark.parametrize(
    "changed",
    [
        {"key": "raw/globex"},
        {"Content-Type": "text/html"},
        {"x-goog-meta-k": "other"},
        {"x-goog-meta-more": "x"},
        {"success_action_status": "201"},
    ],
)
def test_a_form_with_other_fields_than_its_policy_is_refused(gcs: Lab, changed: dict[str, str]):
    fields = gcs.form("raw/acme", fields={**STATUS_200, "Content-Type": "image/png", "x-goog-meta-k": "v"})
    assert refusal(post(gcs, {**fields, **changed})) == (400, "InvalidPolicyDocument")
    assert list(gcs.bucket.list_blobs()) == []
    assert post(gcs, {**fields, "x-ignore-this": "x"}).status_code == 200


def test_a_form_for_another_bucket_is_refused(gcs: Lab):
    gcs.client.create_bucket("globex-data")
    answer = gcs.http.post("/globex-data", data=gcs.form("a"), files={"file": b"x"})
    assert refusal(answer) == (400, "InvalidPolicyDocument")


def test_a_policy_that_was_changed_or_signed_by_another_is_refused(gcs: Lab):
    fields = gcs.form("a")
    policy = base64.b64encode(base64.b64decode(fields["policy"]).replace(b'"a"', b'"b"')).decode()
    assert refusal(post(gcs, {**fields, "policy": policy, "key": "b"})) == (403, "SignatureDoesNotMatch")
    assert refusal(post(gcs, gcs.form("a", key=1))) == (403, "SignatureDoesNotMatch")


def test_a_form_lives_as_long_as_its_policy_says(gcs: Lab):
    fields = gcs.form("a", seconds=3600)
    gcs.control("POST", "clock", offset_seconds=3601)
    assert refusal(post(gcs, fields)) == (400, "ExpiredToken")


@pytest.mark.parametrize(("size", "code"), [(1, "EntityTooSmall"), (11, "EntityTooLarge"), (10, "")])
def test_a_form_s_file_has_the_size_that_its_policy_says(gcs: Lab, size: int, code: str):
    fields = gcs.form("a", conditions=[["content-length-range", 2, 10]])
    answer = post(gcs, fields, b"x" * size)
    assert (answer.status_code, read(gcs, "a")) == (204, b"x" * 10) if not code else refusal(answer) == (400, code)


def test_a_condition_may_ask_for_a_beginning(gcs: Lab):
    fields = gcs.form("a", conditions=[["starts-with", "$Content-Type", "image/"]])
    assert post(gcs, {**fields, **IMAGE}).status_code == 204
    assert refusal(post(gcs, {**fields, "Content-Type": "text/html"})) == (400, "InvalidPolicyDocument")
    assert refusal(post(gcs, fields)) == (400, "InvalidPolicyDocument")


def test_a_form_without_a_policy_or_without_a_file_is_refused(gcs: Lab):
    assert refusal(post(gcs, {"key": "a"})) == (400, "InvalidPolicyDocument")
    answer = gcs.http.post(f"/{BUCKET}", files={"key": (None, b"a")})
    assert refusal(answer) == (400, "IncorrectNumberOfFilesInPostRequest")


def test_an_error_says_what_should_have_been_signed(gcs: Lab):
    url = gcs.signed("a").replace("Expires=60", "Expires=61")
    assert "StringToSign: GOOG4-RSA-SHA256" in gcs.http.get(url).text
