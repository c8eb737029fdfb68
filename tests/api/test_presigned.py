"""Presigned requests over HTTP: who may ask for one, what it may do without a key, and what registering answers."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.test import Client

from routing.admission import RouteDraft
from routing.changes import put_route
from routing.models import IdempotencyRecord, Route
from storage.blobs import Grant
from storage.kinds.uploads import new_upload_id
from tests.conftest import CAUSE

PRESIGN = "storage/objects/presign"
REGISTER = "storage/objects/register"


def ask(api, key="docs/a.txt", method="PUT", **terms):
    answer = api.post(PRESIGN, {"key": key, "method": method, **terms})
    assert answer.status_code == 200, answer.content
    return answer.json()


def use(asked, body=b"", *, method="", **headers):
    """Send a presigned request as a stranger: no key, nothing but what was given."""
    sent = {**asked["headers"], **headers}
    content_type = sent.pop("Content-Type", "")
    return Client(raise_request_exception=False).generic(
        method or asked["method"], asked["url"], body, content_type=content_type, headers=sent
    )


def form(asked, file=b"bytes", *, fields=None, file_type="", end="--"):
    parts = [
        f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in (asked["fields"] if fields is None else fields).items()
    ]
    typed = f"Content-Type: {file_type}\r\n" if file_type else ""
    head = f'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n{typed}\r\n'
    body = "".join([*parts, head]).encode() + file + f"\r\n--edge{end}\r\n".encode()
    return Client(raise_request_exception=False).generic(
        "POST", asked["url"], body, content_type="multipart/form-data; boundary=edge"
    )


def code(answer):
    return answer.status_code, json.loads(answer.content)["error_code"]


class TestAsking:
    def test_an_upload_is_asked_for_sent_registered_and_read(self, acme_api):
        asked = ask(acme_api, content_type="text/plain", max_bytes=100)
        assert (asked["key"], asked["method"], asked["headers"]) == (
            "docs/a.txt",
            "PUT",
            {"Content-Type": "text/plain"},
        )
        assert asked["url"].startswith("http://testserver/api/v1/storage/presigned/")
        sent = use(asked, b"hello")
        digest = hashlib.sha256(b"hello").hexdigest()
        assert (sent.status_code, sent.json()["upload_id"], sent.json()["sha256"]) == (200, asked["upload_id"], digest)
        body = {"key": "docs/a.txt", "upload_id": asked["upload_id"], "sha256": digest, "metadata": {"By": "Zo\u00eb"}}
        stored = acme_api.post(REGISTER, body)
        assert (stored.status_code, stored.json()["sha256"], stored.json()["size"]) == (200, digest, 5)
        assert (stored.json()["metadata"], stored.json()["content_type"]) == ({"by": "Zo\u00eb"}, "text/plain")
        assert stored["ETag"] == acme_api.head("storage/objects/docs/a.txt")["ETag"]
        assert acme_api.get("storage/objects/docs/a.txt").getvalue() == b"hello"

    def test_a_read_is_asked_for_and_answers_like_the_object_itself(self, acme_api):
        acme_api.put("storage/objects/page.html", b"<b>0123456789</b>", content_type="text/html")
        asked = ask(acme_api, "page.html", "GET", ttl_seconds=60)
        assert (asked["upload_id"], asked["fields"], asked["headers"]) == (None, {}, {})
        got = use(asked)
        assert (got.status_code, got.getvalue(), got["Content-Type"]) == (200, b"<b>0123456789</b>", "text/html")
        assert got["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert (got["X-Content-Type-Options"], got["X-Northstar-Backend"]) == ("nosniff", "filesystem")
        assert got["Content-Disposition"].startswith("attachment")
        part = use(asked, Range="bytes=3-5")
        assert (part.status_code, part.getvalue()) == (206, b"012")
        assert use(asked, **{"If-None-Match": got["ETag"]}).status_code == 304

    def test_reading_needs_data_read_and_uploading_data_write(self, acme_api, acme, api):
        reader, writer = api(acme, scopes=["data:read"]), api(acme, scopes=["data:write"])
        assert reader.post(PRESIGN, {"key": "a", "method": "GET"}).status_code == 200
        assert writer.post(PRESIGN, {"key": "a", "method": "POST"}).status_code == 200
        assert code(reader.post(PRESIGN, {"key": "a", "method": "PUT"})) == (403, "FORBIDDEN")
        assert code(writer.post(PRESIGN, {"key": "a", "method": "GET"})) == (403, "FORBIDDEN")
        assert code(reader.post(REGISTER, {"key": "a"})) == (403, "FORBIDDEN")

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"key": "a", "method": "DELETE"},
            {"key": "a", "ttl_seconds": 0},
            {"key": "a", "ttl_seconds": 604801},
            {"key": "a", "ttl_seconds": "60"},
            {"key": "a", "max_bytes": -1},
            {"key": "a", "sha256": "abc"},
            {"key": "a", "content_type": "nothing"},
            {"key": "a", "method": "GET", "max_bytes": 1},
            {"key": "a", "unknown": 1},
        ],
    )
    def test_what_makes_no_sense_is_refused(self, acme_api, body):
        assert code(acme_api.post(PRESIGN, body)) == (400, "INVALID_REQUEST")

    def test_a_bad_key_is_refused_by_both(self, acme_api):
        for path in (PRESIGN, REGISTER):
            assert code(acme_api.post(path, {"key": "../../globex/x"})) == (400, "INVALID_KEY")

    def test_no_url_is_kept_to_be_answered_again(self, acme_api):
        first, again = (acme_api.post(PRESIGN, {"key": "a"}, headers={"Idempotency-Key": "once"}) for _ in range(2))
        assert (again.status_code, first.json()["url"] == again.json()["url"]) == (200, False)
        assert not IdempotencyRecord.objects.exists()

    def test_registering_under_an_idempotency_key_has_one_answer(self, acme_api):
        use(ask(acme_api, "a"), b"1")
        registered = [acme_api.post(REGISTER, {"key": "a"}, headers={"Idempotency-Key": "two"}) for _ in range(2)]
        assert [answer.status_code for answer in registered] == [200, 200]
        assert registered[0].json() == registered[1].json()

    def test_objects_may_be_called_presign_and_register(self, acme_api):
        for word in ("presign", "register"):
            assert acme_api.put(f"storage/objects/{word}", word.encode()).status_code == 200
            assert acme_api.get(f"storage/objects/{word}").getvalue() == word.encode()
            assert acme_api.head(f"storage/objects/{word}")["Content-Length"] == str(len(word))
            assert acme_api.delete(f"storage/objects/{word}").status_code == 204


class TestRegistering:
    def test_conditions_hold_as_on_a_put(self, acme_api):
        first = acme_api.put("storage/objects/a", b"1")
        use(ask(acme_api, "a"), b"2")
        for headers in ({"If-None-Match": "*"}, {"If-Match": '"other"'}):
            assert code(acme_api.post(REGISTER, {"key": "a"}, headers=headers)) == (412, "VERSION_CONFLICT")
        assert acme_api.post(REGISTER, {"key": "a"}, headers={"If-Match": first["ETag"]}).status_code == 200
        assert acme_api.get("storage/objects/a").getvalue() == b"2"

    @pytest.mark.parametrize(
        ("claim", "refusal"),
        [
            ({"size": 4}, (422, "CHECKSUM_MISMATCH")),
            ({"sha256": "0" * 64}, (422, "CHECKSUM_MISMATCH")),
            ({"content_type": "text/html"}, (400, "INVALID_REQUEST")),
        ],
    )
    def test_an_upload_that_is_not_as_claimed_is_refused_for_good(self, acme_api, claim, refusal):
        asked = ask(acme_api, content_type="text/plain")
        use(asked, b"hello")
        body = {"key": "docs/a.txt", "upload_id": asked["upload_id"]}
        assert code(acme_api.post(REGISTER, {**body, **claim})) == refusal
        assert code(acme_api.post(REGISTER, body)) == (404, "NOT_FOUND")
        assert acme_api.head("storage/objects/docs/a.txt").status_code == 404

    def test_registering_twice_answers_the_same(self, acme_api):
        asked = ask(acme_api)
        use(asked, b"hello")
        body = {"key": "docs/a.txt", "upload_id": asked["upload_id"]}
        answers = [acme_api.post(REGISTER, body) for _ in range(2)]
        assert answers[0].json() == answers[1].json()
        assert answers[0].status_code == 200

    def test_globex_cannot_register_what_acme_uploaded(self, acme_api, globex_api):
        asked = ask(acme_api)
        use(asked, b"acme's")
        body = {"key": "docs/a.txt", "upload_id": asked["upload_id"]}
        assert code(globex_api.post(REGISTER, body)) == (404, "NOT_FOUND")
        assert acme_api.post(REGISTER, body).status_code == 200

    def test_an_id_that_nobody_was_given_is_not_found(self, acme_api):
        upload_id = new_upload_id("a", Grant("PUT", 60), datetime.now(UTC))
        assert code(acme_api.post(REGISTER, {"key": "a", "upload_id": upload_id})) == (404, "NOT_FOUND")


class TestOurOwnServing:
    def test_a_body_over_its_size_is_refused_while_it_comes(self, acme_api):
        asked = ask(acme_api, max_bytes=5)
        assert code(use(asked, b"123456")) == (413, "TOO_LARGE")
        assert code(form(ask(acme_api, method="POST", max_bytes=5), b"123456")) == (413, "TOO_LARGE")
        assert use(asked, b"12345").status_code == 200

    def test_another_type_or_checksum_is_refused(self, acme_api):
        asked = ask(acme_api, content_type="text/plain", sha256=hashlib.sha256(b"right").hexdigest())
        assert code(use({**asked, "headers": {}}, b"right")) == (400, "INVALID_REQUEST")
        assert code(use(asked, b"right", **{"Content-Type": "text/html"})) == (400, "INVALID_REQUEST")
        assert code(use(asked, b"wrong")) == (422, "CHECKSUM_MISMATCH")
        assert use(asked, b"right").status_code == 200

    @pytest.mark.parametrize("method", ["HEAD", "PUT", "POST", "DELETE", "PATCH"])
    def test_a_read_is_for_get_alone(self, acme_api, method):
        acme_api.put("storage/objects/docs/a.txt", b"kept")
        answer = use(ask(acme_api, method="GET"), b"", method=method)
        assert answer.status_code in {403, 405}
        assert acme_api.get("storage/objects/docs/a.txt").getvalue() == b"kept"

    def test_an_expired_url_is_refused(self, acme_api):
        asked = ask(acme_api, ttl_seconds=60)
        with time_machine.travel(datetime.now(UTC) + timedelta(seconds=61), tick=True):
            assert code(use(asked, b"late")) == (403, "FORBIDDEN")

    def test_a_url_ends_with_its_route_as_it_was(self, acme_api, acme, lab):
        read, upload = ask(acme_api, method="GET"), ask(acme_api)
        draft = RouteDraft(
            resource_kind="object_store",
            tenant_id="acme",
            backend_type="filesystem",
            config={"base_dir": str(lab / "b")},
        )
        put_route(draft, CAUSE)
        assert [code(use(asked, b"")) for asked in (read, upload)] == [(403, "FORBIDDEN")] * 2
        again = ask(acme_api)
        Route.objects.filter(resource_kind="object_store").update(enabled=False)
        acme_api.post("routing/routes", {"resource_kind": "tabular_store", "backend_type": "filesystem", "tier": "x"})
        assert code(use(again, b"")) == (500, "NO_ROUTE_CONFIGURED")

    def test_a_key_in_the_request_changes_nothing(self, acme_api, globex_api):
        globex_api.put("storage/objects/a", b"globex")
        acme_api.put("storage/objects/a", b"acme")
        asked = ask(acme_api, "a", "GET")
        assert globex_api.get(asked["url"].removeprefix("http://testserver")).getvalue() == b"acme"

    def test_what_we_sign_elsewhere_is_no_ticket(self, acme_api):
        acme_api.put("storage/objects/a", b"1")
        acme_api.put("storage/objects/b", b"2")
        cursor = acme_api.get("storage/objects?limit=1").json()["next_cursor"]
        assert Client().get(f"/api/v1/storage/presigned/{cursor}").status_code == 403


class TestForms:
    def test_a_browsers_form_is_taken_with_its_fields_first(self, acme_api):
        asked = ask(acme_api, method="POST", content_type="text/plain")
        assert asked["fields"] == {"Content-Type": "text/plain"}
        assert form(asked, b"a\r\n--edg\r\n\r\n").status_code == 200
        stored = acme_api.post(REGISTER, {"key": "docs/a.txt", "upload_id": asked["upload_id"]})
        assert stored.json()["content_type"] == "text/plain"
        assert acme_api.get("storage/objects/docs/a.txt").getvalue() == b"a\r\n--edg\r\n\r\n"

    def test_the_files_own_type_counts_where_no_field_names_one(self, acme_api):
        asked = ask(acme_api, method="POST", content_type="image/png")
        assert form(asked, fields={}, file_type="image/png").status_code == 200
        assert form(asked, fields={}, file_type="image/gif").status_code == 400
        assert form(asked, fields={"Content-Type": "text/html"}, file_type="image/png").status_code == 400

    @pytest.mark.parametrize("end", ["", "-", "-\r\n"])
    def test_what_follows_the_file_is_not_looked_at(self, acme_api, end):
        assert form(ask(acme_api, method="POST"), end=end).status_code == 200
