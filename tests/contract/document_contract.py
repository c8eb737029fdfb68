"""The document contract, for any backend: keys and encoding (lines 1 to 14, 150).

A driver's test module has a fixture `open_documents` (tenant, env, project, surface → GuardedDocuments, all on one place) and one
empty class for each class of these modules, with the backend's name in `backend`.
"""

import unicodedata
from collections.abc import Sequence
from itertools import product
from typing import Any, Protocol

import pytest

from storage.documents import BulkPut, Document, Ref, Written
from storage.errors import InvalidKey
from storage.guard import GuardedDocuments

COLLECTION = "contract"
TABLE = "orders"
PARTITION = (TABLE,)


class OpenDocuments(Protocol):
    """Opens the documents of one scope; all scopes of a test share one place."""

    def __call__(
        self, tenant: str = "acme", env: str = "dev", project: str | None = None, surface: str = "_"
    ) -> GuardedDocuments: ...


def ref(key: str, table: str = TABLE) -> Ref:
    return Ref(COLLECTION, (table,), key)


def keys_of(page: Any) -> list[str]:
    return [document.ref.key for document in page.documents]


def all_written(outcomes: Sequence[Any]) -> bool:
    return all(isinstance(outcome, Written) for outcome in outcomes)


def all_keys(documents: GuardedDocuments, *, limit: int = 100, **options: Any) -> list[str]:
    """Every key of a scan, page after page, until a page has no cursor."""
    keys: list[str] = []
    cursor = None
    while True:
        page = documents.scan(COLLECTION, PARTITION, limit=limit, cursor=cursor, **options)
        assert len(page.documents) <= limit
        keys += keys_of(page)
        cursor = page.cursor
        if cursor is None:
            return keys


def stored(documents: GuardedDocuments, key: str, table: str = TABLE) -> Document:
    document = documents.get(ref(key, table))
    assert document is not None
    return document


def ascii_groups() -> list[str]:
    """All 128 ASCII codes in groups of 16."""
    return ["".join(map(chr, range(start, start + 16))) for start in range(0, 128, 16)]


ODD_KEYS = [
    "a/b",
    "a//b",
    "/a/",
    "../a",
    "..",
    ".",
    "__a__",
    "a\\b",
    "quo\"te's",
    "two words",
    " lead and trail ",
    "9lives",
    "\N{GRINNING FACE}",
    "e\u0301",
    "\u00e9",
    "100%",
    "%2F",
    "a%2Fb",
    "a#b",
    "a?b&c=d",
    "*",
    "[a-z]",
    "under_score",
    "K",
    "k",
    "'; DROP TABLE docs; --",
    "{{7*7}}",
    "$ne",
    "<script>",
    "CON",
    "nul.txt",
    "\U0010ffff",
    *(group for group in ascii_groups() if not any(unicodedata.category(code) == "Cc" for code in group)),
]

LOOKALIKES = ["a", "A", "a#b", "a/b", "a\\b", "a%b", "a%2Fb", "\N{GRINNING FACE}", "\u00e9", "e\u0301"]
TENANTS = ["acme", "acme-corp", "acme_x", "acm", "%", "ACME", "acme#dev", "acme/dev", "acme\\dev", "\u00e9", "e\u0301"]

BAD_KEYS = ["", "\ud800", "a\nb", "a\n", "a\0b", "\x7f", "\x85", *(ascii_groups()[:2])]


class DocumentKeyContract:
    """Every valid key is literal and its own; every other is refused before anything is read or written."""

    @pytest.mark.line(1, 5, 9, 150)
    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_an_odd_key_is_literal_in_every_operation(self, documents, key):
        documents.put(ref(key), {"key": key})
        documents.put(ref("~neighbour"), {"key": "~neighbour"})
        assert stored(documents, key).fields == {"key": key}
        assert stored(documents, key).ref == ref(key)
        assert documents.increment(ref(key), {"n": 1}).values == {"n": 1}
        assert keys_of(documents.scan(COLLECTION, PARTITION, prefix=key)) == [key]
        assert documents.get_many([ref(key), ref(key + "x")])[1] is None
        assert documents.delete(ref(key)) is True
        assert documents.get(ref(key)) is None

    @pytest.mark.line(1, 6, 7, 8, 10)
    def test_odd_keys_live_side_by_side(self, documents):
        for number, key in enumerate(ODD_KEYS):
            documents.put(ref(key), {"number": number})
        found = documents.get_many([ref(key) for key in ODD_KEYS])
        assert [document.fields["number"] for document in found] == list(range(len(ODD_KEYS)))
        assert all_keys(documents, limit=7) == sorted(ODD_KEYS, key=str.encode)

    @pytest.mark.line(6, 7, 8, 10)
    @pytest.mark.parametrize(
        "pair", [("Orders", "orders"), ("caf\u00e9", "cafe\u0301"), ("a/b", "a%2Fb"), ("a.b", "a_b")]
    )
    def test_odd_partitions_live_side_by_side(self, documents, pair):
        for table in pair:
            documents.put(ref("k", table), {"table": table})
        assert [stored(documents, "k", table).fields["table"] for table in pair] == list(pair)

    @pytest.mark.line(10)
    def test_parts_that_join_alike_never_meet(self, documents):
        parts = ["a", "b", "a/b", "a#b", "a%b", "%", "/", "#", "a/", "/b"]
        names = [*((part,) for part in parts), *product(parts[:6], repeat=2)]
        for number, partition in enumerate(names):
            documents.put(Ref(COLLECTION, partition, "k"), {"number": number})
        for number, partition in enumerate(names):
            assert documents.get(Ref(COLLECTION, partition, "k")).fields == {"number": number}

    @pytest.mark.line(10, 11)
    def test_another_scope_sees_nothing(self, open_documents):
        acme = open_documents()
        acme.put(ref("k"), {"owner": "acme"})
        others = [
            open_documents("globex"),
            open_documents("acme", "prod"),
            open_documents("acme", "dev", "apollo"),
            open_documents("acme", "dev", None, "squared2"),
            open_documents("acme-corp"),
            open_documents("acm"),
            open_documents("acme2"),
            open_documents("acme_x"),
        ]
        for other in others:
            assert other.get(ref("k")) is None
            assert keys_of(other.scan(COLLECTION, PARTITION)) == []
            assert other.delete(ref("k")) is False
            other.put(ref("k"), {"owner": "another"})
        assert stored(acme, "k").fields == {"owner": "acme"}

    @pytest.mark.line(1, 6, 7, 10, 11)
    def test_tenants_and_keys_that_look_alike_never_meet(self, open_documents):
        stores = {tenant: open_documents(tenant) for tenant in TENANTS}
        refs = [ref(key) for key in LOOKALIKES]
        for tenant, documents in stores.items():
            assert all_written(documents.put_many([BulkPut(one, {"owner": tenant}) for one in refs]))
        for owner in TENANTS:
            for tenant, documents in stores.items():
                theirs = LOOKALIKES if TENANTS.index(tenant) >= TENANTS.index(owner) else []
                assert all_keys(documents) == sorted(theirs, key=str.encode)
                found = [document for document in documents.get_many(refs) if document]
                assert {document.fields["owner"] for document in found} == ({tenant} if theirs else set())
            assert [stores[owner].delete(one) for one in refs] == [True] * len(refs)

    @pytest.mark.line(9, 11)
    def test_a_prefix_is_literal_and_ends_where_it_ends(self, documents):
        keys = ["acme", "acme-corp", "acme2", "acme_x", "acmf", "acm", "a%", "a_", "a*", "\u00e9", "\u00ea"]
        for key in keys:
            documents.put(ref(key), {})
        for prefix in [*keys, "a", "\u00e9", "b"]:
            expected = sorted((key for key in keys if key.startswith(prefix)), key=str.encode)
            assert all_keys(documents, prefix=prefix) == expected

    @pytest.mark.line(1, 2, 3, 12, 14)
    @pytest.mark.parametrize("key", BAD_KEYS)
    def test_a_bad_key_is_refused_by_every_operation(self, documents, key):
        calls = [
            lambda: documents.get(ref(key)),
            lambda: documents.get_many([ref("fine"), ref(key)]),
            lambda: documents.put(ref(key), {}),
            lambda: documents.delete(ref(key)),
            lambda: documents.increment(ref(key), {"n": 1}),
            lambda: documents.put(ref("k", key), {}),
            lambda: documents.scan(COLLECTION, (key,)),
            lambda: documents.scan(COLLECTION, PARTITION, after=key),
            lambda: documents.scan(COLLECTION, PARTITION, before=key),
        ]
        for call in calls:
            with pytest.raises(InvalidKey) as refusal:
                call()
            assert not key or ascii(key)[1:-1] in refusal.value.detail
        assert all_keys(documents) == []

    @pytest.mark.line(4)
    @pytest.mark.parametrize("unit", ["k", "\u00e9", "\N{GRINNING FACE}"])
    def test_a_key_of_900_bytes_is_stored_and_one_more_is_refused(self, documents, unit):
        longest = unit * (900 // len(unit.encode()))
        documents.put(ref(longest), {"n": 1})
        assert stored(documents, longest).fields == {"n": 1}
        assert keys_of(documents.scan(COLLECTION, PARTITION, prefix=longest)) == [longest]
        assert keys_of(documents.scan(COLLECTION, PARTITION, before=longest)) == []
        assert documents.delete(ref(longest)) is True
        too_long = longest + "k"
        for call in (documents.get, documents.delete, lambda key: documents.put(key, {})):
            with pytest.raises(InvalidKey, match="901 bytes; 900"):
                call(ref(too_long))
        with pytest.raises(InvalidKey):
            documents.scan(COLLECTION, PARTITION, after=too_long)

    @pytest.mark.line(4)
    @pytest.mark.parametrize("unit", ["t", "T", "\u00e9"])
    def test_the_longest_partition_is_stored(self, documents, unit):
        room = 900 - sum(len(part.encode()) for part in documents.scope.parts)
        longest = unit * (room // len(unit.encode()))
        documents.put(ref("k", longest), {"n": 1})
        documents.put(ref("k", longest[:-1]), {"n": 2})
        assert stored(documents, "k", longest).fields == {"n": 1}
        with pytest.raises(InvalidKey):
            documents.get(ref("k", longest + unit))
