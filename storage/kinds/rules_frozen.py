"""Frozen: a dict that nobody alters, because many readers are given the same answer."""

from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Frozen(dict[K, V]):
    """A dict as it was made: it reads, prints, compares and copies like any other. Raises TypeError for whatever alters one."""

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("An answer is shared by all who asked: copy it with dict() first.")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type["Frozen[K, V]"], tuple[dict[K, V]]]:
        return Frozen, (dict(self),)


def frozen(given: Mapping[K, V]) -> Mapping[K, V]:
    """Return the mapping as one that nobody alters."""
    return Frozen(given)
