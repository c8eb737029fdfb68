"""Media outputs through the API: what is stored, what is told of it, how its bytes leave, and how it goes."""

import hashlib
from base64 import b64encode

import pytest

from northstar.context import RequestContext
from storage.opening import open_store
from tests.media.conftest import listed, object_files, rows, stored
from tests.media.pictures import png

GLOBEX = RequestContext("globex", "dev", "lab")

FORM = (
    b'--edge\r\nContent-Disposition: form-data; name="session_id"\r\n\r\ns_form\r\n'
    b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
)


def content(api, media, **options):
    return api.get(f"media/{media['media_id']}/content", **options)


class TestStoring:
    def test_what_is_stored_is_told_with_its_checksum_size_and_types(self, acme_api):
        data = png()
        answer = acme_api.post("media?session_id=s_1", data, content_type="image/png", headers={"X-User-Id": "ada"})
        told = answer.json()
        assert answer.status_code == 201
        assert answer["Location"] == f"/api/v1/media/{told['media_id']}"
        assert told["checksum_sha256"] == hashlib.sha256(data).hexdigest()
        assert (told["size_bytes"], told["session_id"], told["user_id"]) == (len(data), "s_1", "ada")
        assert (told["mime_type"], told["declared_type"], told["sniffed_type"]) == ("image/png",) * 3
        assert (told["width"], told["height"], told["integrity"]) == (64, 48, "intact")
        assert told["object_ref"].startswith("filesystem:")
        assert told["object_ref"].endswith(f"/media/{told['media_id']}")
        assert acme_api.get(f"media/{told['media_id']}").json() == told

    def test_the_object_and_the_rows_stand_where_the_design_has_them(self, acme_api, lab):
        media = stored(acme_api, headers={"X-User-Id": "ada"})
        assert object_files(lab) == [f"dev/_/blobs/media/{media['media_id']}"]
        assert sorted(rows()) == sorted(
            [f"media:{media['media_id']}", f"session:s_1:{media['media_id']}", f"user:ada:{media['media_id']}"]
        )

    def test_a_type_that_nobody_declared_is_the_one_that_the_bytes_show(self, acme_api):
        told = stored(acme_api, png(), content_type="application/x-www-form-urlencoded")
        assert (told["mime_type"], told["declared_type"]) == ("image/png", None)

    def test_a_form_is_stored_as_its_file(self, acme_api):
        data = png()
        body = FORM + data + b"\r\n--edge--\r\n"
        answer = acme_api.post("media", body, content_type="multipart/form-data; boundary=edge")
        told = answer.json()
        assert (answer.status_code, told["session_id"], told["mime_type"]) == (201, "s_form", "image/png")
        assert content(acme_api, told).getvalue() == data

    @pytest.mark.parametrize(
        ("query", "headers", "status"),
        [
            ("", {}, 400),
            ("?session_id=", {}, 400),
            ("?session_id=" + "x" * 251, {}, 400),
            ("?session_id=a%0Ab", {}, 400),
            ("?session_id=s", {"X-Checksum-Sha256": "0" * 64}, 422),
            ("?session_id=s", {"Content-Digest": f"sha-256=:{b64encode(bytes(32)).decode()}:"}, 422),
            ("?session_id=s&other=1", {}, 400),
        ],
    )
    def test_what_is_refused_leaves_nothing(self, acme_api, lab, query, headers, status):
        answer = acme_api.post(f"media{query}", b"hello", headers=headers)
        assert answer.status_code == status, answer.content
        assert (rows(), object_files(lab)) == ({}, [])

    def test_the_same_idempotency_key_stores_once(self, acme_api):
        first, again = (
            acme_api.post("media?session_id=s", b"once", headers={"Idempotency-Key": "k-1"}) for _ in range(2)
        )
        assert first.json() == again.json()
        assert again["Idempotent-Replayed"] == "true"
        assert listed(acme_api) == [first.json()["media_id"]]


class TestContent:
    def test_bytes_leave_as_a_download_that_cannot_act_as_a_page(self, acme_api):
        media = stored(acme_api, b"<script>alert(1)</script>", content_type="text/html")
        got = content(acme_api, media)
        assert got.getvalue() == b"<script>alert(1)</script>"
        assert got["X-Content-Type-Options"] == "nosniff"
        assert got["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert got["Content-Disposition"] == f'attachment; filename="{media["media_id"]}.html"'

    @pytest.mark.parametrize(
        ("data", "declared", "shown"),
        [
            (png(), "image/png", True),
            (b"plain", "text/plain", True),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml", False),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/mine+xml; a=b", False),
            (b"<html><script>1</script></html>", "image/png", False),
            (b"%PDF-1.7", "application/pdf", False),
        ],
    )
    def test_only_what_is_harmless_and_what_it_says_is_shown_in_place(self, acme_api, data, declared, shown):
        got = content(acme_api, stored(acme_api, data, content_type=declared))
        assert got["Content-Disposition"].startswith("inline" if shown else "attachment")

    def test_ranges_conditions_and_heads_follow_http(self, acme_api):
        data = bytes(range(256)) * 40_000  # three parts
        media = stored(acme_api, data, content_type="video/mp4")
        etag = f'"{media["checksum_sha256"]}"'
        for first, last in ((0, 0), (4_194_303, 4_194_304), (5_000_000, 9_999_999), (10_239_999, 10_239_999)):
            part = content(acme_api, media, headers={"Range": f"bytes={first}-{last}"})
            assert (part.status_code, part.getvalue()) == (206, data[first : last + 1])
            assert part["Content-Range"] == f"bytes {first}-{last}/{len(data)}"
        assert content(acme_api, media, headers={"Range": "bytes=-5"}).getvalue() == data[-5:]
        assert content(acme_api, media, headers={"Range": "bytes=99999999-"}).status_code == 416
        assert content(acme_api, media, headers={"Range": "bytes=0-1", "If-Range": '"other"'}).getvalue() == data
        assert content(acme_api, media, headers={"If-None-Match": etag}).status_code == 304
        head = acme_api.head(f"media/{media['media_id']}/content")
        assert (head["Content-Length"], head["ETag"], head.content) == (str(len(data)), etag, b"")

    def test_nothing_is_a_media_output_too(self, acme_api):
        assert content(acme_api, stored(acme_api, b"")).getvalue() == b""


class TestDeleting:
    def test_a_deleted_media_output_is_gone_bytes_and_rows(self, acme_api, lab):
        media = stored(acme_api, png(), headers={"X-User-Id": "ada"})
        acme_api.get(f"media/{media['media_id']}/thumbnail")
        assert [acme_api.delete(f"media/{media['media_id']}").status_code for _ in range(2)] == [204, 204]
        assert (rows(), object_files(lab), listed(acme_api)) == ({}, [], [])
        for view in ("", "/content", "/thumbnail"):
            assert acme_api.get(f"media/{media['media_id']}{view}").status_code == 404


class TestIsolation:
    def test_another_tenant_environment_project_and_surface_see_nothing(self, acme_api, globex_api, api, acme):
        media = stored(acme_api)
        others = [globex_api, api(acme, **{"X-Project-Id": "p"}), api(acme, **{"X-Surface-Id": "web"})]
        for other in others:
            assert listed(other) == []
            assert other.get(f"media/{media['media_id']}").status_code == 404
            assert content(other, media).status_code == 404
            assert other.delete(f"media/{media['media_id']}").status_code == 204
        assert content(acme_api, media).getvalue() == b"hello"

    def test_a_row_that_a_tenant_forges_opens_nothing_of_anybody_else(self, acme_api, globex_api):
        mine, theirs = stored(globex_api, b"globex"), stored(acme_api, b"acme only")
        key, tables = f"media:{mine['media_id']}", open_store("tabular_store", GLOBEX)
        row = tables.get("media_outputs", key).data
        elsewhere = theirs["object_ref"].replace(theirs["media_id"], mine["media_id"])
        for reference in (theirs["object_ref"], elsewhere, "x"):
            tables.upsert("media_outputs", key, {**row, "object_ref": reference})
            assert b"acme only" not in content(globex_api, mine).getvalue()
        for wrong in ({"mime_type": 7}, {"size_bytes": -1}):
            tables.upsert("media_outputs", key, {**row, **wrong})
            assert globex_api.get(f"media/{mine['media_id']}").status_code == 404
