"""The document contract, for any backend: scans (lines 67 to 82)."""

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest

from northstar.errors import InvalidRequest
from storage.documents import ABSENT, BulkPut
from tests.contract.document_contract import COLLECTION, PARTITION, all_keys, keys_of, ref

KEYS = [
    "a",
    "a/",
    "a/b",
    "a0",
    "aa",
    "b",
    "e\u0301",
    "Z",
    "z",
    "\u00e9",
    "\u65e5",
    "\U0001f600",
    "\ue000",
    "\U0010ffff",
]
"""Sorted by UTF-16 or case-insensitively these have another order."""
ORDERED = sorted(KEYS, key=str.encode)


def fill(documents, keys) -> None:
    documents.put_many([BulkPut(ref(key), {"key": key}) for key in keys])


class DocumentListingContract:
    """A scan gives the keys of one partition in the byte order of their UTF-8, whatever the page size."""

    @pytest.mark.line(67, 69)
    def test_nothing_is_an_empty_last_page(self, documents):
        for options in ({}, {"prefix": "a"}, {"reverse": True}, {"after": "a", "before": "a"}):
            page = documents.scan(COLLECTION, PARTITION, **options)
            assert (page.documents, page.cursor) == ((), None)

    @pytest.mark.line(68, 69)
    @pytest.mark.parametrize("limit", range(1, len(KEYS) + 2))
    def test_every_page_size_gives_the_same_sequence(self, documents, limit):
        fill(documents, KEYS)
        assert all_keys(documents, limit=limit) == ORDERED
        assert all_keys(documents, limit=limit, reverse=True) == ORDERED[::-1]

    @pytest.mark.line(69)
    def test_a_page_that_is_exactly_full_is_the_last_and_asking_past_it_stays_ended(self, documents):
        fill(documents, KEYS)
        page = documents.scan(COLLECTION, PARTITION, limit=len(KEYS))
        assert page.cursor is None
        for _ in range(2):
            ended = documents.scan(COLLECTION, PARTITION, cursor=ORDERED[-1])
            assert (ended.documents, ended.cursor) == ((), None)

    @pytest.mark.line(76, 79)
    @pytest.mark.parametrize("prefix", ["", "a", "a/", "\u00e9", "nothing"])
    def test_bounds_prefix_and_direction_combine_as_on_a_sorted_list(self, documents, prefix):
        fill(documents, KEYS)
        bounds = [None, "a", "a/", "aX", "b", "\u00e9", "\U0001f600"]
        for after, before, reverse, limit in product(bounds, bounds, (False, True), (2, 100)):
            expected = [
                key
                for key in ORDERED
                if key.startswith(prefix)
                and (after is None or key.encode() > after.encode())
                and (before is None or key.encode() < before.encode())
            ]
            found = all_keys(documents, prefix=prefix, after=after, before=before, reverse=reverse, limit=limit)
            assert found == (expected[::-1] if reverse else expected)

    @pytest.mark.line(68)
    @pytest.mark.parametrize("limit", [0, -1, 1001])
    def test_a_page_has_1_to_1000_documents(self, documents, limit):
        with pytest.raises(InvalidRequest, match="1 to 1000"):
            documents.scan(COLLECTION, PARTITION, limit=limit)

    @pytest.mark.line(70, 71)
    def test_changes_between_pages_neither_skip_nor_repeat_what_stays(self, documents):
        keys = [f"k{number:02}" for number in range(20)]
        fill(documents, keys)
        first = documents.scan(COLLECTION, PARTITION, limit=10)
        documents.put(ref("k00a"), {})
        documents.delete(ref("k05"))
        documents.delete(ref(first.cursor))
        documents.delete(ref("k15"))
        documents.put(ref("k12a"), {})
        rest = all_keys(documents, limit=3, after=first.cursor)
        assert rest == sorted({*keys[10:], "k12a"} - {"k15"})

    @pytest.mark.line(72)
    def test_more_than_1025_keys_are_listed_whole(self, documents):
        keys = [f"k{number:04}" for number in range(1100)]
        fill(documents, keys)
        assert all_keys(documents) == keys
        assert all_keys(documents, limit=1000, reverse=True) == keys[::-1]

    @pytest.mark.line(81)
    def test_a_scan_sees_its_own_partition_only(self, documents):
        fill(documents, ["a", "b"])
        for table in ("orders2", "order", "orders/a", "Orders"):
            documents.put(ref("other", table), {})
        assert keys_of(documents.scan(COLLECTION, PARTITION)) == ["a", "b"]

    @pytest.mark.line(82)
    def test_a_scan_while_others_append_has_no_gap_and_no_repeat(self, documents):
        done = threading.Event()

        def append(writer: int) -> None:
            for number in range(60):
                documents.put(ref(f"{writer}/{number:04}"), {}, expect=ABSENT)

        def read() -> int:
            scans = 0
            while not done.is_set() or not scans:
                keys = all_keys(documents, limit=7)
                assert keys == sorted(set(keys))
                for writer in range(4):
                    own = [key for key in keys if key.startswith(f"{writer}/")]
                    assert own == [f"{writer}/{number:04}" for number in range(len(own))]
                scans += 1
            return scans

        with ThreadPoolExecutor(5) as pool:
            reader = pool.submit(read)
            writers = [pool.submit(append, writer) for writer in range(4)]
            try:
                for writer in writers:
                    writer.result()
            finally:
                done.set()
            assert reader.result() > 0
        assert len(all_keys(documents)) == 240
