"""Every spelling of a surface is one surface."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from northstar.errors import InvalidContext
from northstar.surfaces import normalise_surface

SEEDED = {"SQUARED²": "squared2", "squared2": "squared2", "SQUARED": "squared2", "squared": "squared2"}


@pytest.mark.parametrize("spelling", ["SQUARED²", "squared2", "SQUARED", "squared", "Squared", "SQUARED2"])
def test_all_spellings_of_squared_are_squared2(spelling):
    assert normalise_surface(spelling, SEEDED) == "squared2"


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("Café", "cafe"),
        ("My App", "my-app"),
        ("ﬁnance", "finance"),
        ("a/b", "a-b"),
        ("Straße", "strasse"),
        ("x_1.y-z", "x_1.y-z"),
    ],
)
def test_a_name_without_an_alias_is_folded_to_ascii(given, canonical):
    assert normalise_surface(given, {}) == canonical


def test_no_surface_is_the_underscore():
    assert normalise_surface(None, SEEDED) == "_"


@pytest.mark.parametrize("name", ["日本", "///", "a,b", "a\nb", "\x7f", "x" * 129, "-"])
def test_a_name_of_which_nothing_remains_is_refused(name):
    with pytest.raises(InvalidContext):
        normalise_surface(name, {})


def test_aliases_that_lead_in_a_circle_still_have_one_answer():
    circle = {"a": "b", "b": "c", "c": "a"}
    assert {normalise_surface(name, circle) for name in "abcABC"} == {"a"}


names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)
canonicals = st.from_regex(r"[a-z0-9._-]{1,12}", fullmatch=True)


@example(name="U", aliases={"0": "0", "u": "0-"})
@example(name="U", aliases={"u": "-"})
@given(name=names, aliases=st.dictionaries(names | canonicals, canonicals, max_size=6))
def test_normalising_twice_changes_nothing(name, aliases):
    try:
        once = normalise_surface(name, aliases)
    except InvalidContext:
        return
    assert re.fullmatch(r"[a-z0-9._-]{1,128}", once)
    assert normalise_surface(once, aliases) == once
