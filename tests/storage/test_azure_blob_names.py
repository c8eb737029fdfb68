"""Names as Azure Blob Storage keeps them: nothing is lost, and order and beginnings stay, whatever the key holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.backends.azure_blob_names import decode, decode_start, encode, encode_start, place_of
from storage.backends.blob_names import Layout
from storage.blobs import BlobRef
from storage.errors import InvalidKey
from storage.keys import Scope

ODD = st.text(st.sampled_from("./ !~a0-12\x7f\u00e9\ufffd\ufffe\uffff\ue000\U0001f680"), max_size=8)


@pytest.mark.parametrize(
    "name", ["report.pdf", "a/b c/d-e_f", "\u6587\u66f8\uff081\uff09.txt", "\U0001f680", ".hidden", "a..b", "~/x!"]
)
def test_a_usual_name_stays_as_it_is(name):
    assert (encode(name), decode(name)) == (name, name)


@pytest.mark.parametrize(
    ("name", "stored"), [("report.", "report. !"), ("a./b", "a..~/b"), ("...", "... !"), ("a. b", "a. ~b")]
)
def test_no_dot_stands_at_the_end_of_a_name_or_a_segment(name, stored):
    assert (encode(name), decode(stored)) == (stored, name)


@pytest.mark.parametrize("stored", ["report.", "a./b", "x\ufffdy", "x\uffff", "a. b", "a.~b"])
def test_a_name_that_was_not_made_here_is_told_from_ours(stored):
    assert decode(stored) is None


@pytest.mark.line(8, 10, 16)
@given(ODD, ODD)
def test_any_two_names_keep_their_order_and_their_beginnings(one, other):
    assert (decode(encode(one)), decode_start(encode_start(one))) == (one, one)
    assert (encode(one) < encode(other)) == (one < other)
    assert encode(one + other).startswith(encode_start(one))
    assert (encode(other) >= encode_start(one)) == (other >= one)


@given(ODD)
def test_a_stored_name_is_one_that_the_service_keeps_and_lists(name):
    stored = encode(name)
    assert not stored.endswith(".")
    assert "./" not in stored
    assert not {"\ufffe", "\uffff"} & set(stored)


@pytest.mark.line(4)
def test_a_name_that_the_encoding_makes_too_long_is_refused_with_the_limit():
    ref = BlobRef(Scope("acme", "dev"), "aaaaa./" * 126 + "end")
    with pytest.raises(InvalidKey, match="1024"):
        place_of(Layout(), ref)
