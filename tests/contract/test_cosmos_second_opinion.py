"""The Cosmos driver on npm's server, written by others: conditions, queries and order as they understand them.

It answers a point read of a missing item with 500 and has no item TTL, so it cannot run the whole contract. Its account has
sessions only.
"""

from collections.abc import Iterator

import pytest

from northstar.errors import AlreadyExists, VersionConflict
from storage.documents import ABSENT
from storage.errors import CeilingReached
from storage.guard import GuardedDocuments
from tests.contract.cosmos_lab import cosmos_config, cosmos_driver, guarded
from tests.contract.document_contract import COLLECTION, PARTITION, all_keys, ref, stored


@pytest.fixture
def both(cosmos_second_database) -> Iterator[tuple[GuardedDocuments, GuardedDocuments]]:
    """Acme's documents and globex's."""
    with cosmos_driver(cosmos_config(cosmos_second_database, consistency="session")) as driver:
        yield guarded(driver), guarded(driver, "globex")


@pytest.fixture
def documents(both: tuple[GuardedDocuments, GuardedDocuments]) -> GuardedDocuments:
    return both[0]


def test_tenants_never_meet(both):
    acme, globex = both
    acme.put(ref("k/é"), {"n": 1})
    globex.put(ref("k/é"), {"n": 2})
    globex.put(ref("other"), {"n": 2})
    assert stored(acme, "k/é").fields == {"n": 1}
    assert all_keys(acme) == ["k/é"]


def test_conditions_hold(documents):
    first = documents.put(ref("k"), {"n": 1}, expect=ABSENT)
    with pytest.raises(AlreadyExists):
        documents.put(ref("k"), {"n": 2}, expect=ABSENT)
    documents.put(ref("k"), {"n": 2}, expect=first.version)
    for call in (
        lambda: documents.put(ref("k"), {"n": 3}, expect=first.version),
        lambda: documents.delete(ref("k"), expect=first.version),
    ):
        with pytest.raises(VersionConflict):
            call()
    assert stored(documents, "k").fields == {"n": 2}
    assert documents.delete(ref("k")) is True
    assert documents.get(ref("k")) is None


def test_a_ceiling_is_never_passed(documents):
    documents.put(ref("k"), {"n": 1})
    assert documents.increment(ref("k"), {"n": 2, "m": -1}, ceilings={"n": 3}, floors={"m": -1}).values == {
        "n": 3,
        "m": -1,
    }
    with pytest.raises(CeilingReached):
        documents.increment(ref("k"), {"n": 1}, ceilings={"n": 3})
    assert stored(documents, "k").fields == {"n": 3, "m": -1}


def test_a_scan_goes_by_the_bytes_of_the_keys(documents):
    keys = ["a", "B", "b", "ü", "~", "z", "é", "e\u0301", "😀", "\uffee", "a b", "a/b"]
    for key in keys:
        documents.put(ref(key), {})
    expected = sorted(keys, key=str.encode)
    for limit in (1, 5, 100):
        assert all_keys(documents, limit=limit) == expected
    page = documents.scan(COLLECTION, PARTITION, after="a", before="é", reverse=True)
    assert [document.ref.key for document in page.documents] == expected[expected.index("a") + 1 : expected.index("é")][
        ::-1
    ]
    assert [document.ref.key for document in documents.scan(COLLECTION, PARTITION, prefix="a").documents] == [
        "a",
        "a b",
        "a/b",
    ]


def test_values_of_every_kind_come_back(documents):
    fields = {"float": 1.0, "int": 2**60, "bytes": b"\xff", "text": "é\u2028", "null": None, "list": [{"$a": 1}]}
    documents.put(ref("k"), fields)
    assert stored(documents, "k").fields == fields
    assert type(stored(documents, "k").fields["float"]) is float
