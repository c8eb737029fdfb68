"""What every networked object backend promises when the network breaks: one write happens once, and its caller is told the truth.

A backend's test module gives the fixtures `server_address` (`host:port`) and `open_at(address)`: each call opens acme's objects
of the same place at that address, through a driver of its own as in another process.
"""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from northstar.errors import NorthstarError, VersionConflict
from storage.blob_guard import GuardedBlobs
from storage.blobs import ABSENT
from storage.errors import BackendUnavailable
from tests.contract.blob_contract import put, read
from tests.stack.fault_proxy import FaultProxy, fault_proxy

OpenAt = Callable[[str], GuardedBlobs]
MIB = 1024 * 1024
LARGE = bytes(range(256)) * (4096 * 17 + 4)
"""A body of 17 MiB and a bit: three parts at most backends."""
OLD = b"old bytes"
NEW = b"new bytes"
WRITERS = 8
COUNTS_EACH = 10


def large(blobs, key, **options):
    return blobs.put(
        key, (LARGE[at : at + MIB] for at in range(0, len(LARGE), MIB)), content_type="text/plain", **options
    )


WRITES: dict[str, Callable[[GuardedBlobs], Any]] = {
    "put": lambda blobs: put(blobs, "k", NEW),
    "create": lambda blobs: put(blobs, "new", NEW, expect=ABSENT),
    "replace": lambda blobs: put(blobs, "k", NEW, expect=blobs.head("k").etag),
    "copy": lambda blobs: blobs.copy("other", "copied"),
    "copy over": lambda blobs: blobs.copy("other", "k", metadata={"copied": "1"}),
    "delete": lambda blobs: blobs.delete("k"),
    "large": lambda blobs: large(blobs, "k"),
    "large, announced": lambda blobs: large(blobs, "new", sha256=hashlib.sha256(LARGE).hexdigest(), expect=ABSENT),
}
TARGETS = {"create": "new", "copy": "copied", "large, announced": "new"}
BODIES = {"large": LARGE, "large, announced": LARGE, "copy": b"other bytes", "copy over": b"other bytes"}
STEPS = {"put": 2, "create": 2, "replace": 3, "copy": 4, "copy over": 4, "delete": 2, "large": 8, "large, announced": 6}
"""Answers to lose, one at a time: at least as many as any backend has for the write."""


def truth_of(write: str, direct: GuardedBlobs) -> Any:
    """What the write must have answered, told from what is stored now; it fails where that is not the write's own work."""
    if write == "delete":
        assert direct.head("k") is None
        return True
    key = TARGETS.get(write, "k")
    assert read(direct, key) == BODIES.get(write, NEW)
    return direct.head(key)


def nothing_is_left(blobs: GuardedBlobs) -> bool:
    """Whether a sweep of everything finds no loose part."""
    return blobs.sweep(before=datetime.now(UTC) + timedelta(days=1), dry_run=True).parts == 0


class BlobFaultContract:
    """The objects of a place whose network breaks between the SDK, with the settings that it has in service, and the server."""

    @pytest.fixture
    def proxy(self, server_address: str) -> Iterator[FaultProxy]:
        with fault_proxy(server_address) as proxy:
            yield proxy

    @pytest.fixture
    def direct(self, open_at: OpenAt, server_address: str) -> GuardedBlobs:
        """Acme's objects past the proxy, with two objects."""
        blobs = open_at(server_address)
        put(blobs, "k", OLD)
        put(blobs, "other", b"other bytes", metadata={"of": "other"})
        return blobs

    @pytest.fixture
    def blobs(self, direct: GuardedBlobs, open_at: OpenAt, proxy: FaultProxy) -> GuardedBlobs:
        """The same objects through the proxy, already connected."""
        blobs = open_at(proxy.address)
        assert read(blobs, "k") == OLD
        return blobs

    @pytest.mark.line(85, 123)
    @pytest.mark.parametrize(
        ("write", "step"), [(write, step) for write, steps in STEPS.items() for step in range(steps)]
    )
    def test_a_write_whose_answer_is_lost_at_any_step_happens_once_and_says_so(self, blobs, direct, proxy, write, step):
        proxy.drop_response(once=1, skip=step)
        answer = WRITES[write](blobs)
        proxy.clear()
        assert answer == truth_of(write, direct)
        assert nothing_is_left(direct)

    @pytest.mark.line(84, 123)
    @pytest.mark.parametrize("write", WRITES)
    def test_one_that_never_arrives_happens_once_or_is_told_as_unavailable(self, blobs, direct, proxy, write):
        before = {key: direct.head(key) for key in ("k", "other", "new", "copied")}
        proxy.reset(once=1)
        try:
            answer = WRITES[write](blobs)
        except BackendUnavailable:
            assert {key: direct.head(key) for key in before} == before
        else:
            assert answer == truth_of(write, direct)
        assert nothing_is_left(direct)

    @pytest.mark.line(38, 98, 123)
    def test_a_refused_write_whose_answer_is_lost_changes_nothing(self, blobs, direct, proxy):
        known = direct.head("k")
        for write in (
            lambda: put(blobs, "k", NEW, expect=ABSENT),
            lambda: put(blobs, "k", NEW, expect=direct.head("other").etag),
            lambda: blobs.copy("other", "k", expect=ABSENT),
        ):
            proxy.drop_response(once=1)
            with pytest.raises(NorthstarError):
                write()
            proxy.clear()
        assert (read(direct, "k"), direct.head("k")) == (OLD, known)

    @pytest.mark.line(46, 99, 123)
    def test_no_acknowledged_change_is_lost_or_made_twice_while_a_fifth_of_the_answers_is(self, blobs, direct, proxy):
        put(direct, "counter", b"0")
        proxy.lose_responses(0.2, seed=5)
        with ThreadPoolExecutor(WRITERS) as pool:
            told = list(pool.map(lambda _: _count(blobs), range(WRITERS)))
        proxy.clear()
        certain, unknown = (sum(counts) for counts in zip(*told, strict=True))
        assert certain == WRITERS * COUNTS_EACH
        assert certain <= int(read(direct, "counter")) <= certain + unknown

    @pytest.mark.line(143, 145)
    def test_a_backend_that_is_down_is_told_and_is_used_again_when_it_is_back(self, blobs, direct, proxy):
        proxy.refuse()
        for call in (lambda: read(blobs, "k"), lambda: WRITES["put"](blobs), lambda: WRITES["large"](blobs)):
            with pytest.raises(BackendUnavailable):
                call()
        assert read(direct, "k") == OLD
        proxy.clear()
        assert WRITES["put"](blobs) == truth_of("put", direct)

    @pytest.mark.line(143)
    def test_a_backend_that_is_down_at_the_start_is_used_when_it_comes(self, direct, open_at, proxy):
        proxy.refuse()
        blobs = open_at(proxy.address)
        with pytest.raises(BackendUnavailable):
            blobs.head("k")
        proxy.clear()
        assert read(blobs, "k") == OLD

    @pytest.mark.line(144, 145)
    def test_a_half_open_connection_ends_in_an_error_and_is_left_behind(self, blobs, direct, proxy):
        proxy.black_hole()
        with pytest.raises(BackendUnavailable):
            WRITES["replace"](blobs)
        proxy.clear()
        assert blobs.head("k") == direct.head("k")
        assert WRITES["put"](blobs) == truth_of("put", direct)

    @pytest.mark.line(99, 144)
    def test_a_download_that_is_cut_ends_in_an_error_after_what_came(self, blobs, direct, proxy):
        large(direct, "k")
        proxy.cut(after=5 * MIB)
        chunks = blobs.get("k").chunks
        with pytest.raises(BackendUnavailable):
            b"".join(chunks)
        proxy.clear()
        assert read(blobs, "k") == LARGE

    @pytest.mark.line(144)
    def test_a_download_that_stalls_ends_in_an_error(self, blobs, direct, proxy):
        large(direct, "k")
        proxy.stall(after=5 * MIB)
        chunks = blobs.get("k").chunks
        with pytest.raises(BackendUnavailable):
            b"".join(chunks)
        proxy.clear()
        assert read(blobs, "k") == LARGE

    @pytest.mark.line(84, 85)
    @pytest.mark.parametrize("announced", [None, "0" * 64])
    @pytest.mark.parametrize("after", [0, 1, 8 * MIB, 8 * MIB + 1, 16 * MIB, len(LARGE)])
    def test_a_body_that_breaks_at_any_byte_leaves_the_object_before_and_no_part(self, blobs, direct, after, announced):
        known = direct.head("k")

        def body():
            yield LARGE[:after]
            raise EOFError

        with pytest.raises(EOFError):
            blobs.put("k", body(), content_type="text/plain", sha256=announced)
        assert (read(direct, "k"), direct.head("k")) == (OLD, known)
        assert nothing_is_left(direct)


def _count(blobs: GuardedBlobs) -> tuple[int, int]:
    """Add one so many times, each on what was read. Returns how often that was confirmed, and how often nobody could tell."""
    certain = unknown = 0
    while certain < COUNTS_EACH:
        try:
            seen = blobs.get("counter")
            value = int(b"".join(seen.chunks))
        except BackendUnavailable:
            continue
        try:
            put(blobs, "counter", str(value + 1).encode(), expect=seen.info.etag)
        except VersionConflict:
            continue
        except BackendUnavailable:
            unknown += 1
            continue
        certain += 1
    return certain, unknown
