"""Any text becomes one safe name, and comes back; no two names meet, not even where case is folded."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import InvalidKey
from storage.keys import escape, unescape

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@given(TEXTS)
def test_a_name_is_safe_and_leads_back_to_its_text(text):
    name = escape(text)
    assert re.fullmatch(r"[a-z0-9_@+=,%-]+", name)
    assert unescape(name) == text


@given(TEXTS)
def test_names_of_texts_that_differ_in_case_alone_differ_where_case_is_folded(text):
    for other in {text.lower(), text.upper(), text.swapcase()} - {text}:
        assert escape(other).casefold() != escape(text).casefold()


@pytest.mark.parametrize("name", ["", "A", "%4A", "%61", "%zz", "%ff", "a/b", "ä"])
def test_a_name_that_was_never_made_is_refused(name):
    with pytest.raises(InvalidKey):
        unescape(name)
