"""The gallery: what an operator sees of media, without asking an object store for a list, and what they may do with it."""

import re
from html import unescape

import pytest

from media.services import store_media
from northstar.context import RequestContext
from routing.models import RouteChange
from routing.roles import OPERATOR, VIEWER
from tests.admin.conftest import member
from tests.conftest import filesystem_routes
from tests.media.conftest import rows
from tests.media.pictures import png

__all__ = ["member"]

PLACE = "tenant=acme&env=dev"


@pytest.fixture
def watcher(member):
    """A viewer's browser."""
    return member(VIEWER)


@pytest.fixture
def keeper(member):
    """An operator's browser."""
    return member(OPERATOR)


@pytest.fixture
def kept(acme, globex):
    """A picture of ada's in s_1, a film in s_10, and something of globex."""
    for tenant in (acme, globex):
        filesystem_routes(tenant)
    contexts = [RequestContext("acme", "dev", "lab", user_id=user) for user in ("ada", None)]
    return [
        store_media(contexts[0], [png()], session_id="s_1"),
        store_media(contexts[1], [b"<b>film</b>"], session_id="s_10", mime_type="video/mp4"),
        store_media(RequestContext("globex", "dev", "lab"), [b"theirs"], session_id="globex-only"),
    ]


def text(answer) -> str:
    return unescape(answer.content.decode())


def at(view="", **query) -> str:
    given = "".join(f"&{name}={value}" for name, value in query.items())
    return f"/admin/stores/media/{view and view + '/'}?{PLACE}{given}"


def test_it_lists_the_newest_first_by_session_and_by_user_without_an_object_store_call(watcher, kept, blob_calls):
    picture, film, theirs = kept
    page = text(watcher.get(at()))
    assert page.index(film.media_id) < page.index(picture.media_id)
    assert "globex-only" not in page
    assert theirs.media_id not in page
    for query in ({"session_id": "s_1"}, {"user_id": "ada"}, {"session_id": "s_1", "user_id": "ada"}):
        found = text(watcher.get(at(**query)))
        assert (picture.media_id in found, film.media_id in found) == (True, False)
    assert "64 \u00d7 48" in text(watcher.get(at("output", media_id=picture.media_id)))
    assert blob_calls == []


def test_pictures_and_downloads_come_from_here_and_cannot_act_as_a_page(watcher, kept):
    film = kept[1]
    page = text(watcher.get(at()))
    sources = re.findall(r'<img src="([^"]+)"', page)
    assert sources
    assert all(source.startswith("/admin/stores/media/thumbnail/") for source in sources)
    assert watcher.get(sources[0])["Content-Type"] == "image/webp"
    download = watcher.get(at("content", media_id=film.media_id))
    assert download.getvalue() == b"<b>film</b>"
    assert download["Content-Disposition"].startswith("attachment")
    assert download["Content-Security-Policy"] == "sandbox; default-src 'none'"
    broken = watcher.get(at("thumbnail", media_id=film.media_id))
    assert (broken.status_code, broken["Content-Type"]) == (200, "image/svg+xml")


def test_deleting_asks_first_takes_a_reason_and_stands_in_the_trail(keeper, kept):
    picture = kept[0]
    address = at("delete", media_id=picture.media_id)
    assert "Nobody can bring it back" in text(keeper.get(address))
    assert keeper.post(address, {"rationale": ""}).status_code == 200
    assert f"media:{picture.media_id}" in rows()
    assert keeper.post(address, {"rationale": "asked to"}).status_code == 302
    assert not [key for key in rows() if picture.media_id in key]
    row = RouteChange.objects.first()
    assert (row.action, row.rationale, row.tenant_id) == ("MEDIA_DELETED", "asked to", "acme")
    assert row.before["checksum_sha256"] == picture.checksum_sha256


def test_a_viewer_may_look_and_not_delete(watcher, kept):
    picture = kept[0]
    assert "Delete…" not in text(watcher.get(at()))
    for view in ("delete", "verify"):
        assert watcher.post(at(view, media_id=picture.media_id), {"rationale": "x"}).status_code == 403
    assert f"media:{picture.media_id}" in rows()


def test_verifying_tells_what_it_found(keeper, kept, lab):
    picture = kept[0]
    (lab / "object_store/acme/dev/_/blobs/media" / picture.media_id).unlink()
    assert keeper.post(at("verify", media_id=picture.media_id)).status_code == 302
    page = text(keeper.get(at("output", media_id=picture.media_id)))
    assert "The bytes are missing" in page
