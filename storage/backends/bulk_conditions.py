"""Bulk puts with conditions: those of one partition are decided each for itself and committed together, some at a time."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from northstar.errors import NorthstarError
from storage.backends.compare_and_set import CompareAndSet, new_operation_id
from storage.backends.plans import Request
from storage.backends.service import Place
from storage.documents import ABSENT, ATOMIC_BYTES, Put, Written
from storage.values import encode

TOGETHER: Final = 50
"""Puts in one commit, well inside every service's transaction."""

Puts = Mapping[int, tuple[Place, Put]]
"""By the position in the bulk; no document twice."""
Outcomes = dict[int, Written | Exception]


def chunks(puts: Puts) -> Iterator[tuple[Place, dict[int, Put]]]:
    """Yield puts of one partition that fit into one commit."""
    places: dict[Place, dict[int, Put]] = defaultdict(dict)
    sizes: dict[Place, int] = defaultdict(int)
    for position, (place, put) in puts.items():
        size = len(encode(put.fields)) + len(put.key)
        if places[place] and (len(places[place]) == TOGETHER or sizes[place] + size > ATOMIC_BYTES):
            yield place, places.pop(place)
            sizes[place] = 0
        places[place][position] = put
        sizes[place] += size
    yield from places.items()


def put_together(writes: CompareAndSet, place: Place, puts: Mapping[int, Put]) -> Outcomes:
    """Write puts with conditions in one commit, and again without those that the conditions refuse. One outcome for each.

    Where all expect to find nothing, nothing is read first.
    """
    requests = [Request((put,), new_operation_id(), named=False) for put in puts.values()]
    nothing = all(put.expect is ABSENT for put in puts.values())
    try:
        decided, _ = writes.run(place, requests, {} if nothing else None)
    except NorthstarError as error:
        return dict.fromkeys(puts, error)
    return dict(zip(puts, map(_outcome, decided), strict=True))


def _outcome(decided: object) -> Written | Exception:
    if isinstance(decided, NorthstarError):
        return decided
    assert isinstance(decided, list)
    (written,) = decided
    assert isinstance(written, Written)
    return written
