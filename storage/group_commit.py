"""Group commit: callers that come while one commit runs share the next, so a disk flush is paid once for all of them."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST: Final = 256


class _Waiting(Generic[Item, Result]):
    """One caller: its item, then its outcome or the word that it leads. `gate` opens when either has come."""

    __slots__ = ("gate", "item", "leads", "outcome")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.leads = False
        self.outcome: Result | BaseException
        self.gate = threading.Lock()
        self.gate.acquire()


class GroupCommit(Generic[Item, Result]):
    """Runs `commit` for one batch at a time, in the thread of one of the callers; it has no thread of its own.

    `commit` gets up to `most` items in the order in which they came and returns one result or exception for each.
    """

    def __init__(self, commit: Callable[[list[Item]], list[Result | Exception]], most: int = MOST) -> None:
        self._commit = commit
        self._most = most
        self._lock = threading.Lock()
        self._queue: deque[_Waiting[Item, Result]] = deque()
        self._led = False

    def submit(self, item: Item) -> Result:
        """Return the item's own result, or raise its own exception; what `commit` raises, its whole batch raises."""
        me: _Waiting[Item, Result] = _Waiting(item)
        with self._lock:
            self._queue.append(me)
            if not self._led:
                self._led = me.leads = True
        if not me.leads:
            self._wait(me)
        if me.leads:
            self._lead()
        if isinstance(me.outcome, BaseException):
            raise me.outcome
        return me.outcome

    def _wait(self, me: _Waiting[Item, Result]) -> None:
        try:
            me.gate.acquire()
        except BaseException:  # an interrupted caller must not take the leadership with it
            with self._lock:
                if me in self._queue:
                    self._queue.remove(me)
                    if me.leads:
                        self._hand_on()
            raise

    def _lead(self) -> None:
        """Commit one batch, with the leader's own item first, then let the longest waiting caller lead: nobody leads for long."""
        with self._lock:
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), self._most))]
        try:
            outcomes = self._commit([waiting.item for waiting in batch])
            for waiting, outcome in zip(batch, outcomes, strict=True):
                waiting.outcome = outcome
        except BaseException as error:
            for waiting in batch:
                waiting.outcome = error
            raise
        finally:
            with self._lock:
                self._hand_on()
            for waiting in batch:
                waiting.gate.release()

    def _hand_on(self) -> None:
        self._led = bool(self._queue)
        if self._queue:
            self._queue[0].leads = True
            self._queue[0].gate.release()
