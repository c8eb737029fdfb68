"""A service's listing brought into the byte order of UTF-8, whichever of the two usual orders the service has.

Azure documents "alphabetical order" and no more. Ordered by UTF-16 units, as the emulator does it, names with characters past
U+FFFF come before those with U+E000 to U+FFFF; ordered by UTF-8, after them. For all other characters both orders agree. So
only among the names that share a beginning (a `node`) and then have such a high character is there anything to do: those that
one page holds whole are sorted, and larger crowds are listed in two planes, one after the other.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol, TypeVar

_HIGH: Final = re.compile("[\ue000-\U0010ffff]")
_PLANES: Final = (("\ue000", "\uffff"), ("\U00010000", "\U0010ffff"))


class Named(Protocol):
    """An entry of a listing."""

    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Named)
Pages = Callable[[str, str | None], Iterator[tuple[Sequence[T], bool]]]
"""`pages(prefix, start)` lists in the service's order, from `start` on inclusive; each page with whether it is the last."""


def in_byte_order(
    pages: Pages[T], prefix: str, floor: str | None = None, plane: tuple[str, str] | None = None
) -> Iterator[T]:
    """Yield the entries whose names begin with `prefix`, from `floor` on, which begins with it too, in byte order of UTF-8.

    With a plane: only those whose next character lies in it. Text of Python compares by code points, as UTF-8 does by bytes.
    """
    at = len(prefix)
    start, done = floor or (plane and prefix + plane[0]), None
    if floor is not None and (node := _node(floor, at + bool(plane))) is not None:
        yield from _high(pages, node, floor)
        if node == prefix:
            return
        start, done = _beyond(node), node
    for page, last in pages(prefix, start):
        entries = sorted(_new(page, done), key=lambda entry: entry.name)
        if plane is not None:
            inside = [entry for entry in entries if plane[0] <= entry.name[at : at + 1] <= plane[1]]
            last, entries = last or len(inside) < len(entries), inside  # noqa: PLW2901 - the plane ends where others come
        node = None if last or not entries else _node(entries[-1].name, at + bool(plane))
        yield from (entry for entry in entries if not _is_high(entry.name, node))
        if node is not None:  # it goes on in the next page, perhaps with entries that come before these
            yield from _high(pages, node, None)
            done = node
        if last:
            return


def _high(pages: Pages[T], node: str, floor: str | None) -> Iterator[T]:
    """Yield the node's entries with a high character, from the floor on, which has one too."""
    for first, last in _PLANES:
        if floor is None or floor[len(node)] < first:
            yield from in_byte_order(pages, node, None, (first, last))
        elif floor[len(node)] <= last:
            yield from in_byte_order(pages, node, floor, (first, last))


def _node(name: str, start: int) -> str | None:
    """Return the name up to its first high character from `start` on, or None."""
    found = _HIGH.search(name, start)
    return name[: found.start()] if found else None


def _is_high(name: str, node: str | None) -> bool:
    return node is not None and name.startswith(node) and _HIGH.match(name, len(node)) is not None


def _new(page: Sequence[T], done: str | None) -> Sequence[T]:
    return [entry for entry in page if done is None or not entry.name.startswith(done)]


def _beyond(node: str) -> str:
    """Return from where on to list what comes after the node; the node itself where nothing shorter is certain in both orders."""
    last = node[-1]
    return node if last in "\ud7ff\uffff\U0010ffff" else node[:-1] + chr(ord(last) + 1)
