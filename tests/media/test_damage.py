"""What is not what was stored is never served as good: not whole, not in a range, not after the answer has begun."""

import http.client
import json
import os
from contextlib import closing

import pytest

from media.services import verify_media
from tests.media.conftest import ACME, object_files, rows, stored
from tests.media.pictures import png

PART = 4 * 1024 * 1024
SIZE = 3 * PART + 5
AT = [0, PART - 1, PART, SIZE - 1]


def damage(lab, media, at):
    """Change one bit as a bad disk does: nothing but the bytes tells."""
    path = lab / "object_store/acme/dev/_/blobs/media" / media["media_id"]
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def state(media):
    return {
        data["integrity"] for key, data in rows().items() if key.endswith(media["media_id"]) and "integrity" in data
    }


@pytest.fixture
def big(acme_api):
    return stored(acme_api, bytes(SIZE), headers={"X-User-Id": "ada"})


@pytest.mark.parametrize("at", AT)
def test_a_range_that_holds_a_damaged_byte_is_refused_and_others_are_served(acme_api, lab, big, at):
    damage(lab, big, at)
    path = f"media/{big['media_id']}/content"
    first = at // PART * PART
    refused = acme_api.get(path, headers={"Range": f"bytes={first}-{first}"})
    assert (refused.status_code, refused.json()["error_code"]) == (500, "CHECKSUM_MISMATCH")
    other = 0 if first else 2 * PART
    assert acme_api.get(path, headers={"Range": f"bytes={other}-{other}"}).getvalue() == b"\0"
    assert state(big) == {"damaged"}
    assert acme_api.get(f"media/{big['media_id']}").json()["integrity"] == "damaged"


@pytest.mark.server
def test_damage_is_told_before_the_answer_begins_or_breaks_it_off(server):
    status, _, body = server.request("POST", "/api/v1/media?session_id=s", bytes(SIZE))
    media = json.loads(body)
    assert status == 201
    path = f"/api/v1/media/{media['media_id']}/content"
    assert server.request("GET", path)[2] == bytes(SIZE)
    damage(server.home, media, SIZE - 1)
    with closing(server.connect()) as connection:
        connection.request("GET", path, headers={"Authorization": f"Bearer {server.tokens['acme']}"})
        answer = connection.getresponse()
        with pytest.raises(http.client.IncompleteRead) as cut:
            answer.read()
        answer.close()
    assert cut.value.partial == bytes(3 * PART)  # all that was proven, and not a byte more
    damage(server.home, media, 0)
    status, _, body = server.request("GET", path)
    assert (status, json.loads(body)["error_code"]) == (500, "CHECKSUM_MISMATCH")


@pytest.mark.parametrize("other", [None, b"jello", b"hell", b"hello!"])
def test_an_object_that_somebody_replaced_or_removed_is_no_media_output(acme_api, other):
    media = stored(acme_api, b"hello")
    path = f"storage/objects/media/{media['media_id']}"
    assert (acme_api.delete(path) if other is None else acme_api.put(path, other)).status_code in {200, 204}
    got = acme_api.get(f"media/{media['media_id']}/content")
    assert (got.status_code, got.json()["error_code"]) == (500, "CHECKSUM_MISMATCH")
    assert state(media) == {"missing" if other is None else "damaged"}


def test_verifying_notes_what_it_finds(acme_api, lab):
    media = stored(acme_api)
    assert verify_media(ACME, media["media_id"]).integrity == "intact"
    damage(lab, media, 0)
    assert verify_media(ACME, media["media_id"]).integrity == "damaged"
    damage(lab, media, 0)  # the same bit again
    again = verify_media(ACME, media["media_id"])
    assert again.integrity == "intact"
    assert again.verified_at > again.created_at


def test_no_thumbnail_is_made_of_damaged_bytes(acme_api, lab):
    media = stored(acme_api, png())
    damage(lab, media, 30)
    assert acme_api.get(f"media/{media['media_id']}/thumbnail").status_code == 500
    assert not [key for key in rows() if key.startswith("thumbnail:")]
    assert object_files(lab)
