"""What the Azure Blob driver does beyond the contract: names, large uploads that meet, tiers, foreign names, closing, forks."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from northstar.errors import AlreadyExists, VersionConflict
from storage.backends.azure_blob_listing import pages
from storage.backends.azure_blob_parts import PART_BYTES
from storage.backends.service import Unanswered
from storage.blobs import ABSENT, Area, Grant
from storage.errors import BackendUnavailable, InvalidKey, Throttled
from tests.contract.azure_lab import BACKEND, azure_config, azure_driver, guarded
from tests.contract.azure_script import OURS, Line, scripted
from tests.contract.blob_contract import keys_of, put, read
from tests.contract.blob_contract_listing import by_bytes, walk
from tests.contract.presigned_http import send

backend = BACKEND
LARGE = 3 * PART_BYTES + 5


@pytest.fixture
def driver(azure_container):
    with azure_driver(azure_config(azure_container)) as driver:
        yield driver


@pytest.fixture
def blobs(driver):
    return guarded(driver)


def large(blobs, key, letter, *, meanwhile=None, **options):
    """Put a body of several blocks; `meanwhile` happens when some were sent."""

    def body():
        for at in range(0, LARGE, PART_BYTES):
            yield letter * min(PART_BYTES, LARGE - at)
            if meanwhile and at == PART_BYTES:
                meanwhile()

    return blobs.put(key, body(), content_type="text/plain", **options)


# uploads by strangers -----------------------------------------------------------------------------------------------------


LEASE = {"x-ms-lease-action": "acquire", "x-ms-lease-duration": "-1", "x-ms-version": "2023-11-03"}


@pytest.mark.line(11, 119)
def test_a_lease_that_the_sender_of_an_upload_takes_for_ever_keeps_nothing_from_being_registered_or_swept(blobs):
    keys = [f"doc/{number}" for number in range(3)]
    for key in keys:
        signed = blobs.presign(key, Grant("PUT", 60), area=Area.UPLOADS)
        assert send("PUT", signed.url, b"uploaded", signed.headers).ok
        assert send("PUT", f"{signed.url}&comp=lease", b"", LEASE).ok
    assert blobs.delete(keys[0], area=Area.UPLOADS)
    assert blobs.delete(keys[1], area=Area.UPLOADS, expect=blobs.head(keys[1], area=Area.UPLOADS).etag)
    assert blobs.sweep(before=datetime.now(UTC) + timedelta(days=1)).uploads == 1
    assert blobs.list(area=Area.UPLOADS).blobs == ()


# large uploads ------------------------------------------------------------------------------------------------------------


@pytest.mark.line(84, 95)
def test_of_large_uploads_of_one_key_at_once_one_stands_whole_and_every_writer_is_told_so(blobs):
    with ThreadPoolExecutor(3) as threads:
        infos = list(threads.map(lambda letter: large(blobs, "doc", letter), (b"a", b"b", b"c")))
    stored = read(blobs, "doc")
    assert stored in {letter * LARGE for letter in (b"a", b"b", b"c")}
    assert blobs.head("doc") in infos


@pytest.mark.line(95, 98, 99)
def test_an_upload_overtaken_by_another_keeps_its_condition(blobs):
    with pytest.raises(AlreadyExists):
        large(blobs, "new", b"a", meanwhile=lambda: large(blobs, "new", b"b"), expect=ABSENT)
    first = put(blobs, "doc", b"first")
    with pytest.raises(VersionConflict):
        large(blobs, "doc", b"a", meanwhile=lambda: large(blobs, "doc", b"b"), expect=first.etag)
    assert (read(blobs, "new"), read(blobs, "doc")) == (b"b" * LARGE, b"b" * LARGE)


@pytest.mark.line(95)
def test_without_a_condition_an_overtaken_upload_counts_as_written_before(blobs):
    info = large(blobs, "doc", b"a", meanwhile=lambda: large(blobs, "doc", b"b"))
    assert (info.size, read(blobs, "doc")) == (LARGE, b"b" * LARGE)
    with pytest.raises(VersionConflict):
        put(blobs, "doc", expect=info.etag)


@pytest.mark.line(95)
def test_an_upload_whose_parts_a_delete_took_away_is_told_as_not_stored(blobs):
    def overwrite_and_delete():
        large(blobs, "doc", b"b")
        blobs.delete("doc")

    with pytest.raises(BackendUnavailable, match="nothing was stored"):
        large(blobs, "doc", b"a", meanwhile=overwrite_and_delete)
    assert blobs.head("doc") is None


@contextmanager
def losing_the_answer(driver, method, then):
    """Let the next request of this method be done and its answer be lost; `then` happens before anybody can look."""
    real, waiting = driver._connection.send, [then]

    def send(asked, *args, **options):
        answer = real(asked, *args, **options)
        if asked == method and waiting:
            waiting.pop()()
            raise Unanswered("lost")
        return answer

    driver._connection.send = send
    yield
    driver._connection.send = real


@pytest.mark.line(98, 99, 123)
def test_a_write_whose_answer_was_lost_never_undoes_a_change_that_was_made_on_top_of_it(blobs, driver):
    def change_it():
        seen = blobs.get("doc")
        put(blobs, "doc", b"".join(seen.chunks) + b", changed", expect=seen.info.etag)

    put(blobs, "doc", b"old")
    with losing_the_answer(driver, "PUT", change_it), pytest.raises(BackendUnavailable):
        put(blobs, "doc", b"mine")
    assert read(blobs, "doc") == b"mine, changed"


@pytest.mark.line(99, 123)
def test_a_delete_whose_answer_was_lost_never_removes_what_was_created_after_it(blobs, driver):
    put(blobs, "doc", b"old")
    create = partial(put, blobs, "doc", b"created", expect=ABSENT)
    with losing_the_answer(driver, "DELETE", create), pytest.raises(BackendUnavailable):
        blobs.delete("doc")
    assert read(blobs, "doc") == b"created"


@pytest.mark.line(98, 99)
def test_a_large_upload_looks_at_its_condition_before_it_reads_the_body(blobs):
    put(blobs, "doc", b"first")
    seen = []

    def body():
        for _ in range(4):
            seen.append(1)
            yield b"x" * PART_BYTES

    with pytest.raises(AlreadyExists):
        blobs.put("doc", body(), content_type="text/plain", expect=ABSENT)
    assert len(seen) == 2  # one part, and what tells that it is not the last


@pytest.mark.line(96)
def test_what_was_sent_of_an_upload_that_broke_is_no_object_and_no_obstacle(blobs, driver):
    def body():
        yield b"x" * LARGE
        raise EOFError

    with pytest.raises(EOFError):
        blobs.put("doc", body(), content_type="text/plain")
    assert (blobs.head("doc"), blobs.get("doc"), keys_of(blobs)) == (None, None, [])
    assert large(blobs, "doc", b"a", expect=ABSENT).size == LARGE


# names --------------------------------------------------------------------------------------------------------------------


@pytest.mark.line(8, 13)
def test_names_of_other_programs_are_foreign_and_break_no_listing(blobs, driver):
    put(blobs, "a/1")
    put(blobs, "c")
    home = "tenants/acme/dev/raw/"
    for name in ("a//2", "b.", "b/", "d"):
        driver.native().upload_blob(f"{home}{name}", b"foreign")
    page = blobs.list()
    assert [entry.key for entry in page.blobs] == ["a/1", "c", "d"]
    assert page.foreign == (f"{home}a//2", f"{home}b.", f"{home}b/")
    assert walk(blobs, 1) == ["a/1", "c", "d"]
    assert blobs.get("d").info.sha256 is None


@pytest.mark.line(76, 79)
@pytest.mark.parametrize("delimiter", ["", "/", "\U0001f680"])
def test_a_crowd_of_names_past_the_basic_plane_is_listed_in_byte_order_page_by_page(blobs, delimiter):
    keys = [
        f"{a}/{b}{n}"
        for a in ("x\uff08", "x\U0001f680", "x\ue000y")
        for b in ("\U0001f680", "\ufffd", "z")
        for n in range(3)
    ]
    for key in [*keys, "x", "y"]:
        put(blobs, key)
    entries = set()
    for key in [*keys, "x", "y"]:
        at = key.find(delimiter) if delimiter else -1
        entries.add(key if at < 0 else key[: at + 1])
    for limit in (1, 2, 5, 7, 1000):
        assert walk(blobs, limit, delimiter=delimiter) == by_bytes(entries)


@pytest.mark.line(72, 73)
def test_a_delimiter_that_the_service_does_not_fold_by_passes_over_what_lies_below(blobs, driver, monkeypatch):
    monkeypatch.setattr("storage.backends.azure_blob_listing._READ_ON", 3)
    for folder in ("a--", "b--", "c"):
        for number in range(8):
            put(blobs, f"{folder}{number}")
    assert walk(blobs, 2, delimiter="--") == ["a--", "b--", *(f"c{number}" for number in range(8))]


# what a route may say -----------------------------------------------------------------------------------------------------


def test_objects_get_the_access_tier_of_the_route(azure_container):
    with azure_driver(azure_config(azure_container, access_tier="Cool")) as driver:
        blobs = guarded(driver)
        put(blobs, "small")
        large(blobs, "large", b"x")
        blobs.copy("small", "copied")
        stored = {blob.name.rpartition("/")[2]: blob.blob_tier for blob in driver.native().list_blobs()}
    assert stored == dict.fromkeys(("small", "large", "copied"), "Cool")


def test_a_prefix_stands_before_every_name_and_hides_what_is_beside_it(azure_container):
    with (
        azure_driver(azure_config(azure_container, prefix="north/star/")) as inside,
        azure_driver(azure_config(azure_container)) as outside,
    ):
        info = put(guarded(inside), "doc")
        assert info.uri == f"az://{azure_container.container}/north/star/tenants/acme/dev/raw/doc"
        assert (read(guarded(inside), "doc"), guarded(outside).head("doc")) == (b"data", None)


# answers that the emulator never gives ------------------------------------------------------------------------------------


def at(script, azure_container):
    return azure_driver(azure_config(azure_container, endpoint=script.url))


def listing(blobs):
    return (
        f'<?xml version="1.0"?><EnumerationResults><Blobs>{blobs}</Blobs><NextMarker /></EnumerationResults>'
    ).encode()


def test_a_name_that_xml_cannot_hold_is_read_from_its_quoted_form(azure_container):
    name = (
        '<Blob><Name Encoded="true">a%EF%BF%BE%20b</Name><Properties><Content-Length>1</Content-Length><Etag>0x1</Etag>'
    )
    name += "<Last-Modified>Fri, 20 Nov 2026 10:00:00 GMT</Last-Modified></Properties></Blob>"
    with scripted(Line(body=listing(""))) as script, at(script, azure_container) as driver:
        script.lines = [Line(body=listing(name))]
        ((found, last),) = pages(driver._connection, "", None)
    assert ([listed.name for listed in found], last) == (["a\ufffe b"], True)


@pytest.mark.line(143)
def test_a_busy_service_is_asked_again_and_then_told_as_throttled(azure_container):
    busy = Line(503, headers=OURS | {"x-ms-error-code": "ServerBusy"})
    with scripted(Line(body=listing(""))) as script, at(script, azure_container) as driver:
        script.lines, script.requests = [busy], []
        with pytest.raises(Throttled, match="ServerBusy"):
            put(guarded(driver), "doc")
        assert [method for method, _ in script.requests] == ["PUT"] * 3


@pytest.mark.line(2, 12)
def test_a_key_that_only_the_service_refuses_is_an_invalid_key(azure_container):
    refused = Line(400, headers=OURS | {"x-ms-error-code": "InvalidUri"})
    with scripted(Line(body=listing(""))) as script, at(script, azure_container) as driver:
        script.lines = [refused]
        with pytest.raises(InvalidKey, match="InvalidUri"):
            put(guarded(driver), "private-use \ue000")


@pytest.mark.parametrize("status", [200, 404, 502])
def test_what_is_not_the_services_answer_is_never_taken_for_one(azure_container, status):
    with scripted(Line(body=listing(""))) as script, at(script, azure_container) as driver:
        script.lines = [Line(status, b"<html>sign in</html>", {"Content-Type": "text/html"})]
        with pytest.raises(BackendUnavailable, match="not Azure"):
            guarded(driver).head("doc")
        with pytest.raises(BackendUnavailable):
            guarded(driver).list()


# processes ----------------------------------------------------------------------------------------------------------------


@pytest.mark.line(142)
def test_a_closed_driver_says_so_and_a_second_close_is_harmless(driver, blobs):
    put(blobs, "doc")
    chunks = blobs.get("doc").chunks
    driver.close()
    driver.close()
    assert b"".join(chunks) == b"data"
    for call in (lambda: blobs.head("doc"), lambda: put(blobs, "doc"), driver.ping):
        with pytest.raises(BackendUnavailable, match="closed"):
            call()


def test_a_forked_process_opens_connections_of_its_own(blobs):
    put(blobs, "doc", b"before")
    child = os.fork()
    if child == 0:
        try:
            put(blobs, "doc", b"by the child")
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert read(blobs, "doc") == b"by the child"
