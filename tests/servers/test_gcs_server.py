"""The Cloud Storage test server by the real SDK: buckets, objects, lists, preconditions, and what it refuses."""

import base64
import hashlib
import threading
from collections.abc import Iterator

import google_crc32c
import pytest
from google.api_core import exceptions
from google.cloud.storage import Blob

from tests.servers.gcs_lab import BUCKET, Lab, gcs_lab

OBJECTS = f"/storage/v1/b/{BUCKET}/o"
UPLOAD = f"/upload/storage/v1/b/{BUCKET}/o"
ODD_NAMES = ["a b+c%d.txt", "ünï/ço.txt", "q?x=1&y#z", "dir/", "/slash", "a//b", "..a", "%2F", "日本", "\U0001f600"]


@pytest.fixture
def gcs() -> Iterator[Lab]:
    with gcs_lab() as lab:
        yield lab


def names(found: object) -> list[str]:
    return [blob.name for blob in found]  # type: ignore[attr-defined]


def test_an_object_comes_back_with_all_that_was_said_of_it(gcs: Lab):
    blob = gcs.bucket.blob("raw/a.bin")
    blob.metadata, blob.cache_control = {"Owner": "acme"}, "no-store"
    blob.upload_from_string(b"payload", content_type="image/png")
    found = gcs.bucket.get_blob("raw/a.bin")
    assert found.download_as_bytes() == b"payload"
    assert (found.content_type, found.cache_control, found.metadata) == ("image/png", "no-store", {"Owner": "acme"})
    assert (found.size, found.metageneration, found.storage_class) == (7, 1, "STANDARD")
    assert found.md5_hash == base64.b64encode(hashlib.md5(b"payload").digest()).decode()
    assert found.crc32c == base64.b64encode(google_crc32c.Checksum(b"payload").digest()).decode()
    assert found.time_created == found.updated


@pytest.mark.parametrize("name", ODD_NAMES)
def test_an_odd_name_is_one_object(gcs: Lab, name: str):
    gcs.put(name, name.encode())
    assert names(gcs.bucket.list_blobs()) == [name]
    assert gcs.bucket.blob(name).download_as_bytes() == name.encode()
    gcs.bucket.delete_blob(name)
    assert names(gcs.bucket.list_blobs()) == []


@pytest.mark.parametrize("name", [".", "..", "a\nb", "a\rb", "é" * 513, ".well-known/acme-challenge/x"])
def test_a_name_that_the_service_refuses_is_refused(gcs: Lab, name: str):
    with pytest.raises(exceptions.BadRequest):
        gcs.put(name)


def test_a_name_of_1024_bytes_is_the_longest(gcs: Lab):
    gcs.put("é" * 512)
    assert len(names(gcs.bucket.list_blobs())[0].encode()) == 1024


def test_buckets_are_made_once_and_deleted_empty(gcs: Lab):
    with pytest.raises(exceptions.Conflict):
        gcs.client.create_bucket(BUCKET)
    gcs.put("a")
    with pytest.raises(exceptions.Conflict):
        gcs.bucket.delete()
    gcs.bucket.delete_blob("a")
    gcs.bucket.delete()
    assert not gcs.bucket.exists()
    with pytest.raises(exceptions.NotFound):
        gcs.put("a")


@pytest.mark.parametrize("name", ["ab", "Upper", "-a-", "google-x", "goog1", "a" * 64, "dots.example"])
def test_a_bucket_with_a_bad_name_is_refused(gcs: Lab, name: str):
    answer = gcs.http.post("/storage/v1/b?project=p", json={"name": name})
    assert answer.status_code == 400, answer.text


def test_buckets_share_nothing(gcs: Lab):
    globex = gcs.client.create_bucket("globex-data")
    gcs.put("a")
    assert names(globex.list_blobs()) == []
    assert globex.get_blob("a") is None
    assert [bucket.name for bucket in gcs.client.list_buckets()] == [BUCKET, "globex-data"]


def test_what_is_not_there_is_not_found(gcs: Lab):
    blob = gcs.bucket.blob("none")
    assert gcs.bucket.get_blob("none") is None
    for call in (blob.download_as_bytes, blob.delete, blob.patch, lambda: gcs.bucket.copy_blob(blob, gcs.bucket, "b")):
        with pytest.raises(exceptions.NotFound):
            call()


def test_ranges_are_those_of_http(gcs: Lab):
    gcs.put("ten", b"0123456789")
    answers = {}
    for asked in ("bytes=2-4", "bytes=7-", "bytes=-3", "bytes=8-99", "bytes=10-", "bytes=-0"):
        answer = gcs.http.get(f"{OBJECTS}/ten?alt=media", headers={"Range": asked})
        answers[asked] = answer.status_code, answer.headers.get("content-range")
    assert answers == {
        "bytes=2-4": (206, "bytes 2-4/10"),
        "bytes=7-": (206, "bytes 7-9/10"),
        "bytes=-3": (206, "bytes 7-9/10"),
        "bytes=8-99": (206, "bytes 8-9/10"),
        "bytes=10-": (416, "bytes */10"),
        "bytes=-0": (416, "bytes */10"),
    }


def test_a_patch_changes_fields_and_raises_the_metageneration(gcs: Lab):
    blob = gcs.put("a")
    blob.metadata, blob.content_type = {"k": "v", "gone": "x"}, "text/x"
    blob.patch()
    blob.metadata = {"gone": None}
    blob.patch()
    found = gcs.bucket.get_blob("a")
    assert (found.metadata, found.content_type) == ({"k": "v"}, "text/x")
    assert (found.metageneration, found.generation) == (3, blob.generation)


def test_an_update_replaces_all_fields(gcs: Lab):
    blob = gcs.put("a", content_type="text/x")
    blob.metadata = {"k": "v"}
    blob.update()
    gcs.http.put(f"{OBJECTS}/a", json={"contentType": "text/y"}).raise_for_status()
    found = gcs.bucket.get_blob("a")
    assert (found.content_type, found.metadata) == ("text/y", None)


def test_metadata_beyond_8_kib_is_refused(gcs: Lab):
    blob = gcs.bucket.blob("a")
    blob.metadata = {"k": "v" * (8 * 1024 - 1)}
    blob.upload_from_string(b"x")
    blob.metadata = {"k": "v" * 8 * 1024}
    with pytest.raises(exceptions.BadRequest):
        blob.patch()


def test_pages_hold_objects_and_prefixes_in_the_order_of_names(gcs: Lab):
    for name in ("a", "b/1", "b/2", "c", "d/1", "é", "z"):
        gcs.put(name)
    pages: list[list[str]] = []
    token = ""
    while token or not pages:
        query = {"maxResults": "2", "delimiter": "/", "pageToken": token}
        page = gcs.http.get(OBJECTS, params=query).json()
        pages.append([item["name"] for item in page.get("items", [])] + page.get("prefixes", []))
        token = page.get("nextPageToken", "")
    assert pages == [["a", "b/"], ["c", "d/"], ["z", "é"]]


def test_a_list_is_bounded_by_offsets_and_prefix(gcs: Lab):
    for name in ("a/1", "a/2", "a/3", "b/1"):
        gcs.put(name)
    assert names(gcs.bucket.list_blobs(prefix="a/", start_offset="a/2", end_offset="a/3")) == ["a/2"]
    listed = gcs.bucket.list_blobs(delimiter="/", include_trailing_delimiter=True)
    assert names(listed) == []
    assert listed.prefixes == {"a/", "b/"}


def test_an_object_that_is_its_own_prefix_is_listed_when_asked_for(gcs: Lab):
    gcs.put("a/")
    gcs.put("a/1")
    listed = gcs.bucket.list_blobs(delimiter="/", include_trailing_delimiter=True)
    assert (names(listed), listed.prefixes) == (["a/"], {"a/"})


def test_a_page_ends_at_1000_results(gcs: Lab):
    content = gcs.put("0000")
    for hundred in range(10):
        with gcs.client.batch():
            for number in range(1, 101):
                gcs.bucket.copy_blob(content, gcs.bucket, f"{hundred * 100 + number:04}")
    page = gcs.http.get(OBJECTS, params={"maxResults": 5000, "fields": "items(name),nextPageToken"}).json()
    assert len(page["items"]) == 1000
    assert len(names(gcs.bucket.list_blobs())) == 1001


def test_a_test_may_ask_for_short_pages(gcs: Lab):
    gcs.control("POST", "limits", page_results=1)
    for name in "abc":
        gcs.put(name)
    assert [len(list(page)) for page in gcs.bucket.list_blobs().pages] == [1, 1, 1]


def test_a_partial_response_has_the_named_fields_alone(gcs: Lab):
    gcs.put("a")
    page = gcs.http.get(OBJECTS, params={"fields": "items(name,size),nextPageToken"}).json()
    assert page == {"items": [{"name": "a", "size": "1"}]}
    assert gcs.http.get(f"{OBJECTS}/a", params={"fields": "name,metadata/x"}).json() == {"name": "a"}
    assert gcs.http.get(f"{OBJECTS}/a", params={"fields": "name("}).status_code == 400


def test_generations_grow_and_preconditions_hold_on_to_them(gcs: Lab):
    first = gcs.put("a", b"1", if_generation_match=0).generation
    second = gcs.put("a", b"2", if_generation_match=first).generation
    assert second > first
    blob = gcs.bucket.blob("a")
    for call in (
        lambda: blob.upload_from_string(b"3", if_generation_match=first),
        lambda: blob.upload_from_string(b"3", if_generation_match=0),
        lambda: blob.upload_from_string(b"3", if_metageneration_match=2),
        lambda: blob.delete(if_generation_match=first),
        lambda: blob.download_as_bytes(if_generation_match=first),
        lambda: gcs.bucket.copy_blob(blob, gcs.bucket, "b", if_source_generation_match=first),
        lambda: blob.compose([blob], if_generation_match=first),
    ):
        with pytest.raises(exceptions.PreconditionFailed):
            call()
    assert blob.download_as_bytes() == b"2"


def test_reading_what_has_not_changed_is_a_304(gcs: Lab):
    blob = gcs.put("a")
    answer = gcs.http.get(f"{OBJECTS}/a", params={"ifGenerationNotMatch": blob.generation})
    assert (answer.status_code, answer.content) == (304, b"")
    assert gcs.http.get(f"{OBJECTS}/a", params={"ifMetagenerationNotMatch": 2}).status_code == 200


def test_of_racing_creators_one_wins(gcs: Lab):
    won: list[int] = []

    def create(number: int) -> None:
        try:
            gcs.put("race", b"%d" % number * 50_000, if_generation_match=0)
            won.append(number)
        except exceptions.PreconditionFailed:
            pass

    threads = [threading.Thread(target=create, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert gcs.bucket.blob("race").download_as_bytes() == b"%d" % won[0] * 50_000


def test_a_copy_keeps_the_fields_unless_it_is_given_others(gcs: Lab):
    blob = gcs.put("a", b"body", content_type="text/x")
    assert gcs.bucket.copy_blob(blob, gcs.bucket, "b").content_type == "text/x"
    moved = gcs.bucket.blob("c")
    moved.content_type = "text/y"
    assert moved.rewrite(blob) == (None, 4, 4)
    assert (gcs.bucket.get_blob("c").content_type, moved.download_as_bytes()) == ("text/y", b"body")


def test_a_large_rewrite_takes_several_calls(gcs: Lab):
    source = gcs.put("big", b"x" * 3_000_000)
    gcs.control("POST", "limits", rewrite_bytes=1 << 20)
    target, steps = gcs.bucket.blob("copy"), []
    token, done, _ = target.rewrite(source)
    while token:
        steps.append(done)
        assert gcs.bucket.get_blob("copy") is None
        token, done, _ = target.rewrite(source, token=token)
    assert (steps, done) == ([1 << 20, 2 << 20], 3_000_000)
    assert target.download_as_bytes() == b"x" * 3_000_000


def test_a_composed_object_has_no_md5(gcs: Lab):
    parts = [gcs.put("1", b"one "), gcs.put("2", b"two")]
    whole = gcs.bucket.blob("whole")
    whole.compose(parts)
    found = gcs.bucket.get_blob("whole")
    assert (found.download_as_bytes(), found.md5_hash, found.component_count) == (b"one two", None, 2)
    with pytest.raises(exceptions.BadRequest):
        whole.compose(parts * 17)
    with pytest.raises(exceptions.NotFound):
        whole.compose([gcs.bucket.blob("none")])


def test_a_versioned_bucket_keeps_what_was_replaced(gcs: Lab):
    gcs.bucket.versioning_enabled = True
    gcs.bucket.patch()
    first = gcs.put("a", b"1").generation
    gcs.put("a", b"2")
    gcs.bucket.delete_blob("a")
    assert gcs.bucket.get_blob("a") is None
    assert gcs.bucket.blob("a", generation=first).download_as_bytes() == b"1"
    kept = list(gcs.bucket.list_blobs(versions=True))
    assert len(kept) == 2
    gcs.bucket.delete_blobs(kept, preserve_generation=True)
    assert list(gcs.bucket.list_blobs(versions=True)) == []


def test_the_configuration_of_a_bucket_is_kept(gcs: Lab):
    gcs.bucket.labels, gcs.bucket.cors = {"a": "b", "c": "d"}, [{"origin": ["*"], "method": ["PUT"]}]
    gcs.bucket.patch()
    labels = gcs.bucket.labels
    del labels["a"]
    gcs.bucket.labels = labels
    gcs.bucket.patch()
    found = gcs.client.get_bucket(BUCKET)
    assert (found.labels, found.cors) == ({"c": "d"}, [{"origin": ["*"], "method": ["PUT"]}])


def test_a_batch_does_each_of_its_calls(gcs: Lab):
    for name in "abc":
        gcs.put(name)
    with gcs.client.batch(raise_exception=False) as batch:
        for name in ("a", "none", "b"):
            gcs.bucket.delete_blob(name)
    assert [answer.status_code for answer in batch._responses] == [204, 404, 204]
    assert names(gcs.bucket.list_blobs()) == ["c"]


def test_a_batch_of_more_than_100_calls_is_refused(gcs: Lab):
    def delete(count: int) -> None:
        with gcs.client.batch(raise_exception=False):
            for number in range(count):
                gcs.bucket.blob(str(number)).delete()

    delete(100)
    with pytest.raises(exceptions.BadRequest):
        delete(101)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{OBJECTS}?matchGlob=a*"),
        ("GET", f"{OBJECTS}?softDeleted=true"),
        ("GET", f"{OBJECTS}/a?userProject=p"),
        ("GET", f"/storage/v1/b/{BUCKET}/iam"),
        ("GET", f"/storage/v1/b/{BUCKET}/acl"),
        ("POST", f"{OBJECTS}/a/restore"),
        ("GET", "/storage/v2/b"),
        ("OPTIONS", f"/{BUCKET}/a"),
    ],
)
def test_what_it_does_not_know_it_refuses(gcs: Lab, method: str, path: str):
    answer = gcs.http.request(method, path)
    assert answer.status_code in {400, 501}
    assert answer.text


@pytest.mark.parametrize("header", ["If-None-Match", "If-Match", "x-goog-user-project", "x-goog-encryption-key"])
def test_a_header_that_it_does_not_know_is_refused(gcs: Lab, header: str):
    gcs.put("a")
    assert gcs.http.get(f"{OBJECTS}/a", headers={header: "x"}).status_code == 501


def test_a_field_that_it_does_not_know_is_refused(gcs: Lab):
    answer = gcs.http.post(f"{UPLOAD}?uploadType=resumable&name=a", json={"eventBasedHold": True})
    assert answer.status_code == 501
    assert Blob("a", gcs.bucket).exists() is False
