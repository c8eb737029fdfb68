"""Physical names of the cloud drivers are injective, readable and within the service's limits."""

from hypothesis import given
from hypothesis import strategies as st

from storage.backends.names import joined

PARTS = st.lists(st.text(alphabet="ab#%/\\?hpsbqx", min_size=1, max_size=6), min_size=1, max_size=4)


@given(PARTS, PARTS)
def test_no_two_lists_of_parts_share_a_name(left, right):
    assert (joined(left, max_bytes=1500) == joined(right, max_bytes=1500)) is (left == right)


@given(PARTS, PARTS)
def test_neither_do_those_that_are_hashed(left, right):
    assert (joined(left, max_bytes=8) == joined(right, max_bytes=8)) is (left == right)


def test_a_name_is_readable_and_free_of_what_services_forbid():
    assert joined(["acme", "dev", "_", "orders"], max_bytes=1500) == "acme#dev#_#orders"
    assert not set(joined(["a/b", "c\\d", "e?f"], max_bytes=1500)) & set("/\\?")


def test_a_long_name_is_a_hash_within_the_limit():
    assert joined(["\N{GRINNING FACE}" * 225], max_bytes=800).startswith("%x")
    assert len(joined(["#" * 900], max_bytes=1500)) == 66
