"""What is refused of a JSON text, and what comes through exactly."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from northstar.errors import InvalidRequest
from northstar.strict_json import parse, parse_object


def nested(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


BOMBS = {
    "too_deep": [
        nested(65),
        b"[" * 10_000 + b"]" * 10_000,
        b"[" * 100_000,
        b'{"a":[' * 40 + b"]}" * 40,
    ],
    "duplicate_name": [b'{"a":1,"a":1}', b'{"x":[{"a":1,"b":2,"a":3}]}', b'{"a":1,"\\u0061":2}'],
    "nul": [b'{"a":"\\u0000"}', b'{"\\u0000":1}', b'{"a":["x",{"b":"y\\u0000"}]}'],
    "lone_surrogate": [b'{"a":"\\ud800"}', b'{"a":"x\\udfff"}', b'{"\\udc00":1}', b'["\\ud800\\ud800"]'],
    "not_a_number": [b'{"a":NaN}', b'{"a":Infinity}', b"[-Infinity]"],
    "number_too_large": [b'{"a":1e999}', b"[-1e400]"],
    "number_too_long": [b'{"a":' + b"9" * 4_000 + b"}", b"[" + b"1" * 100_000 + b"]"],
    "not_utf8": [b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\xc0\x80"}'],
    "byte_order_mark": [b'\xef\xbb\xbf{"a":1}'],
    "malformed": [b"", b"{", b'{"a":1,}', b"{'a':1}", b'{"a":01}', b'{"a":"\x00"}', b'{"a":1} x', b'{"a"', b'"\\"'],
}


@pytest.mark.parametrize(("code", "raw"), [(code, raw) for code, raws in BOMBS.items() for raw in raws])
def test_a_text_that_could_be_misread_or_not_be_stored_is_refused_by_its_reason(code, raw):
    with pytest.raises(InvalidRequest) as refused:
        parse(raw)
    assert [error.code for error in refused.value.errors] == [code]


def test_sixty_four_levels_are_allowed_and_sixty_five_are_not():
    assert parse(nested(64))
    assert parse(b"[" * 64 + b"]" * 64)
    with pytest.raises(InvalidRequest, match="64 levels"):
        parse(nested(65))


def test_brackets_inside_texts_are_no_levels():
    assert parse(json.dumps({"a": "[" * 200, 'b"[': ["{" * 100]}).encode())["a"] == "[" * 200


def test_the_place_of_a_bad_text_is_named():
    with pytest.raises(InvalidRequest) as refused:
        parse(b'{"a":["x",{"b":"y\\u0000"}]}')
    assert refused.value.errors[0].field == "a.1.b"


@pytest.mark.parametrize("value", [2**53 + 1, 2**64 + 1, -(10**37), 10**300])
def test_integers_keep_every_digit(value):
    assert parse(b"[%d]" % value) == [value]


def test_a_surrogate_pair_is_one_character():
    assert parse(b'["\\ud83d\\ude00"]') == ["\U0001f600"]


@pytest.mark.parametrize("raw", [b"[]", b"1", b'"x"', b"null", b"true"])
def test_a_body_must_be_an_object(raw):
    with pytest.raises(InvalidRequest, match="object"):
        parse_object(raw)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), inner, max_size=4
            )
        ),
        max_leaves=20,
    )
)
def test_every_ordinary_value_comes_through_unchanged(value):
    assert parse(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "raw",
    [b'"' + b'\\"' * 500_000, b'["' + b"\\" * 1_000_000, b'"' * 1_000_000, b"[" + b'"{",' * 250_000, b"{}" * 500_000],
)
def test_a_hostile_megabyte_costs_no_more_time_than_an_honest_one(raw):
    honest = b"[" + b"1," * 499_999 + b"1]"
    parse(honest)
    started = time.process_time()
    parse(honest)
    budget = 20 * (time.process_time() - started) + 0.5
    started = time.process_time()
    with pytest.raises(InvalidRequest):
        parse(raw)
    assert time.process_time() - started < budget
