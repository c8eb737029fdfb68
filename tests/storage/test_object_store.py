"""What the object store adds to blobs: media types, rules for metadata, copy and move."""

import hashlib
from pathlib import Path

import pytest

from northstar.context import RequestContext
from northstar.errors import AlreadyExists, InvalidRequest, NotFound, VersionConflict
from northstar.modes import LAB
from storage.backends.filesystem_config import FilesystemConfig
from storage.backends.local_files import LocalBlobs
from storage.blob_guard import GuardedBlobs
from storage.errors import ChecksumMismatch, InvalidKey, InvalidValue
from storage.guard import ServedBy
from storage.keys import Scope
from storage.kinds.object_store import ABSENT, ObjectStore

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


@pytest.fixture
def objects(lab: Path) -> ObjectStore:
    driver = LocalBlobs(FilesystemConfig(durability="none"), mode=LAB, epoch=1)
    context = RequestContext("acme", "dev", LAB)
    blobs = GuardedBlobs(driver, scope=Scope.of(context), served_by=ServedBy(1, 1, "filesystem"), kind="object_store")
    return ObjectStore(blobs, context)


def read(objects, key):
    blob = objects.get(key)
    return blob and b"".join(blob.chunks)


class TestMediaTypes:
    @pytest.mark.parametrize(
        "given", ["text/plain", "Text/HTML; Charset=UTF-8", 'a/b; q="x;y\\"z"', "application/vnd.x+json"]
    )
    def test_a_given_type_is_kept_as_it_is_whatever_the_bytes_show(self, objects, given):
        assert objects.put("photo.png", [PNG], content_type=given).content_type == given

    @pytest.mark.parametrize(
        "given",
        ["", "text", "text/", "/plain", "a/b/c", "a b/c", "text/plain;", "t\u00e9xt/x", "a/b\n", "x/" + "y" * 300],
    )
    def test_what_is_no_media_type_is_refused(self, objects, given):
        with pytest.raises(InvalidValue, match="media type"):
            objects.put("x", [b"1"], content_type=given)
        assert objects.head("x") is None

    @pytest.mark.parametrize(
        ("key", "data", "expected"),
        [
            ("x", PNG, "image/png"),
            ("wrong.txt", PNG, "image/png"),
            ("x", b"%PDF-1.7", "application/pdf"),
            ("x", b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
            ("x", b"<?xml version='1.0'?><a/>", "application/xml"),
            (
                "x.docx",
                b"PK\x03\x04" + b"\0" * 30,
                "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            ),
            ("x.zip", b"PK\x03\x04" + b"\0" * 30, "application/zip"),
            ("notes.md", b"only a text", "text/markdown"),
            ("table.csv", b"a,b\n1,2\n", "text/csv"),
            ("data.json", b'{"a": 1}', "application/json"),
            ("backup.tar.gz", b"?", "application/gzip"),
            ("empty.txt", b"", "text/plain"),
            ("x", b"any text at all, with the word text in it", "application/octet-stream"),
            ("x", b"", "application/octet-stream"),
            ("dir.html/x", b"?", "application/octet-stream"),
        ],
    )
    def test_a_missing_type_is_found_in_the_bytes_then_in_the_name(self, objects, key, data, expected):
        assert objects.put(key, [data]).content_type == expected

    def test_looking_inside_loses_no_byte_of_a_source_in_small_pieces(self, objects):
        data = PNG + bytes(range(256)) * 10
        info = objects.put("x", (data[at : at + 1] for at in range(len(data))))
        assert (info.content_type, info.sha256) == ("image/png", hashlib.sha256(data).hexdigest())
        assert read(objects, "x") == data


class TestMetadata:
    def test_names_count_without_case_and_values_stay_as_they_are(self, objects):
        info = objects.put("x", [b"1"], metadata={"Author-Name": "Zo\u00eb  \u2713", "empty": ""})
        assert dict(info.metadata) == {"author-name": "Zo\u00eb  \u2713", "empty": ""}

    @pytest.mark.parametrize(
        "metadata",
        [
            {"": "x"},
            {"a b": "x"},
            {"n\u00e4me": "x"},
            {"a:": "x"},
            {"n" * 129: "x"},
            {"A": "1", "a": "2"},
            {"a": "line\nbreak"},
            {"a": "nul\0"},
            {"a": "\ud800"},
            {"a": " leading"},
            {"a": "trailing "},
        ],
    )
    def test_what_headers_cannot_carry_is_refused(self, objects, metadata):
        with pytest.raises(InvalidValue, match="metadata"):
            objects.put("x", [b"1"], metadata=metadata)
        assert objects.head("x") is None


class TestChecksums:
    def test_any_case_of_the_right_one_is_right(self, objects):
        digest = hashlib.sha256(b"1").hexdigest()
        assert objects.put("x", [b"1"], sha256=digest.upper()).sha256 == digest

    def test_a_wrong_one_is_a_mismatch_and_no_one_is_refused(self, objects):
        with pytest.raises(ChecksumMismatch):
            objects.put("x", [b"1"], sha256="0" * 64)
        for given in ("", "12", "g" * 64):
            with pytest.raises(InvalidRequest, match="SHA-256"):
                objects.put("x", [b"1"], sha256=given)


class TestCopyAndMove:
    backend = "filesystem"

    def test_a_copy_keeps_or_replaces_what_is_said_of_it(self, objects):
        objects.put("from", [b"1"], content_type="text/a", metadata={"a": "1"})
        kept, changed = objects.copy("from", "kept"), objects.copy("from", "changed", metadata={"b": "2"})
        assert (kept.content_type, dict(kept.metadata)) == ("text/a", {"a": "1"})
        assert (changed.content_type, dict(changed.metadata)) == ("text/a", {"b": "2"})
        assert objects.copy("from", "from", content_type="text/b").content_type == "text/b"
        assert [read(objects, key) for key in ("kept", "changed", "from")] == [b"1"] * 3

    def test_a_move_leaves_nothing_under_the_old_key(self, objects):
        objects.put("from", [b"1"], content_type="text/a", metadata={"a": "1"})
        moved = objects.move("from", "dir/to")
        assert (moved.key, moved.content_type, dict(moved.metadata)) == ("dir/to", "text/a", {"a": "1"})
        assert (read(objects, "dir/to"), objects.head("from")) == (b"1", None)

    def test_a_move_onto_itself_keeps_the_object(self, objects):
        info = objects.put("x", [b"1"])
        assert (objects.move("x", "x"), read(objects, "x")) == (info, b"1")

    @pytest.mark.line(101)
    def test_a_move_may_insist_that_the_target_is_new(self, objects):
        for key in ("from", "to"):
            objects.put(key, [key.encode()])
        with pytest.raises(AlreadyExists):
            objects.move("from", "to", expect=ABSENT)
        with pytest.raises(VersionConflict):
            objects.move("from", "to", expect="another")
        assert (read(objects, "from"), read(objects, "to")) == (b"from", b"to")
        objects.move("from", "to")
        assert (read(objects, "from"), read(objects, "to")) == (None, b"from")

    @pytest.mark.line(101)
    def test_what_is_not_there_cannot_be_copied_or_moved(self, objects):
        for operation in (
            lambda: objects.copy("missing", "to"),
            lambda: objects.copy("missing", "to", metadata={}),
            lambda: objects.move("missing", "to"),
        ):
            with pytest.raises(NotFound, match="missing"):
                operation()
        assert objects.list().blobs == ()

    def test_a_bad_target_is_refused_before_the_source_is_touched(self, objects):
        objects.put("from", [b"1"])
        with pytest.raises(InvalidKey):
            objects.move("from", "../to")
        assert read(objects, "from") == b"1"
