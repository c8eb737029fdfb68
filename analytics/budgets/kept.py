"""One thing per driver and scope that all threads of a process share, made when it is first asked for."""

import os
import threading
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar
from weakref import WeakKeyDictionary, WeakSet

T = TypeVar("T")
_all: "Final[WeakSet[Kept[Any]]]" = WeakSet()


class Kept(Generic[T]):
    """Things by driver and scope; they go with the driver, and a forked child begins with none."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self.forget()
        _all.add(self)

    def forget(self) -> None:
        """Begin anew."""
        self._lock = threading.Lock()
        self._things: WeakKeyDictionary[Any, dict[tuple[str, ...], T]] = WeakKeyDictionary()

    def get(self, anchor: object, parts: tuple[str, ...]) -> T:
        """Return the one thing of this driver and scope."""
        with self._lock:
            things = self._things.setdefault(anchor, {})
            if parts not in things:
                things[parts] = self._make()
            return things[parts]


def _forget_all() -> None:
    for kept in list(_all):
        kept.forget()


os.register_at_fork(after_in_child=_forget_all)
