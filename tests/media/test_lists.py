"""Lists of media: one scan of rows, never an object, each session and user its own, and pages that nothing disturbs."""

from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from uuid_utils.compat import uuid7

from media.records import Media, keys_of, object_ref
from media.rows import MediaRows
from storage.documents import Put
from storage.guard import ServedBy
from storage.kinds.tabular_store import DeleteRecord
from storage.opening import open_store
from tests.media.conftest import ACME, listed, stored

MANY = 1000


def build(count, *, session="s_1", user="ada"):
    """Write the rows of so many media, as storing them would have, without their objects."""
    tables = open_store("tabular_store", ACME)
    now = datetime.now(UTC)
    ids = [str(uuid7()) for _ in range(count)]
    puts = []
    for media_id in ids:
        media = Media(
            media_id=media_id,
            tenant_id="acme",
            session_id=session,
            user_id=user,
            object_ref=object_ref(ServedBy(1, 1, "filesystem", "0" * 16), media_id),
            uri="file:///x",
            mime_type="image/png",
            declared_type=None,
            sniffed_type="image/png",
            size_bytes=1,
            checksum_sha256="0" * 64,
            created_at=now,
            updated_at=now,
            width=None,
            height=None,
            integrity="intact",
            verified_at=now,
        )
        puts += [Put(key, media.model_dump()) for key in keys_of(media)]
    for first in range(0, len(puts), 48):
        tables.write("media_outputs", puts[first : first + 48])
    return ids


def test_a_list_of_1000_and_what_is_told_of_one_make_no_object_store_call(acme_api, blob_calls):
    ids = build(MANY)
    for query in ("session_id=s_1&limit=1000", "user_id=ada&limit=1000", "limit=1000"):
        assert listed(acme_api, query) == ids
    assert listed(acme_api, "session_id=s_1&order=newest&limit=300") == ids[::-1]
    assert acme_api.get(f"media/{ids[0]}").status_code == 200
    assert acme_api.head(f"media/{ids[0]}/content").status_code == 200
    assert blob_calls == []


@pytest.mark.parametrize("order", ["oldest", "newest"])
def test_pages_stay_as_they_are_while_media_come_and_go(acme_api, order):
    ids = build(9)
    asked = ids if order == "oldest" else ids[::-1]
    query = f"media?session_id=s_1&order={order}&limit=3"
    first = acme_api.get(query).json()
    build(1, session="s_10")
    rows = MediaRows.of(ACME)
    for media_id in (asked[2], asked[4]):  # one before the cursor, which stands on it, and one behind
        row = rows.row(media_id)
        open_store("tabular_store", ACME).batch("media_outputs", [DeleteRecord(key) for key in keys_of(row.media)])
    late = build(2)
    seen, cursor = [item["media_id"] for item in first["items"]], first["next_cursor"]
    while cursor:
        page = acme_api.get(f"{query}&cursor={cursor}").json()
        seen, cursor = seen + [item["media_id"] for item in page["items"]], page["next_cursor"]
    added = late if order == "oldest" else []
    assert seen == [*asked[:4], *asked[5:], *added]


def test_sessions_and_users_whose_names_begin_alike_never_mix(acme_api):
    names = ["s_1", "s_10", "s_1:", "s", "S_1", "s_1%3a", "s_1/x", "s_1#", "%"]
    made = {name: stored(acme_api, session=quote(name, safe=""))["media_id"] for name in names}
    for name, media_id in made.items():
        assert listed(acme_api, f"session_id={quote(name, safe='')}") == [media_id], name
    users = {
        name: stored(acme_api, session="u", headers={"X-User-Id": name})["media_id"] for name in ("u1", "u10", "U1")
    }
    for name, media_id in users.items():
        assert listed(acme_api, f"user_id={name}") == [media_id], name
        assert listed(acme_api, f"user_id={name}&session_id=u") == [media_id], name
        assert listed(acme_api, f"user_id={name}&session_id=s_1") == []


def test_a_cursor_of_another_list_is_refused(acme_api):
    build(3)
    cursor = acme_api.get("media?session_id=s_1&limit=1").json()["next_cursor"]
    for query in ("session_id=s_10", "user_id=ada", "", "session_id=s_1&order=newest"):
        answer = acme_api.get(f"media?{query}&cursor={cursor}")
        assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_CURSOR")
