"""How an upload becomes an object, or nothing: verified where it landed, published in one step, swept when nobody asks for it."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from northstar.errors import AlreadyExists, NotFound, VersionConflict
from storage.blobs import ABSENT, Area, Grant
from storage.errors import ChecksumMismatch, InvalidValue, ValueTooLarge
from storage.kinds.uploads import new_upload_id, upload_key
from tests.contract.blob_contract_presigned import PresignedFixtures, put, read, sha256, uploads_of
from tests.contract.presigned_http import send, use

FORGED = {
    f"x-{vendor}-meta-{name}": value
    for vendor in ("amz", "ms", "goog")
    for name, value in (("northstar_sha256", "0" * 64), ("note", "forged"))
}


class BlobUploadContract(PresignedFixtures):
    @pytest.fixture
    def upload(self, presign):
        """Upload bytes with a presigned PUT, and return the upload's id."""

        def send_it(key, data=b"uploaded", **terms):
            made = presign(key, "PUT", **terms)
            answer = use(made.request, data)
            assert answer.ok, answer
            return made.upload_id

        return send_it

    @pytest.mark.line(86, 119)
    def test_an_upload_is_no_object_before_it_is_registered(self, objects, upload, presign):
        put(objects, "doc", b"before")
        new, over = upload("new", b"fresh"), upload("doc", b"after")
        assert (objects.head("new"), objects.get("new"), use(presign("new", "GET").request).ok) == (None, None, False)
        assert ([entry.key for entry in objects.list().blobs], read(objects, "doc")) == (["doc"], b"before")
        objects.register("new", upload_id=new)
        objects.register("doc", upload_id=over)
        assert [entry.key for entry in objects.list().blobs] == ["doc", "new"]
        assert (read(objects, "new"), read(objects, "doc")) == (b"fresh", b"after")

    @pytest.mark.line(119)
    def test_what_is_registered_waits_no_more(self, objects, upload, blobs):
        objects.register("doc", upload_id=upload("doc"))
        assert uploads_of(blobs) == []

    @pytest.mark.line(119)
    @pytest.mark.parametrize(
        ("claimed", "refusal"),
        [
            ({"size": 7}, ChecksumMismatch),
            ({"sha256": "0" * 64}, ChecksumMismatch),
            ({"content_type": "text/html"}, InvalidValue),
        ],
    )
    def test_an_upload_that_is_not_as_claimed_is_refused_and_removed(self, objects, upload, blobs, claimed, refusal):
        before = put(objects, "doc", b"before")
        upload_id = upload("doc", b"8 bytes!", content_type="text/plain")
        with pytest.raises(refusal):
            objects.register("doc", upload_id=upload_id, **claimed)
        assert (objects.head("doc"), read(objects, "doc"), uploads_of(blobs)) == (before, b"before", [])

    @pytest.mark.line(87, 119)
    def test_an_upload_that_is_as_claimed_is_published(self, objects, upload):
        upload_id = upload("doc", b"8 bytes!", content_type="text/plain", max_bytes=8, sha256=sha256(b"8 bytes!"))
        claimed = {"size": 8, "sha256": sha256(b"8 bytes!"), "content_type": "text/plain"}
        assert objects.register("doc", upload_id=upload_id, **claimed).size == 8

    @pytest.mark.line(89)
    def test_a_type_that_nobody_named_is_the_one_told_or_the_one_that_the_bytes_show(self, objects, upload):
        assert (
            objects.register("told", upload_id=upload("told"), content_type="text/x-odd").content_type == "text/x-odd"
        )
        png = bytes.fromhex("89504e470d0a1a0a0000000d49484452")
        assert objects.register("shown", upload_id=upload("shown", png)).content_type == "image/png"
        assert objects.register("empty.csv", upload_id=upload("empty.csv", b"")).content_type == "text/csv"

    @pytest.mark.line(119, 123)
    def test_registering_again_after_a_lost_answer_tells_the_same(self, objects, upload):
        upload_id = upload("doc")
        first = objects.register("doc", upload_id=upload_id, metadata={"n": "1"})
        assert objects.register("doc", upload_id=upload_id, metadata={"n": "1"}) == first
        assert objects.register("doc", upload_id=upload_id, expect=ABSENT) == first
        assert objects.register("doc") == first
        put(objects, "doc", b"replaced")
        for named in ({"upload_id": upload_id}, {}):
            with pytest.raises(NotFound, match="doc"):
                objects.register("doc", **named)
        assert read(objects, "doc") == b"replaced"

    @pytest.mark.line(119)
    def test_many_who_register_one_upload_at_once_all_get_the_one_object(self, objects, upload, blobs, open_objects):
        upload_id = upload("doc", b"x" * 100_000)
        with ThreadPoolExecutor(4) as threads:
            found = list(threads.map(lambda _: open_objects().register("doc", upload_id=upload_id), range(4)))
        assert {info.sha256 for info in found} == {sha256(b"x" * 100_000)}
        assert (read(objects, "doc"), uploads_of(blobs)) == (b"x" * 100_000, [])

    @pytest.mark.line(119)
    def test_without_an_id_the_newest_upload_of_the_key_counts(self, objects, upload):
        upload("doc", b"older")
        upload("doc/below", b"of another key")
        time.sleep(1.1)  # some services keep whole seconds
        upload("doc", b"newer")
        objects.register("doc")
        assert read(objects, "doc") == b"newer"

    @pytest.mark.line(119)
    @pytest.mark.parametrize("upload_id", ["", "x", "../../escape", "k" + "0" * 40, "\ud800", "a/b"])
    def test_what_is_no_upload_id_is_refused(self, objects, upload_id):
        with pytest.raises(InvalidValue, match="upload_id"):
            objects.register("doc", upload_id=upload_id)

    @pytest.mark.line(118, 119)
    def test_an_upload_belongs_to_its_key_and_its_tenant(self, objects, upload, open_objects, blobs):
        upload_id = upload("doc")
        others = [(objects, "other"), (objects, "doc/below"), (open_objects("globex"), "doc")]
        others += [(open_objects(project="p"), "doc"), (open_objects(surface="s"), "doc")]
        for by, key in others:
            with pytest.raises(NotFound):
                by.register(key, upload_id=upload_id)
        assert len(uploads_of(blobs)) == 1

    @pytest.mark.line(116, 98, 99)
    def test_registering_holds_to_the_version_that_the_object_must_have(self, objects, upload):
        first = put(objects, "doc", b"first")
        second = put(objects, "doc", b"second")
        upload_id = upload("doc", b"uploaded")
        with pytest.raises(AlreadyExists):
            objects.register("doc", upload_id=upload_id, expect=ABSENT)
        with pytest.raises(VersionConflict):
            objects.register("doc", upload_id=upload_id, expect=first.etag)
        assert read(objects, "doc") == b"second"
        objects.register("doc", upload_id=upload_id, expect=second.etag)
        assert read(objects, "doc") == b"uploaded"

    @pytest.mark.line(88, 119)
    def test_metadata_that_the_sender_forges_is_refused_or_not_believed(self, objects, presign):
        made = presign("doc", "PUT")
        answer = send("PUT", made.request.url, b"true bytes", {**made.request.headers, **FORGED})
        if not answer.ok:
            assert use(made.request, b"true bytes").ok
        info = objects.register("doc", upload_id=made.upload_id)
        assert (info.sha256, dict(info.metadata)) == (sha256(b"true bytes"), {})

    @pytest.mark.line(90)
    def test_registering_takes_as_much_metadata_as_a_put(self, objects, upload):
        metadata = {f"m{number:02}": "\u00e9" * 14 for number in range(32)}
        info = objects.register("doc", upload_id=upload("doc"), metadata=metadata)
        assert (dict(info.metadata), objects.head("doc")) == (metadata, info)

    @pytest.mark.line(90, 119)
    @pytest.mark.parametrize("metadata", [{"m": "x" * 1024}, {"ns_upload": "mine"}])
    def test_metadata_that_is_refused_costs_nobody_the_upload(self, objects, upload, metadata):
        upload_id = upload("doc", b"kept")
        with pytest.raises((ValueTooLarge, InvalidValue), match="metadata"):
            objects.register("doc", upload_id=upload_id, metadata=metadata)
        objects.register("doc", upload_id=upload_id)
        assert read(objects, "doc") == b"kept"

    @pytest.mark.line(114, 119)
    def test_an_upload_that_came_after_its_terms_is_refused_and_removed(self, objects, blobs):
        long_ago = datetime.now(UTC) - timedelta(hours=2)
        upload_id = new_upload_id("doc", Grant("PUT", 1), long_ago)
        blobs.put(upload_key("doc", upload_id), [b"late"], content_type="text/plain", area=Area.UPLOADS)
        with pytest.raises(InvalidValue, match="expired"):
            objects.register("doc", upload_id=upload_id)
        assert (objects.head("doc"), uploads_of(blobs)) == (None, [])

    @pytest.mark.line(11, 119)
    def test_the_sweep_takes_abandoned_uploads_of_one_tenant_and_env_and_nothing_else(
        self, open_objects, open_blobs, served_at
    ):
        acme = [{}, {"project": "p"}, {"surface": "s"}, {"project": "p", "surface": "s"}]
        others = [
            {"tenant": "acme-corp"},
            {"tenant": "globex"},
            {"env": "dev2"},
            {"tenant": "acme-corp", "project": "p"},
        ]
        for scope in (*acme, *others):
            for key in ("doc", "uploads/doc", "staging/doc", "raw/doc", "surfaces/s/uploads/doc"):
                put(open_objects(**scope), key, b"kept")
            made = open_objects(**scope).presign("doc", "PUT", served_at=served_at)
            assert use(made.request, b"abandoned").ok
        before, after = datetime.now(UTC) - timedelta(days=1), datetime.now(UTC) + timedelta(days=1)
        sweep = open_blobs().sweep
        assert sweep(before=before).uploads == 0
        assert [sweep(before=after, dry_run=dry).uploads for dry in (True, True, False, False)] == [4, 4, 4, 0]
        assert [len(uploads_of(open_blobs(**scope))) for scope in (*acme, *others)] == [0] * 4 + [1] * 4
        for scope in (*acme, *others):
            assert len(open_blobs(**scope).list().blobs) == 5
