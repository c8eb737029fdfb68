"""Names and values as a Cosmos container holds them, without a server."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.backends.cosmos_bulk import BATCH_BYTES
from storage.backends.cosmos_names import ID_BYTES, PK_BYTES, id_of, key_of, memory_id_of, pk_of, sort_of, sort_range
from storage.backends.cosmos_values import packed, unpacked
from storage.backends.service import Place
from storage.backends.versions import Versions
from storage.documents import ATOMIC_BYTES, DOCUMENT_BYTES
from storage.values import checked
from tests.contract.document_contract_values import exact

KEYS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=225)
ODD = [".", "..", "a/b", "a\\b", "a?b", "a#b", "a b ", "%2e", "~2e", "~m", "é", "e\u0301", "😀" * 225, "x" * 900]


@given(KEYS)
def test_an_id_is_plain_ascii_that_an_address_can_hold(key):
    name = id_of(key)
    assert name.isascii()
    assert 0 < len(name) <= ID_BYTES
    assert not set(name) & set("/\\?#% ")
    assert name.strip(".") == name or not name.startswith(".")


@given(KEYS, KEYS)
def test_two_keys_never_share_an_id_and_sort_as_their_bytes_do(one, other):
    assert (id_of(one) == id_of(other)) == (one == other)
    assert (sort_of(one) < sort_of(other)) == (one.encode() < other.encode())
    assert key_of(sort_of(one)) == one


def test_odd_keys_have_ids_of_their_own_and_no_memory_has_one_of_them():
    ids = [id_of(key) for key in ODD]
    assert len({*ids, *(memory_id_of(key) for key in ODD)}) == 2 * len(ODD)
    assert id_of("order:2026-11-20@acme") == "order:2026-11-20@acme"


@given(KEYS, KEYS)
def test_a_range_holds_what_starts_with_the_prefix(prefix, key):
    low, high = sort_range(prefix, None, None)
    assert (low <= sort_of(key) < high) == key.startswith(prefix)
    low, high = sort_range("", prefix, None)
    assert (low <= sort_of(key) < high) == (key.encode() > prefix.encode())


def test_a_partition_key_fits_however_long_the_partition_is():
    longest = pk_of(Place("c" * 100, ("/" * 450, "#" * 450)))
    assert len(longest.encode()) <= PK_BYTES
    assert pk_of(Place("orders", ("acme", "dev"))) == "orders#acme#dev"


@pytest.mark.parametrize(
    "value",
    [
        *(1, 1.0, True, Decimal(1), -0.0, 5e-324, 1.7976931348623157e308, 0.1, 2**53 - 1, 2**53, -(2**53), 10**38 - 1),
        *(b"\xff", datetime(2026, 1, 1, tzinfo=UTC), "", None, [], {}, {"$float": 1}, {"$$": {"$int": "1"}}, [[1.5]]),
    ],
)
def test_a_value_comes_back_with_its_type_from_numbers_that_are_doubles(value):
    fields = {"v": value, "deep": {"list": [value]}}
    wire = json.loads(json.dumps(packed(checked(fields))), parse_int=lambda text: int(float(text)))
    assert exact(unpacked(wire)) == exact(fields)


@pytest.mark.parametrize("value", [0.5, -1.0, 2**60, Decimal(1), "é", "\x01", {"$a": 1}])
def test_a_document_at_the_limit_grows_little(value):
    each = len(checked({"v": [value]}).encoded) - len('{"v":[]}') + 1
    fields = checked({"v": [value] * ((DOCUMENT_BYTES - 20) // each)})
    stored = packed(fields)
    assert len(json.dumps(stored, ensure_ascii=False).encode()) * ATOMIC_BYTES < 0.75 * BATCH_BYTES * len(
        fields.encoded
    )
    assert exact(unpacked(stored)) == exact(dict(fields))


def test_versions_grow_though_the_clock_stands_still_or_runs_behind():
    versions, now = Versions(), datetime(2026, 1, 1, tzinfo=UTC)
    first = versions.next(now)
    versions.saw(first + 1000)
    assert versions.next(now) == first + 1001
    assert versions.next(now, above=first + 5000) == first + 5001
