"""Objects over HTTP: whole bytes in, whole bytes out, under any key."""

import base64
import hashlib
import io
import json
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import pytest
from django.core.handlers.wsgi import WSGIRequest

from northstar.inputs import body_chunks
from tests.conftest import filesystem_routes

OBJECTS = "storage/objects"
HELLO = hashlib.sha256(b"hello").hexdigest()


def path(key):
    return f"{OBJECTS}/{quote(key, safe='/')}"


def content(answer):
    return b"".join(answer.streaming_content)


def problem(answer):
    assert answer["Content-Type"] == "application/problem+json"
    return answer.status_code, json.loads(answer.content)["error_code"]


class TestWholeObjects:
    def test_a_stored_object_comes_back_with_what_is_known_of_it(self, acme_api):
        stored = acme_api.put(
            path("reports/q1.txt"), b"hello", content_type="text/plain; charset=utf-8", headers={"X-Meta-Author": "Zo"}
        )
        body = stored.json()
        assert stored.status_code == 200
        assert (body["key"], body["size"], body["sha256"]) == ("reports/q1.txt", 5, HELLO)
        assert (body["content_type"], body["metadata"]) == ("text/plain; charset=utf-8", {"author": "Zo"})
        assert body["uri"].startswith("file:///")
        assert body["uri"].endswith("/object_store/acme/dev/_/blobs/reports/q1.txt")
        got = acme_api.get(path("reports/q1.txt"))
        assert (got.status_code, content(got)) == (200, b"hello")
        assert got["Content-Type"] == "text/plain; charset=utf-8"
        assert (got["Content-Length"], got["X-Meta-Author"]) == ("5", "Zo")
        assert got["ETag"] == stored["ETag"] == f'"{body["etag"]}"'
        assert got["Accept-Ranges"] == "bytes"

    def test_every_answer_names_the_backend_and_the_route_revision(self, acme_api):
        acme_api.put(path("x"), b"1")
        for answer in (
            acme_api.get(path("x")),
            acme_api.head(path("x")),
            acme_api.get(OBJECTS),
            acme_api.delete(path("x")),
        ):
            assert (answer["X-Northstar-Backend"], int(answer["X-Northstar-Route-Revision"]) > 0) == (
                "filesystem",
                True,
            )

    def test_head_says_what_get_says_without_the_bytes(self, acme_api):
        acme_api.put(path("x"), b"hello", headers={"X-Meta-A": "1"})
        head, got = acme_api.head(path("x")), acme_api.get(path("x"))
        assert (head.status_code, head.content) == (200, b"")
        same = {name for name in got.headers if name != "X-Request-Id"}
        assert {name: head.headers.get(name) for name in same} == {name: got.headers[name] for name in same}

    def test_replacing_answers_200_and_another_etag(self, acme_api):
        first, second = acme_api.put(path("x"), b"1"), acme_api.put(path("x"), b"1")
        assert (first.status_code, second.status_code) == (200, 200)
        assert first["ETag"] != second["ETag"]
        assert first.json()["modified_at"] < second.json()["modified_at"]

    def test_what_is_not_there_is_404(self, acme_api):
        assert problem(acme_api.get(path("missing"))) == (404, "NOT_FOUND")
        assert acme_api.head(path("missing")).status_code == 404

    def test_a_delete_may_be_repeated(self, acme_api):
        acme_api.put(path("x"), b"1")
        assert [acme_api.delete(path("x")).status_code for _ in range(2)] == [204, 204]
        assert acme_api.get(path("x")).status_code == 404

    def test_an_empty_object_is_stored_and_read(self, acme_api):
        assert acme_api.put(path("empty"), b"").json()["size"] == 0
        got = acme_api.get(path("empty"))
        assert (got.status_code, content(got), got["Content-Length"]) == (200, b"", "0")

    def test_another_tenant_never_sees_it(self, acme_api, globex_api):
        acme_api.put(path("x"), b"acme's")
        assert problem(globex_api.get(path("x"))) == (404, "NOT_FOUND")
        assert globex_api.get(OBJECTS).json()["items"] == []
        globex_api.put(path("x"), b"globex's")
        globex_api.delete(path("x"))
        assert content(acme_api.get(path("x"))) == b"acme's"

    def test_environments_projects_and_surfaces_are_kept_apart(self, acme, acme_api):
        filesystem_routes(acme, "prod")
        elsewhere = [{"X-Env": "prod"}, {"X-Project-Id": "p1"}, {"X-Surface-Id": "squared2"}]
        for headers in ({}, *elsewhere):
            acme_api.put(path("x"), repr(headers).encode(), headers=headers)
        for headers in ({}, *elsewhere):
            assert content(acme_api.get(path("x"), headers=headers)) == repr(headers).encode()

    @pytest.mark.parametrize(
        ("method", "scopes"), [("PUT", ["data:read"]), ("DELETE", ["data:read"]), ("GET", ["data:write"])]
    )
    def test_a_key_without_the_scope_is_refused(self, acme, acme_api, api, method, scopes):
        acme_api.put(path("x"), b"1")
        assert problem(api(acme, scopes=scopes).request(method, path("x"), b"2" if method == "PUT" else None)) == (
            403,
            "FORBIDDEN",
        )
        assert content(acme_api.get(path("x"))) == b"1"

    def test_without_a_route_the_answer_says_which_is_missing(self, acme, api):
        answer = api(acme).put(path("x"), b"1")
        assert problem(answer) == (500, "NO_ROUTE_CONFIGURED")
        assert answer.json()["detail"].startswith("No route configured for object_store in acme/dev.")


class TestKeys:
    @pytest.mark.parametrize(
        "key", ["a b", "100%", "a%2Fb", "caf\u00e9/\U0001f680", "x?y#z", "a+b", "*[q]", ".env", "trailing.", "q" * 900]
    )
    def test_a_key_is_decoded_once_and_taken_literally(self, acme_api, key):
        assert acme_api.put(path(key), b"odd").json()["key"] == key
        assert content(acme_api.get(path(key))) == b"odd"
        assert [item["key"] for item in acme_api.get(OBJECTS).json()["items"]] == [key]

    @pytest.mark.parametrize(
        "raw",
        [
            "",
            "/a",
            "a/",
            "a//b",
            "../up",
            "a/../b",
            "%2e%2e/up",
            "a/%2E/b",
            "a%5Cb",
            "a%00b",
            "a%0Ab",
            "%C2%85",
            "q" * 901,
        ],
    )
    def test_a_bad_key_is_refused_and_nothing_is_written(self, acme_api, lab, raw):
        for method in ("PUT", "GET", "DELETE"):
            assert problem(acme_api.request(method, f"{OBJECTS}/{raw}", b"1" if method == "PUT" else None)) == (
                400,
                "INVALID_KEY",
            )
        assert not (lab / "object_store").exists()


class TestWhatComesIn:
    @pytest.mark.parametrize(
        "headers",
        [
            {"X-Checksum-Sha256": HELLO},
            {"X-Checksum-Sha256": HELLO.upper()},
            {"Content-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(HELLO)).decode()}:"},
            {"Content-Digest": f"md5=:AAAA:, sha-256=:{base64.b64encode(bytes.fromhex(HELLO)).decode()}:"},
            {"Digest": f"SHA-256={base64.b64encode(bytes.fromhex(HELLO)).decode()}"},
        ],
    )
    def test_a_right_checksum_is_accepted_and_a_wrong_one_is_422(self, acme_api, headers):
        assert acme_api.put(path("x"), b"hello", headers=headers).status_code == 200
        assert problem(acme_api.put(path("x"), b"HELLO", headers=headers)) == (422, "CHECKSUM_MISMATCH")
        assert content(acme_api.get(path("x"))) == b"hello"

    @pytest.mark.parametrize(
        "headers",
        [
            {"X-Checksum-Sha256": "12"},
            {"Content-Digest": "sha-256=:nonsense:"},
            {"X-Checksum-Sha256": HELLO, "Content-Digest": f"sha-256=:{base64.b64encode(b'x' * 32).decode()}:"},
            {"Content-Range": "bytes 0-4/10"},
            {"Content-Encoding": "gzip"},
        ],
    )
    def test_what_cannot_be_kept_or_checked_is_refused(self, acme_api, headers):
        assert problem(acme_api.put(path("x"), b"hello", headers=headers)) == (400, "INVALID_REQUEST")
        assert acme_api.get(path("x")).status_code == 404

    def test_a_missing_content_type_is_found_out(self, acme_api):
        for key, data, kind in (
            ("x", b"\x89PNG\r\n\x1a\n", "image/png"),
            ("a.csv", b"1,2", "text/csv"),
            ("y", b"?", None),
        ):
            stored = acme_api._client.generic("PUT", f"/api/v1/{path(key)}", data, "", headers=acme_api._headers)
            assert stored.json()["content_type"] == (kind or "application/octet-stream")

    def test_a_content_type_that_is_none_is_refused(self, acme_api):
        assert problem(acme_api.put(path("x"), b"1", content_type="no type")) == (400, "INVALID_REQUEST")

    def test_metadata_are_utf8_and_keep_their_spaces(self, acme_api):
        value = "Zo\u00eb  \u2713 \U0001f680"
        assert acme_api.put(path("x"), b"1", headers={"X-Meta-Who": value}).json()["metadata"] == {"who": value}
        assert acme_api.get(path("x"))["X-Meta-Who"].encode("latin-1").decode() == value

    def test_metadata_over_its_limit_is_refused(self, acme_api):
        assert problem(acme_api.put(path("x"), b"1", headers={"X-Meta-A": "x" * 2048})) == (413, "TOO_LARGE")
        assert acme_api.get(path("x")).status_code == 404

    def test_a_chunked_body_is_read_to_its_end(self):
        environ = {
            "REQUEST_METHOD": "PUT",
            "PATH_INFO": "/",
            "HTTP_TRANSFER_ENCODING": "chunked",
            "wsgi.input": io.BytesIO(b"x" * 3_000_000),
        }
        assert sum(map(len, body_chunks(WSGIRequest(environ)))) == 3_000_000


class TestWhatGoesOut:
    def test_stored_html_cannot_act_as_our_page(self, acme_api):
        acme_api.put(path("evil/page.html"), b"<script>alert(1)</script>", content_type="text/html")
        got = acme_api.get(path("evil/page.html"))
        assert got["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert got["X-Content-Type-Options"] == "nosniff"
        assert got["Content-Disposition"] == 'attachment; filename="page.html"'

    def test_a_reader_that_leaves_early_leaves_no_file_open(self, acme_api, lab):
        acme_api.put(path("x"), b"x" * 3_000_000)
        got = acme_api.get(path("x"))
        next(iter(got.streaming_content))
        got.close()
        assert not [link for link in open_files() if link.endswith("/blobs/x")]


def open_files():
    """Where this process's open descriptors lead."""
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that lists them
            yield str(link.readlink())


class TestListing:
    @pytest.fixture
    def filled(self, acme_api):
        for key in ("a", "a/b", "dir/1", "dir/2", "dir.x", "\u00e9"):
            acme_api.put(path(key), key.encode(), content_type="text/plain")
        return acme_api

    def test_objects_come_in_byte_order_with_what_is_known_of_them(self, filled):
        listed = filled.get(OBJECTS).json()
        assert [item["key"] for item in listed["items"]] == ["a", "a/b", "dir.x", "dir/1", "dir/2", "\u00e9"]
        assert (listed["next_cursor"], listed["prefixes"]) == (None, [])
        assert set(listed["items"][0]) == {"key", "size", "etag", "modified_at"}

    def test_a_delimiter_folds_folders(self, filled):
        listed = filled.get(f"{OBJECTS}?delimiter=/").json()
        assert ([item["key"] for item in listed["items"]], listed["prefixes"]) == (
            ["a", "dir.x", "\u00e9"],
            ["a/", "dir/"],
        )

    @pytest.mark.parametrize("query", ["", "&delimiter=/", "&prefix=dir", "&prefix=dir/&delimiter=r", "&prefix=%C3%A9"])
    def test_pages_of_one_give_everything_once(self, filled, query):
        whole = filled.get(f"{OBJECTS}?limit=1000{query}").json()
        items, prefixes, cursor = [], [], None
        while True:
            page = filled.get(f"{OBJECTS}?limit=1{query}" + (f"&cursor={cursor}" if cursor else "")).json()
            items += page["items"]
            prefixes += page["prefixes"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert (items, prefixes) == (whole["items"], whole["prefixes"])

    def test_a_cursor_of_another_listing_or_tenant_is_refused(self, filled, globex_api):
        cursor = filled.get(f"{OBJECTS}?limit=1").json()["next_cursor"]
        assert filled.get(f"{OBJECTS}?cursor={cursor}").status_code == 200
        other = f"{cursor[:-1]}{'A' if cursor[-1] != 'A' else 'B'}"
        for client, query in (
            (filled, f"prefix=a&cursor={cursor}"),
            (filled, f"delimiter=/&cursor={cursor}"),
            (filled, f"cursor={other}"),
            (filled, "cursor="),
            (globex_api, f"cursor={cursor}"),
        ):
            assert problem(client.get(f"{OBJECTS}?{query}")) == (400, "INVALID_CURSOR")

    @pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "nonsense=1", "prefix=a&prefix=b"])
    def test_a_query_that_makes_no_sense_is_refused(self, acme_api, query):
        assert problem(acme_api.get(f"{OBJECTS}?{query}")) == (400, "INVALID_REQUEST")

    def test_a_prefix_that_no_key_has_is_refused(self, acme_api):
        assert problem(acme_api.get(f"{OBJECTS}?prefix=a%01b")) == (400, "INVALID_KEY")


def test_the_type_that_curl_sends_unasked_says_nothing_about_an_object(acme_api):
    stored = acme_api.post(
        "/nexus/raw/put",
        b'{"a": 1}',
        content_type="application/x-www-form-urlencoded",
        headers={"X-Key": "report.json"},
    )
    assert stored.status_code == 200
    assert acme_api.get("storage/objects/report.json").headers["Content-Type"] == "application/json"
