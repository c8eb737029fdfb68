"""The document contract, for any backend: values (lines 15 to 26, 150)."""

from datetime import UTC, datetime
from decimal import Decimal
from math import inf, nan
from typing import Any

import pytest

from storage.documents import DOCUMENT_BYTES, NESTING
from storage.errors import InvalidKey, InvalidValue, ValueTooLarge
from tests.contract.document_contract import ODD_KEYS, ref, stored

VALUES: dict[str, Any] = {
    "null": None,
    "true": True,
    "false": False,
    "empty text": "",
    "json as text": '{"a": 1}',
    "html": "<a href='x'>&amp;</a>",
    "emoji": "\N{GRINNING FACE} e\u0301 \u2028",
    "bytes": b"\x00\xff\xfe protobuf",
    "no bytes": b"",
    "empty list": [],
    "empty map": {},
    "nested": {"list": [1, "two", None, {"deep": [True, b"x"]}]},
    "time": datetime(2026, 11, 20, 23, 59, 59, 999_999, tzinfo=UTC),
    "like a tag": {"$decimal": "1.5"},
    "like an escaped tag": {"$$bytes": {"$int": "1"}},
    "zero": 0,
    "minus one": -1,
    "beyond a double": 2**53 + 1,
    "signed 64 bit": -(2**63),
    "unsigned 64 bit": 2**64 - 1,
    "38 digits": -(10**38) + 1,
    "float": 0.1,
    "whole float": 1.0,
    "tiny float": 5e-324,
    "huge float": 1.7976931348623157e308,
    "money": Decimal("19.99"),
    "precise": Decimal("0.1000000000000000000000000000000000001"),
}
FLAT = {"a": 1, "b": [2], "c": {"d": 3}}


def exact(value):
    """A form in which 1, 1.0, True and Decimal(1) differ."""
    if isinstance(value, dict):
        return {name: exact(item) for name, item in value.items()}
    if isinstance(value, list):
        return [exact(item) for item in value]
    return (type(value), value)


def nested(levels: int):
    value: object = "deep"
    for _ in range(levels - 1):
        value = {"in": value}
    return {"a": value}


class DocumentValueContract:
    """What comes back is what was written: the same fields, the same types, nothing else."""

    @pytest.mark.line(15, 16, 17, 18, 20, 21, 24)
    @pytest.mark.parametrize("name", VALUES)
    def test_a_value_comes_back_with_its_type(self, documents, name):
        fields = {"value": VALUES[name], "in a list": [VALUES[name]], "in a map": {"value": VALUES[name]}}
        documents.put(ref("k"), fields)
        assert exact(stored(documents, "k").fields) == exact(fields)

    @pytest.mark.line(15, 20)
    def test_a_document_without_fields_is_a_document(self, documents):
        documents.put(ref("k"), {})
        assert stored(documents, "k").fields == {}

    @pytest.mark.line(18)
    @pytest.mark.parametrize(
        "value", [nan, inf, -inf, Decimal("NaN"), Decimal("Infinity"), 10**38, object(), (1,), {1}]
    )
    def test_what_some_backend_cannot_hold_is_refused(self, documents, value):
        documents.put(ref("k"), FLAT)
        for fields in ({"a": value}, {"a": [value]}, {"a": {"b": value}}):
            with pytest.raises(InvalidValue):
                documents.put(ref("k"), fields)
        assert stored(documents, "k").fields == FLAT

    @pytest.mark.line(19)
    def test_twenty_levels_are_stored_and_one_more_is_refused(self, documents):
        for levels in range(1, NESTING + 1):
            documents.put(ref("k"), nested(levels))
            assert stored(documents, "k").fields == nested(levels)
        with pytest.raises(InvalidValue, match="20 levels"):
            documents.put(ref("k"), nested(NESTING + 1))

    @pytest.mark.line(22)
    def test_the_largest_document_is_stored_and_one_byte_more_is_refused_whole(self, documents):
        room = DOCUMENT_BYTES - len('{"a":""}')
        documents.put(ref("k"), {"a": "x" * room})
        assert len(stored(documents, "k").fields["a"]) == room
        with pytest.raises(ValueTooLarge, match=rf"{DOCUMENT_BYTES + 1} bytes; {DOCUMENT_BYTES}"):
            documents.put(ref("k"), {"a": "y" * (room + 1)})
        assert stored(documents, "k").fields["a"][:1] == "x"

    @pytest.mark.line(22)
    def test_an_increment_cannot_grow_a_document_over_the_limit(self, documents):
        documents.put(ref("k"), {"a": "x" * (DOCUMENT_BYTES - len('{"a":""}'))})
        with pytest.raises(ValueTooLarge):
            documents.increment(ref("k"), {"n": 1})
        assert "n" not in stored(documents, "k").fields

    @pytest.mark.line(23)
    def test_what_was_passed_in_or_came_out_can_be_changed_freely(self, documents):
        fields: dict[str, Any] = {"list": [1], "map": {"a": 1}}
        documents.put(ref("k"), fields)
        fields["list"].append(2)
        first = stored(documents, "k")
        first.fields["map"]["a"] = 2
        first.fields["list"].append(3)
        assert stored(documents, "k").fields == {"list": [1], "map": {"a": 1}}

    @pytest.mark.line(25, 37)
    def test_the_same_write_twice_changes_the_version_only(self, documents):
        first = documents.put(ref("k"), FLAT)
        assert documents.put(ref("k"), FLAT).version > first.version
        assert stored(documents, "k").fields == FLAT

    @pytest.mark.line(26)
    def test_fields_named_like_the_envelope_are_the_users_own(self, documents):
        names = [
            "version",
            "updated_at",
            "expires_at",
            "epoch",
            "operation_id",
            "key",
            "data",
            "deleted",
            "ops",
            "pk",
            "sk",
        ]
        names += ["id", "_ts", "_etag", "ttl", "floor", "added", "remember", "remembered", "totals", "existed"]
        fields = {name: f"my {name}" for name in names}
        written = documents.put(ref("k"), fields)
        document = stored(documents, "k")
        assert document.fields == fields
        assert (document.version, document.expires_at) == (written.version, None)

    @pytest.mark.line(150)
    def test_an_odd_field_name_is_literal(self, documents):
        fields = dict.fromkeys(ODD_KEYS, 1)
        documents.put(ref("k"), fields)
        assert stored(documents, "k").fields == fields
        assert documents.increment(ref("k"), fields).values == dict.fromkeys(ODD_KEYS, 2)

    @pytest.mark.line(150)
    def test_a_value_that_looks_like_code_is_data(self, documents):
        for text in ("'; DROP TABLE docs; --", "${jndi:ldap://x}", "{{7*7}}", '", "deleted": true, "x": "', "\\u0000"):
            documents.put(ref("k"), {"a": text, text: "a"})
            assert stored(documents, "k").fields == {"a": text, text: "a"}

    @pytest.mark.line(150)
    @pytest.mark.parametrize("name", ["", 1, None])
    def test_a_field_needs_a_name(self, documents, name):
        with pytest.raises(InvalidKey):
            documents.put(ref("k"), {name: 1})
