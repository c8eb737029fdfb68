"""Objects that other programs put under a tenant's prefix and that no key can name: Northstar neither lists nor removes them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from northstar.errors import NorthstarError
from routing.operations.sweeping import blobs_of
from routing.resolve import snapshot
from routing.snapshot import ResolvedRoute
from storage.registry import BLOBS, KINDS

PAGES: Final = 5
"""How far the search goes: 1,000 names a page. It must not walk a bucket of millions."""
ROUTES_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class ForeignObjects:
    """The names found behind one route, among the first that its tenant has there."""

    route: ResolvedRoute
    names: tuple[str, ...]


def foreign_objects() -> Iterator[ForeignObjects]:
    """Yield the object routes behind which such objects lie. A route that cannot be read is passed over: a ping tells why."""
    now = snapshot()
    routes = [route for route in now.routes.values() if KINDS[route.resource_kind].primitive == BLOBS]
    with ThreadPoolExecutor(ROUTES_AT_ONCE, thread_name_prefix="doctor") as pool:
        found = pool.map(lambda route: _names(route, now.modes[route.tenant_id]), routes)
        yield from (ForeignObjects(route, names) for route, names in zip(routes, found, strict=True) if names)


def _names(route: ResolvedRoute, mode: str) -> tuple[str, ...]:
    names: list[str] = []
    cursor = None
    try:
        blobs = blobs_of(route, mode)
        for _ in range(PAGES):
            page = blobs.list(cursor=cursor)
            names += page.foreign
            cursor = page.cursor
            if cursor is None:
                break
    except NorthstarError:
        return tuple(names)
    return tuple(names)
