"""What a forked process makes anew: a lock that another thread of the parent held is never released here."""

import os
import weakref
from typing import Final, Protocol


class Forked(Protocol):
    """Something that outlives a fork."""

    def after_fork(self) -> None:
        """Make locks anew, and leave alone what belongs to the parent. Called in the child, which has one thread."""


_alive: Final[weakref.WeakSet[Forked]] = weakref.WeakSet()


def renew_after_fork(one: Forked) -> None:
    """Call `after_fork` of this in every child, for as long as it is in use."""
    _alive.add(one)


def _after_fork() -> None:
    for one in list(_alive):
        one.after_fork()


os.register_at_fork(after_in_child=_after_fork)
