"""Media by presigned requests: nothing is visible before it was verified, and what does not fit never is."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.test import Client

from media.sweeping import sweep_media
from routing.changes import RouteUpdate, update_route
from routing.models import Route
from tests.conftest import CAUSE
from tests.media.conftest import listed, object_files, rows
from tests.media.pictures import png

FORM_TYPE = "multipart/form-data; boundary=edge"


def presigned(api, **terms):
    answer = api.post("media/presign", {"session_id": "s_1", **terms}, headers={"X-User-Id": "ada"})
    assert answer.status_code == 200, answer.content
    return answer.json()


def send(asked, body):
    headers = dict(asked["headers"])
    return (
        Client().generic(asked["method"], asked["url"], body, content_type=headers.pop("Content-Type", "")).status_code
    )


def complete(api, asked, **told):
    return api.post(f"media/{asked['media_id']}/complete", told)


def test_an_upload_is_a_media_output_once_it_was_verified_and_again_answers_the_same(acme_api):
    data = png()
    asked = presigned(acme_api)
    assert complete(acme_api, asked).status_code == 404
    assert send(asked, data) == 200
    assert (listed(acme_api), acme_api.get(f"media/{asked['media_id']}").status_code) == ([], 404)
    digest = hashlib.sha256(data).hexdigest()
    first, again = (complete(acme_api, asked, sha256=digest, size=len(data)).json() for _ in range(2))
    assert first == again == acme_api.get(f"media/{asked['media_id']}").json()
    assert (first["checksum_sha256"], first["mime_type"], first["user_id"], first["width"]) == (
        digest,
        "image/png",
        "ada",
        64,
    )
    assert listed(acme_api, "session_id=s_1") == listed(acme_api, "user_id=ada") == [asked["media_id"]]
    assert complete(acme_api, asked, size=1).json()["error_code"] == "CHECKSUM_MISMATCH"


def test_a_form_may_upload_too(acme_api):
    asked = presigned(acme_api, method="POST", content_type="image/png")
    body = b'--edge\r\nContent-Disposition: form-data; name="Content-Type"\r\n\r\nimage/png\r\n'
    body += b'--edge\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' + png() + b"\r\n--edge--\r\n"
    assert Client().generic("POST", asked["url"], body, content_type=FORM_TYPE).status_code == 200
    assert complete(acme_api, asked).json()["declared_type"] in {"image/png", None}


@pytest.mark.parametrize(
    ("terms", "told", "status"),
    [
        ({"sha256": hashlib.sha256(b"announced").hexdigest()}, {}, 404),  # the ticket refuses the bytes already
        ({}, {"sha256": hashlib.sha256(b"announced").hexdigest()}, 422),
        ({}, {"size": 3}, 422),
        ({"max_bytes": 2}, {}, 404),
    ],
)
def test_what_does_not_fit_never_becomes_visible(acme_api, lab, terms, told, status):
    asked = presigned(acme_api, **terms)
    send(asked, b"something else")
    assert complete(acme_api, asked, **told).status_code == status
    assert (listed(acme_api), object_files(lab)) == ([], [])


def test_an_upload_is_completed_where_it_went_though_the_route_leads_elsewhere_now(acme, acme_api, lab):
    asked = presigned(acme_api)
    assert send(asked, b"before the switch") == 200
    route = Route.objects.get(tenant=acme, env="dev", resource_kind="object_store")
    update_route(route.pk, RouteUpdate(config={"base_dir": "elsewhere"}), CAUSE)
    assert complete(acme_api, asked).status_code == 200
    assert acme_api.get(f"media/{asked['media_id']}/content").getvalue() == b"before the switch"
    assert object_files(lab) == [f"dev/_/blobs/media/{asked['media_id']}"]


def test_an_upload_that_was_given_up_cannot_be_completed(acme_api):
    asked = presigned(acme_api)
    send(asked, b"never mind")
    assert acme_api.delete(f"media/{asked['media_id']}").status_code == 204
    assert complete(acme_api, asked).status_code == 404
    assert rows() == {}


def test_what_nobody_completes_is_swept_a_day_after_its_url_expired(acme_api):
    asked = presigned(acme_api, ttl_seconds=3600)
    assert next(iter(sweep_media(repair=True))).findings == ()
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=27), tick=True):
        findings = next(iter(sweep_media(repair=True))).findings
        assert [(one.found, one.media_id, one.repaired) for one in findings] == [
            ("abandoned upload", asked["media_id"], True)
        ]
        assert complete(acme_api, asked).status_code == 404
    assert rows() == {}
