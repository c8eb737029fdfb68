"""The byte order of UTF-8, made of a service's listing in either of the two usual orders, page by page."""

from bisect import bisect_left
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.backends.azure_blob_order import in_byte_order

ORDERS = {"utf-8": lambda text: text.encode(), "utf-16": lambda text: text.encode("utf-16-be")}
NAME = st.text(
    st.sampled_from("ab\u1111\ud7ff\ue000\uff08\uffff\U00010000\U0001f680\U0010ffff"), min_size=1, max_size=5
)


@dataclass(frozen=True)
class Entry:
    name: str


def service(names, encoding, size):
    """A listing as a service gives it: in its own order, in pages of this size, from a start on."""
    order = ORDERS[encoding]
    sorted_names = sorted(names, key=order)
    keys = [order(name) for name in sorted_names]
    requests = []

    def pages(prefix, start):
        first = 0 if start is None else bisect_left(keys, order(start))
        found = [name for name in sorted_names[first:] if name.startswith(prefix)]
        for at in range(0, max(len(found), 1), size):
            requests.append(at)
            yield [Entry(name) for name in found[at : at + size]], at + size >= len(found)

    return pages, requests


@pytest.mark.line(68, 76, 79)
@settings(max_examples=400)
@given(
    st.sets(NAME, max_size=40),
    st.sampled_from(["", "a", "b\U0001f680", "\uff08"]),
    NAME,
    st.sampled_from([1, 2, 3, 7, 50]),
)
@pytest.mark.parametrize("encoding", ORDERS)
def test_every_name_comes_once_in_byte_order_from_any_floor_on(encoding, names, prefix, rest, size):
    pages, _ = service(names, encoding, size)
    expected = sorted((name for name in names if name.startswith(prefix)), key=str.encode)
    assert [entry.name for entry in in_byte_order(pages, prefix)] == expected
    floor = prefix + rest
    found = [entry.name for entry in in_byte_order(pages, prefix, floor)]
    assert found == [name for name in expected if name.encode() >= floor.encode()]


@pytest.mark.parametrize("encoding", ORDERS)
def test_a_page_of_names_from_all_over_the_world_takes_one_request(encoding):
    names = [
        f"{folder}/{name}{number}" for folder in "xyz" for name in ("\uff08", "\U0001f680", "a") for number in range(9)
    ]
    pages, requests = service(names, encoding, 1000)
    assert [entry.name for entry in in_byte_order(pages, "")] == sorted(names, key=str.encode)
    assert len(requests) == 1


@pytest.mark.parametrize("encoding", ORDERS)
def test_a_crowd_larger_than_a_page_is_read_twice_at_most(encoding):
    names = [f"{name}{number:05}" for name in ("\uff08", "\U0001f680") for number in range(5000)]
    pages, requests = service(names, encoding, 100)
    assert [entry.name for entry in in_byte_order(pages, "")] == sorted(names, key=str.encode)
    assert len(requests) <= 2 * len(names) / 100 + 2
