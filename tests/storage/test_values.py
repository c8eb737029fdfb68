"""Every value comes back as what it was, or is refused before anything is stored."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from math import copysign, inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.documents import DOCUMENT_BYTES, NESTING
from storage.errors import BackendRejected, InvalidKey, InvalidValue, ValueTooLarge
from storage.values import add, check_fields, check_number, decode, encode

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
NAMES = st.one_of(TEXT.filter(bool), st.sampled_from(["$decimal", "$$bytes", "$", "$int"]))
DECIMALS = st.builds(
    lambda sign, digits, exponent: Decimal((sign, tuple(digits), exponent)),
    st.integers(0, 1),
    st.lists(st.integers(0, 9), min_size=1, max_size=38),
    st.integers(-90, 80),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**38) + 1, 10**38 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    DECIMALS,
    TEXT,
    st.binary(max_size=20),
    st.datetimes(timezones=st.just(UTC)).map(lambda at: at.replace(fold=0)),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=10,
)


def exact(value):
    """A form in which 1, 1.0, True and Decimal("1.0"), Decimal("1.00") all differ."""
    if isinstance(value, dict):
        return {name: exact(item) for name, item in value.items()}
    if isinstance(value, list):
        return [exact(item) for item in value]
    return (type(value), repr(value))


@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_every_value_comes_back_with_its_type(fields):
    assert exact(decode(encode(fields))) == exact(fields)


def test_one_document_is_one_line():
    assert b"\n" not in encode({"text": "two\nlines", "name": "\u2028"})


@pytest.mark.parametrize("text", ["1.10", "-0", "-0.00", "1E+30", "0E-10", "9.99E+125", "1E-130", "1" * 38])
def test_a_decimal_keeps_its_digits_its_exponent_and_its_sign(text):
    assert str(decode(encode({"price": Decimal(text)}))["price"]) == text


def test_a_negative_zero_stays_negative():
    assert copysign(1, decode(encode({"a": -0.0}))["a"]) == -1


def test_a_time_in_another_zone_is_the_same_instant_in_utc():
    given_time = datetime(2026, 1, 1, 1, 0, 0, 5, tzinfo=timezone(timedelta(hours=2)))
    stored = decode(encode({"at": given_time}))["at"]
    assert stored == given_time
    assert stored.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "value",
    [
        nan,
        inf,
        Decimal("NaN"),
        Decimal("-Infinity"),
        10**38,
        Decimal("1" * 39),
        Decimal("1E+126"),
        datetime(2026, 1, 1),  # noqa: DTZ001 - that is the point
        datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
        "\ud800",
        "a\0b",
        (1, 2),
        {1},
        object(),
    ],
)
@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: [value], lambda value: {"inner": [value]}])
def test_what_no_backend_holds_is_refused_saying_where(value, wrap):
    with pytest.raises(InvalidValue, match="good"):
        check_fields({"good": wrap(value)})


def test_a_backslash_before_u0000_is_no_nul():
    assert decode(encode({"text": "\\u0000"})) == {"text": "\\u0000"}


@pytest.mark.parametrize("name", ["", 1, None, "n" * 901])
@pytest.mark.parametrize("wrap", [lambda fields: fields, lambda fields: {"outer": fields}])
def test_a_bad_field_name_is_refused(name, wrap):
    with pytest.raises(InvalidKey):
        check_fields(wrap({name: 1}))


@pytest.mark.parametrize("name", ["\ud800", "a\0"])
def test_a_field_name_that_is_bad_text_is_refused(name):
    with pytest.raises(InvalidValue):
        check_fields({name: 1})


def nested(levels):
    value: object = 1
    for _ in range(levels - 1):
        value = [value]
    return {"a": value}


def test_twenty_levels_are_allowed_and_no_more():
    assert check_fields(nested(NESTING)) > 0
    with pytest.raises(InvalidValue, match="20 levels"):
        check_fields(nested(NESTING + 1))


def test_the_size_limit_is_exact_and_named():
    room = DOCUMENT_BYTES - len(b'{"text":""}')
    assert check_fields({"text": "x" * room}) == DOCUMENT_BYTES
    with pytest.raises(ValueTooLarge, match=rf"{DOCUMENT_BYTES + 1} bytes; {DOCUMENT_BYTES}"):
        check_fields({"text": "x" * (room + 1)})


@pytest.mark.parametrize(
    "stored", [b"{", b"[]", b'{"a":{"$decimal":"x"}}', b'{"a":{"$new":1}}', b'{"a":{"$bytes":1}}', b'{"$int":"5"}']
)
def test_damaged_fields_are_reported_not_guessed(stored):
    with pytest.raises(BackendRejected):
        decode(stored)


@pytest.mark.parametrize(
    ("left", "right", "total"),
    [
        (1, 2, 3),
        (1, 2.5, 3.5),
        (1, 1.0, 2.0),
        (1, Decimal("0.10"), Decimal("1.10")),
        (Decimal("1E+30"), Decimal("0.0000001"), Decimal("1000000000000000000000000000000.0000001")),
        (10**37, Decimal(1), Decimal(10**37 + 1)),
        (2**53, 1, 2**53 + 1),
    ],
)
def test_a_sum_is_exact_and_of_the_wider_type(left, right, total):
    for one, other in ((left, right), (right, left)):
        assert exact(add(one, other)) == exact(total)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1.5, Decimal(1)),
        (True, 1),
        ("1", 1),
        (None, 1),
        (1, False),
        (10**38 - 1, 1),
        (Decimal("1E+40"), Decimal("0.1")),
        (1e308, 1e308),
        (nan, 1),
    ],
)
def test_a_sum_that_is_not_exact_or_not_of_numbers_is_refused(left, right):
    with pytest.raises(InvalidValue):
        add(left, right)


def test_a_boolean_is_no_number():
    with pytest.raises(InvalidValue, match="used is no number"):
        check_number("used", True)
