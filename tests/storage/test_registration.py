"""Registering an upload while things go wrong around it: answers are lost, the sender sends again, the service goes away."""

import hashlib
from datetime import UTC, datetime

import pytest

from northstar.context import RequestContext
from northstar.errors import Conflict, NotFound, VersionConflict
from northstar.modes import LAB
from storage.backends.filesystem_config import FilesystemConfig
from storage.backends.local_files import LocalBlobs
from storage.blob_guard import GuardedBlobs
from storage.blobs import ABSENT, Area, Grant
from storage.errors import BackendUnavailable
from storage.guard import ServedBy
from storage.keys import Scope
from storage.kinds.object_store import ObjectStore
from storage.kinds.uploads import PLAIN_KEY_BYTES, Terms, new_upload_id, upload_key, uploads_prefix


class Troubled(GuardedBlobs):
    """Objects on which `before` and `after` are called around an operation of their name."""

    def __init__(self, driver):
        super().__init__(driver, scope=Scope("acme", "dev"), served_by=ServedBy(1, 1, "filesystem"))
        self.before = {}
        self.after = {}

    def get(self, key, wanted=None, **options):
        return self._around("get", super().get, key, wanted, **options)

    def copy(self, source, target, **options):
        return self._around("copy", super().copy, source, target, **options)

    def delete(self, key, **options):
        return self._around("delete", super().delete, key, **options)

    def _around(self, name, call, *args, **options):
        self.before.pop(name, bool)()
        result = call(*args, **options)
        self.after.pop(name, bool)()
        return result


def lost():
    raise BackendUnavailable("The answer was lost.")


@pytest.fixture
def blobs(lab) -> Troubled:
    return Troubled(LocalBlobs(FilesystemConfig(durability="none"), mode=LAB, epoch=1))


@pytest.fixture
def objects(blobs) -> ObjectStore:
    return ObjectStore(blobs, RequestContext("acme", "dev", LAB))


@pytest.fixture
def upload(blobs):
    """Put an upload where a presigned PUT would; with an id, send it again."""

    def send(data=b"sent", upload_id=None):
        upload_id = upload_id or new_upload_id("doc", Grant("PUT", 60), datetime.now(UTC))
        blobs.put(upload_key("doc", upload_id), [data], content_type="text/plain", area=Area.UPLOADS)
        return upload_id

    return send


def waiting(blobs):
    return len(blobs.list(area=Area.UPLOADS).blobs)


def read(objects):
    return b"".join(objects.get("doc").chunks)


@pytest.mark.parametrize("expected", ["absent", "version"])
def test_a_publication_whose_answer_was_lost_is_found_again_under_any_condition(objects, blobs, upload, expected):
    expect = objects.put("doc", [b"before"]).etag if expected == "version" else ABSENT
    upload_id = upload()
    blobs.after["copy"] = lost
    with pytest.raises(BackendUnavailable):
        objects.register("doc", upload_id=upload_id, expect=expect)
    assert waiting(blobs) == 1
    info = objects.register("doc", upload_id=upload_id, expect=expect)
    assert (info, read(objects), waiting(blobs)) == (objects.head("doc"), b"sent", 0)


def test_a_condition_that_another_object_breaks_is_told_as_such_and_the_upload_waits(objects, blobs, upload):
    upload_id = upload()
    objects.put("doc", [b"another's"])
    with pytest.raises(VersionConflict):
        objects.register("doc", upload_id=upload_id, expect="other")
    assert (read(objects), waiting(blobs)) == (b"another's", 1)


@pytest.mark.parametrize("moment", ["get", "copy"])
def test_bytes_that_come_while_others_are_verified_are_not_published_unseen(objects, blobs, upload, moment):
    upload_id = upload(b"verified")
    blobs._driver = Unhashed(blobs._driver)
    blobs.before[moment] = lambda: upload(b"sent anew", upload_id)
    with pytest.raises(Conflict, match="anew"):
        objects.register("doc", upload_id=upload_id)
    assert (objects.head("doc"), waiting(blobs)) == (None, 1)
    assert objects.register("doc", upload_id=upload_id).sha256 == hashlib.sha256(b"sent anew").hexdigest()


class Unhashed:
    """A driver of a service that verifies no SHA-256 by itself: uploads are read through."""

    def __init__(self, driver):
        self._driver = driver

    def __getattr__(self, name):
        return getattr(self._driver, name)

    def head(self, ref):
        info = self._driver.head(ref)
        if info is not None and ref.area is Area.UPLOADS:
            object.__setattr__(info, "sha256", None)
        return info


def test_an_upload_that_cannot_be_removed_is_left_to_the_sweep(objects, blobs, upload):
    upload_id = upload()
    blobs.before["delete"] = lost
    assert objects.register("doc", upload_id=upload_id) == objects.head("doc")
    assert waiting(blobs) == 1


def test_an_upload_sent_again_after_registration_waits_for_its_own(objects, blobs, upload):
    upload_id = upload(b"first")
    blobs.before["delete"] = lambda: upload(b"second", upload_id)
    assert objects.register("doc", upload_id=upload_id).sha256 == hashlib.sha256(b"first").hexdigest()
    assert waiting(blobs) == 1
    assert objects.register("doc", upload_id=upload_id).sha256 == hashlib.sha256(b"second").hexdigest()


def test_the_mark_of_an_upload_does_not_follow_a_copy_to_another_key(objects, upload):
    upload_id = upload()
    objects.register("doc", upload_id=upload_id, metadata={"n": "1"})
    copied = objects.copy("doc", "copy")
    moved = objects.move("doc", "moved")
    assert [dict(info.metadata) for info in (copied, moved, objects.head("copy"))] == [{"n": "1"}] * 3
    assert dict(objects.get("moved").info.metadata) == {"n": "1"}
    for key in ("doc", "copy", "moved"):
        with pytest.raises(NotFound):
            objects.register(key, upload_id=upload_id)


def test_no_two_keys_share_the_place_of_their_uploads():
    long = "x" * (PLAIN_KEY_BYTES + 1)
    twin = hashlib.sha256(long.encode()).hexdigest()
    assert len({uploads_prefix(key) for key in (long, twin, "a", "a/b", "d/" * 239 + "e")}) == 5


def test_terms_come_back_from_an_id_as_they_were_given():
    now = datetime.now(UTC).replace(microsecond=0)
    grant = Grant("PUT", 60, "text/plain", 0, "ab" * 32)
    terms = Terms.of(new_upload_id("doc", grant, now))
    assert (terms.max_bytes, terms.sha256, (terms.expires_at - now).total_seconds()) == (0, "ab" * 32, 60)
    assert (terms.allow_type("text/plain"), terms.allow_type("text/html")) == (True, False)
    open_terms = Terms.of(new_upload_id("doc", Grant("PUT", 60), now))
    assert (open_terms.max_bytes, open_terms.sha256, open_terms.allow_type("any/thing")) == (None, None, True)
