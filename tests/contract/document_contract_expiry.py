"""The document contract, for any backend: expiry (lines 60 to 66). The clock is the process's, whatever the service reaps."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from northstar.errors import AlreadyExists, VersionConflict
from storage.documents import ABSENT, BulkPut, Increment, Put
from storage.errors import InvalidValue
from tests.contract.document_contract import COLLECTION, PARTITION, all_keys, ref, stored

MINUTE = timedelta(minutes=1)


def at(instant: datetime) -> time_machine.travel:
    return time_machine.travel(instant, tick=False)


class DocumentExpiryContract:
    """A document is there until the very microsecond of its expiry, and absent for everything from then on."""

    @pytest.fixture
    def expiry(self) -> datetime:
        return datetime.now(UTC) + MINUTE

    @pytest.mark.line(60, 61)
    def test_an_expired_document_is_absent_at_once_everywhere(self, documents, expiry):
        documents.put(ref("k"), {}, expires_at=expiry)
        documents.put(ref("l"), {})
        with at(expiry - timedelta(microseconds=1)):
            assert all_keys(documents) == ["k", "l"]
        with at(expiry):
            assert documents.get(ref("k")) is None
            assert documents.get_many([ref("k"), ref("l")])[0] is None
            assert all_keys(documents, limit=1) == ["l"]
            assert documents.delete(ref("k")) is False

    @pytest.mark.line(61)
    def test_an_expired_document_may_be_created_anew_with_a_later_version(self, documents, expiry):
        old = documents.put(ref("k"), {"n": 1}, expires_at=expiry).version
        with pytest.raises(AlreadyExists):
            documents.put(ref("k"), {}, expect=ABSENT)
        with at(expiry):
            with pytest.raises(VersionConflict):
                documents.put(ref("k"), {}, expect=old)
            assert documents.put(ref("k"), {"n": 2}, expect=ABSENT).version > old
            assert stored(documents, "k").fields == {"n": 2}

    @pytest.mark.line(61)
    def test_an_increment_of_an_expired_document_starts_at_zero_without_expiry(self, documents, expiry):
        documents.put(ref("k"), {"n": 5, "a": 1}, expires_at=expiry)
        with at(expiry):
            assert documents.increment(ref("k"), {"n": 1}).values == {"n": 1}
            assert stored(documents, "k").fields == {"n": 1}
            assert stored(documents, "k").expires_at is None

    @pytest.mark.line(62)
    @pytest.mark.parametrize("ago", [timedelta(0), MINUTE, timedelta(days=4000)])
    def test_an_expiry_that_is_not_in_the_future_is_refused(self, documents, ago):
        now = datetime.now(UTC)
        with at(now), pytest.raises(InvalidValue, match="future"):
            documents.put(ref("k"), {}, expires_at=now - ago)
        with pytest.raises(InvalidValue, match="time zone"):
            documents.put(ref("k"), {}, expires_at=datetime(2100, 1, 1))  # noqa: DTZ001 - that is the point
        assert documents.get(ref("k")) is None

    @pytest.mark.line(62)
    def test_the_last_moment_of_time_is_an_expiry(self, documents):
        last = datetime.max.replace(tzinfo=UTC)
        documents.put(ref("k"), {}, expires_at=last)
        assert stored(documents, "k").expires_at == last

    @pytest.mark.line(63)
    def test_every_read_tells_the_expiry(self, documents, expiry):
        documents.put(ref("a"), {}, expires_at=expiry)
        documents.write(COLLECTION, PARTITION, [Put("b", {}, expires_at=expiry), Put("c", {})])
        documents.put_many([BulkPut(ref("d"), {}, expires_at=expiry)])
        expected = [expiry, expiry, None, expiry]
        assert [stored(documents, key).expires_at for key in "abcd"] == expected
        assert [document.expires_at for document in documents.get_many([ref(key) for key in "abcd"])] == expected
        assert [document.expires_at for document in documents.scan(COLLECTION, PARTITION).documents] == expected

    @pytest.mark.line(64)
    def test_a_put_without_expiry_clears_it(self, documents, expiry):
        documents.put(ref("k"), {}, expires_at=expiry)
        documents.put(ref("k"), {"n": 1})
        with at(expiry + MINUTE):
            assert stored(documents, "k").expires_at is None

    @pytest.mark.line(65)
    def test_an_increment_keeps_the_expiry(self, documents, expiry):
        documents.put(ref("k"), {"n": 1}, expires_at=expiry)
        documents.increment(ref("k"), {"n": 1})
        documents.write(COLLECTION, PARTITION, [Increment("k", {"n": 1})])
        assert stored(documents, "k").expires_at == expiry
        with at(expiry):
            assert documents.get(ref("k")) is None

    @pytest.mark.line(66)
    @pytest.mark.parametrize("skew", [timedelta(seconds=-5), timedelta(seconds=5)])
    def test_clocks_that_differ_by_seconds_disturb_nothing_else(self, documents, expiry, skew):
        first = documents.put(ref("k"), {"n": 1}, expires_at=expiry)
        with at(datetime.now(UTC) + skew):
            assert stored(documents, "k").fields == {"n": 1}
            second = documents.put(ref("k"), {"n": 2}, expect=first.version, expires_at=expiry)
        assert first.version < second.version < documents.increment(ref("k"), {"n": 1}).version
        documents.delete(ref("k"))
        with at(datetime.now(UTC) + skew):
            assert documents.get(ref("k")) is None
