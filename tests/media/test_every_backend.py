"""Media on every object backend, and over a switch from one to the next: what was stored stays where it is, and readable."""

import hashlib

import pytest

from media.sweeping import sweep_media
from tests.api.test_every_object_backend import lead, stranger
from tests.media.conftest import listed, object_files, rows, stored
from tests.media.pictures import png
from tests.object_places import OBJECT_BACKENDS, OBJECT_CLOUDS, SCHEMES, object_config

SIZE = 9 * 1024 * 1024 + 7


def read(api, media, **options):
    return api.get(f"media/{media['media_id']}/content", **options)


@pytest.mark.parametrize("backend", OBJECT_BACKENDS)
def test_media_live_on_every_backend(request, acme_api, globex_api, operator_api, backend):
    config = object_config(request, backend)
    for tenant in ("acme", "globex"):
        lead(operator_api, tenant, backend, config)
    data = (bytes(range(256)) * (SIZE // 256 + 1))[:SIZE]
    media = stored(acme_api, data, content_type="video/mp4")
    assert (media["size_bytes"], media["checksum_sha256"]) == (SIZE, hashlib.sha256(data).hexdigest())
    assert media["uri"].startswith(f"{SCHEMES[backend]}://")
    got = read(acme_api, media)
    assert (got["X-Northstar-Backend"], got.getvalue()) == (backend, data)
    assert read(acme_api, media, headers={"Range": "bytes=4194000-4195000"}).getvalue() == data[4194000:4195001]
    picture = stored(acme_api, png())
    assert acme_api.get(f"media/{picture['media_id']}/thumbnail").status_code == 200
    assert read(globex_api, media).status_code == 404

    asked = acme_api.post("media/presign", {"session_id": "s_1", "content_type": "image/png"}).json()
    assert stranger(asked, png(8, 8))[0] < 300
    assert listed(acme_api) == [media["media_id"], picture["media_id"]]
    done = acme_api.post(f"media/{asked['media_id']}/complete", {"size": len(png(8, 8))})
    assert (done.status_code, done.json()["width"]) == (200, 8), done.content
    assert read(acme_api, done.json()).getvalue() == png(8, 8)

    for media_id in listed(acme_api):
        assert acme_api.delete(f"media/{media_id}").status_code == 204
    assert (rows(), acme_api.get("storage/objects?prefix=media/").json()["items"]) == ({}, [])
    assert not [one for one in sweep_media(repair=False, objects=True) if one.findings or one.error]


@pytest.mark.parametrize("backend", OBJECT_CLOUDS)
def test_media_stay_readable_after_a_switch_from_the_filesystem(request, acme_api, operator_api, lab, backend):
    old = stored(acme_api, b"on disk")
    lead(operator_api, "acme", backend, object_config(request, backend))
    new = stored(acme_api, b"in the cloud")
    assert read(acme_api, old).getvalue() == b"on disk"
    assert read(acme_api, old)["X-Northstar-Backend"] == "filesystem"
    assert read(acme_api, new)["X-Northstar-Backend"] == backend
    assert listed(acme_api) == [old["media_id"], new["media_id"]]
    assert not [one for one in sweep_media(repair=False, objects=True) if one.findings or one.error]
    assert acme_api.delete(f"media/{old['media_id']}").status_code == 204
    assert object_files(lab) == []
