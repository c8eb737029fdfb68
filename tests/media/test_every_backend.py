"""Media on every object backend, and over a switch from one to the next: what was stored stays where it is, and readable."""

import hashlib

import pytest

from media.services import store_media, sweep_media
from routing.changes import RouteUpdate, update_route
from routing.models import Route
from routing.resolve import resolve
from storage.opening import build_adapter
from tests.api.test_every_backend import CONFIGS
from tests.api.test_every_object_backend import lead, stranger
from tests.conftest import CAUSE
from tests.media.conftest import ACME, listed, object_files, rows, stored
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


@pytest.mark.parametrize("backend", [name for name in CONFIGS if name != "filesystem"])
def test_rows_of_media_live_on_every_document_backend(request, acme_api, acme, backend):
    route = Route.objects.get(tenant=acme, env="dev", resource_kind="tabular_store")
    update_route(route.pk, RouteUpdate(backend_type=backend, config=CONFIGS[backend](request)), CAUSE)
    adapter = build_adapter(resolve("tabular_store", ACME), ACME.mode)
    adapter.driver.prepare()
    user = {"X-User-Id": "ada"}
    film = stored(acme_api, bytes(SIZE), content_type="video/mp4", headers=user)
    pictures = [store_media(ACME, [png()], session_id="s_10", operation_id=name) for name in ("op-1", "op-2", "op-1")]
    ids = [film["media_id"], pictures[0].media_id, pictures[1].media_id]
    assert pictures[2].media_id == ids[1]
    assert acme_api.get(f"media/{ids[0]}").json() == film
    assert listed(acme_api, "limit=2") == listed(acme_api, "user_id=ada&limit=1") == ids
    assert listed(acme_api, "session_id=s_10&order=newest&limit=1") == [ids[2], ids[1]]
    assert read(acme_api, film, headers={"Range": "bytes=9000000-9000001"}).getvalue() == bytes(2)
    assert acme_api.get(f"media/{ids[1]}/thumbnail").status_code == 200
    asked = acme_api.post("media/presign", {"session_id": "s_1"}, headers=user).json()
    assert stranger(asked, b"from outside")[0] == 200
    assert [acme_api.post(f"media/{asked['media_id']}/complete", {}).status_code for _ in range(2)] == [200, 200]
    for media_id in listed(acme_api):
        assert acme_api.delete(f"media/{media_id}").status_code == 204
    assert [key for key in rows() if not key.startswith("operation:")] == []
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
