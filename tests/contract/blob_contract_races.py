"""What every blob driver promises when many write and read at once. Races share one key."""

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from northstar.errors import AlreadyExists, VersionConflict
from storage.blobs import ABSENT
from tests.contract.blob_contract import keys_of, put, read


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Run the work in as many threads, started together; return what each returned or raised."""
    gate = threading.Barrier(count)

    def run(number: int) -> Any:
        gate.wait()
        try:
            return work(number)
        except (AlreadyExists, VersionConflict) as error:
            return error

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count)))


class BlobRaceContract:
    @pytest.mark.line(104, 27)
    def test_of_many_creators_of_one_key_exactly_one_wins(self, open_blobs):
        stores = [open_blobs() for _ in range(8)]
        for turn in range(10):
            key = f"turn/{turn}"
            found = at_once(8, partial(self._create, stores, key))
            winners = [number for number, each in enumerate(found) if not isinstance(each, Exception)]
            assert len(winners) == 1
            assert read(stores[0], key) == f"writer {winners[0]}".encode()

    @staticmethod
    def _create(stores, key, number):
        return put(stores[number], key, f"writer {number}".encode(), expect=ABSENT)

    @pytest.mark.line(46, 99)
    def test_no_change_is_lost_among_5_who_read_change_and_write(self, open_blobs):
        put(open_blobs(), "counter", b"0")

        def count(_):
            blobs = open_blobs()
            done = 0
            while done < 10:
                seen = blobs.get("counter")
                value = int(b"".join(seen.chunks))
                try:
                    put(blobs, "counter", str(value + 1).encode(), expect=seen.info.etag)
                except VersionConflict:
                    continue
                done += 1

        at_once(5, count)
        assert read(open_blobs(), "counter") == b"50"

    @pytest.mark.line(103)
    def test_20_writers_and_20_readers_do_not_disturb_each_other(self, open_blobs):
        blobs = open_blobs()
        at_once(20, lambda n: put(blobs, f"k/{n}", f"{n}".encode() * 1000))
        assert at_once(20, lambda n: read(blobs, f"k/{n}")) == [f"{n}".encode() * 1000 for n in range(20)]

    @pytest.mark.line(84, 107)
    def test_a_reader_sees_one_whole_version_while_writers_replace_and_remove(self, open_blobs):
        stop = threading.Event()
        torn: list[str] = []

        def write(number):
            blobs = open_blobs()
            for turn in range(60):
                data = f"{number}.{turn}".encode() * (turn + 1)
                put(blobs, "shared", data, metadata={"sha": hashlib.sha256(data).hexdigest()})
                if turn % 10 == 9:
                    blobs.delete("shared")

        def watch(_):
            blobs = open_blobs()
            while not stop.is_set():
                seen = blobs.get("shared")
                if seen is None:
                    continue
                digest = hashlib.sha256(b"".join(seen.chunks)).hexdigest()
                if not digest == seen.info.sha256 == seen.info.metadata["sha"]:
                    torn.append(digest)

        with ThreadPoolExecutor(2) as readers:
            watching = [readers.submit(watch, number) for number in range(2)]
            try:
                at_once(3, write)
            finally:
                stop.set()
            for each in watching:
                each.result()
        assert torn == []

    @pytest.mark.line(82, 107)
    def test_a_listing_shows_what_stays_while_others_come_and_go(self, open_blobs):
        blobs = open_blobs()
        staying = [f"stay/{number:03}/x" for number in range(60)]
        for key in staying:
            put(blobs, key)
        stop = threading.Event()

        def churn(number):
            other = open_blobs()
            while not stop.is_set():
                put(other, f"stay/{number:03}/churn/{number}")
                other.delete(f"stay/{number:03}/churn/{number}")

        with ThreadPoolExecutor(3) as threads:
            churning = [threads.submit(churn, number) for number in (5, 30, 55)]
            try:
                for _ in range(8):
                    seen, cursor = [], None
                    while True:
                        page = blobs.list(prefix="stay/", limit=7, cursor=cursor)
                        seen += [info.key for info in page.blobs]
                        cursor = page.cursor
                        if cursor is None:
                            break
                    assert seen == sorted(set(seen))
                    assert [key for key in seen if key.endswith("/x")] == staying
            finally:
                stop.set()
            for each in churning:
                each.result()
        assert keys_of(blobs) == staying

    @pytest.mark.line(105, 108)
    def test_keys_that_are_folders_of_each_other_may_be_written_at_once(self, open_blobs):
        keys = ["n", "n/m", "n/m/o", "n/m/o/p"]
        for _ in range(10):
            at_once(4, lambda number: put(open_blobs(), keys[number], keys[number].encode()))
            assert [read(open_blobs(), key) for key in keys] == [key.encode() for key in keys]
            assert at_once(4, lambda number: open_blobs().delete(keys[number])) == [True] * 4
        assert keys_of(open_blobs()) == []
