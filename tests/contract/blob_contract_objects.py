"""What every blob driver promises of an object's bytes, versions and metadata."""

import hashlib
from datetime import UTC

import pytest

from northstar.errors import AlreadyExists, InvalidRequest, NotFound, VersionConflict
from storage.blob_guard import GuardedBlobs
from storage.blobs import ABSENT, BlobInfo, RangeRequest
from storage.errors import ChecksumMismatch, InvalidValue, ValueTooLarge
from tests.contract.blob_contract import OpenBlobs, keys_of, put, read

MIB = 1024 * 1024


class _Broken(RuntimeError):
    """What a caller's own source raises."""


def needs_a_version_per_write(blobs):
    if not blobs.limits.version_per_write:
        pytest.skip("capability: equal bytes have equal ETags on this service, whenever they were written")


def breaking(*chunks):
    yield from chunks
    raise _Broken


class BlobObjectContract:
    @pytest.fixture
    def blobs(self, open_blobs: OpenBlobs) -> GuardedBlobs:
        return open_blobs()

    # whole or nothing ----------------------------------------------------------------------------------------------------

    @pytest.mark.line(83)
    @pytest.mark.parametrize("chunks", [[], [b""], [b"", b""]])
    def test_an_empty_object_is_an_object(self, blobs, chunks):
        info = blobs.put("empty", chunks, content_type="text/plain")
        assert (info.size, info.sha256) == (0, hashlib.sha256().hexdigest())
        assert (read(blobs, "empty"), keys_of(blobs)) == (b"", ["empty"])

    @pytest.mark.line(84, 85)
    def test_a_source_that_breaks_leaves_what_was_there(self, blobs):
        old = put(blobs, "old", b"old bytes")
        for key in ("old", "new"):
            with pytest.raises(_Broken):
                blobs.put(key, breaking(b"half " * MIB), content_type="text/plain")
        assert (read(blobs, "old"), blobs.head("old"), keys_of(blobs)) == (b"old bytes", old, ["old"])

    @pytest.mark.line(86)
    def test_nothing_is_seen_before_the_last_byte(self, blobs, open_blobs):
        other = open_blobs()
        seen = []

        def watched():
            yield b"first "
            seen.append((read(other, "slow"), other.head("slow"), keys_of(other)))
            yield b"last"

        blobs.put("slow", watched(), content_type="text/plain")
        assert seen == [(None, None, [])]
        assert read(other, "slow") == b"first last"

    @pytest.mark.line(87)
    def test_a_right_checksum_and_size_are_stored(self, blobs):
        digest = hashlib.sha256(b"exact").hexdigest()
        assert put(blobs, "exact", b"exact", sha256=digest.upper(), size=5).sha256 == digest

    @pytest.mark.line(87)
    @pytest.mark.parametrize("wrong", [{"sha256": "0" * 64}, {"size": 4}, {"size": 6}])
    def test_a_wrong_checksum_or_size_keeps_the_object_before(self, blobs, wrong):
        old = put(blobs, "kept", b"old")
        for key in ("kept", "never"):
            with pytest.raises(ChecksumMismatch):
                put(blobs, key, b"bytes", **wrong)
        assert (read(blobs, "kept"), blobs.head("kept"), keys_of(blobs)) == (b"old", old, ["kept"])

    @pytest.mark.line(88, 94)
    @pytest.mark.parametrize("size", [1, 4096, 4097, MIB - 1, MIB, MIB + 1, 5 * MIB, 5 * MIB + 1])
    def test_bytes_and_checksum_are_right_at_every_boundary(self, blobs, size):
        data = (b"0123456789abcdef" * (size // 16 + 1))[:size]
        pieces = [data[start : start + 70_000] for start in range(0, size, 70_000)]
        info = blobs.put("big", pieces, content_type="text/plain")
        assert (info.size, info.sha256) == (size, hashlib.sha256(data).hexdigest())
        assert read(blobs, "big") == data

    @pytest.mark.line(94)
    def test_64_mib_flow_through_in_pieces(self, blobs):
        piece = bytes(range(256)) * 4096
        info = blobs.put("huge", (piece for _ in range(64)), content_type="text/plain")
        digest = hashlib.sha256()
        sizes = set()
        for chunk in blobs.get("huge").chunks:
            digest.update(chunk)
            sizes.add(len(chunk))
        assert (info.size, info.sha256, max(sizes) <= MIB) == (64 * MIB, digest.hexdigest(), True)

    # versions ------------------------------------------------------------------------------------------------------------

    @pytest.mark.line(25, 37, 92)
    def test_every_write_makes_a_version(self, blobs):
        first, second = put(blobs, "doc", b"first"), put(blobs, "doc", b"other")
        assert (first.etag == second.etag, first.etag.strip('"')) == (False, first.etag)
        assert first.modified_at <= second.modified_at
        assert (first.modified_at.tzinfo, blobs.head("doc")) == (UTC, second)

    @pytest.mark.line(25, 37)
    def test_even_the_same_bytes_again_are_another_version(self, blobs):
        needs_a_version_per_write(blobs)
        first, second = put(blobs, "same", b"same"), put(blobs, "same", b"same")
        assert (first.etag != second.etag, first.sha256) == (True, second.sha256)

    @pytest.mark.line(27, 98)
    def test_create_only_creates_and_never_replaces(self, blobs):
        first = put(blobs, "once", b"first", expect=ABSENT)
        with pytest.raises(AlreadyExists):
            put(blobs, "once", b"second", expect=ABSENT)
        assert (read(blobs, "once"), blobs.head("once")) == (b"first", first)
        assert blobs.delete("once")
        put(blobs, "once", b"third", expect=ABSENT)
        assert read(blobs, "once") == b"third"

    @pytest.mark.line(31, 33, 38, 41, 42, 99)
    def test_a_replace_holds_to_the_version_it_names(self, blobs):
        first = put(blobs, "doc", b"1")
        second = put(blobs, "doc", b"2", expect=first.etag)
        with pytest.raises(VersionConflict):
            put(blobs, "doc", b"3", expect=first.etag)
        with pytest.raises(VersionConflict):
            put(blobs, "missing", b"3", expect=first.etag)
        assert (read(blobs, "doc"), blobs.head("doc"), keys_of(blobs)) == (b"2", second, ["doc"])

    @pytest.mark.line(39, 41)
    def test_a_delete_holds_to_the_version_it_names(self, blobs):
        first = put(blobs, "doc", b"1")
        second = put(blobs, "doc", b"2")
        with pytest.raises(VersionConflict):
            blobs.delete("doc", expect=first.etag)
        assert read(blobs, "doc") == b"2"
        assert blobs.delete("doc", expect=second.etag)
        with pytest.raises(VersionConflict):
            blobs.delete("doc", expect=second.etag)
        with pytest.raises(InvalidRequest):
            blobs.delete("doc", expect=ABSENT)

    @pytest.mark.line(47)
    def test_deleting_and_writing_again_does_not_bring_an_old_version_back(self, blobs):
        needs_a_version_per_write(blobs)
        old = put(blobs, "doc", b"same")
        blobs.delete("doc")
        new = put(blobs, "doc", b"same")
        assert new.etag != old.etag
        with pytest.raises(VersionConflict):
            put(blobs, "doc", b"late", expect=old.etag)

    @pytest.mark.line(102)
    def test_a_delete_says_whether_it_existed_and_may_be_repeated(self, blobs):
        put(blobs, "here")
        assert [blobs.delete("here"), blobs.delete("here"), blobs.delete("never")] == [True, False, False]

    # metadata ------------------------------------------------------------------------------------------------------------

    @pytest.mark.line(89, 90, 91, 125)
    def test_content_type_and_metadata_come_back_unchanged(self, blobs):
        metadata = {"author": "Zo\u00eb  \u00d6 \U0001f680", "two": "a  b   c", "empty": ""}
        kind = 'text/html; charset="utf-8"; odd=<>&'
        info = put(blobs, "doc", metadata=metadata, content_type=kind)
        for known in (info, blobs.head("doc"), blobs.get("doc").info):
            assert (dict(known.metadata), known.content_type) == (metadata, kind)

    @pytest.mark.line(90)
    def test_a_replace_replaces_all_metadata(self, blobs):
        put(blobs, "doc", metadata={"old": "1"}, content_type="text/old")
        info = put(blobs, "doc", metadata={"new": "2"}, content_type="text/new")
        assert (dict(info.metadata), info.content_type) == ({"new": "2"}, "text/new")

    @pytest.mark.line(90)
    def test_metadata_over_the_limit_or_no_unicode_is_refused(self, blobs):
        put(blobs, "most", metadata={"m": "x" * 1023})
        put(blobs, "most", metadata={f"m{number:02}": "\u00e9" * 14 for number in range(32)})
        with pytest.raises(ValueTooLarge, match="1024"):
            put(blobs, "more", metadata={"m": "x" * 1024})
        with pytest.raises(ValueTooLarge, match="32"):
            put(blobs, "more", metadata={f"m{number}": "" for number in range(33)})
        with pytest.raises(InvalidValue):
            put(blobs, "odd", metadata={"m": "\ud800"})
        assert keys_of(blobs) == ["most"]

    @pytest.mark.line(90)
    def test_further_headers_are_kept(self):
        pytest.skip("capability: of HTTP's headers the contract keeps the content type; others are user metadata")

    @pytest.mark.line(95, 96, 97)
    def test_an_object_can_be_sent_in_parts(self):
        pytest.skip("capability: the contract has no uploads in parts; a put streams an object of any size")

    @pytest.mark.line(23)
    def test_what_the_caller_changes_later_changes_nothing(self, blobs):
        metadata = {"n": "1"}
        put(blobs, "doc", metadata=metadata)
        metadata["n"] = "2"
        assert blobs.head("doc").metadata["n"] == "1"

    # parts ---------------------------------------------------------------------------------------------------------------

    @pytest.mark.line(93)
    @pytest.mark.parametrize(
        ("wanted", "expected"),
        [
            (RangeRequest(2, 4), b"234"),
            (RangeRequest(0, 0), b"0"),
            (RangeRequest(7), b"789"),
            (RangeRequest(0), b"0123456789"),
            (RangeRequest(8, 100), b"89"),
            (RangeRequest(9, 9), b"9"),
            (RangeRequest(suffix=3), b"789"),
            (RangeRequest(suffix=100), b"0123456789"),
        ],
    )
    def test_a_part_is_exactly_what_was_asked_for(self, blobs, wanted, expected):
        put(blobs, "digits", b"0123456789")
        blob = blobs.get("digits", wanted)
        assert (blob.info.size, blob.span.end - blob.span.start) == (10, len(expected))
        assert b"".join(blob.chunks) == expected

    @pytest.mark.line(93)
    @pytest.mark.parametrize("wanted", [RangeRequest(10), RangeRequest(10, 20), RangeRequest(suffix=0)])
    def test_a_part_beyond_the_end_is_nothing(self, blobs, wanted):
        put(blobs, "digits", b"0123456789")
        blob = blobs.get("digits", wanted)
        assert (blob.span, list(blob.chunks), blob.info.size) == (None, [], 10)

    @pytest.mark.line(93)
    @pytest.mark.parametrize("wanted", [RangeRequest(-1), RangeRequest(5, 4), RangeRequest(), RangeRequest(suffix=-1)])
    def test_what_is_no_range_is_refused(self, blobs, wanted):
        put(blobs, "digits", b"0123456789")
        with pytest.raises(InvalidRequest):
            blobs.get("digits", wanted)

    @pytest.mark.line(99)
    def test_a_reader_keeps_its_bytes_while_the_object_is_replaced_and_removed(self, blobs):
        old, new = b"o" * 3 * MIB, b"n" * 3 * MIB
        put(blobs, "doc", old)
        first = blobs.get("doc")
        head = next(first.chunks)
        put(blobs, "doc", new)
        second = blobs.get("doc")
        blobs.delete("doc")
        assert head + b"".join(first.chunks) == old
        assert b"".join(second.chunks) == new

    @pytest.mark.line(111)
    def test_closing_a_reader_twice_changes_nothing(self, blobs):
        put(blobs, "doc", b"bytes")
        chunks = blobs.get("doc").chunks
        chunks.close()
        chunks.close()
        assert list(chunks) == []
        assert read(blobs, "doc") == b"bytes"

    # copies --------------------------------------------------------------------------------------------------------------

    @pytest.mark.line(100)
    def test_a_copy_has_the_bytes_and_the_metadata(self, blobs):
        source = put(blobs, "a/source", b"bytes", metadata={"m": "1"}, content_type="text/odd")
        target = blobs.copy("a/source", "b/target")
        assert read(blobs, "b/target") == b"bytes"
        assert (target.sha256, target.content_type, dict(target.metadata)) == (source.sha256, "text/odd", {"m": "1"})
        assert blobs.head("b/target") == target

    @pytest.mark.line(100)
    def test_a_copy_has_the_type_and_metadata_that_are_asked_for(self, blobs):
        source = put(blobs, "source", b"bytes", metadata={"old": "1"}, content_type="text/old")
        target = blobs.copy("source", "target", content_type="text/new", metadata={"new": "\u00e9  2"})
        assert (target.sha256, target.content_type, dict(target.metadata)) == (
            source.sha256,
            "text/new",
            {"new": "\u00e9  2"},
        )
        assert (blobs.head("target"), read(blobs, "target"), blobs.head("source")) == (target, b"bytes", source)

    @pytest.mark.line(100)
    def test_a_copy_can_hold_to_the_version_of_its_source(self, blobs):
        first = put(blobs, "source", b"first")
        put(blobs, "source", b"second")
        with pytest.raises(VersionConflict):
            blobs.copy("source", "target", source_etag=first.etag)
        assert keys_of(blobs) == ["source"]

    @pytest.mark.line(94, 100)
    def test_a_large_object_is_copied_whole(self, blobs):
        data = bytes(range(256)) * (70_000)
        source = blobs.put("source", [data], content_type="text/plain")
        assert (blobs.copy("source", "target").sha256, read(blobs, "target")) == (source.sha256, data)

    @pytest.mark.line(100)
    def test_a_copy_replaces_its_target_unless_that_must_not_exist(self, blobs):
        put(blobs, "source", b"new")
        target = put(blobs, "target", b"old")
        with pytest.raises(AlreadyExists):
            blobs.copy("source", "target", expect=ABSENT)
        with pytest.raises(VersionConflict):
            blobs.copy("source", "target", expect="other")
        assert read(blobs, "target") == b"old"
        blobs.copy("source", "target", expect=target.etag)
        assert read(blobs, "target") == b"new"

    @pytest.mark.line(100)
    def test_a_copy_onto_itself_keeps_the_bytes(self, blobs):
        put(blobs, "self", b"bytes", metadata={"m": "1"})
        after: BlobInfo = blobs.copy("self", "self")
        assert (read(blobs, "self"), blobs.head("self"), dict(after.metadata)) == (b"bytes", after, {"m": "1"})

    @pytest.mark.line(12, 100)
    def test_copying_what_is_not_there_names_it(self, blobs):
        with pytest.raises(NotFound, match="no-such-source"):
            blobs.copy("no-such-source", "target")
        assert keys_of(blobs) == []

    @pytest.mark.line(67)
    def test_what_is_not_there_is_none(self, blobs):
        assert (blobs.get("missing"), blobs.head("missing"), blobs.delete("missing")) == (None, None, False)
