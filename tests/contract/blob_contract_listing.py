"""What every blob driver promises of listings."""

import pytest

from northstar.errors import InvalidRequest
from storage.blob_guard import GuardedBlobs
from storage.blobs import BlobEntry
from tests.contract.blob_contract import OpenBlobs, keys_of, put, read

TREE = (
    "a",
    "a/b",
    "a/b/c",
    "a-b/x",
    "a.b",
    "a0",
    "foo.bar/y",
    "foo/x",
    "t-/1",
    "t/1",
    "t/2",
    "t0",
    "\u00e9/1",
    "\U0001f680",
    "z" * 260 + "/deep",
)


def fill(blobs, keys=TREE):
    for key in keys:
        blobs.put(key, [key.encode()], content_type="text/plain")


def by_bytes(keys):
    return sorted(keys, key=str.encode)


def walk(blobs, limit, **options):
    """Every entry of a listing, page by page, in the order in which they come."""
    entries, cursor = [], None
    while True:
        page = blobs.list(limit=limit, cursor=cursor, **options)
        entries += by_bytes([*(info.key for info in page.blobs), *page.prefixes])
        assert len(page.blobs) + len(page.prefixes) <= limit
        cursor = page.cursor
        if cursor is None:
            return entries
        assert cursor == entries[-1]


def folded(keys, prefix, delimiter):
    entries = set()
    for key in keys:
        if key.startswith(prefix):
            at = key.find(delimiter, len(prefix)) if delimiter else -1
            entries.add(key if at < 0 else key[: at + len(delimiter)])
    return by_bytes(entries)


class BlobListingContract:
    @pytest.fixture
    def blobs(self, open_blobs: OpenBlobs) -> GuardedBlobs:
        return open_blobs()

    @pytest.mark.line(67, 69)
    def test_nothing_listed_is_an_empty_last_page(self, blobs):
        for _ in range(2):
            page = blobs.list()
            assert (page.blobs, page.prefixes, page.cursor) == ((), (), None)
            assert blobs.list(prefix="none/", delimiter="/", cursor="none/x").blobs == ()
            put(blobs, "gone/x")
            blobs.delete("gone/x")

    @pytest.mark.line(9, 68, 73, 76, 105)
    @pytest.mark.parametrize("delimiter", ["", "/", "-/", "b", "\u00e9", "."])
    @pytest.mark.parametrize("prefix", ["", "a", "a/", "a/b", "t", "f", "z", "\u00e9", "none", "foo.bar/y", "%"])
    def test_every_page_size_gives_the_same_entries_in_byte_order(self, blobs, prefix, delimiter):
        fill(blobs)
        expected = folded(TREE, prefix, delimiter)
        for limit in (1, 2, 3, 5, 1000):
            assert walk(blobs, limit, prefix=prefix, delimiter=delimiter) == expected

    @pytest.mark.line(73)
    def test_a_folder_whose_name_sorts_below_the_delimiter_keeps_its_place(self, blobs):
        fill(blobs, ["t-/1", "t/1", "t/2"])
        assert blobs.list(delimiter="/").prefixes == ("t-/", "t/")

    @pytest.mark.line(72, 102)
    def test_more_than_1025_objects_are_all_listed_and_all_deleted(self, blobs):
        keys = [f"many/{number % 7}/{number:05}" for number in range(1100)]
        fill(blobs, keys)
        assert walk(blobs, 1000, prefix="many/") == by_bytes(keys)
        assert [blobs.delete(key) for key in keys] == [True] * 1100
        assert keys_of(blobs) == []

    @pytest.mark.line(70, 71)
    def test_a_cursor_neither_skips_nor_repeats_what_stays(self, blobs):
        fill(blobs, ["b", "d", "f", "h", "j"])
        first = blobs.list(limit=2)
        for new in ("a", "c", "e"):
            put(blobs, new)
        for gone in ("b", "d", "f"):
            blobs.delete(gone)
        assert keys_of(blobs, cursor=first.cursor) == ["e", "h", "j"]

    @pytest.mark.line(74, 106)
    def test_a_common_prefix_goes_with_its_last_object(self, blobs):
        fill(blobs, ["dir/1", "dir/sub/2", "other"])
        assert blobs.list(delimiter="/").prefixes == ("dir/",)
        blobs.delete("dir/1")
        assert blobs.list(delimiter="/").prefixes == ("dir/",)
        blobs.delete("dir/sub/2")
        page = blobs.list(delimiter="/")
        assert (page.prefixes, [info.key for info in page.blobs]) == ((), ["other"])

    @pytest.mark.line(75)
    def test_nothing_is_listed_below_an_object(self, blobs):
        put(blobs, "file")
        assert keys_of(blobs, prefix="file/") == []

    @pytest.mark.line(105, 106)
    @pytest.mark.parametrize("order", [("a", "a/b", "a/b/c"), ("a/b/c", "a/b", "a"), ("a/b", "a", "a/b/c")])
    def test_an_object_lives_beside_others_below_its_own_name(self, blobs, order):
        fill(blobs, order)
        assert keys_of(blobs) == ["a", "a/b", "a/b/c"]
        for key in order:
            put(blobs, key, b"new " + key.encode())
        assert [read(blobs, key) for key in ("a", "a/b", "a/b/c")] == [b"new a", b"new a/b", b"new a/b/c"]
        blobs.delete("a/b")
        assert keys_of(blobs) == ["a", "a/b/c"]
        blobs.delete("a/b/c")
        assert (keys_of(blobs), read(blobs, "a")) == (["a"], b"new a")

    @pytest.mark.line(90, 92)
    def test_what_is_listed_says_what_head_says(self, blobs):
        fill(blobs)
        known = [blobs.head(key) for key in by_bytes(TREE)]
        assert list(blobs.list().blobs) == [
            BlobEntry(info.key, info.size, info.etag, info.modified_at) for info in known
        ]

    @pytest.mark.line(68)
    @pytest.mark.parametrize("limit", [0, -1, 1001])
    def test_a_page_has_1_to_1000_entries(self, blobs, limit):
        with pytest.raises(InvalidRequest, match="1000"):
            blobs.list(limit=limit)

    @pytest.mark.line(11)
    def test_a_prefix_means_its_characters_only(self, blobs):
        fill(blobs, ["acme/1", "acme-corp/1", "acme2/1", "acme_x/1", "xacme/1"])
        assert keys_of(blobs, prefix="acme/") == ["acme/1"]
        assert keys_of(blobs, prefix="a_me") == []
        assert len(keys_of(blobs, prefix="acme")) == 4
