"""What a process remembers of a place's store: it goes with the driver, and the longest unused goes first."""

import threading
from collections import OrderedDict
from typing import Any, Final, Generic, TypeVar
from weakref import WeakKeyDictionary

from analytics.budgets.places import Place

T = TypeVar("T")
MOST: Final = 4096


class Remembered(Generic[T]):
    """Values by place and key, for all threads."""

    def __init__(self) -> None:
        self._kept: WeakKeyDictionary[Any, OrderedDict[tuple[tuple[str, ...], str], T]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def get(self, place: Place, key: str = "") -> T | None:
        """Return what is remembered, or None."""
        with self._lock:
            return self._kept.get(place.store.cache_anchor, OrderedDict()).get((place.store.scope.parts, key))

    def keep(self, place: Place, value: T, key: str = "") -> None:
        """Remember a value."""
        name = (place.store.scope.parts, key)
        with self._lock:
            kept = self._kept.setdefault(place.store.cache_anchor, OrderedDict())
            kept[name] = value
            kept.move_to_end(name)
            if len(kept) > MOST:
                kept.popitem(last=False)

    def forget(self, place: Place, key: str = "") -> None:
        """Remember it no more."""
        with self._lock:
            self._kept.get(place.store.cache_anchor, OrderedDict()).pop((place.store.scope.parts, key), None)
