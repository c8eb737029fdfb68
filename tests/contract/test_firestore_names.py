"""Names and values as Firestore holds them, without a server."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from google.cloud.firestore_v1.types import Value
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.backends.firestore_names import beyond, document_id, key_of, memory_id, parent_of
from storage.backends.firestore_scan import Range
from storage.backends.firestore_values import read_fields, write_fields
from storage.backends.service import Place
from storage.errors import BackendRejected
from tests.contract.document_contract import ODD_KEYS
from tests.contract.document_contract_values import exact

KEYS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=225)
RESERVED = re.compile(r"\.|\.\.|__.*__", re.DOTALL)
NAMES = st.text(st.sampled_from("$_a"), min_size=1, max_size=7) | KEYS
NUMBERS = st.integers(-(10**38) + 1, 10**38 - 1) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = (
    st.none()
    | st.booleans()
    | NUMBERS
    | st.text()
    | st.binary()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.datetimes(timezones=st.just(UTC))
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner), max_leaves=8)


def stored(fields):
    """The fields after a way through Firestore's message, as bytes."""
    value = Value.pb()()
    write_fields(value, fields)
    return Value.pb().FromString(value.SerializeToString())


@given(KEYS)
def test_an_id_is_one_that_firestore_takes_and_gives_the_key_back(key):
    name = document_id(key)
    assert "/" not in name
    assert not RESERVED.fullmatch(name)
    assert len(name.encode()) <= 901
    assert key_of(f"projects/p/databases/d/documents/{name}") == key


@given(KEYS, KEYS)
def test_ids_sort_as_their_keys_do(one, other):
    assert (document_id(one).encode() < document_id(other).encode()) == (one.encode() < other.encode())


def test_odd_keys_have_ids_of_their_own_and_no_memory_has_one_of_them():
    ids = {*map(document_id, ODD_KEYS), *map(memory_id, ODD_KEYS)}
    assert len(ids) == 2 * len(ODD_KEYS)
    assert all(document_id("") <= document_id(key) < document_id(None) <= memory_id(key) for key in ODD_KEYS)


@given(KEYS, KEYS)
def test_a_range_holds_what_starts_with_the_prefix(prefix, key):
    keys = Range.of(prefix)
    inside = keys.low.encode() <= key.encode() and (keys.high is None or key.encode() < keys.high.encode())
    assert inside == key.startswith(prefix)


@pytest.mark.parametrize(
    ("prefix", "first"),
    [("", None), ("a", "b"), ("/", "0"), ("a\U0010ffff", "b"), ("\U0010ffff", None), ("\ud7ff", "\ue000")],
)
def test_the_first_text_beyond_a_prefix_is_valid(prefix, first):
    assert beyond(prefix) == first


@pytest.mark.parametrize("count", [1, 2])
def test_no_two_partitions_share_a_path_and_none_is_refused(count):
    parts = ["a", "_", ".", "..", "__x__", "__", "/", "#", "%", "%_", "%_.", "x" * 899, "/" * 450]
    places = [
        Place(collection, ("acme", "dev", "_", *rest))
        for collection in ("c", "__c__", ".")
        for rest in product(parts, repeat=count)
    ]
    places += [Place("c", ("acme", "dev", "_")), Place("c", ("__acme", "dev", "_x__"))]
    paths = [parent_of(place) for place in places]
    assert len(set(paths)) == len(places)
    for path in paths:
        segments = path.split("/")
        assert len(segments) == 4
        assert all(
            segment and not RESERVED.fullmatch(segment) and len(segment.encode()) <= 1500 for segment in segments
        )


@settings(max_examples=50)
@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_fields_come_back_as_they_were(fields):
    assert exact(read_fields(stored(fields))) == exact(fields)


def test_what_firestore_says_itself_is_stored_natively():
    moment = datetime(2026, 11, 20, 12, 0, 0, 123_456, tzinfo=UTC)
    fields = {"i": 2**63 - 1, "f": 1.0, "t": "x", "b": b"x", "d": moment, "n": None, "l": [1], "m": {"a": True}}
    kinds = {name: value.WhichOneof("value_type") for name, value in stored(fields).map_value.fields.items()}
    assert [kinds[name].removesuffix("_value") for name in fields] == [
        *("integer", "double", "string", "bytes", "timestamp", "null", "array", "map"),
    ]


@pytest.mark.parametrize("value", [2**63, Decimal("1.10"), [[1]], {"$int": 1}, {"__x__": 1}, {"$__x__": 1, "a": 2}])
def test_what_it_does_not_is_tagged_and_passes_its_rules(value):
    def names(source):
        for name, inner in source.map_value.fields.items():
            yield name
            yield from names(inner)

    shown = stored({"value": value})
    assert shown.WhichOneof("value_type") == "map_value"
    assert not any(re.fullmatch("__.*__", name) for name in names(shown))
    assert exact(read_fields(shown)) == exact({"value": value})


@pytest.mark.parametrize("levels", range(1, 21))
def test_as_many_levels_are_native_as_firestore_surely_takes(levels):
    value: dict[str, Any] = {"n": 1}
    for _ in range(levels - 1):
        value = {"in": value}
    shown = stored(value)
    assert (shown.WhichOneof("value_type") == "map_value") is (levels <= 18)
    assert read_fields(shown) == value


def test_what_northstar_never_wrote_is_refused():
    inners: list[dict[str, Any]] = [
        {"reference_value": "projects/p/databases/d/documents/a/b"},
        {"map_value": {"fields": {"$no": {}}}},
    ]
    for inner in inners:
        with pytest.raises(BackendRejected):
            read_fields(Value.pb()(map_value={"fields": {"a": inner}}))
