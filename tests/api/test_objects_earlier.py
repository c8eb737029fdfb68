"""The earlier engines' addresses for objects."""

import base64
import io

import pytest
from django.test import Client

from tests.api.test_objects import content, path, problem


class TestNexus:
    def test_put_takes_the_key_from_a_header_and_get_from_the_query(self, acme_api):
        stored = acme_api.post("/nexus/raw/put", b"raw \x00 bytes", headers={"X-Key": "dir/name"})
        assert (stored.status_code, set(stored.json())) == (200, {"uri"})
        assert stored.json()["uri"].endswith("/blobs/dir/name")
        assert content(acme_api.get("/nexus/raw/get?key=dir/name")) == b"raw \x00 bytes"
        assert content(acme_api.get(path("dir/name"))) == b"raw \x00 bytes"

    def test_a_key_is_utf8_in_the_header(self, acme_api):
        acme_api.post("/nexus/raw/put", b"1", headers={"X-Key": "caf\u00e9"})
        assert content(acme_api.get("/nexus/raw/get?key=caf%C3%A9")) == b"1"

    def test_errors_are_the_same_as_anywhere(self, acme_api, acme, globex_api):
        assert problem(acme_api.post("/nexus/raw/put", b"1")) == (400, "INVALID_KEY")
        assert problem(acme_api.post("/nexus/raw/put", b"1", headers={"X-Key": "../../t_other/x"})) == (
            400,
            "INVALID_KEY",
        )
        assert problem(acme_api.get("/nexus/raw/get?key=missing")) == (404, "NOT_FOUND")
        assert problem(acme_api.get("/nexus/raw/get")) == (400, "INVALID_REQUEST")
        acme_api.post("/nexus/raw/put", b"1", headers={"X-Key": "mine"})
        assert problem(globex_api.get("/nexus/raw/get?key=mine")) == (404, "NOT_FOUND")

    def test_a_put_under_an_idempotency_key_is_carried_out_once(self, acme_api):
        first = {"X-Key": "mine", "Idempotency-Key": "k-1"}
        large = b"first" * 400_000
        put = acme_api.post("/nexus/raw/put", large, headers=first)
        acme_api.post("/nexus/raw/put", b"second", headers={"X-Key": "mine"})
        again = acme_api.post("/nexus/raw/put", large, headers=first)
        assert (again.status_code, again.content, again["ETag"]) == (200, put.content, put["ETag"])
        assert again["Idempotent-Replayed"] == "true"
        assert content(acme_api.get("/nexus/raw/get?key=mine")) == b"second"

    @pytest.mark.parametrize(("body", "key"), [(b"other", "mine"), (b"first", "other")])
    def test_another_put_under_the_same_idempotency_key_is_refused(self, acme_api, body, key):
        acme_api.post("/nexus/raw/put", b"first", headers={"X-Key": "mine", "Idempotency-Key": "k-1"})
        another = acme_api.post("/nexus/raw/put", body, headers={"X-Key": key, "Idempotency-Key": "k-1"})
        assert problem(another) == (422, "IDEMPOTENCY_MISMATCH")
        assert content(acme_api.get("/nexus/raw/get?key=mine")) == b"first"

    def test_a_missing_route_is_named(self, acme, api):
        answer = api(acme).post("/nexus/raw/put", b"1", headers={"X-Key": "x"})
        assert problem(answer) == (500, "NO_ROUTE_CONFIGURED")
        assert answer.json()["detail"].startswith("No route configured for object_store in acme/dev.")


class TestRaw:
    @pytest.mark.parametrize("size", [0, 1, 2, 3, 2_500_001])
    def test_get_is_json_with_base64_unless_bytes_are_asked_for(self, acme_api, size):
        data = (b"0123456789" * (size // 10 + 1))[:size]
        stored = acme_api.put("/raw/put/dir/name", data)
        assert (stored.status_code, set(stored.json())) == (200, {"object_uri"})
        got = acme_api.get("/raw/get/dir/name")
        assert got["Content-Type"] == "application/json"
        text = content(got)
        assert text == b'{"content":"' + base64.b64encode(data) + b'"}'
        raw = acme_api.get("/raw/get/dir/name", headers={"Accept": "application/octet-stream"})
        assert content(raw) == data

    def test_list_gives_the_objects_below_a_prefix(self, acme_api):
        for key in ("a/1", "a/2", "b/1"):
            acme_api.put(f"/raw/put/{key}", b"1")
        assert [each["key"] for each in acme_api.get("/raw/list?prefix=a/").json()["objects"]] == ["a/1", "a/2"]
        assert len(acme_api.get("/raw/list").json()["objects"]) == 3

    def test_errors_are_the_same_as_anywhere(self, acme_api):
        assert problem(acme_api.get("/raw/get/missing")) == (404, "NOT_FOUND")
        assert problem(acme_api.put("/raw/put/a//b", b"1")) == (400, "INVALID_KEY")
        assert problem(acme_api.get("/raw/list?delimiter=/")) == (400, "INVALID_REQUEST")


class TestPresigned:
    @pytest.mark.parametrize("method", [None, "PUT"])
    def test_an_upload_is_signed_sent_and_registered_beside_direct_puts(self, acme_api, method):
        acme_api.post("/nexus/raw/put", b"direct", headers={"X-Key": "in/direct"})
        signed = acme_api.post(
            "/nexus/raw/presign-upload", {"key": "in/signed", **({"method": method} if method else {})}
        )
        asked = signed.json()
        assert (signed.status_code, asked["method"]) == (200, method or "POST")
        if asked["method"] == "POST":
            sent = Client().post(asked["url"], {**asked["fields"], "file": io.BytesIO(b"presigned")})
        else:
            sent = Client().put(asked["url"], b"presigned", content_type="text/plain")
        assert sent.status_code == 200
        registered = acme_api.post("/nexus/raw/register", {"key": "in/signed", "upload_id": asked["upload_id"]})
        assert registered.json()["uri"].endswith("/blobs/in/signed")
        assert content(acme_api.get("/nexus/raw/get?key=in/signed")) == b"presigned"
        listed = acme_api.get("/raw/list?prefix=in/").json()["objects"]
        assert [each["key"] for each in listed] == ["in/direct", "in/signed"]

    def test_it_signs_no_reads_and_needs_the_right_to_write(self, acme_api, acme, api):
        assert problem(acme_api.post("/nexus/raw/presign-upload", {"key": "a", "method": "GET"}))[0] == 400
        reader = api(acme, scopes=["data:read"])
        for call in ("presign-upload", "register"):
            assert problem(reader.post(f"/nexus/raw/{call}", {"key": "a"})) == (403, "FORBIDDEN")
