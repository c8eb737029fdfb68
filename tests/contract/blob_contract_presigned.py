"""What presigned requests may do and may not: each is really sent over HTTP, as a stranger would.

A backend's test module gives `open_blobs`, as for the other suites, and nothing else. Only for a backend whose requests
Northstar serves itself it also gives `served_at`, the address where it does (conftest.py says that there is none).
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from northstar.context import RequestContext
from northstar.errors import InvalidRequest, NotFound
from northstar.modes import LAB
from storage.blobs import Area
from storage.errors import ChecksumMismatch, InvalidKey, InvalidValue, ValueTooLarge
from storage.kinds.object_store import ObjectStore
from storage.kinds.uploads import LONGEST_SECONDS
from tests.contract.blob_contract import BAD_KEYS, ODD_KEYS, OpenBlobs
from tests.contract.presigned_http import moved, send, tampered, unsigned, use

OpenObjects = Callable[..., ObjectStore]
MIB = 1024 * 1024


def put(objects, key, data=b"data", **options):
    return objects.put(key, [data], content_type=options.pop("content_type", "text/plain"), **options)


def read(objects, key):
    blob = objects.get(key)
    return None if blob is None else b"".join(blob.chunks)


def uploads_of(blobs):
    return [entry.key for entry in blobs.list(area=Area.UPLOADS).blobs]


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def needs_forms(blobs):
    if blobs.limits.presign and not blobs.limits.presign_post:
        pytest.skip("capability: the service takes no uploads by form")


class PresignedFixtures:
    """Acme's objects, and requests signed for them."""

    @pytest.fixture
    def open_objects(self, open_blobs: OpenBlobs, served_at: str) -> OpenObjects:
        if not (served_at or open_blobs().limits.presign):
            pytest.skip(
                "capability: the service takes no presigned requests, and no server of Northstar's serves them here"
            )

        def open_them(tenant="acme", env="dev", project=None, surface="_") -> ObjectStore:
            context = RequestContext(tenant, env, LAB, project_id=project, surface_id=surface)
            return ObjectStore(open_blobs(tenant, env, project, surface), context)

        return open_them

    @pytest.fixture
    def objects(self, open_objects: OpenObjects) -> ObjectStore:
        return open_objects()

    @pytest.fixture
    def blobs(self, open_blobs: OpenBlobs, open_objects):
        return open_blobs()

    @pytest.fixture
    def presign(self, objects, served_at):
        """Sign a request of acme's, or of the objects given."""

        def signed(key, method, *, by=objects, **terms):
            return by.presign(key, method, served_at=served_at, **terms)

        return signed


class BlobPresignedContract(PresignedFixtures):
    # each request does what it is for -------------------------------------------------------------------------------------

    @pytest.mark.line(113)
    def test_a_get_reads_the_object_and_a_part_of_it(self, objects, presign):
        put(objects, "docs/read.txt", b"0123456789", content_type="text/x-odd")
        request = presign("docs/read.txt", "GET").request
        whole, part = use(request), use(request, Range="bytes=2-4")
        assert (whole.status, whole.body, whole.headers["content-type"]) == (200, b"0123456789", "text/x-odd")
        assert (part.status, part.body) == (206, b"234")

    @pytest.mark.line(88, 119)
    @pytest.mark.parametrize("size", [0, 1, 5 * MIB + 1])
    def test_a_put_uploads_and_registering_publishes_the_bytes_with_their_sha256(self, objects, presign, size):
        data = (b"0123456789abcdef" * (size // 16 + 1))[:size]
        made = presign("up/data.bin", "PUT", content_type="application/x-odd")
        assert use(made.request, data).ok
        info = objects.register("up/data.bin", upload_id=made.upload_id, metadata={"note": "caf\u00e9"})
        assert (info.key, info.size, info.sha256) == ("up/data.bin", size, sha256(data))
        assert (info.content_type, dict(info.metadata)) == ("application/x-odd", {"note": "caf\u00e9"})
        assert (objects.head("up/data.bin"), read(objects, "up/data.bin")) == (info, data)

    @pytest.mark.line(119)
    def test_a_form_uploads_as_a_browser_sends_it(self, objects, presign, blobs):
        needs_forms(blobs)
        made = presign("form.txt", "POST", content_type="text/plain", max_bytes=100)
        assert use(made.request, b"from a form\r\n--not-the-end").ok
        info = objects.register("form.txt", upload_id=made.upload_id, size=26, content_type="text/plain")
        assert (info.content_type, read(objects, "form.txt")) == ("text/plain", b"from a form\r\n--not-the-end")

    @pytest.mark.line(59)
    def test_a_form_is_signed_or_refused_with_what_to_use_instead(self, blobs, presign):
        if not blobs.limits.presign or blobs.limits.presign_post:
            assert presign("form.txt", "POST").request.method == "POST"
            return
        with pytest.raises(InvalidRequest, match="POST") as refused:
            presign("form.txt", "POST")
        assert "PUT" in refused.value.fix

    @pytest.mark.line(1, 117)
    @pytest.mark.parametrize("key", [*ODD_KEYS, "x" * 900, "\u00e9" * 450, "d/" * 239 + "e"])
    def test_an_odd_key_is_uploaded_registered_and_read(self, objects, presign, key):
        made = presign(key, "PUT", content_type="text/plain")
        assert use(made.request, key.encode()).ok
        assert objects.register(key, upload_id=made.upload_id).key == key
        got = use(presign(key, "GET").request)
        assert (got.status, got.body) == (200, key.encode())
        assert [entry.key for entry in objects.list().blobs] == [key]

    @pytest.mark.line(1, 2, 3, 117)
    @pytest.mark.parametrize("key", BAD_KEYS)
    def test_a_bad_key_is_neither_signed_nor_registered(self, objects, presign, key):
        for method in ("GET", "PUT"):
            with pytest.raises(InvalidKey):
                presign(key, method)
        with pytest.raises(InvalidKey):
            objects.register(key)

    # and nothing else -----------------------------------------------------------------------------------------------------

    @pytest.mark.line(113)
    def test_without_its_signature_or_with_another_a_url_is_worth_nothing(self, objects, presign, blobs):
        put(objects, "secret", b"acme's own")
        for method in ("GET", "PUT"):
            request = presign("secret", method).request
            for other in (unsigned(request), tampered(request)):
                answer = use(other, b"forged" if method == "PUT" else b"")
                assert not answer.ok, (method, other)
                assert b"acme's own" not in answer.body
        assert (read(objects, "secret"), uploads_of(blobs)) == (b"acme's own", [])

    @pytest.mark.line(113)
    def test_a_form_with_another_policy_or_signature_is_refused(self, objects, presign, blobs):
        needs_forms(blobs)
        request = presign("form.txt", "POST").request
        assert not use(tampered(request), b"forged").ok
        assert uploads_of(blobs) == []

    @pytest.mark.line(113)
    def test_a_url_is_for_its_own_method(self, objects, presign, blobs):
        put(objects, "doc", b"kept")
        get, sent = presign("doc", "GET").request, presign("doc", "PUT").request
        for method, request in (("PUT", get), ("DELETE", get), ("POST", get), ("GET", sent), ("DELETE", sent)):
            answer = send(method, request.url, b"x" if method in {"PUT", "POST"} else b"", request.headers)
            assert not answer.ok, (method, answer)
            assert b"kept" not in answer.body
        assert (read(objects, "doc"), uploads_of(blobs)) == (b"kept", [])

    @pytest.mark.line(118)
    def test_a_permission_cannot_be_carried_to_another_key_or_another_tenants(self, objects, open_objects, presign):
        globex = open_objects("globex")
        put(objects, "mine", b"acme 1")
        put(objects, "other", b"acme 2")
        put(globex, "mine", b"globex")
        for target, method in ((objects, "GET"), (globex, "GET"), (objects, "PUT"), (globex, "PUT")):
            key = "other" if target is objects else "mine"
            request = moved(presign("mine", method).request, presign(key, method, by=target).request)
            answer = use(request, b"x" if method == "PUT" else b"")
            assert not answer.ok, (key, method)
            assert answer.body not in {b"acme 2", b"globex"}

    @pytest.mark.line(118)
    def test_a_form_cannot_be_carried_to_another_key(self, objects, presign, blobs, open_objects):
        needs_forms(blobs)
        mine = presign("mine", "POST").request
        for by, key in ((objects, "other"), (open_objects("globex"), "mine")):
            assert not use(moved(mine, presign(key, "POST", by=by).request), b"x").ok

    @pytest.mark.line(114)
    @pytest.mark.parametrize("seconds", [0, -1, LONGEST_SECONDS + 1])
    def test_a_request_lives_for_1_second_to_7_days(self, presign, seconds):
        for method in ("GET", "PUT"):
            with pytest.raises(InvalidValue, match="604800"):
                presign("doc", method, ttl_seconds=seconds)

    @pytest.mark.line(114)
    def test_the_longest_life_is_granted_and_told(self, objects, presign):
        put(objects, "doc")
        before = datetime.now(UTC)
        request = presign("doc", "GET", ttl_seconds=LONGEST_SECONDS).request
        assert abs(request.expires_at - before - timedelta(seconds=LONGEST_SECONDS)) < timedelta(seconds=60)
        assert use(request).ok

    @pytest.mark.line(114)
    def test_after_its_time_a_url_is_worth_nothing(self, objects, presign, blobs):
        put(objects, "doc", b"kept")
        get, sent = (presign("doc", method, ttl_seconds=1).request for method in ("GET", "PUT"))
        deadline = time.monotonic() + 30
        while (answer := use(get)).ok and time.monotonic() < deadline:
            time.sleep(0.2)  # the service looks at whole seconds of a clock that is not ours
        assert (answer.ok, use(sent, b"late").ok) == (False, False)
        assert (read(objects, "doc"), uploads_of(blobs)) == (b"kept", [])

    # terms ----------------------------------------------------------------------------------------------------------------

    @pytest.mark.line(115)
    @pytest.mark.parametrize("method", ["PUT", "POST"])
    @pytest.mark.parametrize("sent", ["text/html", None])
    def test_another_content_type_or_none_is_refused_when_it_comes_or_when_it_is_registered(
        self, blobs, presign, came_to_nothing, method, sent
    ):
        if method == "POST":
            needs_forms(blobs)
        made = presign("page", method, content_type="text/plain")
        answer = use(retyped(made.request, sent), b"<b>")
        came_to_nothing("page", made, answer, enforced=blobs.limits.presign_pins_type)

    @pytest.mark.line(116)
    @pytest.mark.parametrize("method", ["PUT", "POST"])
    def test_a_body_over_its_size_is_refused_when_it_comes_or_when_it_is_registered(
        self, objects, blobs, presign, came_to_nothing, method
    ):
        if method == "POST":
            needs_forms(blobs)
        fits = presign("small", method, max_bytes=10)
        assert use(fits.request, b"x" * 10).ok
        assert objects.register("small", upload_id=fits.upload_id).size == 10
        made = presign("large", method, max_bytes=10)
        answer = use(made.request, b"x" * 11)
        came_to_nothing("large", made, answer, enforced=blobs.limits.presign_pins_size)

    @pytest.mark.line(116)
    def test_a_body_of_another_sha256_is_refused_when_it_comes_or_when_it_is_registered(
        self, objects, presign, came_to_nothing
    ):
        right = presign("right", "PUT", sha256=sha256(b"right").upper())
        assert use(right.request, b"right").ok
        assert objects.register("right", upload_id=right.upload_id).sha256 == sha256(b"right")
        made = presign("wrong", "PUT", sha256=sha256(b"right"))
        came_to_nothing("wrong", made, use(made.request, b"wrong"), enforced=False)

    @pytest.fixture
    def came_to_nothing(self, objects, blobs):
        """Check that an upload was refused, or else its registration is, and that nothing of it is left."""

        def check(key, made, answer, *, enforced):
            assert not (answer.ok and (enforced or not blobs.limits.presign)), answer
            expected = (ChecksumMismatch, InvalidValue, ValueTooLarge) if answer.ok else NotFound
            with pytest.raises(expected):
                objects.register(key, upload_id=made.upload_id)
            assert (objects.head(key), uploads_of(blobs)) == (None, [])
            with pytest.raises(NotFound):
                objects.register(key, upload_id=made.upload_id)

        return check

    @pytest.mark.line(115, 116)
    @pytest.mark.parametrize(
        "terms",
        [{"content_type": "no type"}, {"max_bytes": -1}, {"max_bytes": 2**63}, {"sha256": "abc"}],
    )
    def test_terms_that_make_no_sense_are_refused(self, presign, terms):
        with pytest.raises(InvalidValue):
            presign("doc", "PUT", **terms)

    @pytest.mark.line(113)
    @pytest.mark.parametrize("terms", [{"content_type": "text/plain"}, {"max_bytes": 1}, {"sha256": "0" * 64}])
    def test_a_get_takes_no_terms_of_an_upload(self, presign, terms):
        with pytest.raises(InvalidRequest, match="GET"):
            presign("doc", "GET", **terms)


def retyped(request, content_type):
    """The request with this content type, or none, in the place of its own."""
    part = "fields" if request.method == "POST" else "headers"
    own = {name: value for name, value in getattr(request, part).items() if value == "text/plain"} or {
        "Content-Type": ""
    }
    others = {name: value for name, value in getattr(request, part).items() if name not in own}
    return replace(request, **{part: others | (dict.fromkeys(own, content_type) if content_type else {})})
