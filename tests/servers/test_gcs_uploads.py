"""Uploads to the Cloud Storage test server: checksums, resumable sessions, limits, faults, dropped connections, memory."""

import base64
import io
import json
import os
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from google.api_core import exceptions
from google.auth.exceptions import RefreshError
from google.cloud.storage.retry import DEFAULT_RETRY
from google.oauth2 import service_account

from tests.server import HOST
from tests.servers.gcs_lab import BUCKET, Lab, account_file, client_of, gcs_lab
from tests.servers.gcs_uploads import BLOCK
from tests.stack.processes import Server, http_answers, running

OBJECTS = f"/storage/v1/b/{BUCKET}/o"
UPLOAD = f"/upload/storage/v1/b/{BUCKET}/o"
WEEK_SECONDS = 7 * 24 * 3600
MIB = 1024 * 1024
AT_ONCE = DEFAULT_RETRY.with_delay(initial=0.01, maximum=0.02)


@pytest.fixture
def gcs() -> Iterator[Lab]:
    with gcs_lab() as lab:
        yield lab


def put_range(gcs: Lab, session: str, data: bytes, content_range: str, **headers: str) -> httpx.Response:
    return gcs.http.put(session, content=data, headers={"Content-Range": f"bytes {content_range}", **headers})


def read(gcs: Lab, name: str) -> bytes | None:
    blob = gcs.bucket.get_blob(name)
    return bytes(blob.download_as_bytes()) if blob else None


def test_a_simple_upload_is_an_object(gcs: Lab):
    answer = gcs.http.post(f"{UPLOAD}?uploadType=media&name=a%2Fb", content=b"abc", headers={"Content-Type": "text/x"})
    assert answer.json()["name"] == "a/b"
    assert gcs.bucket.get_blob("a/b").content_type == "text/x"


def test_a_body_in_chunks_of_unknown_number_is_an_object(gcs: Lab):
    pieces = (b"%d" % number * 100_000 for number in range(10))
    gcs.http.post(f"{UPLOAD}?uploadType=media&name=a", content=pieces).raise_for_status()
    assert read(gcs, "a") == b"".join(b"%d" % number * 100_000 for number in range(10))


@pytest.mark.parametrize("hashes", ["md5=AAAAAAAAAAAAAAAAAAAAAA==", "crc32c=AAAAAA==", "sha1=AAAA"])
def test_bytes_with_another_checksum_are_refused(gcs: Lab, hashes: str):
    answer = gcs.http.post(f"{UPLOAD}?uploadType=media&name=a", content=b"abc", headers={"X-Goog-Hash": hashes})
    assert answer.status_code == 400
    assert read(gcs, "a") is None


def test_a_checksum_in_the_metadata_is_checked(gcs: Lab):
    blob = gcs.bucket.blob("a")
    blob.md5_hash = "AAAAAAAAAAAAAAAAAAAAAA=="
    with pytest.raises(exceptions.BadRequest):
        blob.upload_from_string(b"abc")
    with pytest.raises(exceptions.BadRequest):
        blob.upload_from_file(io.BytesIO(b"abc" * MIB), size=3 * MIB)
    assert read(gcs, "a") is None


def test_a_multipart_body_without_its_end_is_refused(gcs: Lab):
    head = b'--b\r\nContent-Type: application/json\r\n\r\n{"name": "a"}\r\n--b\r\nContent-Type: text/x\r\n\r\n'
    address, headers = f"{UPLOAD}?uploadType=multipart", {"Content-Type": "multipart/related; boundary=b"}
    assert gcs.http.post(address, content=head + b"abc\r\n--b-", headers=headers).status_code == 400
    assert read(gcs, "a") is None
    assert gcs.http.post(address, content=head + b"\r\n--\r\n-\r\n--b--", headers=headers).status_code == 200
    assert read(gcs, "a") == b"\r\n--\r\n-"


def test_a_chunked_upload_by_the_sdk_is_whole(gcs: Lab):
    data = os.urandom(3 * MIB + 17)
    blob = gcs.bucket.blob("a", chunk_size=MIB)
    blob.metadata = {"k": "v"}
    blob.upload_from_file(io.BytesIO(data), content_type="text/x")
    assert read(gcs, "a") == data
    found = gcs.bucket.get_blob("a")
    assert (found.metadata, found.content_type) == ({"k": "v"}, "text/x")
    assert gcs.control("GET", "counters")["upload.chunk"] == 4


def test_nothing_is_there_before_the_last_byte(gcs: Lab):
    session = gcs.session("a")
    answer = put_range(gcs, session, b"x" * BLOCK, f"0-{BLOCK - 1}/*")
    assert (answer.status_code, answer.headers["range"]) == (308, f"bytes=0-{BLOCK - 1}")
    assert read(gcs, "a") is None
    [upload] = gcs.control("GET", "uploads")
    assert (upload["name"], upload["bytes"]) == ("a", BLOCK)
    assert put_range(gcs, session, b"y", f"{BLOCK}-{BLOCK}/{BLOCK + 1}").status_code == 200
    assert read(gcs, "a") == b"x" * BLOCK + b"y"
    assert gcs.control("GET", "uploads") == []


def test_a_session_tells_how_much_it_has(gcs: Lab):
    session = gcs.session("a")
    empty = put_range(gcs, session, b"", "*/*")
    assert (empty.status_code, "range" in empty.headers) == (308, False)
    put_range(gcs, session, b"x" * BLOCK, f"0-{BLOCK - 1}/{2 * BLOCK}")
    for asked in ("*/*", f"*/{2 * BLOCK}", "*/1"):
        answer = put_range(gcs, session, b"", asked)
        assert (answer.status_code, answer.headers["range"]) == (308, f"bytes=0-{BLOCK - 1}")
    assert put_range(gcs, session, b"", f"*/{BLOCK}").json()["size"] == str(BLOCK)
    assert put_range(gcs, session, b"", "*/*").status_code == 200


def test_bytes_that_are_there_already_are_skipped(gcs: Lab):
    session = gcs.session("a")
    put_range(gcs, session, b"x" * BLOCK, f"0-{BLOCK - 1}/*")
    put_range(gcs, session, b"x" * BLOCK + b"end", f"0-{BLOCK + 2}/{BLOCK + 3}").raise_for_status()
    assert read(gcs, "a") == b"x" * BLOCK + b"end"


@pytest.mark.parametrize(
    ("content_range", "status"),
    [
        (f"{BLOCK}-{2 * BLOCK - 1}/*", 503),
        ("0-99/*", 400),
        ("0-99/1000", 400),
        ("0-99/50", 400),
        ("99-0/100", 400),
        ("0-100/101", 400),
        ("x", 400),
    ],
)
def test_a_chunk_out_of_place_is_refused(gcs: Lab, content_range: str, status: int):
    session = gcs.session("a")
    data = b"x" * (BLOCK if status == 503 else 100)
    assert put_range(gcs, session, data, content_range).status_code == status
    assert put_range(gcs, session, b"", "*/*").status_code == 308


def test_another_size_than_was_declared_is_refused(gcs: Lab):
    session = gcs.session("a", size=5)
    assert put_range(gcs, session, b"abc", "0-2/3").status_code == 400
    assert gcs.http.put(session, content=b"abc").status_code == 400
    assert read(gcs, "a") is None


def test_the_last_chunk_is_checked_against_the_checksum_of_all(gcs: Lab):
    session = gcs.session("a")
    wrong = base64.b64encode(b"\0" * 4).decode()
    assert put_range(gcs, session, b"abc", "0-2/3", **{"X-Goog-Hash": f"crc32c={wrong}"}).status_code == 400
    assert put_range(gcs, session, b"", "*/*").status_code == 400
    assert read(gcs, "a") is None


def test_preconditions_hold_when_the_upload_ends(gcs: Lab):
    session = gcs.session("a", if_generation_match=0)
    gcs.put("a", b"first")
    assert gcs.http.put(session, content=b"second").status_code == 412
    assert read(gcs, "a") == b"first"


def test_a_session_that_grew_over_the_limit_is_over(gcs: Lab):
    gcs.control("POST", "limits", object_bytes=BLOCK)
    session = gcs.session("a")
    assert put_range(gcs, session, b"x" * 2 * BLOCK, f"0-{2 * BLOCK - 1}/*").status_code == 413
    assert put_range(gcs, session, b"", "*/*").status_code == 413


def test_a_cancelled_session_is_over(gcs: Lab):
    session = gcs.session("a")
    assert gcs.http.delete(session).status_code == 499
    assert gcs.http.put(session, content=b"abc").status_code == 499
    assert gcs.control("GET", "uploads") == []


def test_a_session_lives_for_a_week(gcs: Lab):
    session = gcs.session("a")
    gcs.control("POST", "clock", offset_seconds=WEEK_SECONDS - 60)
    assert put_range(gcs, session, b"", "*/*").status_code == 308
    gcs.control("POST", "clock", offset_seconds=WEEK_SECONDS)
    assert put_range(gcs, session, b"", "*/*").status_code == 410
    assert gcs.http.put(session + "x", content=b"").status_code == 404


def test_a_connection_that_drops_leaves_the_object_as_it_was(gcs: Lab):
    gcs.put("a", b"before")
    port = gcs.http.base_url.port
    assert port is not None
    with socket.create_connection((HOST, port)) as client:
        client.sendall(f"POST {UPLOAD}?uploadType=media&name=a HTTP/1.1\r\nContent-Length: 99\r\n\r\nhalf".encode())
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    assert read(gcs, "a") == b"before"


def test_a_session_keeps_the_whole_blocks_of_a_dropped_connection(gcs: Lab):
    session = gcs.session("a")
    port = gcs.http.base_url.port
    assert port is not None
    with socket.create_connection((HOST, port)) as client:
        client.sendall(f"PUT {session.removeprefix(gcs.url)} HTTP/1.1\r\nContent-Length: {3 * BLOCK}\r\n\r\n".encode())
        client.sendall(b"x" * (2 * BLOCK + 5))
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    answer = put_range(gcs, session, b"", "*/*")
    assert (answer.status_code, answer.headers["range"]) == (308, f"bytes=0-{2 * BLOCK - 1}")
    assert read(gcs, "a") is None


def test_an_object_over_the_limit_is_refused(gcs: Lab):
    gcs.control("POST", "limits", object_bytes=1000)
    with pytest.raises(exceptions.GoogleAPICallError) as failed:
        gcs.put("a", b"x" * 1001)
    assert failed.value.code == 413
    gcs.put("a", b"x" * 1000)


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_fault_before_a_request_is_as_if_it_never_came(gcs: Lab, status: int):
    gcs.control("POST", "faults", status=status, operation="object.insert")
    with pytest.raises(exceptions.GoogleAPICallError) as failed:
        gcs.put("a", retry=None)
    assert failed.value.code == status
    assert read(gcs, "a") is None


def test_a_fault_after_a_request_hides_that_it_was_done(gcs: Lab):
    gcs.control("POST", "faults", status=503, operation="object.insert", applied=True)
    with pytest.raises(exceptions.ServiceUnavailable):
        gcs.put("a", b"done", retry=None)
    assert read(gcs, "a") == b"done"


def test_the_sdk_gets_over_faults(gcs: Lab):
    gcs.control("POST", "faults", status=429, operation="object.insert", times=2)
    gcs.put("a", retry=AT_ONCE, if_generation_match=0)
    gcs.control("POST", "faults", status=503, operation="upload.chunk", applied=True)
    gcs.bucket.blob("b", chunk_size=BLOCK).upload_from_file(io.BytesIO(b"x" * BLOCK * 3), retry=AT_ONCE)
    assert read(gcs, "b") == b"x" * BLOCK * 3


def test_requests_are_counted_by_kind(gcs: Lab):
    gcs.control("DELETE", "counters")
    gcs.put("a")
    gcs.bucket.blob("a").download_as_bytes()
    assert list(gcs.bucket.list_blobs())
    assert gcs.control("GET", "counters") == {"object.insert": 1, "object.download": 1, "object.list": 1}


def test_a_reset_forgets_everything_but_that_generations_grow(gcs: Lab):
    generation = gcs.put("a").generation
    gcs.control("POST", "clock", offset_seconds=-3600)
    gcs.control("POST", "reset")
    assert not gcs.bucket.exists()
    gcs.client.create_bucket(BUCKET)
    assert gcs.put("a").generation > generation


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server as its command line starts it, with a key file and a token."""
    path = tmp_path_factory.mktemp("gcs") / "account.json"
    path.write_text(json.dumps(account_file("http://unused")))

    def command(port: int) -> list[str]:
        return [sys.executable, "-m", "tests.servers.gcs", "--port", str(port), "--key", str(path), "--token", "T"]

    with running("our Cloud Storage server", command, http_answers()) as server:
        yield server


def test_a_key_file_is_enough_for_the_sdk(guarded: Server):
    info = account_file(guarded.url)
    scopes = ["https://www.googleapis.com/auth/devstorage.read_write"]
    client = client_of(guarded.url, service_account.Credentials.from_service_account_info(info, scopes=scopes))
    client.create_bucket("acme-keyed").blob("a").upload_from_string(b"x")
    assert client.bucket("acme-keyed").blob("a").download_as_bytes() == b"x"
    client.close()


@pytest.mark.parametrize(
    ("authorization", "status"), [("", 401), ("Bearer U", 401), ("Basic T", 401), ("Bearer T", 200)]
)
def test_with_a_token_nobody_else_is_let_in(guarded: Server, authorization: str, status: int):
    address = f"{guarded.url}/storage/v1/b?project=p"
    assert httpx.get(address, headers={"Authorization": authorization}).status_code == status


def test_another_key_than_the_account_s_gets_no_token(guarded: Server):
    credentials = service_account.Credentials.from_service_account_info(
        account_file(guarded.url, number=1), scopes=["x"]
    )
    client = client_of(guarded.url, credentials)
    with pytest.raises(RefreshError, match="Invalid JWT Signature"):
        client.create_bucket("acme-stolen")
    client.close()


def test_a_large_object_passes_in_constant_memory(guarded: Server):
    headers = {"Authorization": "Bearer T"}
    httpx.post(f"{guarded.url}/storage/v1/b?project=p", json={"name": "acme-large"}, headers=headers).raise_for_status()
    memory = peak_kib(guarded.pid)
    address = f"{guarded.url}/upload/storage/v1/b/acme-large/o?uploadType=media&name=a"
    httpx.post(address, content=(bytes(MIB) for _ in range(64)), headers=headers, timeout=60).raise_for_status()
    with httpx.stream(
        "GET", f"{guarded.url}/storage/v1/b/acme-large/o/a?alt=media", headers=headers, timeout=60
    ) as answer:
        assert sum(map(len, answer.iter_raw())) == 64 * MIB
    assert peak_kib(guarded.pid) - memory < 16 * 1024


def peak_kib(pid: int) -> int:
    """The most memory that a process has had."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])
